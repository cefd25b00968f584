# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`doctor SITE.yaml`: every link from a site file to a pose, whole and broken, without ROS."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from locdreamer_ros.cli import main
from locdreamer_ros.datasets.range_table import save_anchors
from locdreamer_ros.driver.emulator import SimulatedTag, emulate
from locdreamer_ros.types import Anchors


def site_file(folder: Path, device: str, capsys: pytest.CaptureFixture[str]) -> Path:
    """What `init` writes for a module at `folder`/port with the anchors in `folder`/anchors.csv."""
    argv = ["init", "--output", str(folder / "site"), "--device", device]
    argv += ["--port", str(folder / "port"), "--anchors", str(folder / "anchors.csv")]
    assert main([*argv, "--tag-height", "1.2", "--ros", "no"]) == 0
    site = folder / "site" / "site.yaml"
    assert f"locdreamer doctor {site}" in capsys.readouterr().out
    return site


@pytest.mark.parametrize("device", ["decar", "dwm1001-shell", "trek1000", "sketch"])
def test_the_chain_from_a_site_file_to_a_pose(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], device: str
) -> None:
    module, tag = emulate(device, link=tmp_path / "port", dead=["3"] if device == "decar" else [])
    save_anchors(tmp_path / "anchors.csv", tag.anchors)
    site = site_file(tmp_path, device, capsys)
    assert main(["doctor", str(site), "--json", str(tmp_path / "d.json")]) == 0
    module.close()
    found = json.loads((tmp_path / "d.json").read_text(encoding="utf-8"))
    assert list(found["facts"]) == ["site", "port", "device", "ranges", "pose"]
    assert all(-1.0 < value < 14.0 for value in found["pose"])
    shown = capsys.readouterr().out
    assert shown.endswith(f"  tracker_node --ros-args --params-file {site}\n")
    assert ("7 of 8 anchors answer; silent: 3" in shown) == (device == "decar")


@pytest.mark.parametrize(
    ("change", "links", "advice"),
    [
        (("device: decar", "device: trek1000"), 1, "A decar answers at"),
        (('/port"', '/nowhere"'), 1, "no such port"),
        (("    budget: 3", "    budget: three"), 0, "budget: expected int, got 'three'"),
        (("    device", "    baud: fast\n    device"), 0, "baud: expected int, got 'fast'"),
        (
            ("    device: decar", "    tag: a"),
            0,
            "driver_node: no device; `locdreamer init` writes",
        ),
        (("tag_height: 1.2", "tag_height: 29.0"), 4, "tag_height 29: the anchors hang at"),
        (("anchors.csv", "empty.csv"), 0, "Write the anchors' places there, or survey them"),
        (("anchors.csv", "others.csv"), 4, "are the ids of the anchors file (91,"),
        (("anchors.csv", "millimetres.csv"), 4, "are not in metres but, by the ranges, in"),
        (("anchors.csv", "swapped.csv"), 5, "The ranges do not fit the anchors."),
    ],
)
def test_a_link_that_does_not_hold_is_named(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: tuple[str, str],
    links: int,
    advice: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Where ranges fit swapped anchors, too, a walk comes by: the tag stands where they do not.
    monkeypatch.setattr(SimulatedTag, "_epoch", lambda *_: 23)
    module, tag = emulate("decar", link=tmp_path / "port")
    anchors = tag.anchors
    save_anchors(tmp_path / "anchors.csv", anchors)
    (tmp_path / "empty.csv").write_text("id,x,y,z\n1,,,\n2,,,\n3,,,\n", encoding="utf-8")
    for name, wrong in (
        ("others", Anchors(tuple(f"9{i}" for i in anchors.ids), anchors.positions)),
        ("millimetres", Anchors(anchors.ids, 1e3 * anchors.positions)),
        ("swapped", Anchors(anchors.ids, np.roll(anchors.positions, 3, axis=0))),
    ):
        save_anchors(tmp_path / f"{name}.csv", wrong)
    site = site_file(tmp_path, "decar", capsys)
    text = site.read_text(encoding="utf-8")
    assert change[0] in text
    site.write_text(text.replace(*change), encoding="utf-8")
    assert main(["doctor", str(site), "--json", str(tmp_path / "d.json")]) == 1
    module.close()
    found = json.loads((tmp_path / "d.json").read_text(encoding="utf-8"))
    assert advice in found["advice"][0]
    assert len(found["facts"]) == links
    assert found["pose"] is None
    assert "next:" not in capsys.readouterr().out


def test_a_site_file_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", str(tmp_path / "nothing.yaml")]) == 2
    assert "nothing.yaml: cannot read: No such file" in capsys.readouterr().err
