# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whom a dream's track asks: the schedulers in torch and in batches.

Shape legend: B dreams, A anchors.
"""

from __future__ import annotations

import torch
from torch import Tensor

from locdreamer_ros.zero_shot.training.belief import Belief, geometry, inverse, only, project
from locdreamer_ros.zero_shot.training.walks import CHOICES, Walks

GDOP_SIGMA_M = 0.3
FRESH_M = 0.1
"""Fresh noise of the ranges that foresight chooses among."""
ANCHORS_CHOSEN = 4
"""The first anchors of a fix are chosen; a longer budget is filled up as it comes."""


def greedy_gdop(belief: Belief) -> Tensor:
    """Rank (B, A) of each anchor when the one that helps most is added again and again.

    `ANCHORS_CHOSEN` at most; A for all others.
    """
    now = torch.zeros_like(belief.age)
    _, direction = geometry(belief, belief.mean, now)
    direction = direction[..., :2]
    outer = direction[..., :, None] * direction[..., None, :] / GDOP_SIGMA_M**2  # (B, A, 2, 2)
    information = inverse(belief.covariance[:, :2, :2])
    count = direction.shape[1]
    rank = torch.full_like(direction[..., 0], count)
    for turn in range(min(ANCHORS_CHOSEN, count)):
        total = information[:, None] + outer
        determinant = total[..., 0, 0] * total[..., 1, 1] - total[..., 0, 1] ** 2
        trace = (total[..., 0, 0] + total[..., 1, 1]) / determinant
        best = only(rank == count, trace, torch.inf).argmin(dim=1, keepdim=True)
        rank = rank.scatter(1, best, float(turn))
        added = outer.gather(1, best[..., None, None].expand(-1, 1, 2, 2))
        information = information + added[:, 0]
    return rank


def greedy_foresight(belief: Belief) -> Tensor:
    """As `greedy_gdop`, by what leaves least of the position's variance, biases included."""
    now = torch.zeros_like(belief.age)
    _, direction = geometry(belief, belief.mean, now)
    cross, projected = project(belief.covariance, direction, now)
    cross = cross[..., :2]  # (B, A, 2)
    count = direction.shape[1]
    rank = torch.full_like(direction[..., 0], count)
    for turn in range(min(ANCHORS_CHOSEN, count)):
        variance = projected.diagonal(dim1=1, dim2=2) + FRESH_M**2
        gained = cross.square().sum(-1) / variance
        best = only(rank == count, gained, -torch.inf).argmax(dim=1, keepdim=True)
        rank = rank.scatter(1, best, float(turn))
        row = projected.gather(1, best[..., None].expand(-1, 1, count))[:, 0]  # (B, A)
        gain = row / variance.gather(1, best)
        cross = cross - gain[..., None] * cross.gather(1, best[..., None].expand(-1, 1, 2))
        projected = projected - gain[..., None] * row[:, None]
    return rank


def choose(belief: Belief, walk: Walks, order: Tensor) -> Tensor:
    """Who is asked, (B, A) bool; order (B, A): ranks below 1 where nobody looks."""
    count = order.shape[1]
    for choice, ranked in (("gdop", greedy_gdop), ("foresight", greedy_foresight)):
        rank = ranked(belief)
        rank = torch.where(rank < count, rank - ANCHORS_CHOSEN, order)
        order = torch.where((walk.choice == CHOICES.index(choice))[:, None], rank, order)
    before = (order[:, None] < order[:, :, None]).sum(dim=-1)
    return before < walk.budget[:, None]
