# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The compiled kernel that tests hold against numpy.

`KERNEL_UNDER_TEST` names another build of it (`zero_shot/test_sanitized.py`).
"""

from __future__ import annotations

import importlib.util
import os
from types import ModuleType
from typing import Any

import pytest

from locdreamer_ros import compiled


def load_kernel() -> ModuleType | None:
    path = os.environ.get("KERNEL_UNDER_TEST")
    if path is None:
        installed: ModuleType | None = compiled.kernel
        return installed
    spec = importlib.util.spec_from_file_location("locdreamer_ros._compiled", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


KERNEL = load_kernel()


def turns(count: int) -> int:
    """How often to repeat: a third of `count` under sanitizers, where the same lines are enough."""
    return count // 3 if "KERNEL_UNDER_TEST" in os.environ else count


def with_kernel(kernel: ModuleType | None, function: Any, *given: Any) -> Any:
    """What a function gives with this kernel, or with numpy alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "kernel", kernel)

        return function(*given)
