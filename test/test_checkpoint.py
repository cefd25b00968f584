# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The one reader of checkpoints: what was saved goes on, what is damaged or of others does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from locdreamer_ros import checkpoint, tensor_file  # noqa: E402
from locdreamer_ros.errors import InputError  # noqa: E402

RUN = {"kind": "test", "seed": 3}


def trained(steps: int = 3) -> tuple[torch.nn.Linear, torch.optim.Adam]:
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 1)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.1)
    for _ in range(steps):
        step(model, optimiser)
    return model, optimiser


def step(model: torch.nn.Linear, optimiser: torch.optim.Adam) -> None:
    optimiser.zero_grad()
    model(torch.tensor([1.0, -2.0])).sum().square().backward()
    optimiser.step()


def save(path: Path, **changes: object) -> None:
    model, optimiser = trained()
    groups = {"now": model.state_dict()}
    parts = {"run": RUN, "progress": {"epoch": 3}, "groups": groups, "optimisers": [optimiser]}
    checkpoint.save(path, **{**parts, **changes})


def test_a_run_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    save(path)
    found = checkpoint.load(path, RUN)
    assert found.progress == {"epoch": 3}
    model, optimiser = trained(0)
    model.load_state_dict(found.group("now", model.state_dict()))
    found.restore([optimiser])
    step(model, optimiser)
    whole, _ = trained(4)
    for name, value in whole.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


def test_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    save(path)
    with pytest.raises(InputError, match=r"another run \(seed differs\)"):
        checkpoint.load(path, {**RUN, "seed": 4})
    with pytest.raises(InputError, match=r"another run \(kind differs\)"):
        checkpoint.load(path, {**RUN, "kind": "other"})


def test_tensors_of_another_training_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    save(path)
    found = checkpoint.load(path, RUN)
    with pytest.raises(InputError, match="tensors 'now' are not those of this training"):
        found.group("now", torch.nn.Linear(3, 1).state_dict())
    with pytest.raises(InputError, match="tensors 'best' are not those of this training"):
        found.group("best", torch.nn.Linear(2, 1).state_dict())
    wide = torch.optim.Adam(torch.nn.Linear(3, 1).parameters())
    for optimisers in ([wide], [], [torch.optim.Adam([torch.zeros(1, 2)])]):
        with pytest.raises(InputError, match="Adam's moments are not those"):
            found.restore(optimisers)


def test_what_nothing_vouches_for_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    save(path)
    whole = bytearray(path.read_bytes())
    whole[-1] ^= 1  # one bit of one of Adam's moments
    path.write_bytes(whole)
    with pytest.raises(InputError, match="damaged: its SHA-256 is another"):
        checkpoint.load(path, RUN)
    tensor_file.save(path, checkpoint.KEY, {"run": RUN}, {"a": np.zeros(1)})
    with pytest.raises(InputError, match="of another version; remove it"):
        checkpoint.load(path, RUN)
    pytest.importorskip("safetensors")
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(1)}, path, metadata={checkpoint.KEY: '{"run": {}, "progress": {}}'})
    with pytest.raises(InputError, match="of another version; remove it"):
        checkpoint.load(path, {})
