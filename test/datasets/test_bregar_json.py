# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""data.json: every value where it belongs, memory bounded, damage named."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bregar_files import (
    CHANNELS,
    PATH,
    PLACES,
    folder,
    known,
    sample,
    tree,
    write_big_json,
    write_json,
)

from locdreamer_ros.datasets import bregar_json
from locdreamer_ros.datasets.bregar import load_survey
from locdreamer_ros.datasets.bregar_json import read_json
from locdreamer_ros.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


def test_every_sample_is_found_at_its_point_anchor_and_channel(tmp_path: Path) -> None:
    survey = read_json(write_json(tmp_path / "data.json", tree()), "environment0")
    assert survey.name == "environment0"
    np.testing.assert_array_equal(survey.path, PATH)
    assert survey.anchors.ids == tuple(PLACES)
    np.testing.assert_array_equal(survey.anchors.positions, list(PLACES.values()))
    assert survey.channels == CHANNELS
    assert len(survey) == 5 * 8 * 6 * 3
    # Point 2, A3, ch7: 1 + 2 + 0.3 + 0.07, samples 1 mm apart.
    rows = survey.samples(2, 2, 5)
    np.testing.assert_allclose(survey.range[rows], [3.37, 3.371, 3.372])
    assert survey.nlos[rows].all()
    np.testing.assert_array_equal(survey.rss[rows], -72.0)
    np.testing.assert_array_equal(survey.rss_fp[rows], -77.0)
    assert not survey.nlos[survey.samples(2, 0, 0)].any()
    # A1 at (8.47, 11.87, 1.9) seen from (0.5, 1.2, 1.2), by hand: sqrt(63.5209+113.8489+.49).
    assert survey.true_range()[survey.samples(0, 0, 0)][0] == pytest.approx(13.33641, abs=1e-5)


@pytest.mark.parametrize("chunk", [1, 7, 64, 1 << 20])
@pytest.mark.parametrize("format_", [{}, {"indent": 1}, {"separators": (",", ":")}])
def test_the_text_may_be_cut_into_pieces_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, format_: dict[str, Any]
) -> None:
    content = tree(channels=("ch1",), anchors=("A1", "A2"))
    path = write_json(tmp_path / "data.json", content, **format_)
    whole = read_json(path, "x")
    monkeypatch.setattr(bregar_json, "CHUNK", chunk)
    pieces = read_json(path, "x")
    np.testing.assert_array_equal(whole.range, pieces.range)
    assert len(pieces) == 5 * 2 * 3


def test_keys_may_come_in_any_order(tmp_path: Path) -> None:
    content = tree(channels=("ch2", "ch1"))
    backwards = dict(reversed(content.items()))
    one = read_json(write_json(tmp_path / "a.json", content), "x")
    two = read_json(write_json(tmp_path / "b.json", backwards), "x")
    np.testing.assert_array_equal(one.range, two.range)
    assert one.channels == two.channels == ("ch2", "ch1")
    assert one.range[one.samples(0, 0, 1)][0] == pytest.approx(1.11)  # ch1 is listed second


def test_environment_2_has_no_a6(tmp_path: Path) -> None:
    seven = [a for a in PLACES if a != "A6"]
    path = write_json(tmp_path / "environment2" / "data.json", tree(anchors=seven))
    survey = load_survey(tmp_path, 2)
    assert survey.anchors.ids == tuple(seven)
    assert survey.name == "environment2"
    assert load_survey(path).name == "environment2"


def test_missing_files_and_powers_are_no_error(tmp_path: Path) -> None:
    def sparse(p: int, a: str, c: str) -> list[dict[str, Any]]:
        if a == "A8" or (p, c) == (1, "ch1"):
            return []
        return [
            sample(a, c, PATH[p], rss=float("-inf"), rss_fp=None, range=-0.1 if p == 4 else 2.0)
        ]

    survey = read_json(write_json(tmp_path / "data.json", tree(sparse, channels=("ch1",))), "x")
    assert survey.anchors.ids == tuple(PLACES)[:-1]  # nobody heard A8, so nobody knows its place
    assert len(survey) == 3 * 7
    assert np.isnan(survey.rss).all()
    assert np.isnan(survey.rss_fp).all()


