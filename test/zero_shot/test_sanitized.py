# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The kernel under AddressSanitizer and UndefinedBehaviorSanitizer, through all of its tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMPILER = shutil.which("g++")
OPTIONS = "-std=c++17 -O0 -g1 -shared -fPIC -fsanitize=address,undefined -fno-sanitize-recover=all"
"""Not optimised: compiling takes four times as long as the tests gain by it."""


@pytest.mark.slow
def test_the_kernel_under_sanitizers(tmp_path: Path) -> None:
    if COMPILER is None:
        pytest.skip("no g++ here")
    found = subprocess.run(
        [COMPILER, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if not Path(found).is_absolute():
        pytest.skip("g++ has no libasan here")
    headers = sysconfig.get_path("include")
    if not (Path(headers) / "Python.h").is_file():
        pytest.skip("no headers of Python here")
    built = tmp_path / f"_compiled{sysconfig.get_config_var('EXT_SUFFIX')}"
    source = str(ROOT / "src" / "compiled.cpp")
    command = [COMPILER, *OPTIONS.split(), f"-I{headers}", source, "-o", str(built)]
    subprocess.run(command, check=True)
    tests = [
        str(Path(__file__).with_name("test_compiled.py")),
        str(ROOT / "test" / "integrity" / "test_compiled_watch.py"),
        "-q",
        "-s",
        "-p",
        "no:cacheprovider",
    ]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *tests, "-p", "no:xdist", "-p", "no:hypothesispytest"],
        cwd=ROOT,
        env={
            **os.environ,
            "KERNEL_UNDER_TEST": str(built),
            "LD_PRELOAD": found,
            "ASAN_OPTIONS": "detect_leaks=0",  # Python's own, at its end
            "PYTHONMALLOC": "malloc",  # small arrays are watched too
        },
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    assert " passed" in ran.stdout
