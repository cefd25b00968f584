# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A tracking node that asks nobody: it lives on the ranges that come, whoever asked for them.

Or on time differences (TDoA), which nobody asks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Any

from locdreamer_ros.config import parameter
from locdreamer_ros.errors import InputError
from locdreamer_ros.msg import RangeArray, RangeDifferenceArray
from locdreamer_ros.nodes import foreign
from locdreamer_ros.nodes.clocks import unasked, why_unbelieved
from locdreamer_ros.nodes.conversions import MAX_ANCHORS, from_differences, from_ranges
from locdreamer_ros.nodes.listening import hear
from locdreamer_ros.nodes.tracking import TrackingConfig, TrackingNode
from locdreamer_ros.stamps import nanoseconds, to_seconds
from locdreamer_ros.types import LONGEST_ID, Anchors, Ranges, Site


@dataclass(frozen=True)
class PassiveConfig(TrackingConfig):
    """Parameters of a node that can live on the ranges it hears."""

    ranges_from: str = parameter(
        "", "other packages' ranges: topic=... type=... anchor=... range=... (docs/nodes.md)"
    )

    def check_values(self) -> None:
        """The mapping, too."""
        super().check_values()
        foreign.read(self.ranges_from)


@dataclass(frozen=True)
class Gathered:
    """What was answered for one fix, up to the answer that came at `received`."""

    ns: int
    ranges: Ranges
    answered: tuple[int, int]
    """Session and sequence."""
    received: float


def gather(
    before: Gathered | None, new: Gathered, *, more: bool
) -> tuple[list[Gathered], Gathered | None]:
    """Fixes that are whole now, and what waits for more answers; `before`: what waited so far."""
    whole = []
    if before is not None and before.ns == new.ns:
        new = replace(new, ranges=before.ranges.joined(new.ranges))
    elif before is not None:  # the tracker did without the rest
        whole.append(before)
    return (whole, new) if more else ([*whole, new], None)


def leave_strangers(message: RangeArray, anchors: Anchors) -> str:
    """Take ranges of anchors that are not of the site out of a message, and say which they were.

    Who ranges by himself ranges with anchors that nobody surveyed, too. A message of nothing else
    stays as it is, to be dropped.
    """
    message.ranges, strange = _without(message.ranges, anchors)
    return strange


def leave_strange_differences(message: RangeDifferenceArray, anchors: Anchors) -> str:
    """As `leave_strangers`, of a blink whose reference is of the site."""
    strange = ""
    if message.reference in anchors.ids:
        message.differences, strange = _without(message.differences, anchors)
    return strange


def _without(entries: Sequence[Any], anchors: Anchors) -> tuple[Sequence[Any], str]:
    """Those of the site, and what is said of the others; all, where none is of the site."""
    known = set(anchors.ids)
    strange = dict.fromkeys(each.anchor for each in entries if each.anchor not in known)
    ours = [each for each in entries if each.anchor in known]
    if not strange or not ours or len(entries) > MAX_ANCHORS:
        return entries, ""
    named = ", ".join(repr(anchor[:LONGEST_ID]) for anchor in [*strange][:3])
    return ours, f"ranges of unknown anchors ({named}); the site has {', '.join(anchors.ids)}"


class PassiveNode(TrackingNode):
    """Takes in whatever it hears, one update per fix that was asked for, or per message."""

    _gathered: Gathered | None = None
    _blink: int | None = None
    """Stamp of the last blink, ns."""

    def configure(self) -> None:
        """Read the mapping too."""
        self._foreign = list(foreign.parse(self.config.ranges_from))
        super().configure()

    def begin(self) -> None:
        """Listen, with no memory of an earlier time."""
        self._gathered = self._blink = None
        super().begin()
        if not self.asking:
            hear(self, RangeDifferenceArray, "uwb/range_differences", self._on_differences)
        for mapping in self._foreign:
            for topic in mapping.topics:
                hear(self, mapping.kind, topic, partial(self._on_foreign, mapping, topic))

    def _on_foreign(self, mapping: foreign.Foreign, topic: str, message: Any) -> None:
        heard = mapping.ranges(message, topic, self.get_clock().now().to_msg())
        heard.tag = self.config.tag
        self._on_ranges(heard)

    def _on_differences(self, message: RangeDifferenceArray) -> None:
        """Take in one blink: no schedule, no answer, an update of its own."""
        if not self.is_mine(message.tag):
            return
        received = perf_counter()
        self._heard_ranges = True
        if strange := leave_strange_differences(message, self.known_site.anchors):
            self.drop(strange)
        ranges = from_differences(message, self.known_site.anchors, self.drop)
        ns = nanoseconds(message.header.stamp)
        if ns == self._blink:
            raise InputError("uwb/range_differences: the same blink again")
        self._blink = ns
        self.hear_clock(self._clocks, ns)
        self._take_in(Gathered(ns, ranges, (0, 0), received))

    def on_ranges(self, message: RangeArray, received: float) -> None:
        """Take in whatever was answered for one fix, when it is complete."""
        if strange := leave_strangers(message, self.known_site.anchors):
            self.drop(strange)
        self._clocks.give_time(message, self, len(self.known_site.anchors))
        ranges = from_ranges(message, self.known_site.anchors, self.drop)
        ns = nanoseconds(message.header.stamp)
        if unasked(message):
            self.hear_clock(self._clocks, ns)
        new = Gathered(ns, ranges, (message.session, message.sequence), received)
        whole, self._gathered = gather(self._gathered, new, more=message.more)
        for each in whole:
            self._take_in(each)

    def _take_in(self, gathered: Gathered) -> None:
        """One turn of the loop; of what came late no pose: its stamp would be before the last.

        Raises InputError for a time that no second one agrees with yet.
        """
        ns, ranges = gathered.ns, gathered.ranges
        time = to_seconds(ns)
        motion = self.motion_to(time)
        step = self.loop.hear(time, motion)
        self.note_times()
        if step is None:
            self.loop.pass_over(time, ranges)
            raise InputError(why_unbelieved(time, self.loop.estimate, self._quiet()))
        plan = replace(step, anchor=ranges.anchor)
        self.turn(
            lambda: self.loop.absorb(plan, ranges),
            ranges,
            asked=len(ranges),
            ns=ns,
            answered=gathered.answered,
            received=gathered.received,
            spent=0.0,
            late=step.time > time,
        )

    def make(self, site: Site) -> None:
        """Forget what other anchors answered."""
        self._gathered = self._blink = None
        super().make(site)
