# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hyperparameters of Algorithm 1; `paper` is Table 1 and the parts as the paper has them."""

from __future__ import annotations

from dataclasses import dataclass

from locdreamer_ros.config import parameter

MODES = ("grounded", "literal")


@dataclass(frozen=True)
class TrainConfig:
    """How Algorithm 1 is run. The defaults are Table 1's but for gamma."""

    mode: str = parameter(
        "grounded",
        "where stage 2 dreams: grounded (along trajectories inferred from the real ranges of the "
        "bootstrap anchors, decoder frozen) or literal (Algorithm 1 to the letter)",
        choices=MODES,
    )
    epochs: int = parameter(50, "E_dssm, epochs of stage 1", low=1)
    imagine_epochs: int = parameter(300, "E_imagine, epochs of stage 2, one dream each", low=0)
    batch: int = parameter(32, "B, sequences in a batch", low=1)
    steps: int = parameter(32, "T, steps in a sequence", low=2)
    minibatches: int = parameter(
        4,
        "updates in an epoch of stage 1 (the paper does not say; the raw encoder needs some 20)",
        low=1,
    )
    learning_rate: float = parameter(1e-3, "Adam's first rate; it anneals as a cosine", low=1e-6)
    weight_decay: float = parameter(1e-3, "weight decay of the world model", low=0.0)
    budget: int = parameter(3, "K, anchors asked for a fix", low=1)
    gamma: float = parameter(0.3, "discount factor of equation (15)", low=0.0, high=0.9999)
    subsets: str = parameter(
        "mixed",
        "whom stage 2 asks: mixed (the policy, random subsets and all) or all (trains no policy)",
        choices=("mixed", "all"),
    )
    patience: int = parameter(
        100, "stage 2 stops after this many epochs without a better validation loss", low=1
    )


PRESETS: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "default": ({}, {}),
    "paper": ({"encoder": "raw", "noise": "gaussian"}, {"gamma": 0.99, "minibatches": 20}),
}
"""Preset -> what it changes of `ModelConfig` and of `TrainConfig`."""
