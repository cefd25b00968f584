# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Jump start of the actor: a scheduler leads, withdraws, and teaches the policy nothing itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

sys.path.insert(0, str(Path(__file__).parent))
from rooms import task  # noqa: E402

from locdreamer_ros.errors import InputError  # noqa: E402
from locdreamer_ros.learning import algorithm1  # noqa: E402
from locdreamer_ros.learning.actor import Actor  # noqa: E402
from locdreamer_ros.learning.algorithm1 import POLICY, dream_loss  # noqa: E402
from locdreamer_ros.learning.data import anchor_rows  # noqa: E402
from locdreamer_ros.learning.guide import Guide, led_steps  # noqa: E402
from locdreamer_ros.learning.hyperparameters import TrainConfig  # noqa: E402
from locdreamer_ros.learning.imagination import Ground, frozen  # noqa: E402
from locdreamer_ros.learning.train import begin, train  # noqa: E402
from locdreamer_ros.world_model.model import ModelConfig  # noqa: E402

torch.set_num_threads(1)
SIZE, STEPS = 8, 6


def test_the_guide_withdraws_over_its_share_of_the_epochs():
    config = TrainConfig(guide="gdop", guide_share=0.5, imagine_epochs=20, steps=10)
    led = [led_steps(config, epoch) for epoch in range(20)]
    assert led[:11] == [10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert not any(led[10:])
    assert led_steps(TrainConfig(), 0) == 0


@pytest.mark.parametrize("head", ["categorical", "plackett-luce"])
@pytest.mark.parametrize("led", [0, 3, STEPS])
def test_guided_steps_are_the_schedulers_and_teach_the_actor_nothing(monkeypatch, head, led):
    job = task()
    config = TrainConfig(batch=SIZE, steps=STEPS, budget=2)
    learner = begin(job, ModelConfig(), config, 0)
    learner.actor = Actor(hidden=50, width=32, head=head)
    monkeypatch.setattr(algorithm1, "_roles", lambda size, *_: torch.full((size,), POLICY))
    guide = Guide("nearest", job.deploy, 1.0, seed=0)
    asked, given = [], []
    choose, mask = guide.choose, algorithm1.chosen_mask

    def led_choice(state, budget):
        given.append(choose(state, budget))
        return given[-1]

    def seen_mask(rows, anchors, *, everybody):
        if rows.shape[0] == SIZE and everybody.shape[0] == SIZE:
            asked.append(rows)
        return mask(rows, anchors, everybody=everybody)

    monkeypatch.setattr(guide, "choose", led_choice)
    monkeypatch.setattr(algorithm1, "chosen_mask", seen_mask)
    generator = torch.Generator().manual_seed(0)
    ground = Ground(frozen(learner.model), job.train, area=job.area, steps=STEPS)
    dream = ground.draw(SIZE, anchor_rows(job.deploy, 1.0), generator)
    losses = dream_loss(
        learner.model, learner.actor, learner.critic, dream, config, generator, None, guide, led
    )
    assert len(given) == led
    for a, b in zip(asked[:led], given, strict=True):
        assert torch.equal(a, b)
    total = losses.tracker + losses.actor + losses.critic
    total.backward()
    taught = sum(
        float(p.grad.abs().sum()) for p in learner.actor.parameters() if p.grad is not None
    )
    assert (taught == 0.0) == (led == STEPS)
    assert (losses.cost != losses.cost) == (led == STEPS)


def test_a_guided_run_is_decided_by_its_seed():
    config = TrainConfig(
        epochs=1, imagine_epochs=8, batch=4, steps=6, minibatches=1, guide="random", guide_share=1.0
    )
    curves: dict[str, list[float]] = {}
    one, other = (
        train(
            task(),
            ModelConfig(),
            config,
            seed=1,
            curve=lambda name, value, epoch: curves.setdefault(name, []).append(value),
        )
        for _ in range(2)
    )
    assert curves["dream/led"][:8] == [6, 5, 4, 4, 3, 2, 2, 1]
    assert all(cost == cost for cost in curves["dream/policy_cost"])
    for a, b in zip(
        one.modules.state_dict().values(), other.modules.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("name", "complaint"), [("actor", "expected one of"), ("wls", "needs all")]
)
def test_no_guide_that_cannot_lead(name, complaint):
    with pytest.raises(InputError, match=complaint):
        train(task(), ModelConfig(), TrainConfig(epochs=1, steps=6, guide=name))
