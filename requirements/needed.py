# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Prints what the package runs on, its ROS wheels among it, and what it is built with.

`make lock` makes `requirements/locked.txt` of it. Needs Python 3.11.
"""

from configparser import ConfigParser
from pathlib import Path

import tomllib

ROOT = Path(__file__).parents[1]


def needed() -> list[str]:
    """One requirement each, as pip has it."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    runs = config["options"]["install_requires"] + config["options.extras_require"]["ros"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lines = [*runs.splitlines(), *project["build-system"]["requires"]]
    return [line for line in lines if line]


if __name__ == "__main__":
    print("\n".join(needed()))
