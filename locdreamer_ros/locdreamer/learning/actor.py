# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The actor, equation (14): alpha_t ~ pi(z_t^prior, h_t), a subset of K of A anchors.

Two distributions over subsets without replacement share the same look at each anchor: categorical
over all subsets, where they are few, and Plackett-Luce (anchors drawn one by one in proportion to
e^score), which serves any number. Anchors that are not offered are masked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import torch
from torch import Tensor, nn

from locdreamer_ros.locdreamer.world_model.chance import Source, uniform
from locdreamer_ros.locdreamer.world_model.gaussian import Gaussian
from locdreamer_ros.locdreamer.world_model.layers import Attention, at_least_one, mlp, of_each
from locdreamer_ros.locdreamer.world_model.memory import MEMORY, memory_features
from locdreamer_ros.locdreamer.world_model.observation import expected_range

HEADS = ("categorical", "plackett-luce")
FEW_SUBSETS = 100
"""Up to this many subsets the categorical head is trained, beyond it Plackett-Luce."""
MOST_SUBSETS = 5000
RANGE_SIGMA_M = 0.3
"""What any range is worth to the physics of the policy; its residual learns the differences."""
SHARPNESS = 4.0
"""How much the policy trusts the expected variance before anything is learned."""
RESIDUAL = 0.05
"""The learned part begins slowly: a dream's rewards are mostly the luck of its noise."""
NEVER_LOGIT = -1e9


@lru_cache(maxsize=64)
def all_subsets(count: int, size: int, device: torch.device | str = "cpu") -> Tensor:
    """Rows (N, K) of all subsets of `size` of `count` anchors."""
    return torch.tensor(list(combinations(range(count), size)), dtype=torch.long).to(device)


def membership(subsets: Tensor, count: int) -> Tensor:
    """(N, A): 1 where an anchor is in a subset (N, K), else 0; sums over subsets by a product."""
    return torch.zeros(len(subsets), count, device=subsets.device).scatter(1, subsets, 1.0)


@dataclass(frozen=True, eq=False)
class State:
    """What actor and critic look at: s_t = (z_t^prior, h_t), and what is known of each anchor.

    prior (B, S), hidden (B, H); anchor (B, A, 3), memory (B, A, MEMORY); sigma (B, A) m, what the
    decoder expects of its range; offered (B, A) bool.
    """

    prior: Gaussian
    hidden: Tensor
    anchor: Tensor
    memory: Tensor
    sigma: Tensor
    offered: Tensor


def expected_variance(state: State, subsets: Tensor) -> Tensor:
    """Position variance (B, N) m^2 expected after asking each subset (N, K): GDOP with a prior."""
    _, direction = expected_range(state.prior.mean[:, :2], state.anchor)  # (B, A, 2)
    outer = (direction[..., :, None] * direction[..., None, :]).flatten(2) / RANGE_SIGMA_M**2
    prior = torch.linalg.inv_ex(state.prior.covariance[:, :2, :2]).inverse.flatten(1)
    # Information (B, N, 4) of each subset, a matrix ((a, b), (b, d)) in a row.
    a, b, _, d = (prior[:, None] + membership(subsets, outer.shape[1]) @ outer).unbind(dim=-1)
    return (a + d) / (a * d - b * b).clamp(min=1e-9)  # the trace of its inverse


class AnchorView(nn.Module):
    """Tokens (B, A, W) of the anchors as seen from s_t; invariant to shift, turn and mirror."""

    def __init__(self, *, hidden: int, width: int) -> None:
        super().__init__()
        self.token = nn.Linear(5 + MEMORY, width)
        self.context = nn.Linear(hidden + 2, width)
        self.block = Attention(width=width, heads=4)

    def forward(self, state: State) -> Tensor:
        """One token per anchor that has looked at the others offered."""
        distance, direction = expected_range(state.prior.mean[:, :2], state.anchor)
        covariance = state.prior.covariance[:, :2, :2]
        spread = (direction @ covariance * direction).sum(-1)  # (B, A)
        velocity = state.prior.mean[:, None, 2:]
        features = torch.stack(
            [
                distance / 10.0,
                state.anchor[..., 2],
                (spread + 1e-4).log(),
                (direction * velocity).sum(-1),
                state.sigma.log(),
            ],
            dim=-1,
        )
        features = torch.cat([features, memory_features(state.memory)], dim=-1)
        trace = covariance.diagonal(dim1=1, dim2=2).sum(-1, keepdim=True)
        determinant = (covariance[:, 0, 0] * covariance[:, 1, 1] - covariance[:, 0, 1] ** 2)[
            :, None
        ]
        shape = torch.cat([trace.log(), determinant.clamp(min=1e-8).log()], dim=-1)
        context = self.context(torch.cat([state.hidden, shape], dim=-1))
        tokens = self.token(features) + context[:, None]
        return self.block(tokens, tokens, at_least_one(state.offered))


