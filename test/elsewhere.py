# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A device without hardware: tensors that say they are elsewhere, and compute here.

As with a GPU, an operation that mixes tensors from here and elsewhere fails (but for single numbers
and the rows of an index). So code that makes a tensor on the wrong device is found on any machine.
It goes by torch's name `meta`, a device that every build of torch knows.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

ELSEWHERE = "meta"
MAY_MIX = (
    "aten.index.Tensor",
    "aten.index_put.default",
    "aten._unsafe_index_put.default",
    "aten.copy_.default",
    "aten._to_copy.default",
)


class Elsewhere(torch.Tensor):
    """`here` holds the numbers."""

    here: torch.Tensor

    @staticmethod
    def __new__(cls, here: torch.Tensor) -> Elsewhere:
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            here.shape,
            strides=here.stride(),
            storage_offset=here.storage_offset(),
            dtype=here.dtype,
            device=ELSEWHERE,
            requires_grad=here.requires_grad,
        )
        made.here = here.detach()
        return made

    def __repr__(self) -> str:
        return f"Elsewhere({self.here})"

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None):
        return run(function, args, kwargs or {})


def run(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """The operation on the numbers; its answer is elsewhere where its tensors are."""
    flat = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, torch.Tensor)]
    there = [x for x in flat if isinstance(x, Elsewhere)]
    wanted = kwargs.get("device")
    out = wanted is not None and torch.device(wanted).type == ELSEWHERE
    if wanted is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    elif there:
        out = True
    strangers = [x for x in flat if not isinstance(x, Elsewhere) and x.dim() > 0]
    if there and strangers and str(function) not in MAY_MIX:
        shapes = [tuple(x.shape) for x in strangers]
        raise RuntimeError(f"{function}: tensors {shapes} are here, the others elsewhere")
    inner = tree_map(lambda x: x.here if isinstance(x, Elsewhere) else x, (args, kwargs))
    answer = function(*inner[0], **inner[1])
    if str(function).split(".")[1].endswith("_"):
        return args[0]  # in place
    if not out:
        return answer
    return tree_map(lambda x: Elsewhere(x) if isinstance(x, torch.Tensor) else x, answer)


class Elsewhereness(TorchDispatchMode):
    """While it lasts, `.to("meta")` and `device="meta"` make tensors of this kind."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):
        return run(function, args, kwargs or {})


class Recording(TorchDispatchMode):
    """What a CUDA graph could not record fails: looks at numbers, and tensors from here.

    It goes inside `Elsewhereness`.
    """

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):
        kwargs = kwargs or {}
        flat = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, torch.Tensor)]
        wanted = kwargs.get("device")
        there = any(isinstance(x, Elsewhere) for x in flat)
        if any(not isinstance(x, Elsewhere) and x.dim() > 0 for x in flat):
            raise RuntimeError(f"{function}: a tensor from here")
        if str(function).split(".")[1] in ("_local_scalar_dense", "nonzero", "item"):
            raise RuntimeError(f"{function}: its answer must be known to go on")
        if wanted is not None and torch.device(wanted).type != ELSEWHERE and there:
            raise RuntimeError(f"{function}: looks at what is elsewhere")
        return function(*args, **kwargs)
