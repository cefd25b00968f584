# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Seeds trained side by side become what they become alone."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from rooms import task  # noqa: E402

from locdreamer_ros.locdreamer.learning.hyperparameters import TrainConfig  # noqa: E402
from locdreamer_ros.locdreamer.learning.train import train, train_together  # noqa: E402
from locdreamer_ros.locdreamer.world_model.model import ModelConfig  # noqa: E402


@pytest.mark.parametrize(
    ("mode", "encoder", "noise", "subsets"),
    [
        ("grounded", "innovation", "bias", "mixed"),
        ("grounded", "innovation", "asymmetric", "all"),
        ("literal", "raw", "gaussian", "mixed"),
    ],
)
def test_seeds_side_by_side_are_seeds_alone(mode, encoder, noise, subsets):
    config = TrainConfig(
        mode=mode, epochs=2, imagine_epochs=2, batch=3, steps=3, minibatches=2, budget=2,
        subsets=subsets,
    )  # fmt: skip
    job, model = task(steps=3, duration=9.0), ModelConfig(encoder=encoder, noise=noise)
    together = train_together([job, job], model, config, seeds=(1, 2))
    for seed, learner in zip((1, 2), together, strict=True):
        alone = train(job, model, config, seed=seed)
        assert learner.best == pytest.approx(alone.best, rel=1e-4)
        for name, value in alone.modules.state_dict().items():
            found = learner.modules.state_dict()[name]
            torch.testing.assert_close(found, value, atol=3e-4, rtol=1e-3)
