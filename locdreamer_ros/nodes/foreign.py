# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ranges in other packages' messages, by a small mapping (parameter `ranges_from`).

    topic=/uwb/a1,/uwb/a2 type=sensor_msgs/msg/Range
    topic=/tag type=some_msgs/msg/Distances ranges=nodes anchor=id range=dis scale=0.001

Several mappings are separated by `;`. `ranges` names the list of entries; without it the message is
one entry. `anchor`, `range`, `stamp`, `variance`, `rx_power`, `first_path_power` and
`nlos_probability` name fields of an entry, `/field` one of the message; `anchor` may also be a
constant in quotes, or `@topic`: the topic's last part. `scale` makes metres of the range.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from builtin_interfaces.msg import Time
from rclpy.exceptions import InvalidTopicNameException
from rclpy.expand_topic_name import expand_topic_name
from rclpy.validate_full_topic_name import validate_full_topic_name
from rclpy.validate_topic_name import validate_topic_name
from std_msgs.msg import Header

from locdreamer_ros.errors import InputError
from locdreamer_ros.msg import AnchorRange, RangeArray
from locdreamer_ros.nodes.conversions import MAX_ANCHORS, QUALITY

TOPIC = "@topic"
CONSTANT = "@'\""
"""How what is no field's name begins."""
LIST = re.compile(r"(?:sequence<)?(\w+)/(\w+)(?:>|, \d+>|\[\d+\])")
"""A list of messages, as rosidl writes it."""
UNASKED = "ranges_from: a tracker that asks takes no ranges but its answers; set passive"
LARGEST_NUMBER = 1e30
KEYS = ("topic", "type", "ranges", "anchor", "range", "stamp", "scale", *QUALITY)
KNOWN = {
    "sensor_msgs/msg/Range": {
        "anchor": "header.frame_id",
        "range": "range",
        "stamp": "header.stamp",
    },
}
"""What need not be said for messages everybody has."""


@dataclass(frozen=True)
class Foreign:
    """One mapping: `topics` of messages of class `kind`, and which field is what."""

    topics: tuple[str, ...]
    kind: Any
    fields: dict[str, str]
    scale: float

    def check(self) -> None:
        """Raises InputError where the messages have no such fields, or of another kind."""
        message = self.kind()
        where = f"ranges_from: {self.kind.__name__}: "
        entry = (
            _entry(message, self.fields["ranges"], where) if "ranges" in self.fields else message
        )
        for key, name in self.fields.items():
            if key == "ranges" or name[0] in CONSTANT:
                continue
            whole = name.startswith("/")
            value = _field(message if whole else entry, name.removeprefix("/"), where)
            if key == "stamp":
                _stamp(value, Time(), where)
            elif key != "anchor":
                _number(value, where)

    def ranges(self, message: Any, topic: str, now: Time) -> RangeArray:
        """The message as ours. Raises InputError where a field is not there or not what it was."""
        where = f"{topic}: "
        entries = (
            _field(message, self.fields["ranges"], where) if "ranges" in self.fields else [message]
        )
        if isinstance(entries, str) or not isinstance(entries, Sequence):
            raise InputError(f"{where}{self.fields['ranges']!r} is no list")
        if len(entries) > MAX_ANCHORS:
            raise InputError(f"{where}expected at most {MAX_ANCHORS} ranges, got {len(entries)}")
        found = [self._range(message, entry, topic, now, where) for entry in entries]
        stamp = max((each.stamp for each in found), key=lambda s: (s.sec, s.nanosec), default=now)
        return RangeArray(header=Header(stamp=stamp), ranges=found)

    def _range(self, message: Any, entry: Any, topic: str, now: Time, where: str) -> AnchorRange:
        def value(key: str) -> Any:
            name = self.fields[key]
            whole = name.startswith("/")
            return _field(message if whole else entry, name.removeprefix("/"), where)

        anchor, metres = self.fields["anchor"], _number(value("range"), where) * self.scale
        if anchor == TOPIC:
            anchor = topic.rstrip("/").rpartition("/")[2]
        elif anchor[0] in CONSTANT:
            anchor = anchor.strip("'\"")
        else:
            anchor = str(value("anchor"))
            if self.fields["anchor"].endswith("frame_id"):
                anchor = anchor.lstrip("/")  # as frames were written in ROS 1
        low = getattr(entry, "min_range", 0.0)  # sensor_msgs/Range has them
        high = getattr(entry, "max_range", math.inf)
        good = math.isfinite(metres) and metres > 0.0 and low <= metres <= high
        quality = {
            key: _number(value(key), where) if key in self.fields else math.nan for key in QUALITY
        }
        stated = quality["variance"] * self.scale**2
        quality["variance"] = stated if stated > 0.0 else math.nan  # 0 and -1: not known
        return AnchorRange(
            anchor=anchor,
            stamp=_stamp(value("stamp"), now, where) if "stamp" in self.fields else now,
            range=metres,
            status=AnchorRange.OK if good else AnchorRange.INVALID,
            **quality,
        )


