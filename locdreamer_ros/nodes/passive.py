# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A tracking node that asks nobody: it lives on the ranges that come, whoever asked for them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from locdreamer_ros import loop
from locdreamer_ros.config import parameter
from locdreamer_ros.errors import InputError
from locdreamer_ros.msg import RangeArray
from locdreamer_ros.nodes import foreign
from locdreamer_ros.nodes.conversions import from_ranges
from locdreamer_ros.nodes.listening import hear
from locdreamer_ros.nodes.tracking import TrackingConfig, TrackingNode
from locdreamer_ros.stamps import SECOND_NS, nanoseconds, to_seconds
from locdreamer_ros.types import Anchors, Ranges

MAX_JUMP_NS = 60 * SECOND_NS
"""One stamp this far from the last is a mistake; a second one like it is a new time."""
WINDOW_S = 2.0
"""Ranges for a first fix may come one by one within so long."""


@dataclass(frozen=True)
class PassiveConfig(TrackingConfig):
    """Parameters of a node that can live on the ranges it hears."""

    ranges_from: str = parameter(
        "", "other packages' ranges: topic=... type=... anchor=... range=... (docs/nodes.md)"
    )


@dataclass(frozen=True)
class Gathered:
    """What was answered for one fix, up to the answer that came at `received`."""

    ns: int
    ranges: Ranges
    answered: tuple[int, int]
    """Session and sequence."""
    received: float


class PassiveNode(TrackingNode):
    """Takes in whatever it hears, one update per fix that was asked for, or per message."""

    _last: int | None = None
    _strange: int | None = None
    _gathered: Gathered | None = None
    _window: Ranges | None = None

    def configure(self) -> None:
        """Read the mapping too."""
        self._foreign = list(foreign.parse(self.config.ranges_from))
        super().configure()

    def begin(self) -> None:
        """Listen, with no memory of an earlier time."""
        self._last = self._strange = self._gathered = self._window = None
        super().begin()
        for mapping in self._foreign:
            for topic in mapping.topics:
                hear(self, mapping.kind, topic, partial(self._on_foreign, mapping, topic))

    def _on_foreign(self, mapping: foreign.Foreign, topic: str, message: Any) -> None:
        heard = mapping.ranges(message, topic, self.get_clock().now().to_msg())
        heard.tag = self.config.tag
        self._on_ranges(heard)

    def on_ranges(self, message: RangeArray, received: float) -> None:
        """Take in whatever was answered for one fix, when it is complete."""
        ranges = from_ranges(message, self.known_site.anchors)
        ns = nanoseconds(message.header.stamp)
        self._check_time(ns)
        before, self._gathered = self._gathered, None
        if before is not None and before.ns == ns:
            ranges = before.ranges.joined(ranges)
        elif before is not None:  # the tracker did without the rest
            self._take_in(before)
        gathered = Gathered(ns, ranges, (message.session, message.sequence), received)
        if message.more:
            self._gathered = gathered
        else:
            self._take_in(gathered)

    def _take_in(self, gathered: Gathered) -> None:
        ns = gathered.ns
        ranges = self._for_first_fix(gathered.ranges, to_seconds(ns))
        motion = self.motion_to(to_seconds(ns))
        plan, spent = self.compute(
            lambda: loop.plan(
                self.tracker,
                self.scheduler,
                self.known_site,
                time=to_seconds(ns),
                budget=len(ranges),
                motion=motion,
            )
        )
        if plan is not None:
            self.turn(
                loop.Plan(plan.time, plan.prediction, ranges.anchor),
                ranges,
                ns=ns,
                answered=gathered.answered,
                received=gathered.received,
                spent=spent,
                budget=len(ranges),
            )

    def _for_first_fix(self, ranges: Ranges, time: float) -> Ranges:
        """The ranges, and before the first fix each other anchor's last within the window."""
        if self.tracker.estimate is not None:
            self._window = None
            return ranges
        if self._window is not None:
            before = self._window
            fresh = (time - before.stamp < WINDOW_S) & ~np.isin(before.anchor, ranges.anchor)
            ranges = before[fresh].joined(ranges)
        self._window = ranges
        return ranges

    def _check_time(self, ns: int) -> None:
        """Let the time jump only where two messages agree on it. Raises InputError."""
        if self._last is not None and abs(ns - self._last) > MAX_JUMP_NS:
            if self._strange is None or abs(ns - self._strange) > MAX_JUMP_NS:
                self._strange = ns
                raise InputError(
                    f"uwb/ranges: stamp is {(ns - self._last) * 1e-9:.3f} s from the last"
                )
            self._gathered = None
            self.restart("the time jumped")
        self._last, self._strange = ns, None

    def _use(self, anchors: Anchors) -> None:
        """Forget what other anchors answered."""
        self._gathered = self._window = None
        super()._use(anchors)
