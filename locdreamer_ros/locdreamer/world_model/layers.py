# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Building blocks: an MLP, and the attention of the set transformer (Lee et al. 2019)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


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
        batch, count, width = queries.shape

        def split(x: Tensor) -> Tensor:  # (B, N, W) -> (B, heads, N, W / heads)
            return x.view(batch, -1, self.heads, width // self.heads).transpose(1, 2)

        key, value = self.key_value(tokens).chunk(2, dim=-1)
        seen = functional.scaled_dot_product_attention(
            split(self.query(queries)), split(key), split(value), attn_mask=present[:, None, None]
        )
        mixed = queries + self.merge(seen.transpose(1, 2).reshape(batch, count, width))
        return mixed + self.think(self.norm(mixed))


def at_least_one(present: Tensor) -> Tensor:
    """The mask (B, A) with empty sets made full: attention over nothing has no value."""
    return present | ~present.any(dim=-1, keepdim=True)


def of_each(parameter: Tensor, batch: int, dimensions: int) -> Tensor:
    """A single number, or one of each network of `learning.together`, as (B, 1, ...)."""
    if parameter.dim() == 0:
        return parameter
    own = parameter.repeat_interleave(batch // len(parameter))
    return own.view(batch, *[1] * (dimensions - 1))
