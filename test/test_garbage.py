# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What cleans up is held back in training, and only then."""

from __future__ import annotations

import gc
import platform
import subprocess
import sys

import pytest

from locdreamer_ros.garbage import SELDOM_COLLECTED, seldom_collected

FAULTS = """
import resource
import numpy as np
from locdreamer_ros.garbage import memory_kept
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        np.ones(500_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
one = faults()
assert memory_kept()
faults()
other = faults()
assert other < 0.2 * one, (one, other)
"""


def test_cycles_are_looked_for_as_before_afterwards() -> None:
    before = gc.get_threshold()
    with seldom_collected():
        assert gc.get_threshold() == SELDOM_COLLECTED
    assert gc.get_threshold() == before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="not the GNU C library")
def test_memory_that_is_kept_is_not_fetched_again() -> None:
    """Of arrays of 4 MB."""
    ran = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
