# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The evidence lower bound, equation (6): reconstruction less divergence, summed over steps."""

from __future__ import annotations

import torch
from torch import Tensor

from locdreamer_ros.locdreamer.world_model.gaussian import Gaussian, kl_divergence


def reconstruction(log_prob: Tensor, asked: Tensor) -> Tensor:
    """L_t^recon (B, T): log_prob (B, T, A) of the ranges asked for, summed over anchors."""
    return torch.where(asked, log_prob, 0.0).sum(dim=-1)


def elbo(log_prob: Tensor, asked: Tensor, posterior: Gaussian, prior: Gaussian) -> Tensor:
    """L^ELBO (B,) in nats of equation (6), to be maximised.

    log_prob, asked (B, T, A); posterior and prior (B, T, S). Where the prior carries the
    uncertainty of the state before and all parts are exact, it equals log p(d_{1:T}).
    """
    return (reconstruction(log_prob, asked) - kl_divergence(posterior, prior)).sum(dim=-1)
