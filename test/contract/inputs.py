# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Damaged files for every reader: how many were tried, and which were refused badly.

`python test/contract/inputs.py COUNT SEED`, with the repository and its test folder on PYTHONPATH,
prints JSON. The mutations are those of test/fuzz.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from fuzz.test_readers import READ, attempt, damaged


def tried(count: int, seed: int) -> dict[str, Any]:
    """Give each reader its share of `count` files, seeded from `seed` on."""
    bad, share = [], -(-count // len(READ))
    for name, (make, _) in READ.items():
        with tempfile.TemporaryDirectory() as folder:
            path = make(Path(folder))
            whole = path.read_bytes()
            for number in range(seed, seed + share):
                path.write_bytes(damaged(name, number, whole))
                problem = attempt(name, path)
                if problem:
                    bad.append({"reader": name, "seed": number, "problem": problem})
    return {"tried": share * len(READ), "bad": bad}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps(tried(int(sys.argv[1]), int(sys.argv[2]))))
