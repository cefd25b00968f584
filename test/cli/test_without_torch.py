# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a first user runs needs no torch: `make demo` installs none."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from locdreamer_ros.zero_shot.model_file import SHIPPED_NAME

ROOT = Path(__file__).parents[2]
WITHOUT_TORCH = (
    "import sys\n"
    "sys.modules['torch'] = None\n"  # importing it raises ImportError
    "from locdreamer_ros.cli import main\n"
    "sys.exit(main(sys.argv[1:]))\n"
)


@pytest.mark.promise("The default runs without torch.")
def test_the_demo_and_the_shipped_model_do_without_torch(tmp_path):
    out = tmp_path / "out"
    command = ["demo", "--offline", "--duration", "15", "--output", str(out)]
    subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *command], check=True, cwd=ROOT, capture_output=True
    )
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["tracker"] == "zero-shot"
    assert metrics["model"] == SHIPPED_NAME
    assert metrics["mae"] < metrics["baseline"]["mae"]
