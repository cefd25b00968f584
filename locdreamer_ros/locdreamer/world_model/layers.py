# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Building blocks: an MLP, and the attention of the set transformer (Lee et al. 2019)."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional

MANY, TOO_MANY = 16, 4096
"""Sets between which it pays to lay them out for the processor: what is kept of them for the way
back fits its cache."""


def mlp(inputs: int, hidden: int, outputs: int, *, zero: bool = False) -> nn.Sequential:
    """One hidden layer; with `zero` it gives 0 at first, so that physics alone speaks."""
    last = nn.Linear(hidden, outputs)
    if zero:
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), last)


class Attention(nn.Module):
    """Queries look at those tokens of a set that are present, then think for themselves.

    With the set as its own queries it is the set attention block (permutation-equivariant); with
    one query, pooling by attention (permutation-invariant).
    """

    def __init__(self, *, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.merge = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.think = mlp(width, 2 * width, width)

    def forward(self, queries: Tensor, tokens: Tensor, present: Tensor) -> Tensor:
        """(B, Q, W) from queries (B, Q, W), tokens (B, A, W), present (B, A) bool.

        Each set needs at least one token present.
        """
        key, value = self.key_value(tokens).chunk(2, dim=-1)
        rows = MANY <= len(queries) < TOO_MANY and queries.device.type == "cpu"
        look = _in_rows if rows else _in_columns
        mixed = queries + self.merge(look(self.query(queries), key, value, present, self.heads))
        return mixed + self.think(self.norm(mixed))


def _in_columns(query: Tensor, key: Tensor, value: Tensor, present: Tensor, heads: int) -> Tensor:
    """Attention (B, Q, W) of each head to key and value (B, A, W), as torch has it."""

    def split(x: Tensor) -> Tensor:  # (B, N, W) -> (B, heads, N, W / heads)
        return x.unflatten(-1, (heads, -1)).transpose(1, 2)

    seen = functional.scaled_dot_product_attention(
        split(query), split(key), split(value), attn_mask=present[:, None, None]
    )
    return seen.transpose(1, 2).flatten(2)


def _in_rows(query: Tensor, key: Tensor, value: Tensor, present: Tensor, heads: int) -> Tensor:
    """The same, but for rounding, for many small sets on a processor: the sets are the last axis.

    torch's softmax along a last axis of five numbers takes thirty times as long as across it.
    """

    def split(x: Tensor) -> Tensor:  # (B, N, W) -> (N, heads, W / heads, B)
        return x.permute(1, 2, 0).contiguous().unflatten(1, (heads, -1))

    query, key, value = split(query), split(key), split(value)
    alike = (query[:, None] * key).sum(3) * query.shape[2] ** -0.5  # (Q, A, heads, B)
    weight = alike.masked_fill(~present.t()[:, None], -math.inf).softmax(dim=1)
    seen = (weight[:, :, :, None] * value).sum(1)  # (Q, heads, W / heads, B)
    return seen.permute(3, 0, 1, 2).flatten(2)


def at_least_one(present: Tensor) -> Tensor:
    """The mask (B, A) with empty sets made full: attention over nothing has no value."""
    return present | ~present.any(dim=-1, keepdim=True)


def of_each(parameter: Tensor, batch: int, dimensions: int) -> Tensor:
    """A single number, or one of each network of `learning.together`, as (B, 1, ...)."""
    if parameter.dim() == 0:
        return parameter
    own = parameter.repeat_interleave(batch // len(parameter))
    return own.view(batch, *[1] * (dimensions - 1))
