# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from worlds import circle_recording

from locdreamer_ros.datasets import load_recording
from locdreamer_ros.errors import InputError
from locdreamer_ros.evaluation.estimates import save_estimates
from locdreamer_ros.evaluation.run import evaluate, run_offline, site_of
from locdreamer_ros.methods import Method, make_scheduler, make_tracker
from locdreamer_ros.roles import Tracker
from locdreamer_ros.schedulers.simple import All
from locdreamer_ros.types import Anchors, Site
from locdreamer_ros.zero_shot.model_file import SHIPPED_NAME

KEYS = [
    "tracker",
    "preset",
    "scheduler",
    "budget",
    "dimensions",
    "steps",
    "mae",
    "rmse",
    "p50",
    "p90",
    "max",
    "ranges_per_fix",
    "nees",
    "coverage95",
    "step_us_p50",
    "step_us_p99",
    "seed",
    "model",
    "fallback",
    "excluded",
    "restarts",
    "mirror",
]
LIAS = Path(__file__).parents[2] / "../shared/data/lias"


def test_the_report_has_exactly_the_agreed_keys():
    recording = circle_recording(duration=10.0)
    track, report = evaluate(recording, Method(seed=5), site=Site(recording.anchors))
    assert list(report) == KEYS
    assert (report["tracker"], report["scheduler"], report["budget"]) == (
        "zero-shot",
        "foresight",
        3,
    )
    assert (report["steps"], report["seed"], report["model"]) == (
        90,
        5,
        SHIPPED_NAME,
    )
    assert report["ranges_per_fix"] == 3.0
    assert report["mae"] < 0.3
    assert 0.0 < report["step_us_p50"] <= report["step_us_p99"]
    assert len(track) == len(recording)


def test_3d_errors_are_added_in_3d():
    recording = circle_recording(duration=10.0)
    report = evaluate(recording, Method(tracker="ekf", budget=5), site=Site(recording.anchors, 3))[
        1
    ]
    assert [key for key in report if key not in KEYS] == [
        *(f"{name}_3d" for name in ("mae", "rmse", "p50", "p90", "max")),
        *("nees_x", "nees_y", "nees_z"),
    ]
    assert report["mae_3d"] >= report["mae"]


def test_without_truth_there_are_no_errors():
    recording = dataclasses.replace(circle_recording(duration=5.0), truth=None)
    report = evaluate(recording, Method(), site=Site(recording.anchors))[1]
    errors = {"mae", "rmse", "p50", "p90", "max", "nees", "coverage95"}
    assert list(report) == [key for key in KEYS if key not in errors]
    assert report["steps"] == 50


@pytest.mark.parametrize("tracker", ["grid", "particle"])
def test_same_seed_same_result(tracker):
    recording = circle_recording(duration=10.0)

    def run(seed: int) -> dict[str, object]:
        report = evaluate(
            recording,
            Method(tracker=tracker, scheduler="random", seed=seed),
            site=Site(recording.anchors),
        )[1]
        return {key: value for key, value in report.items() if not key.startswith("step_us")}

    assert run(1) == run(1)
    assert run(1)["mae"] != run(2)["mae"]


def test_all_costs_all():
    recording = circle_recording(duration=5.0)
    report = evaluate(
        recording, Method(tracker="ekf", scheduler="all"), site=Site(recording.anchors)
    )[1]
    assert report["ranges_per_fix"] == 8.0


def test_a_tracker_beside_is_the_same_alone_when_given_the_same_ranges():
    recording = circle_recording(duration=10.0)
    site = Site(recording.anchors)

    def ekf():
        return make_tracker("ekf", site, preset="paper")

    run = run_offline(
        recording, site, ekf(), make_scheduler("gdop", site), budget=3, beside=[ekf()]
    )
    own, beside = run.tracks
    np.testing.assert_array_equal(own.mean, beside.mean)
    np.testing.assert_array_equal(own.covariance, beside.covariance)
    assert run.seconds.shape == (2, len(recording))


class Stubborn(All):
    """Gives up after a while."""

    def select(self, prediction, anchors, budget):
        if prediction is not None and prediction.time > 1.0:
            raise InputError("enough")
        return super().select(prediction, anchors, budget)


