# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What parameter files and the command line said last of each parameter.

rcl keeps one value of each type, and rclpy takes the whole number of them: `rate: 10` of a file
would go over `-p rate:=5.5`, without a word. So the command line is read once more, where it is in
doubt.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from rclpy.node import Node

from locdreamer_ros.config import flat, load_parameters
from locdreamer_ros.errors import InputError


def given(node: Node) -> dict[str, Any]:
    """The values that files and command line give the node's parameters."""
    overrides = node._parameter_overrides  # rclpy has no public view of it
    values = {name: parameter.value for name, parameter in overrides.items()}
    doubtful = [name for name, value in values.items() if type(value) is int]
    if doubtful:
        last = last_said(sys.argv, node.get_name(), node.get_namespace())
        values |= {name: last[name] for name in doubtful if type(last.get(name)) in (float, str)}
    return values


def last_said(arguments: Sequence[str], node: str, space: str) -> dict[str, Any]:
    """By parameter, as far as this can be read: what cannot is rcl's to refuse."""
    found: dict[str, Any] = {}
    for option, rule in pairwise(arguments):
        with suppress(InputError):
            if option == "--params-file":
                found |= flat(load_parameters(Path(rule), node, space))
            elif option in ("-p", "--param") and ":=" in rule:
                name, value = rule.split(":=", 1)
                of, _, name = name.rpartition(":")
                if of in ("", node):
                    found[name] = _scalar(value)
    return found


def _scalar(text: str) -> Any:
    """A value of the command line. Raises InputError: none."""
    import yaml

    try:
        value = yaml.safe_load(text)
        return float(value) if isinstance(value, str) and text[0] in "+-.0123456789" else value
    except yaml.YAMLError as reason:
        raise InputError(str(reason)) from None
    except ValueError:
        return value
