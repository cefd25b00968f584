# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""CUDA graphs without CUDA: a graph is played by running its step once more on the same tensors."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")

from rooms import task, trained  # noqa: E402

from locdreamer_ros import captured  # noqa: E402
from locdreamer_ros.captured import Captured  # noqa: E402
from locdreamer_ros.locdreamer.batch import steps  # noqa: E402
from locdreamer_ros.locdreamer.learning.algorithm1 import real_loss  # noqa: E402
from locdreamer_ros.locdreamer.learning.data import Batch  # noqa: E402
from locdreamer_ros.locdreamer.learning.hyperparameters import TrainConfig  # noqa: E402
from locdreamer_ros.locdreamer.learning.learner import joined  # noqa: E402
from locdreamer_ros.locdreamer.learning.train import begin  # noqa: E402
from locdreamer_ros.locdreamer.learning.update import Update  # noqa: E402
from locdreamer_ros.locdreamer.world_model.model import ModelConfig  # noqa: E402


@pytest.fixture(autouse=True)
def recordings(monkeypatch) -> list[tuple[torch.Size, ...]]:
    """The shapes of each recording that is made."""
    made = []

    def record(step, given, pool):
        made.append(tuple(value.shape for value in given))
        slots = tuple(value.clone() for value in given)
        found = tuple(value.detach() for value in step(*slots))

        def replay() -> None:
            for old, new in zip(found, step(*slots), strict=True):
                old.copy_(new.detach())

        return captured._Recorded(SimpleNamespace(replay=replay), slots, found)

    monkeypatch.setattr(captured, "_record", record)
    return made


def test_each_shape_is_recorded_once_and_answers_are_kept(recordings):
    played = Captured(lambda x, y: (x + y, x * y))
    first = played(torch.ones(2), torch.full((2,), 3.0))
    second = played(torch.zeros(2), torch.ones(2))
    played(torch.ones(5), torch.ones(5))
    assert [x.tolist() for x in (*first, *second)] == [[4, 4], [3, 3], [1, 1], [0, 0]]
    assert recordings == [((2,), (2,)), ((5,), (5,))]


@pytest.mark.parametrize("encoder", ["innovation", "raw"])
def test_a_step_from_a_graph_is_the_step(encoder, recordings):
    model, anchor = trained(encoder=encoder).model, torch.rand(8, 3)
    plain, played = (steps(model, anchor, captured=c) for c in (False, True))
    for seed in range(2):
        torch.manual_seed(seed)
        given = [torch.rand(2, 4), torch.eye(4).expand(2, 4, 4), torch.zeros(2, 2, 50)]
        given += [torch.zeros(2, 8, 3), torch.tensor([[0, 3, 5 - seed], [1, 2, 7]])]
        given += [5.0 + torch.rand(2, 3), torch.rand(2, 3), torch.rand(2) + 0.1]
        moved = (move(*given[:3], given[-1]) for move in (played[0], plain[0]))
        for one, other in zip(*moved, strict=True):
            torch.testing.assert_close(one, other)
        for one, other in zip(played[1](*given), plain[1](*given), strict=True):
            torch.testing.assert_close(one, other)
    assert len(recordings) == 2


def test_training_from_a_graph_is_training(recordings):
    """The draws are new at each update, in the order of a training without a graph."""
    job, config = task(steps=3, duration=8.0), TrainConfig(batch=2, steps=3, budget=2)

    def after(graph: bool) -> dict[str, torch.Tensor]:
        learner = begin(job, ModelConfig(encoder="raw"), config, 0)
        nets = joined([learner])

        def losses(*tensors, source):
            return (real_loss(nets.model, Batch.of(tensors), source),)

        update = Update(losses, nets, "cpu")
        if graph:
            update._played.graph = Captured(update._played._recorded)
        generators = [torch.Generator().manual_seed(1)]
        for _ in range(3):
            update(job.train.draw(2, generators[0]).tensors, generators)
        return learner.model.state_dict()

    plain, played = after(False), after(True)
    assert len(recordings) == 1
    for name, value in plain.items():
        torch.testing.assert_close(played[name], value, atol=1e-5, rtol=1e-4)
