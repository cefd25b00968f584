# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What cleans up behind a program, held back while a training makes millions of objects."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager

SELDOM_COLLECTED = (100_000, 50, 50)
"""New objects before a look for cycles. Python's own 700 are one step of a training."""
_TRIM, _MAP = -1, -3
"""`M_TRIM_THRESHOLD` and `M_MMAP_THRESHOLD` of the GNU C library's `mallopt`."""
KEPT, LARGEST = 2**31 - 1, 32 * 2**20
"""Bytes that are kept when they are free, and of the largest piece of memory that is."""


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Look for cycles seldom: tensors have none, and a look took a tenth of a training."""
    before = gc.get_threshold()
    gc.set_threshold(*SELDOM_COLLECTED)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def memory_kept() -> bool:
    """From now on the C library keeps the memory of tensors that are gone for those that come.

    To give it back and fetch it, page by page, took a twelfth of a training. False: it is another
    C library, and nothing has changed.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_TRIM, KEPT) and mallopt(_MAP, LARGEST))
