# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The kernel equals numpy in narrower vectors than this processor has, as others do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import kernels
import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = ("zero_shot/test_compiled.py", "integrity/test_compiled_watch.py")
VECTORS = ("any", "avx2", "avx512")
HERE = getattr(kernels.KERNEL, "VECTORS", "any")


@pytest.mark.parametrize("vectors", VECTORS[: VECTORS.index(HERE)])
def test_narrower_vectors(vectors: str) -> None:
    environment = {**os.environ, "LOCDREAMER_VECTORS": vectors}
    asked = "from locdreamer_ros import compiled; print(compiled.kernel.VECTORS)"
    run = {"cwd": ROOT, "env": environment, "capture_output": True, "text": True}
    said = subprocess.run([sys.executable, "-c", asked], **run)
    assert said.stdout.strip() == vectors, said.stderr
    tests = [str(ROOT / "test" / name) for name in TESTS]
    quiet = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist")
    ran = subprocess.run([sys.executable, "-m", "pytest", *tests, *quiet], **run)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    assert " passed" in ran.stdout