def _stamp(given: Any, now: Time, where: str) -> Time:
    """The stamp of a range; now, where its sender knows none and left it 0."""
    if not isinstance(given, Time):
        raise InputError(f"{where}expected a stamp, got {str(given)[:100]!r}")
    return given if given.sec or given.nanosec else now


def _field(message: Any, path: str, where: str) -> Any:
    for name in path.split("."):
        try:
            message = getattr(message, name)
        except AttributeError:
            known: Any = getattr(message, "get_fields_and_field_types", dict)()
            there = f"; there are {', '.join(known)}" if known else ""
            raise InputError(f"{where}no field {path!r}{there}") from None
    return message


def _entry(message: Any, path: str, where: str) -> Any:
    """An empty entry of a list of the message. Raises InputError where it is none of messages."""
    above, _, name = path.rpartition(".")
    _field(message, path, where)
    holder = _field(message, above, where) if above else message
    kind = holder.get_fields_and_field_types()[name]
    found = LIST.fullmatch(kind)
    if found is None:
        raise InputError(f"{where}{path!r} is no list of messages but {kind}")
    return message_class(f"{found[1]}/msg/{found[2]}")()


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"{where}expected a number, got {value!r}")
    if LARGEST_NUMBER < abs(value) < math.inf:  # a message of ours cannot hold it
        raise InputError(f"{where}expected a number, got {value:g}")
    return float(value)


def read(text: str) -> list[Foreign]:
    """As `parse`, all of them; raises InputError also for fields that the messages do not have."""
    found = list(parse(text))
    for mapping in found:
        mapping.check()
    return found


def parse(text: str) -> Iterator[Foreign]:
    """The mappings in the parameter `ranges_from`. Raises InputError saying what was expected."""
    for part in filter(None, map(str.strip, text.split(";"))):
        pairs = [word.partition("=") for word in part.split()]
        given = {key: value for key, _, value in pairs}
        for key, _, value in pairs:
            if key not in KEYS or not value:
                raise InputError(
                    f"ranges_from: expected key=value with keys {', '.join(KEYS)}; got {key!r}"
                )
        where = f"ranges_from: {part!r}"
        kind = _full(given.pop("type", ""))
        topics = tuple(filter(None, given.pop("topic", "").split(",")))
        for topic in topics:
            check_topic("ranges_from", topic)
        found = message_class(kind) if kind else None
        given = {**KNOWN.get(kind, {}), **given}
        if kind in KNOWN and hasattr(found, "variance"):  # since Iron
            given.setdefault("variance", "variance")
        for key in ("anchor", "range"):
            if not topics or not kind or key not in given:
                raise InputError(f"{where}: needs topic, type, anchor and range")
        try:
            scale = float(given.pop("scale", "1"))
        except ValueError:
            raise InputError(f"{where}: scale: expected a number") from None
        yield Foreign(topics, found, given, scale)


def _full(kind: str) -> str:
    """`package/msg/Type` of that, or of `package/Type`."""
    package, _, name = kind.replace("/msg/", "/").partition("/")
    return f"{package}/msg/{name}" if name else kind


def check_topic(name: str, topic: str) -> None:
    """Raises InputError for what is no name of a topic, which would end the node later."""
    try:
        validate_topic_name(topic)
        validate_full_topic_name(expand_topic_name(topic, "node", "/"))
    except (InvalidTopicNameException, ValueError) as reason:  # `{x}` is a ValueError
        raise InputError(f"{name}: {topic!r}: {str(reason).splitlines()[0].rstrip(':')}") from None


def message_class(kind: str) -> Any:
    """The class of `package/msg/Type`. Raises InputError where it is not installed."""
    package, _, name = kind.partition("/msg/")
    try:
        return getattr(import_module(f"{package}.msg"), name)
    except (ImportError, AttributeError):
        raise InputError(
            f"ranges_from: {kind}: no such message here; source its workspace"
        ) from None
