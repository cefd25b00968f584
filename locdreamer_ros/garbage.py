# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Python's collector of cycles, held back while a training makes millions of objects."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

SELDOM_COLLECTED = (100_000, 50, 50)
"""New objects before a look for cycles. Python's own 700 are one step of a training."""


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Look for cycles seldom: tensors have none, and a look took a tenth of a training."""
    before = gc.get_threshold()
    gc.set_threshold(*SELDOM_COLLECTED)
    try:
        yield
    finally:
        gc.set_threshold(*before)