class Actor(nn.Module):
    """Equation (14): the stochastic scheduling policy pi(alpha_t | s_t).

    literal: scores from scratch, as the paper has it; else they correct those of physics, in logits
    by `residual` of what is learned.
    """

    def __init__(
        self,
        *,
        hidden: int,
        width: int,
        head: str,
        literal: bool = False,
        residual: float = RESIDUAL,
    ) -> None:
        super().__init__()
        assert head in HEADS, head
        self.head = head
        self.residual = residual
        self.literal = literal
        self.view = AnchorView(hidden=hidden, width=width)
        if head == "categorical":
            self.score = mlp(2 * width, width, 1, zero=True)
            if not literal:
                self.sharpness = nn.Parameter(torch.tensor(SHARPNESS))
        else:
            self.score = mlp(width, width, 1, zero=True)

    def physics(self, state: State, subsets: Tensor) -> Tensor:
        """Logits (B, N) before anything is learned: the less expected variance, the better."""
        sharpness = of_each(self.sharpness, state.memory.shape[0], 2)
        return -0.5 * sharpness * expected_variance(state, subsets).log()

    def forget(self) -> None:
        """Take the learned residual back: physics alone decides."""
        for parameter in self.score[-1].parameters():
            nn.init.zeros_(parameter)

    def policy(self, state: State, budget: int) -> Categorical | PlackettLuce:
        """pi(. | s_t) for subsets of `budget` anchors."""
        tokens = self.view(state)
        if self.head == "plackett-luce":
            scores = self.score(tokens)[..., 0]
            return PlackettLuce(scores.masked_fill(~state.offered, NEVER_LOGIT), budget)
        subsets = all_subsets(tokens.shape[1], budget, tokens.device)
        total = tokens.sum(dim=1, keepdim=True)
        member = membership(subsets, tokens.shape[1])
        inside = member @ tokens  # (B, N, W)
        outside = total - inside
        pooled = torch.cat([inside / budget, outside / max(1, tokens.shape[1] - budget)], dim=-1)
        logits = self.score(pooled)[..., 0]
        if not self.literal:
            logits = self.physics(state, subsets) + self.residual * logits
        possible = (~state.offered).to(tokens) @ member.T == 0.0
        return Categorical(logits.masked_fill(~possible, NEVER_LOGIT), subsets)


@dataclass(frozen=True, eq=False)
class Categorical:
    """A probability for each subset: logits (B, N), subsets (N, K)."""

    logits: Tensor
    subsets: Tensor

    @property
    def scores(self) -> Tensor:
        """(B, N)."""
        return self.logits

    def sample(self, source: Source) -> Tensor:
        """Rows (B, K)."""
        gumbel = -(-uniform(self.logits.shape, source).log()).log()
        return self.subsets[(self.logits + gumbel.to(self.logits)).argmax(dim=-1)]

    def best(self) -> Tensor:
        """The most probable rows (B, K)."""
        return self.subsets[self.logits.argmax(dim=-1)]

    def log_prob(self, rows: Tensor) -> Tensor:
        """(B,) of rows (B, K), in any order."""
        same = (rows.sort(dim=-1).values[:, None] == self.subsets).all(dim=-1)  # (B, N)
        return (self.logits.log_softmax(dim=-1) * same).sum(dim=-1)

    def entropy(self) -> Tensor:
        """(B,) nats."""
        log = self.logits.log_softmax(dim=-1)
        return -(log.exp() * log).sum(dim=-1)


@dataclass(frozen=True, eq=False)
class PlackettLuce:
    """K anchors drawn one after the other without replacement: scores (B, A)."""

    scores: Tensor
    budget: int

    def sample(self, source: Source) -> Tensor:
        """Rows (B, K) in the order drawn (Gumbel's trick)."""
        gumbel = -(-uniform(self.scores.shape, source).log()).log()
        return (self.scores + gumbel.to(self.scores)).topk(self.budget, dim=-1).indices

    def best(self) -> Tensor:
        """The rows (B, K) of the highest scores."""
        return self.scores.topk(self.budget, dim=-1).indices

    def log_prob(self, rows: Tensor) -> Tensor:
        """(B,) of rows (B, K) drawn in this order."""
        left = self.scores
        total = left.new_zeros(left.shape[0])
        for k in range(rows.shape[1]):
            row = rows[:, k : k + 1]
            total = total + (left.gather(1, row) - left.logsumexp(dim=-1, keepdim=True))[:, 0]
            left = left.scatter(1, row, NEVER_LOGIT)
        return total

    def entropy(self) -> Tensor:
        """(B,) nats of the first draw: enough to keep the policy from settling too early."""
        log = self.scores.log_softmax(dim=-1)
        return -(log.exp() * log).sum(dim=-1)


def head_for(anchors: int, budget: int) -> str:
    """The head to train for K of A."""
    return "categorical" if math.comb(anchors, budget) <= FEW_SUBSETS else "plackett-luce"
