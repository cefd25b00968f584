# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The live view logs every fix, once, where it belongs; read back from the file it writes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from worlds import circle_recording

from locdreamer_ros import errors
from locdreamer_ros.cli import main
from locdreamer_ros.datasets.range_table import save_anchors, save_range_table
from locdreamer_ros.evaluation.run import track_all
from locdreamer_ros.methods import Method
from locdreamer_ros.report.live import check_view, show_tracks, viewer_environment

needs_rerun = pytest.mark.skipif(
    find_spec("rerun") is None, reason="needs rerun: pip install 'locdreamer_ros[view]'"
)


def logged(path: Path) -> Counter[str]:
    """Rows of each path in a file of rerun."""
    from rerun.chunk import RrdReader

    found: Counter[str] = Counter()
    for chunk in RrdReader(path).stream():
        found[chunk.entity_path] += chunk.num_rows * (not chunk.is_static)
    return found


@needs_rerun
def test_every_fix_is_logged(tmp_path: Path) -> None:
    recording = circle_recording(duration=6.0)
    method = Method(tracker="ekf", scheduler="nearest", tag_height=1.0)
    (track, beside), _ = track_all(recording, method, beside=[method.beside("robust-ekf")])
    assert track.asking is not None
    track.asking.excluded[20:25, 3] = True
    file = tmp_path / "run.rrd"
    walls = np.array([[[0.0, 0.0], [8.0, 0.0]]])
    tracks = {"ekf": track, "robust, beside": beside}
    show_tracks(recording.anchors, tracks, height=1.0, walls=walls, file=file)
    found = logged(file)
    fixes = int(track.known.sum())
    for path in ("/floor/tag/ekf", "/floor/ellipse/ekf", "/error/ekf", "/ranges_per_fix",
                 "/floor/asked", "/floor/ranges", "/floor/excluded", "/floor/tag/truth",
                 "/error/robust\\,\\ beside"):  # fmt: skip
        assert found[path] == fixes, path
    assert found["/floor/path/ekf"] == fixes - 1
    heard = np.isfinite(track.asking.heard[track.known]).sum()
    assert sum(n for path, n in found.items() if path.startswith("/residual/")) == heard
    assert found["/asked/A4"] >= 2
    assert "/floor/walls" in found


@needs_rerun
def test_the_viewers_analytics_are_off(tmp_path: Path) -> None:
    environment = viewer_environment(tmp_path)
    asked = [sys.executable, "-m", "rerun_cli", "analytics", "config"]
    said = subprocess.run(asked, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(said.stdout)["analytics_enabled"] is False


def test_what_is_missing_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = circle_recording(duration=3.0)
    save_range_table(tmp_path / "walk.csv", recording)
    save_anchors(tmp_path / "walk_anchors.csv", recording.anchors)
    argv = ["track", str(tmp_path / "walk.csv"), "--view"]
    monkeypatch.setattr(errors, "find_spec", lambda name: None)
    assert main(argv) == 2
    said = capsys.readouterr().err
    assert said == "locdreamer: the live view needs rerun: pip install 'locdreamer_ros[view]'\n"
    monkeypatch.setattr(errors, "find_spec", lambda name: "there")
    assert main([*argv, str(tmp_path / "run.txt")]) == 2
    assert "expected a name ending in .rrd" in capsys.readouterr().err
    monkeypatch.setenv("DISPLAY", "")  # as little as none
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(errors.InputError, match="needs a display; without one give it a file"):
        check_view(None)
