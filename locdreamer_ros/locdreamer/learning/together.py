# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several seeds' networks as one module: fewer and larger operations in training.

A training step is tens of thousands of operations on a few numbers each, and costs what starting
them costs. So E networks of one form run as one whose parameters have a first index more, on a
batch whose first share belongs to the first network, and so on. Everything that has no parameters
works sequence by sequence and needs no change.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

Net = TypeVar("Net", bound=nn.Module)


class _Linear(nn.Module):
    """E linear maps; weight (E, out, in), bias (E, out), as `nn.Linear` keeps them."""

    def __init__(self, one: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = one.weight, one.bias

    def forward(self, x: Tensor) -> Tensor:
        """(B, ..., out) of (B, ..., in)."""
        return _apart(x, self.weight, self.bias)


class _LayerNorm(nn.Module):
    """E layer norms; weight and bias (E, W)."""

    def __init__(self, one: nn.LayerNorm) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = one.weight, one.bias, one.eps

    def forward(self, x: Tensor) -> Tensor:
        """(B, ..., W), each row at mean 0 and variance 1 before weight and bias."""
        even = functional.layer_norm(x, x.shape[-1:], eps=self.eps)
        own = even.reshape(len(self.weight), -1, x.shape[-1])
        return torch.addcmul(self.bias[:, None], own, self.weight[:, None]).view(x.shape)


class _GRUCell(nn.Module):
    """E GRU cells, with the parameters of `nn.GRUCell` below each other."""

    def __init__(self, one: nn.GRUCell) -> None:
        super().__init__()
        self.weight_ih, self.weight_hh = one.weight_ih, one.weight_hh
        self.bias_ih, self.bias_hh = one.bias_ih, one.bias_hh

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        """The next state (B, H) from input (B, I) and state (B, H)."""
        fresh = _apart(x, self.weight_ih, self.bias_ih)
        kept = _apart(before, self.weight_hh, self.bias_hh)
        hidden = before.shape[-1]
        both = torch.sigmoid(fresh[:, : 2 * hidden] + kept[:, : 2 * hidden])
        reset, update = both.chunk(2, dim=-1)
        new = torch.tanh(torch.addcmul(fresh[:, 2 * hidden :], reset, kept[:, 2 * hidden :]))
        return torch.lerp(new, before, update)


def _apart(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Each share of the batch (B, ..., in) by its own weight (E, out, in) and bias (E, out)."""
    own = x.reshape(len(weight), -1, x.shape[-1])
    return torch.baddbmm(bias[:, None], own, weight.transpose(1, 2)).view(*x.shape[:-1], -1)


_FORMS = {nn.Linear: _Linear, nn.LayerNorm: _LayerNorm, nn.GRUCell: _GRUCell}


def together(modules: Sequence[Net]) -> Net:
    """One module for a batch shared by all of these, whose parameters stay under their names.

    One module alone stays as it is. Buffers must be the same in all.
    """
    first = modules[0]
    if len(modules) == 1:
        return first
    joined = deepcopy(first)
    states = [module.state_dict() for module in modules]
    for name, parameter in list(joined.named_parameters()):
        owner, _, leaf = name.rpartition(".")
        stacked = torch.stack([state[name] for state in states])
        setattr(
            joined.get_submodule(owner),
            leaf,
            nn.Parameter(stacked, requires_grad=parameter.requires_grad),
        )
    for name, module in list(joined.named_modules()):
        if type(module) in _FORMS:
            owner, _, leaf = name.rpartition(".")
            setattr(joined.get_submodule(owner), leaf, _FORMS[type(module)](module))
    return joined


def put(joined: nn.Module, modules: Sequence[nn.Module]) -> None:
    """Write the parameters of a joined module into those it came from."""
    if joined is modules[0]:
        return
    state = joined.state_dict()
    for number, module in enumerate(modules):
        module.load_state_dict({name: value[number] for name, value in state.items()})
