# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Groups of parameters (`locdreamer_ros.config`) as ROS parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from locdreamer_ros.config import build, check, parameters_of
from locdreamer_ros.errors import InputError
from locdreamer_ros.nodes.last_said import given

Group = TypeVar("Group")
CLOCK = "use_sim_time"
LARGEST_FLOAT = 1e300
"""Stands for an open end: a ROS range has two."""
LARGEST_INTEGER = 2**63 - 1


def _descriptor(field: dataclasses.Field[Any]) -> ParameterDescriptor:
    text, choices = field.metadata["description"], field.metadata["choices"]
    # A whole number will do for a float; what is wrong is said by `config.check`, not by rclpy.
    descriptor = ParameterDescriptor(description=text, dynamic_typing=True)
    if choices is not None:
        descriptor.additional_constraints = f"one of {', '.join(map(repr, choices))}"
    low, high = field.metadata["low"], field.metadata["high"]
    if low is None and high is None:
        return descriptor
    if isinstance(field.default, float):
        descriptor.floating_point_range = [
            FloatingPointRange(
                from_value=-LARGEST_FLOAT if low is None else float(low),
                to_value=LARGEST_FLOAT if high is None else float(high),
            )
        ]
    else:
        descriptor.integer_range = [
            IntegerRange(
                from_value=-LARGEST_INTEGER if low is None else int(low),
                to_value=LARGEST_INTEGER if high is None else int(high),
            )
        ]
    return descriptor


Fields = dict[str, dataclasses.Field[Any]]


def fields_of(group: type, prefix: str = "") -> Fields:
    """The fields of a group by parameter name, `<prefix><field>`."""
    return {f"{prefix}{name}": field for name, field in parameters_of(group).items()}


def declare(node: Node, fields: Fields, take: Callable[[dict[str, object]], None]) -> None:
    """Declare each field as a parameter, described and range-checked.

    A value that does not pass `config.check` is refused, now (InputError) and whenever it is set;
    what passes is given to `take`, which may raise InputError to refuse it.
    """

    def accept(parameters: list[Parameter[Any]]) -> SetParametersResult:
        try:
            name = node.get_name()
            values = {
                given.name: check(fields[given.name], given.value, f"{name}: {given.name}")
                for given in parameters
                if given.name in fields
            }
            # rclpy's own, which it takes at any time: timers would go on by the other clock.
            values |= {given.name: given.value for given in parameters if given.name == CLOCK}
            take(values)
        except InputError as reason:
            return SetParametersResult(successful=False, reason=str(reason))
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(accept)
    said = given(node)
    for name, field in fields.items():
        value = field.default
        if name in said:
            value = check(field, said[name], f"{node.get_name()}: {name}")
        node.declare_parameter(name, value, _descriptor(field), ignore_override=True)


def read(node: Node, group: type[Group]) -> Group:
    """The group with its present values."""
    values = {name: node.get_parameter(name).value for name in parameters_of(group)}
    return build(group, values, node.get_name())


def changed(node: Node, group: type, prefix: str) -> dict[str, object]:
    """Only the values that are not the group's defaults: a preset gives way to these alone."""
    found = {}
    for name, field in fields_of(group, prefix).items():
        value = check(field, node.get_parameter(name).value, name)
        if value != field.default:
            found[field.name] = value
    return found
