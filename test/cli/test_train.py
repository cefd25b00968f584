# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`locdreamer train` and the benchmarks that train, at a few epochs."""

from __future__ import annotations

import json

import pytest
from worlds import circle_recording

from locdreamer_ros.cli import main
from locdreamer_ros.datasets.range_table import save_anchors, save_range_table

torch = pytest.importorskip("torch")


@pytest.fixture
def walk(tmp_path):
    recording = circle_recording(duration=200.0, rate=1.0)
    save_range_table(tmp_path / "walk.csv", recording.only(("A1", "A3", "A6")))
    heard = recording.anchors.subset(("A1", "A3", "A6"))
    save_anchors(tmp_path / "walk_anchors.csv", heard)
    others = [i for i in recording.anchors.ids if i not in heard.ids]
    save_anchors(tmp_path / "others.csv", recording.anchors.subset(others))
    return ["--recording", str(tmp_path / "walk.csv"), "--unheard", str(tmp_path / "others.csv")]


SHORT = ["--bootstrap", "A1,A3,A6", "--epochs", "1", "--imagine-epochs", "2"]


def test_learns_from_a_recording_of_three_for_five_never_heard(tmp_path, walk, capsys):
    model = tmp_path / "m.safetensors"
    command = ["train", *walk, *SHORT, "--output", str(model), "--json", str(tmp_path / "r.json")]
    assert main(command) == 0
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["deploy"] == ["A2", "A4", "A5", "A7", "A8"]
    assert len(report["curves"]["real/loss"]) == 1
    assert "trained on A1, A3, A6" in capsys.readouterr().out
    assert sorted(p.name for p in tmp_path.glob("m.*")) == ["m.safetensors"]
    from locdreamer_ros.locdreamer.model_file import load_model

    trained = load_model(model)
    assert trained.step_s == (1.0, 1.0)
    assert set(trained.bootstrap) == {"A1", "A3", "A6"}
    # As a user goes on: the model tracks, and schedules, from the command line.
    track = ["track", walk[1], "--tracker", "locdreamer", "--scheduler", "actor"]
    track += ["--model", str(model), "--json", str(tmp_path / "track.json")]
    assert main(track) == 0
    assert json.loads((tmp_path / "track.json").read_text())["tracker"] == "locdreamer"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (["--bootstrap", "A1,A3"], "at least 3"),
        (["--bootstrap", "A1,A3,B9"], "unknown anchor 'B9'"),
        (["--deploy", "A2,X"], "unknown anchor 'X'"),
        (["--preset", "other"], "--preset: expected one of default, paper"),
        (["--mode", "other"], "mode: expected one of grounded, literal"),
        (["--imagine-epochs", "-1"], "imagine_epochs: expected a value in"),
        (["--device", "tpu"], "device: expected auto, cpu, cuda"),
        (["--environment", "house"], "not allowed with"),
        (["--output", "m.bin"], ".safetensors"),
    ],
)
def test_complaints(tmp_path, walk, capsys, change, complaint):
    command = ["train", *walk, *SHORT, "--output", str(tmp_path / "m.safetensors"), *change]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("*.safetensors"))
