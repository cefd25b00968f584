# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The model file: what it says, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rooms import IDS, trained  # noqa: E402
from worlds import square_anchors  # noqa: E402

from locdreamer_ros import tensor_file  # noqa: E402
from locdreamer_ros.errors import InputError  # noqa: E402
from locdreamer_ros.locdreamer.model_file import KEY, load_model, save_model  # noqa: E402
from locdreamer_ros.locdreamer.scheduler import ActorScheduler  # noqa: E402
from locdreamer_ros.locdreamer.tracker import LocDreamerTracker  # noqa: E402
from locdreamer_ros.methods import make_scheduler, make_tracker  # noqa: E402
from locdreamer_ros.types import Site  # noqa: E402


def test_a_model_file_says_all_there_is(tmp_path):
    path = tmp_path / "m.safetensors"
    one = replace(trained(), lasting_m=0.125)
    save_model(path, one)
    other = load_model(path)
    assert (other.config, other.step_s, other.data) == (one.config, one.step_s, one.data)
    assert dict(other.bootstrap) == dict(one.bootstrap)
    assert set(other.bootstrap) == set(IDS)
    assert other.lasting_m == 0.125
    assert other.model.area == one.model.area
    for a, b in zip(
        one.model.state_dict().values(), other.model.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b)
    site = Site(square_anchors(), 2, 1.0)
    assert isinstance(make_tracker("locdreamer", site, model=path), LocDreamerTracker)
    assert isinstance(make_scheduler("actor", site, model=path), ActorScheduler)


def change(path: Path, **changes: object) -> None:
    """Write the file again with another header."""
    file = tensor_file.load(path, KEY, "a model")
    tensor_file.save(path, KEY, {**file.header, **changes}, file.arrays)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"format": 99}, "format: expected 2, got 99"),
        ({"model": {"hidden": 51}}, "expected shape"),
        ({"model": {"hiden": 50}}, "unknown key 'hiden'"),
        ({"model": {"encoder": "other"}}, "expected one of innovation, raw"),
        ({"actor": "dice"}, "actor: expected one of"),
        ({"area": {}}, "missing or malformed"),
        ({"step_s": [1.0]}, "missing or malformed"),
        ({"step_s": [1.0, "late"]}, "missing or malformed"),
        ({"step_s": [0.0, 1.0]}, "expected finite"),
        ({"tag_height": float("nan")}, "expected finite"),
        ({"area": {"low": [1.0, 1.0], "high": [1.0, 1.0]}}, "expected finite"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(tmp_path, changes, complaint):
    path = tmp_path / "m.safetensors"
    save_model(path, trained())
    change(path, **changes)
    with pytest.raises(InputError, match=complaint) as caught:
        load_model(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_models_are_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    with pytest.raises(InputError, match="cannot read: No such file"):
        load_model(path)
    path.write_bytes(b"\x80\x04not a model")
    with pytest.raises(InputError, match="expected a LocDreamer model: it has no"):
        load_model(path)
    tensor_file.save(path, "another", {}, {"x": np.zeros(1)})
    with pytest.raises(InputError, match="expected a LocDreamer model: its header has no"):
        load_model(path)


def test_a_model_with_nan_or_without_a_tensor_is_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    model = trained()
    model.model.encoder.head[-1].bias.data.fill_(torch.nan)
    save_model(path, model)
    with pytest.raises(InputError, match="not finite"):
        load_model(path)
    header = tensor_file.load(path, KEY, "a model").header
    tensor_file.save(path, KEY, header, {"x": np.zeros(1)})
    with pytest.raises(InputError, match="is missing"):
        load_model(path)


def test_what_does_not_fit_the_site_is_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    save_model(path, trained())
    site = Site(square_anchors(), 3, 1.0)
    for make in (make_tracker, make_scheduler):
        name = "locdreamer" if make is make_tracker else "actor"
        with pytest.raises(InputError, match="--dimensions 2"):
            make(name, site, model=path)
        with pytest.raises(InputError, match="needs a trained model"):
            make(name, site)


def test_without_torch_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr("locdreamer_ros.errors.find_spec", lambda name: None)
    site = Site(square_anchors(), 2, 1.0)
    with pytest.raises(InputError, match=r"needs torch: pip install 'locdreamer_ros\[learn\]'"):
        make_tracker("locdreamer", site, model=Path("x"))
    with pytest.raises(InputError, match="needs torch"):
        make_scheduler("actor", site, model=Path("x"))
