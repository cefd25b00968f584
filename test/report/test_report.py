# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The report is one whole file that shows what the run did."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from functools import lru_cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from worlds import circle_recording, square_anchors

from locdreamer_ros.cli import main
from locdreamer_ros.datasets.range_table import save_anchors, save_range_table
from locdreamer_ros.evaluation.metrics import AskingHistory, Track
from locdreamer_ros.evaluation.plots import plot_track
from locdreamer_ros.evaluation.run import track_all
from locdreamer_ros.methods import Method
from locdreamer_ros.recording import Recording
from locdreamer_ros.report import charts
from locdreamer_ros.report.benchmark import write_benchmark
from locdreamer_ros.report.charts import heat_maps, residual_rows
from locdreamer_ros.report.page import MOST_ROWS, write_report
from locdreamer_ros.report.recorded import asking_of
from locdreamer_ros.report.svg import ticks
from locdreamer_ros.types import Anchors, Estimate, Site

VOID = {"meta", "input", "img"}


class Whole(HTMLParser):
    """Complains about tags that are not closed in their order; gathers sections and labels."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.labels: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        named = dict(attrs)
        if named.get("role") == "img":
            self.labels.append(named["aria-label"] or "")
        if named.get("id"):
            self.ids.append(str(named["id"]))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def data_of(page: str) -> Any:
    (text,) = re.findall(r"<script type='application/json' id='data'>(.*?)</script>", page, re.S)
    return json.loads(text)


@lru_cache
def ran() -> tuple[Recording, list[Track], list[dict[str, Any]]]:
    recording = circle_recording(duration=20.0)
    method = Method(tracker="ekf", scheduler="nearest", tag_height=1.0)
    tracks, reports = track_all(recording, method, beside=[method.beside("robust-ekf")])
    return recording, tracks, reports


def test_a_track_with_fewer_epochs_is_drawn_at_the_moments_of_the_first(tmp_path: Path) -> None:
    """As in a graph, where a baseline starts later, misses answers and may end before."""
    recording, (track, beside), reports = ran()
    kept = np.delete(np.arange(len(beside)), [0, 1, 40, 41])[:-30]
    names = ("times", "mean", "covariance", "truth", "asked", "states")
    fewer = Track(**{name: getattr(beside, name)[kept] for name in names})
    write_report(
        tmp_path / "r.html", recording.anchors, {"a": track, "b": fewer}, reports, title="t"
    )
    first, other = data_of((tmp_path / "r.html").read_text())["tracks"]
    assert len(other["at"]) == len(first["at"]) == len(track)
    assert other["at"][1] == other["at"][-1] == [None, None]
    assert other["at"][41] == other["at"][39]
    assert other["error"][100] == pytest.approx(
        np.linalg.norm(beside.mean[100, :2] - beside.truth[100, :2]), abs=1e-3
    )


def test_a_clock_set_back_and_places_of_a_map_projection(tmp_path: Path) -> None:
    recording, tracks, reports = ran()
    there = np.array([691_000.0, 5_335_000.0, 0.0])
    back = np.where(recording.times > 8.0, recording.times - 1e6, recording.times)
    anchors = Anchors(recording.anchors.ids, recording.anchors.positions + there)
    moved = {
        name: replace(
            track,
            times=back,
            mean=track.mean + np.array([*there[:2], 0.0, 0.0]),
            truth=track.truth + there,
        )
        for name, track in zip(("one", "two"), tracks, strict=True)
    }
    write_report(tmp_path / "r.html", anchors, moved, reports, title="back")
    page = (tmp_path / "r.html").read_text()
    shown = data_of(page)
    assert all(None not in at for track in shown["tracks"] for at in track["at"])
    assert np.diff(shown["t"]).min() >= 0.0
    assert 10.0 < shown["t"][-1] <= 20.0
    assert "x from 691000 m, y from 5335000 m" in page
    assert "e+0" not in page


def test_a_run_keeps_whom_it_asked() -> None:
    recording, (track, beside), _ = ran()
    asking = track.asking
    assert asking is not None
    assert beside.asking is None
    assert (asking.chosen.sum(axis=1) == track.asked).all()
    assert np.isfinite(asking.heard).sum() == track.asked.sum()
    row = len(track) - 1
    near = np.linalg.norm(recording.anchors.positions[:, :2] - track.mean[row, :2], axis=1)
    assert set(np.flatnonzero(asking.chosen[row])) == set(np.argsort(near)[:3])


def test_the_page_is_whole_and_needs_nothing_else(tmp_path: Path) -> None:
    recording, tracks, reports = ran()
    path = tmp_path / "report.html"
    named = {"ekf": tracks[0], "<robust & more>": tracks[1]}
    walls = np.array([[[0.0, 0.0], [8.0, 0.0]]])
    about = {"ms on air of a fix": 1.25}
    write_report(
        path, recording.anchors, named, reports, title="a <b> run", walls=walls, about=about
    )
    page = path.read_text(encoding="utf-8")
    whole = Whole()
    whole.feed(page)
    assert whole.open == []
    assert len(whole.labels) == 6 + len(recording.anchors)
    assert all(whole.labels)
    assert len(set(whole.ids)) >= 10
    assert "<b>" not in page.split("<h1>")[1].split("</h1>")[0]
    assert "<robust" not in page
    outside = re.findall(r"(?:src|href)=|url\(|@import|https?://(?!www\.w3\.org/2000/svg)", page)
    assert not outside
    assert len(page) < 3_000_000
    for heading in ("Map", "Error over time", "Distribution of errors", "Calibration",
                    "Ranges per fix", "Residuals per anchor", "What answered",
                    "Parameters and versions"):  # fmt: skip
        assert f"<h2>{heading}</h2>" in page
    assert f"<b>{reports[0]['mae']:.3f}</b>" in page
    assert "<td>ms on air of a fix</td><td>1.250</td>" in page
    data = data_of(page)
    assert len(data["t"]) == len(data["asked"]) == len(data["x"]) == len(tracks[0])
    assert tracks[0].asking is not None
    assert data["asked"][-1] == np.flatnonzero(tracks[0].asking.chosen[-1]).tolist()
    off = np.linalg.norm(tracks[0].mean[-1, :2] - tracks[0].truth[-1, :2])
    assert data["tracks"][0]["error"][-1] == pytest.approx(off, abs=1e-3)


def test_notes_stand_above_and_tables_are_lists_on_a_telephone(tmp_path: Path) -> None:
    recording, tracks, reports = ran()
    named = {"ekf (paper)": tracks[0], "b": tracks[1]}
    notes = ["is <x> y?"]
    write_report(tmp_path / "r.html", recording.anchors, named, reports, title="t", notes=notes)
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<p class='note' role='note'>is &lt;x&gt; y?</p>" in page.split("class='tiles'")[0]
    # The legend's names, each value with what it is.
    for caption in ("All trackers of the run", "Who answered"):
        rows = page.split(f"<p class='soft'>{caption}")[1].split("</table>")[0]
        assert "class='stacked'" in rows
        assert "<td data-is='tracker'>ekf (paper)</td>" in rows
    assert "<caption>" not in page


def test_errors_beyond_the_chart_are_said(tmp_path: Path) -> None:
    recording, tracks, reports = ran()
    mean = tracks[0].mean.copy()
    mean[100, 0] += 50.0
    for track, said in ((tracks[0], False), (replace(tracks[0], mean=mean), True)):
        write_report(tmp_path / "r.html", recording.anchors, {"a": track}, reports[:1], title="t")
        page = (tmp_path / "r.html").read_text(encoding="utf-8")
        assert ("<p class='soft'>Cut off at" in page) == said


def test_of_a_track_in_space_each_axis_is_said(tmp_path: Path) -> None:
    recording, tracks, reports = ran()
    axes = {"nees_x": 0.5, "nees_y": 1.0, "nees_z": 7.125}
    for report, said in ((reports[0], False), ({**reports[0], **axes}, True)):
        write_report(tmp_path / "r.html", recording.anchors, {"a": tracks[0]}, [report], title="t")
        page = (tmp_path / "r.html").read_text(encoding="utf-8")
        assert ("1 is right: x 0.50, y 1.00, z 7.12." in page) == said


def test_names_on_the_map_hide_no_other() -> None:
    """Two at one corner, and sixty in a grid: what has no room is what the pointer finds."""
    near = charts._named(["A1", "A2"], np.array([[100.0, 100.0], [104.0, 96.0]]))
    places = re.findall(r"<text x='?\"?([\d.]+)\"?'? y='?\"?([\d.]+)", "".join(near))
    assert len(set(places)) == 2
    grid = np.stack(np.meshgrid(60.0 * np.arange(10), 60.0 * np.arange(6)), axis=-1).reshape(-1, 2)
    names = [f"very_long_anchor_name_{i:03d}" for i in range(60)]
    drawn = "".join(charts._named(names, grid + 30.0))
    assert drawn.count("<title>very_long") == 60
    assert 5 < drawn.count("<text") < 40
    short = "".join(charts._named([f"{i}" for i in range(60)], grid + 30.0))
    assert short.count("<text") == 60


def test_of_many_anchors_those_that_were_heard_are_drawn(tmp_path: Path) -> None:
    recording, tracks, reports = ran()
    own, asking = recording.anchors, tracks[0].asking
    assert asking is not None
    count = 1000
    ids = (*(f"far{i}" for i in range(count)), *own.ids)
    anchors = Anchors(ids, np.vstack([np.full((count, 3), 500.0), own.positions]))
    shape = (len(tracks[0]), count)
    nobody, nothing = np.zeros(shape, dtype=np.bool_), np.full(shape, np.nan)
    wide = AskingHistory(
        np.hstack([nobody, asking.chosen]),
        np.hstack([nothing, asking.heard]),
        np.hstack([nobody, asking.excluded]),
    )
    track = replace(tracks[0], asking=wide)
    write_report(tmp_path / "r.html", anchors, {"a": track}, reports[:1], title="t")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    shown = data_of(page)
    assert shown["ids"] == list(own.ids)
    assert shown["asked"][-1] == np.flatnonzero(asking.chosen[-1]).tolist()
    assert f"Of {len(ids)} anchors the {len(own)} that were heard." in page
    assert f"<td>anchors</td><td>{len(ids)}</td>" in page
    once = np.where(np.arange(len(track))[:, None] == 3, asking.heard, np.nan)
    rows = residual_rows(replace(track, asking=replace(asking, heard=once)), own, 1.0)
    assert all(row["spread"] != row["spread"] for row in rows)  # of one range there is none
    plot_track(tmp_path / "wide.svg", anchors, {"a": track}, title="t")
    assert "far1" not in (tmp_path / "wide.svg").read_text(encoding="utf-8")


def test_a_benchmarks_page_is_whole_and_shows_each_measure_with_its_interval(
    tmp_path: Path,
) -> None:
    rows = [
        {"method": "<ekf>", "mae": 0.25, "mae_ci": 0.05, "seeds": np.int64(3), "lost": True},
        {"method": "grid", "mae": 0.5, "mae_ci": float("nan"), "seeds": 3, "lost": False},
        {"method": "none", "mae": float("nan"), "mae_ci": 0.1, "seeds": 3, "lost": False},
    ]
    columns = {"method": "method", "mae": "MAE m", "seeds": "seeds", "lost": "lost"}
    (tmp_path / "x.png").write_bytes(b"\x89PNG")
    path = tmp_path / "report.html"
    write_benchmark(
        path, "house", rows, rows, columns, {"below & far": 0.125}, notes=["a <note>"],
        drawing=tmp_path / "x.png",
    )  # fmt: skip
    page = path.read_text(encoding="utf-8")
    whole = Whole()
    whole.feed(page)
    assert whole.open == []
    assert all(whole.labels)
    assert "src='data:image/png;base64,iVBORw==" in page
    assert not re.findall(r"href=|url\(|@import|src='(?!data:)", page)
    for wild in ("<ekf>", "<note>"):
        assert wild not in page
    charts = page.split("<svg")[1:]
    assert [re.findall(r'id="chart-(\w+)"', chart) for chart in charts] == [["mae"], ["seeds"]]
    assert re.findall(r"<title>(?!MAE)([^<]*)</title>", charts[0]) == [
        "&lt;ekf&gt;: 0.250 ± 0.050",
        "grid: 0.500",
    ]
    (line,) = re.findall(r'<line x1="([\d.]+)" x2="([\d.]+)"[^>]* class="median"', charts[0])
    (dot, _) = re.findall(r'cx="([\d.]+)"', charts[0])
    assert float(line[0]) + float(line[1]) == pytest.approx(2.0 * float(dot), abs=0.02)
    assert "<b>0.125</b><span>below &amp; far</span>" in page


def test_a_long_run_is_thinned_and_one_without_truth_has_no_errors(tmp_path: Path) -> None:
    n = 4 * MOST_ROWS
    mean = np.column_stack([np.linspace(0, 5, n), np.ones(n), np.zeros((n, 2))])
    track = Track(
        np.arange(n) * 0.1,
        mean,
        np.broadcast_to(np.eye(4), (n, 4, 4)),
        np.full((n, 3), np.nan),
        np.full(n, 3),
    )
    path = tmp_path / "report.html"
    report = {"tracker": "ekf", "scheduler": "all", "ranges_per_fix": 3.0}
    write_report(path, square_anchors(), {"ekf": track}, [report], title="long")
    page = path.read_text(encoding="utf-8")
    assert len(data_of(page)["t"]) == MOST_ROWS
    assert "Error over time" not in page
    assert data_of(page)["x"][0] < data_of(page)["x"][-1]
    assert "was not kept in this run" in page


def test_heat_maps_and_residuals_are_of_what_happened() -> None:
    anchors = Anchors(("L", "R"), np.array([[0.0, 0.0, 1.0], [10.0, 0.0, 1.0]]))
    n = 200
    x = np.linspace(0.5, 9.5, n)
    truth = np.column_stack([x, np.full(n, 2.0), np.ones(n)])
    chosen = np.column_stack([x < 5.0, np.ones(n, dtype=bool)])
    distance = np.linalg.norm(truth[:, None] - anchors.positions, axis=2)
    heard = np.where(chosen, distance + np.array([0.3, -0.1]), np.nan)
    excluded = np.zeros_like(chosen)
    excluded[: n // 4, 1] = True
    mean = np.column_stack([truth[:, :2], np.zeros((n, 2))])
    cov = np.broadcast_to(np.eye(4), (n, 4, 4))
    asking = AskingHistory(chosen, heard, excluded)
    track = Track(np.arange(n) * 0.1, mean, cov, truth, np.full(n, 2), None, asking)
    left, right = residual_rows(track, anchors, 1.0)
    assert (left["asked"], left["heard"], right["asked"]) == (100, 100, 200)
    assert [left["bias"], right["bias"]] == pytest.approx([0.3, -0.1])
    assert right["excluded"] == pytest.approx(0.25)
    maps = heat_maps(track, anchors)
    assert "L was asked for 50 % of the fixes" in maps
    assert "R was asked for 100 % of the fixes" in maps
    cells = re.findall(r'x="([\d.]+)"[^>]*fill-opacity="([\d.]+)"', maps.split("<figure>")[1])
    shares = [float(share) for _, share in sorted(cells, key=lambda c: float(c[0]))]
    assert shares[0] == 1.0
    assert shares[-1] == 0.04
    # Without truth, ranges are held against the estimate, at the tag's height.
    blind = replace(track, truth=np.full((n, 3), np.nan))
    assert residual_rows(blind, anchors, 1.0)[0]["bias"] == pytest.approx(0.3)


def test_a_bag_says_who_was_heard() -> None:
    anchors = square_anchors(3)
    ranges = np.array([[1.0, np.nan, 3.0], [np.nan, 2.0, np.nan], [4.0, 5.0, 6.0]])
    bag = Recording("bag", anchors, np.array([0.0, 0.5, 9.0]), ranges)
    site = Site(anchors.subset(("A3", "A2", "A1")), 2, 1.0)
    there = [Estimate(t, np.array([4.0, 3.0, 0, 0]), np.eye(4)) for t in (0.02, 0.51, 1.0)]
    times = np.array([estimate.time for estimate in there])
    track = Track.of(there, times=times, truth=None, asked=[2, 1, 0], dimensions=2)
    asking = asking_of(bag, track, site)
    assert asking.chosen.tolist() == [[True, False, True], [False, True, False], [False] * 3]
    assert asking.heard[0].tolist()[::2] == [3.0, 1.0]
    expected = site.expected(track.mean[:1, :2], np.arange(3))
    blinks = replace(bag, ranges=np.tile(expected[::-1] - 7.0, (3, 1)), differences=True)
    np.testing.assert_allclose(asking_of(blinks, track, site).heard[0], expected)


def test_ticks_are_round() -> None:
    assert ticks(0.0, 1.0) == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert ticks(-3.1, 3.4) == [-2.0, 0.0, 2.0]


def test_track_writes_one(tmp_path: Path) -> None:
    recording = circle_recording(duration=10.0)
    save_range_table(tmp_path / "walk.csv", recording)
    save_anchors(tmp_path / "walk_anchors.csv", recording.anchors)
    report = tmp_path / "report.html"
    argv = ["track", str(tmp_path / "walk.csv"), "--tracker", "ekf", "--report", str(report)]
    assert main(argv) == 0
    assert "walk: foresight, 3 ranges a fix" in report.read_text(encoding="utf-8")
    assert main([*argv[:-1], str(tmp_path / "report.txt")]) == 2


def test_the_script_runs_in_a_browser(tmp_path: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium to show the page in")
    recording, tracks, reports = ran()
    path = tmp_path / "report.html"
    write_report(path, recording.anchors, {"ekf": tracks[0]}, reports[:1], title="run")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile"]
    shown = subprocess.run(
        [chromium, *flags, "--dump-dom", path.as_uri()], capture_output=True, text=True, timeout=120
    ).stdout
    (now,) = re.findall(r"<output id=.now.[^>]*>(.*?)</output>", shown)
    row = len(tracks[0]) // 2
    assert tracks[0].asking is not None
    asked = [recording.anchors.ids[a] for a in np.flatnonzero(tracks[0].asking.chosen[row])]
    assert f"{tracks[0].times[row]:.1f} s" in now
    assert f"asked {', '.join(asked)}" in now
    assert len(re.findall(r'class="asked"', shown)) == len(asked)
