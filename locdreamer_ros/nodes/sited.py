# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What all that track share: how they track, and where the anchors are, from a file or a topic."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

import numpy as np
from rclpy.qos import DurabilityPolicy

from locdreamer_ros.config import parameter, parameters_of
from locdreamer_ros.datasets.range_table import load_anchors
from locdreamer_ros.errors import InputError
from locdreamer_ros.frames import moved
from locdreamer_ros.integrity.mirror import is_unsided
from locdreamer_ros.integrity.silence import COAST_S
from locdreamer_ros.methods import (
    LISTENS,
    TRACKERS,
    UNKNOWN_HEIGHT,
    Method,
    TrackerChoice,
    config_of,
)
from locdreamer_ros.msg import AnchorArray
from locdreamer_ros.nodes.clocks import Clocks
from locdreamer_ros.nodes.conversions import from_anchors
from locdreamer_ros.nodes.frames import Frames
from locdreamer_ros.nodes.lifecycle import LATCHED, RECENT_S, NodeConfig, UwbNode
from locdreamer_ros.nodes.listening import hear
from locdreamer_ros.nodes.parameters import changed, fields_of
from locdreamer_ros.nodes.possible import Judge
from locdreamer_ros.stamps import to_seconds
from locdreamer_ros.types import Anchors, FloatArray, Site
from locdreamer_ros.units import hang

HIGH_M = 5.0
"""Anchors so far above the assumed tag: is their z over another floor?"""
SAME_M = 1e-3
"""An anchor that moved less did not: it came through TF, or from text."""
MOVED_M = 0.1
"""Anchors that moved less stay where they were first heard to be, and the track goes on: so much
those that survey themselves jitter, and a range errs."""
MOST_NAMED = 3
"""Anchors that a sentence names."""
PLACING_S = 0.5
"""How often TF is asked again where the anchors' frame is."""


def other_anchors(known: Anchors, heard: Anchors) -> str:
    """What was heard that is not known, or the other way round, in words; empty: the same ids."""
    new, gone = sorted(set(heard.ids) - set(known.ids)), sorted(set(known.ids) - set(heard.ids))
    words = []
    for ids, what in ((new, "new"), (gone, "gone")):
        if ids:
            more = ", ..." if len(ids) > MOST_NAMED else ""
            words.append(f"{len(ids)} {what} ({', '.join(ids[:MOST_NAMED])}{more})")
    return " and ".join(words)


def most_moved(known: Anchors, heard: Anchors) -> tuple[float, str]:
    """How far, m, the anchor that moved most did, and its id. Of the same ids, in any order."""
    apart = np.linalg.norm(known.positions - heard.positions[heard.rows(known.ids)], axis=1)
    return float(apart.max()), known.ids[int(apart.argmax())]


def check_frame(key: str, frame: str) -> None:
    """Raises InputError for a name that tf2 takes for no frame."""
    if not frame or frame.startswith("/"):
        raise InputError(
            f"{key}: expected a frame's name, which has no slash before it, got {frame!r}"
        )


@dataclass(frozen=True)
class SitedConfig(NodeConfig):
    """Where positions are."""

    frame: str = parameter("map", "frame of the anchors and of every position (REP-105)")
    anchors_file: str = parameter(
        "", "anchors, CSV, YAML or JSON (id,x,y,z); empty: from uwb/anchors"
    )

    def check_values(self) -> None:
        """A frame as tf2 takes it, and anchors."""
        check_frame("frame", self.frame)
        if self.anchors_file:
            load_anchors(Path(self.anchors_file))


