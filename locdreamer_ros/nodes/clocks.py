# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clocks of those who send ranges unasked: none at all, apart from this node's, of another pace."""

from __future__ import annotations

import math
from time import monotonic

from rclpy.node import Node

from locdreamer_ros.integrity.times import APART_S
from locdreamer_ros.msg import RangeArray
from locdreamer_ros.stamps import MOST_PACE, nanoseconds, to_seconds
from locdreamer_ros.types import Estimate

WINDOW_S, WINDOWS = 1.0, 3
"""Clocks are compared over windows of at least so long, and so many in a row tell."""
QUIET_SHARE = 0.1
"""A silence by the stamps may be so much longer or shorter than by the node's clock."""


def why_unbelieved(time: float, last: Estimate | None, quiet: float) -> str:
    """Why ranges that are stamped `time` s, far from the `last` estimate, are not used (yet).

    quiet: s without any by the node's own clock. Where it says the same as the stamps, nobody's
    clock is wrong: nothing had come.
    """
    if last is not None and abs(time - last.time - quiet) <= APART_S + QUIET_SHARE * quiet:
        return f"the first ranges after {quiet:.0f} s without any: used with the next that agree"
    return f"a stamp of {time:.3f} s is far from the last: do all clocks agree?"


def unasked(message: RangeArray) -> bool:
    """Whether it answers nobody's schedule: its stamp is its sender's."""
    return not (message.session or message.sequence)


class Clocks:
    """What the stamps of one sender say of its clock, against that of the node which hears it."""

    def __init__(self) -> None:
        self._messages = 0
        """Those that came unasked."""
        self._begun: tuple[float, float] | None = None
        """When the present window began, by the steady clock and by the stamps, s."""
        self._nearest = math.inf
        """What stamps of the window are least apart from the node's time, s."""
        self._apart = self._paced = 0
        """Windows in a row with clocks apart; with another pace."""
        self._offset, self._pace = 0.0, 1.0

    def give_time(self, message: RangeArray, node: Node, anchors: int) -> None:
        """A stamp for a message that came unasked without one: its last range's, else that of now.

        Where no range has one either, the first ones, as many as there are anchors, are of the time
        0: a clock may begin there.
        """
        if not unasked(message):
            return
        self._messages += 1
        if nanoseconds(message.header.stamp):
            return
        last = max((each.stamp for each in message.ranges), key=nanoseconds, default=None)
        if last is not None and nanoseconds(last):
            message.header.stamp = last
        elif self._messages > anchors:
            message.header.stamp = node.get_clock().now().to_msg()

    def hear(self, ns: int, node: Node) -> None:
        """Take in the stamp (ns) of a message that came now."""
        stamp, now = to_seconds(ns), monotonic()
        offset = stamp - to_seconds(node.get_clock().now().nanoseconds)
        if abs(offset) < abs(self._nearest):
            self._nearest = offset
        if self._begun is None:
            self._begun = now, stamp
        lasted = now - self._begun[0]
        if lasted < WINDOW_S:
            return
        self._offset, self._pace = self._nearest, (stamp - self._begun[1]) / lasted
        odd = not 1.0 / MOST_PACE < abs(self._pace) < MOST_PACE
        self._paced = self._paced + 1 if odd else 0
        self._apart = self._apart + 1 if abs(self._offset) > APART_S else 0
        self._begun, self._nearest = (now, stamp), math.inf

    def wrong(self) -> str:
        """What is wrong, in words; empty: nothing."""
        if self._paced >= WINDOWS:
            return (
                f"stamps of ranges go on by {self._pace:.1g} s in a second: are they in another "
                "unit, or does their clock stand?"
            )
        if self._apart >= WINDOWS:
            way = "ahead of" if self._offset > 0.0 else "behind"
            return (
                f"ranges come with stamps {abs(self._offset):.1f} s {way} this node's clock: do "
                "the clocks agree? (a bag: play it with --clock, and set use_sim_time)"
            )
        return ""
