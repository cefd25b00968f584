# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a codec is: a pure state machine between bytes and events. It owns no port and no clock.

The ranger writes what `start` and `request` return, feeds what it reads, and does what the events
say. Bytes may come in any pieces; a codec never raises on them. A codec waits for nothing by
itself: where the device falls silent the session calls `start` again, and a codec that has several
ways to wake its device tries the next one then.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Capabilities:
    """What a device can do. `schedulable`: the host chooses the anchor of every single range."""

    schedulable: bool
    max_anchors: int
    max_rate: float
    """Fixes (passive) or ranges (schedulable) per second."""
    baud: int
    range_timeout: float
    """s after which a silent anchor has surely failed, the device's own retries included."""
    answer_time: float = 0.0
    """s of silence after which a question of the protocol is asked again (`Codec.again`), because
    bytes were lost; 0: never."""
    session_change: float = 0.0
    """s without ranges that another choice of anchors costs, where a device chooses by itself but
    can be told among whom (`Codec.choose`); 0: it cannot."""
    settle: float = 0.0
    """s in which the answer of an exchange that was given up may still come and could not be told
    from the next one's: so long that anchor is not asked again."""
    names_anchor: bool = True
    """Whether an answer says whose it is; if not, all there is is their order on the wire."""
    probe: bytes = b""
    """What a device that speaks by itself answers at once, whether it reports rarely or restarted;
    empty where only its silence tells."""


@dataclass(frozen=True)
class RangeEvent:
    """One measured range, m; powers dBm, NaN where the device does not tell."""

    anchor: str
    range: float
    rx_power: float = math.nan
    first_path_power: float = math.nan
    tag: str = ""
    """Whose range it is, where a passive device reports several tags."""


@dataclass(frozen=True)
class BetweenEvent:
    """A range that two anchors measured between them, m."""

    anchor: str
    other: str
    range: float


class Failure(enum.Enum):
    """Why there is no range."""

    SILENT = "the anchor did not answer"
    UNUSABLE = "it answered, but not with a range"


@dataclass(frozen=True)
class FailEvent:
    """The exchange in flight failed (`anchor`), or an anchor gave no usable range."""

    anchor: str
    reason: str
    """In words, for people."""
    kind: Failure = Failure.SILENT
    tag: str = ""


@dataclass(frozen=True)
class SendEvent:
    """The protocol wants these bytes written now (polling, waking, entering a mode)."""

    data: bytes
    delay: float = 0.0
    """s to wait before writing."""


LATE = "late, duplicate or unasked answer"
"""Why whole frames of a device that is asked are dropped: nobody waits for them any more."""


@dataclass(frozen=True)
class CycleEvent:
    """A passive device has reported all anchors of one of its own cycles."""

    tag: str = ""


@dataclass(frozen=True)
class ReadyEvent:
    """The device answered as expected: it may be asked. `identity` in words for the user."""

    identity: str


@dataclass(frozen=True)
class DroppedEvent:
    """Bytes that are no frame of this protocol (garbage, echo, banner, malformed), or `LATE`."""

    count: int
    reason: str


Event = RangeEvent | BetweenEvent | FailEvent | SendEvent | CycleEvent | ReadyEvent | DroppedEvent


class Codec(Protocol):
    """One per protocol. Anchor ids are the device's own, upper-case hex or names as it prints."""

    capabilities: Capabilities
    lacks: str
    """What keeps a device that was recognised from giving ranges, in words; empty where unknown."""

    def start(self) -> bytes:
        """Forget what was half done and return what opens a session.

        Called after every (re)connect and again whenever the device says nothing.
        """

    def request(self, anchor: str) -> bytes:
        """Bytes that start one exchange; empty where this device cannot be asked for `anchor`."""

    def choose(self, anchors: Sequence[str]) -> bool:
        """Range with these from the next `start` on; whether that is another choice than before.

        Only for devices with a `session_change`; with others nothing happens.
        """

    def cancel(self) -> None:
        """Forget the exchange in flight: the ranger has given it up."""

    def again(self) -> bytes:
        """What to ask again after `answer_time` without an answer; empty where nothing is due."""

    def feed(self, data: bytes) -> list[Event]:
        """Take bytes as they come; returns what they complete, in order."""