class SitedNode(UwbNode):
    """A node with a method that learns the anchors. Subclasses fill in `make` and `begin`."""

    def __init__(self, name: str, group: type[SitedConfig]) -> None:
        super().__init__(name, group)
        of_trackers = [fields_of(config_of(tracker), f"{tracker}.") for tracker in TRACKERS]
        self.declare({name: field for fields in of_trackers for name, field in fields.items()})
        self.asking = issubclass(group, Method)
        """Whether it asks for ranges; else this node only listens."""
        self.site: Site | None = None

    # What a subclass fills in.

    def make(self, site: Site) -> None:
        """Make what tracks on this site, in place of what there was."""
        raise NotImplementedError

    def begin(self) -> None:
        """The node is active and knows the anchors."""
        raise NotImplementedError

    def configure(self) -> None:
        """Read the method and, where a file gives them, the anchors."""
        self.method = self._read_method()
        self.site = None
        self._simulated = bool(self.get_parameter("use_sim_time").value)
        self._clock_stands = (0.0, monotonic())
        """What /clock said last, s, and since when (monotonic)."""
        self._frames = Frames(self)
        self._last_anchors: tuple[Anchors, str] | None = None
        """The anchors that were heard last, and in which frame they are."""
        self._there: FloatArray = np.full((4, 4), np.nan)
        """What took them to `frame`; NaN: nothing did yet."""
        self._unplaced = ""
        """Their frame, where TF does not know it."""
        self._newest: Anchors | None = None
        """Where they are said to be now, a little apart from where they are taken to be."""
        self._changed_at = -math.inf
        """When they last did (monotonic)."""
        self._unfit = ""
        """Why nobody can be tracked by the anchors that were heard."""

    def find_anchors(self) -> None:
        """Take them from their file, or listen: the last of `configure`."""
        if self.config.anchors_file:
            self._use(load_anchors(Path(self.config.anchors_file)))
        else:
            # Also while inactive: a latched message comes only once.
            hear(self, AnchorArray, "uwb/anchors", self._on_anchors, LATCHED, always=True)
            self.every(PLACING_S, self._follow_frame, always=True)

    def activate(self) -> None:
        """Begin, as soon as the anchors are known."""
        if self._newest is not None:  # nothing is tracked yet that a small move could spoil
            self._use(self._newest)
            self._newest = None
        if self.site is not None:
            self.begin()

    def now_s(self) -> float:
        """What silences are measured by: /clock under use_sim_time, else a steady clock, s."""
        now = self.get_clock().now().nanoseconds if self._simulated else None
        return monotonic() if now is None else to_seconds(now)

    def stopped(self) -> str:
        """What to say where simulated time stands still; empty: it goes on, or is not simulated.

        A bag that is paused or over: by its own time nothing is late then.
        """
        if not self._simulated:
            return ""
        now, (before, since) = self.now_s(), self._clock_stands
        if now != before:
            self._clock_stands = now, monotonic()
            return ""
        stood = monotonic() - since
        return f"/clock has stood still for {stood:.0f} s" if stood > COAST_S else ""

    def hear_clock(self, clocks: Clocks, ns: int) -> None:
        """Compare the stamp of what came unasked with the time of now, where that is a clock's."""
        if not self._simulated:
            clocks.hear(ns, self)

    def _read_method(self) -> Method:
        """What the parameters say. Raises InputError for names that are not known.

        A model that is missing or does not fit is not refused here.
        """
        names = parameters_of(Method if self.asking else TrackerChoice)
        chosen = {name: getattr(self.config, name) for name in names}
        name = self.config.tracker
        method = Method(**chosen, parameters=changed(self, config_of(name), f"{name}."))
        if not self.asking:
            method = replace(method, scheduler=LISTENS)
        method.check_names()
        return method

    def _on_anchors(self, message: AnchorArray) -> None:
        try:
            anchors = from_anchors(message)
        except InputError as reason:
            if self.site is None:
                self._unfit = str(reason)
            raise
        # Frames that are said to be the same: an empty one is everybody's own.
        frame = message.header.frame_id or self.config.frame
        self._last_anchors = anchors, frame
        there = self._frames.between(self.config.frame, frame)
        self._unplaced = frame if there is None else ""
        if there is not None:
            self._place(anchors, there)

    def _follow_frame(self) -> None:
        """Place them anew where TF says another thing than before: it came late, or was mended."""
        if self._last_anchors is None:
            return
        anchors, frame = self._last_anchors
        there = self._frames.between(self.config.frame, frame)
        if there is None or np.array_equal(there, self._there):
            return
        self._unplaced = ""
        self._place(anchors, there, f"TF {self.config.frame} -> {frame} is another: ")

    def _place(self, heard: Anchors, there: FloatArray, why: str = "") -> None:
        """Take in where anchors are, `there` (4, 4) from their frame. Raises InputError.

        why: before what is said where they are others than before.
        """
        self._there = there
        anchors = Anchors(heard.ids, moved(there, heard.positions))
        if self.site is None:
            self._use(anchors)
            if self.active:
                self.begin()
            return
        known, self._newest, self._unfit = self.site.anchors, None, ""
        what = other_anchors(known, anchors)
        if not what:
            off, which = most_moved(known, anchors)
            if off < MOVED_M:
                self._newest = anchors if off > SAME_M else None
                return
            what = f"{which!r} moved by {off:.3g} m"
        self._use(anchors)
        self.counts["anchors_changed"] += 1
        again = monotonic() - self._changed_at < RECENT_S  # else it is one that came for another
        self._changed_at = monotonic()
        several = again and self.count_publishers("uwb/anchors") > 1
        who = f"; several publish {self.resolve_topic_name('uwb/anchors')}" if several else ""
        self.remark(f"{why}anchors changed, {what}: tracking begins anew{who}")

    def _use(self, anchors: Anchors) -> None:
        try:
            site = self.method.site(anchors)
        except InputError as reason:
            self._unfit = str(reason)
            raise
        self._unfit = ""
        lowest = float(anchors.positions[:, 2].min())
        if self.method.tag_height == UNKNOWN_HEIGHT and lowest - site.tag_height > HIGH_M:
            self.get_logger().warning(
                f"no tag_height is given: taken as {site.tag_height:g} m, the lowest anchor hangs "
                f"at {lowest:.4g} m"
            )
        if is_unsided(site):
            self.get_logger().warning(
                f"{hang(anchors)}, and no range tells a tag above from one below; tag_height says "
                "where it is"
            )
        self.make(site)

    def judge(self, site: Site) -> Judge:
        """A judge of whether a tag's ranges can be of this site."""
        return Judge(site, self.config.anchors_file or "uwb/anchors")

    @property
    def known_site(self) -> Site:
        """The site; callbacks that need it exist only once it is known."""
        assert self.site is not None
        return self.site

    def about_anchors(self) -> dict[str, object]:
        """What diagnostics say of the anchors: `anchors_off`, where they are a little apart."""
        if self._newest is None:
            return {}
        return {"anchors_off": f"{most_moved(self.known_site.anchors, self._newest)[0]:.2g} m"}

    def unplaced(self) -> str:
        """What is missing of the anchors, in words; empty: they are known."""
        missing = self._unfit
        if self._unplaced:
            there, here = self._unplaced, self.config.frame
            missing = f"waiting for TF {here} -> {there}: the anchors are in frame {there}"
        if self.site is not None:
            return f"{missing}; those known before are used" if missing else ""
        if missing:
            return missing
        waiting = self.awaiting("the anchors", "uwb/anchors", "or give anchors_file")
        speakers = self.get_publishers_info_by_topic("uwb/anchors")
        if any(s.qos_profile.durability == DurabilityPolicy.VOLATILE for s in speakers):
            waiting += "; it is volatile: say them again and again, or transient local"
        return waiting
