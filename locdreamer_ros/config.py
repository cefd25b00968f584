# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One way to describe, check and read parameters, shared by YAML files, command line and nodes.

A group of parameters is a frozen dataclass whose fields are made by `parameter`; a parameter file
is an ordinary ROS 2 one (`<node or /**>: ros__parameters: ...`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from locdreamer_ros.errors import InputError
from locdreamer_ros.files import read_yaml

Group = TypeVar("Group")


def parameter(
    default: float | int | bool | str,
    description: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] | None = None,
    symbol: str = "X",
) -> Any:
    """A dataclass field that knows its description and its closed range [low, high] or choices.

    symbol: what stands for its value in the help of a command line.
    """
    return dataclasses.field(
        default=default,
        metadata={
            "description": description,
            "low": low,
            "high": high,
            "choices": choices,
            "symbol": symbol,
        },
    )


def check(field: dataclasses.Field[Any], value: object, where: str) -> object:
    """`value` in the field's type. Raises InputError naming `where` and what was expected.

    A whole number will do for a float, and for text where it is one of the choices: YAML and the
    command line take "2" for a number.
    """
    kind, choices = type(field.default), field.metadata["choices"]
    if type(value) is int:
        if kind is float:
            value = float(value)
        elif kind is str and str(value) in (choices or ()):
            value = str(value)
    if type(value) is not kind:
        # What a text was that is read as a number cannot be told: 0x1a, 007, 1e3, yes.
        bare = kind is str and isinstance(value, (int, float))
        quotes = " in quotes (as \"'7'\")" if bare else ""
        raise InputError(f"{where}: expected {kind.__name__}{quotes}, got {value!r}")
    low, high = field.metadata["low"], field.metadata["high"]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        below = low is not None and not value >= low
        above = high is not None and not value <= high
        if below or above or value != value:
            lower = "-inf" if low is None else f"{low:g}"
            upper = "inf" if high is None else f"{high:g}"
            raise InputError(f"{where}: expected a value in [{lower}, {upper}], got {value!r}")
    if choices is not None and value not in choices:
        raise InputError(f"{where}: expected one of {', '.join(choices)}, got {value!r}")
    return value


def parameters_of(group: type) -> dict[str, dataclasses.Field[Any]]:
    """The fields of a group that were made by `parameter`, by name."""
    fields = dataclasses.fields(group)
    return {field.name: field for field in fields if "description" in field.metadata}


def build(group: type[Group], values: Mapping[str, object], where: str) -> Group:
    """An instance of the group with `values` over the defaults.

    Raises InputError naming an unknown key, a wrong type or a value out of range.
    """
    fields = parameters_of(group)
    for key in values:
        if key not in fields:
            raise InputError(
                f"{where}: unknown key {key!r}; expected one of {', '.join(sorted(fields))}"
            )
    return group(**{k: check(fields[k], v, f"{where}: {k}") for k, v in values.items()})


def names_in(text: str) -> tuple[str, ...]:
    """Names separated by commas, as A1,A2."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested parameters under the dotted names that ROS gives them."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


@dataclasses.dataclass(frozen=True)
class Section:
    """One node's part of a ROS 2 parameter file, or of all whose names fit."""

    key: str
    """As the file has it; what is nested, with slashes."""
    parameters: dict[str, Any]

    def fits(self, node: str, space: str = "") -> bool:
        """Whether ROS gives it to the node of this name in this namespace."""
        return _fits(_parts(self.key), [*_parts(space), node])

    @property
    def node(self) -> str:
        """The name of the node that is meant, without its namespace; it may be `*` or `**`."""
        return (_parts(self.key) or [""])[-1]


def _parts(name: str) -> list[str]:
    return [part for part in name.split("/") if part]


def _fits(pattern: list[str], name: list[str]) -> bool:
    """`*` is one part of a name, `**` any number of them."""
    reached = {0}  # how many parts of the name what was read of the pattern may stand for
    for each in pattern:
        if each == "**":
            reached = set(range(min(reached), len(name) + 1))
        else:
            reached = {n + 1 for n in reached if n < len(name) and each in ("*", name[n])}
        if not reached:
            return False
    return len(name) in reached


def sections(path: Path) -> tuple[Section, ...]:
    """The sections of a ROS 2 parameter file. Raises InputError where the file is not one."""
    try:
        state = path.stat()
    except OSError as reason:
        raise InputError(f"{path}: cannot read: {reason.strerror}") from None
    return _sections_of(path, (state.st_ino, state.st_mtime_ns, state.st_size))


@lru_cache(maxsize=32)
def _sections_of(path: Path, _: tuple[int, int, int]) -> tuple[Section, ...]:
    """Those of the file at `path`, read once, as long as it stays the same: every node asks."""
    tree = read_yaml(path)
    if not isinstance(tree, dict):
        raise InputError(f"{path}: expected a ROS 2 parameter file (<node>: ros__parameters: ...)")
    return tuple(_sections(path, tree, ""))


def _sections(path: Path, tree: dict[Any, Any], above: str) -> Iterator[Section]:
    for name, body in tree.items():
        key = f"{above.rstrip('/')}/{str(name).lstrip('/')}" if above else str(name)
        if not isinstance(body, dict):
            raise InputError(f"{path}: {above or key}: expected exactly one key, ros__parameters")
        if "ros__parameters" not in body:
            yield from _sections(path, body, key)
            continue
        if len(body) > 1:
            raise InputError(f"{path}: {key}: expected exactly one key, ros__parameters")
        if not isinstance(body["ros__parameters"], dict):
            raise InputError(f"{path}: {key}: ros__parameters: expected keys and values")
        yield Section(key, body["ros__parameters"])


def load_parameters(path: Path, node: str, space: str = "") -> dict[str, Any]:
    """Parameters of `node` in a ROS 2 parameter file: those of all nodes, then the node's own.

    space: its namespace; keys are full names, as for ROS. Raises InputError where the file is none.
    """
    fitting = [section for section in sections(path) if section.fits(node, space)]
    fitting.sort(key=lambda section: (section.key != "/**", "*" not in section.key))
    found: dict[str, Any] = {}
    for section in fitting:
        found.update(section.parameters)
    return found