@pytest.mark.parametrize("scheduler", [All(), Stubborn()])
def test_trackers_are_closed_however_a_run_ends(monkeypatch, scheduler):
    closed = []
    monkeypatch.setattr(Tracker, "close", lambda tracker: closed.append(tracker))
    recording = circle_recording(duration=2.0)
    site = Site(recording.anchors)
    trackers = [make_tracker("ekf", site) for _ in range(2)]
    ends = pytest.raises(InputError) if isinstance(scheduler, Stubborn) else nullcontext()
    with ends:
        run_offline(recording, site, trackers[0], scheduler, budget=3, beside=trackers[1:])
    assert set(map(id, closed)) == set(map(id, trackers))


def test_no_first_fix_is_said():
    recording = circle_recording(duration=5.0)
    recording.ranges[:, 2:] = np.nan
    with pytest.raises(InputError, match="circle: no first fix: 50 epochs"):
        evaluate(recording, Method(), site=Site(recording.anchors))


@pytest.mark.parametrize("level", [6.0, 15.0, 900.0])
@pytest.mark.parametrize("dimensions", ["2", "3"])
def test_anchors_whose_z_is_over_the_sea(level, dimensions):
    walk = circle_recording(duration=10.0)
    places = walk.anchors.positions + np.array([0.0, 0.0, level])
    high = dataclasses.replace(walk, anchors=Anchors(walk.anchors.ids, places))
    method = Method(dimensions=dimensions)
    _, report = evaluate(high, method, site=site_of(high, method))
    assert report["max"] < 0.5
    with pytest.raises(InputError, match=r"--tag-height 1: the anchors hang at .* most ranges are"):
        site_of(high, dataclasses.replace(method, tag_height=1.0))


def test_an_anchor_whose_clock_is_seconds_off_is_named_in_one_line(caplog):
    recording = circle_recording(duration=10.0)
    stamps = np.repeat(recording.times[:, None], len(recording.anchors), axis=1)
    stamps[:, 1] += 4.0
    evaluate(dataclasses.replace(recording, stamps=stamps), Method(scheduler="all", budget=9))
    name = recording.anchors.ids[1]
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"circle: ranges of '{name}' are stamped 4.0 s ahead")


def test_too_short_to_score_is_said():
    recording = circle_recording(duration=0.8)
    with pytest.raises(InputError, match="circle: no epoch to score"):
        evaluate(recording, Method(), site=Site(recording.anchors))


def test_bad_budget():
    recording = circle_recording(duration=2.0)
    with pytest.raises(InputError, match="budget: expected at least 1"):
        evaluate(recording, Method(budget=0), site=Site(recording.anchors))


@pytest.mark.parametrize("dimensions", [2, 3])
def test_estimates_as_csv(tmp_path, dimensions):
    recording = circle_recording(duration=3.0)
    recording.ranges[:2, 2:] = np.nan
    track, _ = evaluate(
        recording,
        Method(tracker="ekf", budget=5),
        site=Site(recording.anchors, dimensions),
        skip=0,
    )
    path = tmp_path / "estimates.csv"
    save_estimates(path, track)
    header = path.read_text().splitlines()[0]
    assert (
        header
        == {
            2: "t_s,x,y,vx,vy,cov_xx,cov_xy,cov_yy",
            3: "t_s,x,y,z,vx,vy,vz,cov_xx,cov_xy,cov_xz,cov_yy,cov_yz,cov_zz",
        }[dimensions]
    )
    table = np.loadtxt(path, delimiter=",", skiprows=1)
    assert table.shape == (28, header.count(",") + 1)
    np.testing.assert_allclose(table[:, 1], track.mean[2:, 0], rtol=1e-5)
    np.testing.assert_allclose(
        table[:, -1], track.covariance[2:, dimensions - 1, dimensions - 1], rtol=1e-5
    )


@pytest.mark.skipif(not LIAS.is_dir(), reason="the LIAS recordings are not beside the repository")
@pytest.mark.parametrize(
    ("tracker", "scheduler", "most"),
    [
        ("ekf", "all", 0.19),
        ("ekf", "random", 0.22),
        ("bias-ekf", "all", 0.065),
        ("bias-ekf", "random", 0.075),
    ],
)
def test_lias(tracker, scheduler, most):
    errors = []
    for name in ("fast", "mid"):
        recording = load_recording(LIAS / f"lias_{name}_tag0.csv")
        site = Site.of(recording.anchors)
        report = evaluate(recording, Method(tracker=tracker, scheduler=scheduler), site=site)[1]
        errors.append(report["mae"])
    assert np.mean(errors) <= most
