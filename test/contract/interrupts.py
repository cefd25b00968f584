# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Commands that are told to end at random moments: how many ended cleanly.

`python test/contract/interrupts.py COUNT SEED`, with the repository and its test folder on
PYTHONPATH, prints JSON. Clean: the status of the signal or 0, no traceback, nothing half-written,
no process left.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from cli.test_ending import COMMANDS, SIGNALS, living, started, whole


def attempt(name: str, folder: Path, moment: float, number: int) -> str:
    """Start a command and send it a signal after `moment` s; what was wrong, empty: nothing."""
    process = started(name, folder)
    time.sleep(moment)
    process.send_signal(number)
    error = process.communicate()[1]
    if process.returncode not in (0, 128 + number):
        return f"status {process.returncode}: {error[-300:]}"
    logs = "".join(log.read_text() for log in folder.glob("log/*.log"))
    if "Traceback" in error + logs:
        return (error + logs)[-300:]
    if left := living(folder):
        return f"still there: {left[0]}"
    try:
        whole(folder)
    except Exception as reason:  # whatever it is, it was not whole
        return f"half-written: {type(reason).__name__}: {reason}"
    return ""


def interrupted(count: int, seed: int) -> dict[str, Any]:
    """`count` random moments in all commands and signals."""
    rng, bad, lasts = random.Random(seed), [], {}
    for name in COMMANDS:
        with tempfile.TemporaryDirectory() as folder:
            begin = time.monotonic()
            started(name, Path(folder)).communicate()
            lasts[name] = time.monotonic() - begin
    for _ in range(count):
        name, number = rng.choice(list(COMMANDS)), rng.choice(SIGNALS)
        moment = rng.uniform(0.0, lasts[name])
        with tempfile.TemporaryDirectory() as folder:
            problem = attempt(name, Path(folder) / "out", moment, number)
        if problem:
            bad.append({"command": name, "signal": number, "after_s": moment, "problem": problem})
    return {"tried": count, "bad": bad}


if __name__ == "__main__":
    print(json.dumps(interrupted(int(sys.argv[1]), int(sys.argv[2]))))