def test_second_time_it_comes_from_the_cache_until_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_json(tmp_path / "environment1" / "data.json", tree())
    first = load_survey(path)
    cache = path.with_suffix(".cache.npz")
    assert cache.is_file()
    with monkeypatch.context() as patched:
        patched.setattr(bregar_json, "read_json", lambda *_: pytest.fail("read again"))
        second = load_survey(path)
        assert load_survey(cache).range.tolist() == first.range.tolist()
    for name in ("path", "point", "anchor", "channel", "range", "nlos", "rss", "rss_fp"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert (first.name, first.channels) == (second.name, second.channels)

    write_json(path, tree(channels=("ch1",)))
    assert load_survey(path).channels == ("ch1",)
    cache.write_bytes(b"PK damaged")
    assert load_survey(path).channels == ("ch1",)


def test_a_read_only_folder_is_cached_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = write_json(tmp_path / "data.json", tree(channels=("ch1",)))
    path.with_suffix(".cache.npz").mkdir()  # stands for read-only, which root would not notice
    load_survey(path)
    (cached,) = (tmp_path / "cache" / "locdreamer_ros").iterdir()
    monkeypatch.setattr(bregar_json, "read_json", lambda *_: pytest.fail("read again"))
    assert len(load_survey(path)) == 5 * 8 * 3
    assert cached.suffix == ".npz"


def broken(**values: Any) -> dict[str, Any]:
    return tree(lambda p, a, c: [sample(a, c, PATH[p], **values)], channels=("ch1",))


def without(key: str) -> dict[str, Any]:
    content = broken()
    del content["measurements"][folder(PATH[0])]["A1"]["ch1"][0][key]
    return content


def moved() -> dict[str, Any]:
    content = broken()
    content["measurements"][folder(PATH[1])]["A2"]["ch1"][0]["x_anchor"] = 1.0
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (without("range"), r"measurements/0.50_1.20_1.20/A1/ch1: sample 0: missing key 'range'"),
        (without("z_anchor"), "missing key 'z_anchor'"),
        (broken(range="far"), "range: expected a finite number, got 'far'"),
        (broken(range=float("nan")), "range: expected a finite number, got nan"),
        (broken(range=-3.0), r"range: expected metres in \[-1, 1000\], got -3"),
        (broken(range=4250.0), "range: expected metres"),
        (broken(nlos=7), "nlos: expected 0 or 1, got 7"),
        (moved(), "sample 0: anchor A2 is at .* elsewhere"),
        (tree() | {"path": []}, "expected a list under the key 'path'"),
        (tree() | {"path": [{"x": "1"}]}, "path: point 0: expected an object"),
        (tree() | {"anchors": ["A1"]}, "'A2' is not among anchors"),
        (tree() | {"channels": ["ch1"]}, "'ch2' is not among channels"),
        (tree() | {"path": tree()["path"][1:]}, "'0.50_1.20_1.20' is not among path"),
        (tree() | {"measurements": {}}, "no samples"),
        (tree() | {"measurements": {"p": {"A1": {"ch1": [3]}}}}, "expected an object, got 3"),
        ({}, "expected a list under the key 'path'"),
    ],
)
def test_bad_content_is_one_line_that_names_the_place(
    tmp_path: Path, content: dict[str, Any], message: str
) -> None:
    path = write_json(tmp_path / "data.json", content)
    with pytest.raises(InputError, match=message) as error:
        load_survey(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert [p.name for p in tmp_path.iterdir()] == ["data.json"]  # no cache of rubbish


@pytest.mark.parametrize("part", [0.0, 0.001, 0.02, 0.3, 0.5, 0.77, 0.999])
def test_json_that_is_cut_off_says_so(tmp_path: Path, part: float) -> None:
    whole = json.dumps(tree())
    path = tmp_path / "data.json"
    path.write_text(whole[: int(part * len(whole))])
    with pytest.raises(InputError, match="cut off") as error:
        load_survey(path)
    if part > 0.02:
        assert "measurements/" in str(error.value)


def test_other_text_is_not_json(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    for text, message in (
        ("x,y,z\n", "not JSON of a point survey: expected one of {"),
        ("{} {}", "end of the file"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            load_survey(path)
    path.write_bytes(b'{"path": "\xff"}')
    with pytest.raises(InputError, match="UTF-8"):
        load_survey(path)


def test_big_json_writer_writes_the_same_format() -> None:
    stream = io.StringIO()
    count = write_big_json(stream, samples=2, cir=3)
    content = json.loads(stream.getvalue())
    assert count == 10
    assert content["path"] == tree()["path"]
    measurement = content["measurements"][folder(PATH[1])]["A1"]["ch1"][1]
    assert measurement.keys() == known(0, "A1", "ch1")[0].keys()
    assert [complex(tap) for tap in measurement["cir"]] == [0, 1 - 1j, 2 - 2j]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """A 2 GB file is to load within 1 GB. What grows with it are the samples kept: 56 bytes each,
    a few times over while they are sorted, so some 30 MB for the 126,410 of 2 GB. The rest is a few
    pieces of 1 MB. Here 150 MB with 16,000 samples may cost 40 MB: a reader that held the file, or
    its impulse responses, would need 150 MB and more.
    """
    path = tmp_path / "data.json"
    with path.open("w") as stream:
        count = write_big_json(stream, samples=3200, cir=1016)
    assert path.stat().st_size > 140e6
    script = textwrap.dedent(
        """
        import resource, sys
        from pathlib import Path
        import numpy, scipy.spatial, tqdm
        from locdreamer_ros.datasets.bregar_json import read_json
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        survey = read_json(Path(sys.argv[1]), "environment0")
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(len(survey), before // 1024, after // 1024)
        """
    )
    result = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=500,
    )
    samples, before, after = map(int, result.stdout.split())  # MB
    assert samples == count
    assert after - before < 40
