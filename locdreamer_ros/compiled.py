# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The compiled kernel (`src/compiled.cpp`), where it was built; where it was not, numpy answers.

What it does is explained in Python beside each use of it. It returns whether it answered, and what
is not ordinary it leaves to numpy.
"""

from __future__ import annotations

from typing import Any

INTERFACE, WATCH, TOGETHER = 6, 5, 3
"""What goes in and comes out of the filter's functions, of the watch's, and of those for several
filters at once; an installed kernel of another number, or of none, is older than this tree."""


def _load(part: str, number: int) -> Any:
    try:
        # Not in the source tree: `pip install` and colcon build it.
        from locdreamer_ros import _compiled  # type: ignore[attr-defined, unused-ignore]
    except ImportError:
        return None
    return _compiled if getattr(_compiled, part, 0) == number else None


kernel: Any = _load("INTERFACE", INTERFACE)
"""The extension module, or None."""
watch: Any = _load("WATCH", WATCH)
"""The same for what `integrity` asks of it."""
together: Any = _load("TOGETHER", TOGETHER)
"""The same for what serves several filters in one call."""


def backend() -> str:
    """What answers: C++ or numpy."""
    return "numpy" if kernel is None else "C++"
