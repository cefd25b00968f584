# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The compiled kernel (`src/compiled.cpp`), where it was built; where it was not, numpy answers.

What it does is explained in Python beside each use of it. It returns whether it answered, and what
is not ordinary it leaves to numpy.
"""

from __future__ import annotations

from typing import Any

INTERFACE = 15
"""What goes in and comes out of its functions; an installed kernel of another number, or of none,
is of another tree."""


def _load() -> Any:
    try:
        # Not in the source tree: `pip install` and colcon build it.
        from locdreamer_ros import _compiled  # type: ignore[attr-defined, unused-ignore]
    except ImportError:
        return None
    return _compiled if getattr(_compiled, "INTERFACE", 0) == INTERFACE else None


kernel: Any = _load()
"""The extension module, or None."""


def backend() -> str:
    """What answers: C++ or numpy."""
    return "numpy" if kernel is None else "C++"
