# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Many tags in one process: each message goes to its tag's loop, and all loops step together.

`passive` takes what comes, ranges or time differences, whoever asked for them; tags come with
their first message and go when they are silent. Else the node asks the tags of `tags`, each for its
own fix, `rate` times a second, on the topics that drivers listen to; with `air_time` it asks only
those whose ranges are worth most for the time they take on the channel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from visualization_msgs.msg import MarkerArray

from locdreamer_ros.airtime import grant, slot_ms
from locdreamer_ros.driver.devices import get_device
from locdreamer_ros.errors import InputError
from locdreamer_ros.fleet import Fleet
from locdreamer_ros.integrity.status import State, Status, far_off
from locdreamer_ros.loop import Plan
from locdreamer_ros.msg import AnchorSchedule, RangeArray, RangeDifferenceArray
from locdreamer_ros.nodes.answers import check_answer, check_session, is_forgotten, not_asked
from locdreamer_ros.nodes.clocks import Clocks, unasked, why_unbelieved
from locdreamer_ros.nodes.conversions import (
    from_differences,
    from_ranges,
    header,
    to_pose,
    to_schedule,
)
from locdreamer_ros.nodes.estimate_publisher import SHOWN_QOS, Display
from locdreamer_ros.nodes.fleet_config import FleetConfig, named
from locdreamer_ros.nodes.lifecycle import new_session
from locdreamer_ros.nodes.listening import RANGES, hear, not_asked_for, spoken_of
from locdreamer_ros.nodes.members import MOST_WAITING, Asked, Member, Members, states, tag_markers
from locdreamer_ros.nodes.passive import (
    Gathered,
    gather,
    leave_strange_differences,
    leave_strangers,
)
from locdreamer_ros.nodes.patience import Patience
from locdreamer_ros.nodes.running import run_node
from locdreamer_ros.nodes.saying import off_time
from locdreamer_ros.nodes.sited import SitedNode
from locdreamer_ros.nodes.tracker_node import DEADLINE_SHARE
from locdreamer_ros.stamps import nanoseconds, to_seconds
from locdreamer_ros.types import Estimate, Ranges, Site

BATCH_S = 0.01
"""What comes within so long is taken in together."""
LOOK_S, STATUS_S = 1.0, 1.0
"""How often silent tags are looked for, and `~/status` is published."""
BLIND_S = 1.0
"""How often a tag without a fix is asked where air time is short."""
MOST_NAMED = 5
"""Tags that a warning names."""


class FleetNode(SitedNode):
    """A `Fleet` between topics."""

    live = frozenset({"tags", "rate", "air_time", "most_tags", "forget_after", "display_period"})

    def __init__(self) -> None:
        super().__init__("fleet_node", FleetConfig)
        self._members = Members(self)
        self._fleet: Fleet | None = None
        self._session, self._sequence = new_session(), 0

    def configure(self) -> None:
        """Make publishers and, where a file gives the anchors, the fleet."""
        super().configure()
        self.asking = not self.config.passive
        self._wanted = named(self.config)
        self._slot = slot_ms(get_device(self.config.radio))
        self._status = Display(self.advertise(DiagnosticArray, "~/status", SHOWN_QOS))
        self._markers = Display(self.advertise(MarkerArray, "~/markers", SHOWN_QOS))
        if self.asking:
            self._schedule = self.advertise(AnchorSchedule, "uwb/schedule")
        self.find_anchors()

    def make(self, site: Site) -> None:
        """A new fleet for a new site, of the same tags."""
        fleet = Fleet(site, self.method, asking=not self.config.passive)
        for tag in () if self._fleet is None else self._fleet.tags:
            self._members.by_tag[tag].restarts += self.fleet.restarts(tag) + 1
        self._close_fleet()
        self._fleet, self.site, self._forgotten = fleet, site, self._sequence
        for member in self._members.by_tag.values():
            member.part = member.asked = member.given_up = None
            member.waiting.clear()
            member.judge = None

    def begin(self) -> None:
        """Listen, last of all: a source starts when its listeners are there."""
        self._forgotten = self._sequence
        self._patience = Patience()
        self._saved = 0.0
        """ms on air that were not used yet; less than 0: used beforehand."""
        self._timer: Any = None
        self._set_pace()
        self.every(BATCH_S, self._take_in)
        self.every(LOOK_S, self._look_around)
        hear(self, RangeArray, "uwb/ranges", partial(self._heard, self._on_ranges))
        if not self.asking:
            differences = partial(self._heard, self._on_differences)
            hear(self, RangeDifferenceArray, "uwb/range_differences", differences)

    def _set_pace(self) -> None:
        """The timer of the present `rate`, where tags are asked."""
        if self._timer is not None:
            self._timer.cancel()
        if self.asking:
            self._timer = self.every(1.0 / self.config.rate, self._ask, ros=True)

    def deactivate(self) -> None:
        """Give the tags up: what is known of them grows old."""
        for tag in list(self._members.by_tag):
            self._forget(tag)

    def close(self) -> None:
        """The loops end with the node."""
        self._close_fleet()

    def _close_fleet(self) -> None:
        if self._fleet is not None:
            self._fleet.close()
        self._fleet = None

    def change(self, config: FleetConfig) -> None:
        """Take in a live parameter; tags that are not named any more go."""
        self._wanted = named(config)
        paced = config.rate != self.config.rate
        self.config = config
        if self._wanted:
            for tag in self._members.by_tag.keys() - self._wanted.keys():
                self._forget(tag)
        if paced and self.active and self.site is not None:
            self._set_pace()

    @property
    def fleet(self) -> Fleet:
        """The fleet; callbacks that need it exist only once the site is known."""
        assert self._fleet is not None
        return self._fleet

    # From messages to what waits for its turn.

    def _heard(self, read: Any, message: Any) -> None:
        """A message of some tag. Raises InputError: dropped, and counted for the tag too."""
        tag = message.tag
        if self._wanted and tag not in self._wanted:
            self.other_tag = tag
            return
        try:
            read(message)
        except InputError as reason:
            self._blame(tag, str(reason))
            raise InputError(f"tag {tag[:20]!r}: {reason}") from None

    def _dropped(self, tag: str, problem: str) -> None:
        """Something of a tag is not used: said for the tag and for the node."""
        self._blame(tag, problem)
        self.drop(f"tag {tag[:20]!r}: {problem}")

    def _blame(self, tag: str, problem: str) -> None:
        member = self._members.by_tag.get(tag)
        if member is not None:
            member.dropped += 1
            member.problem = problem

    def _on_ranges(self, message: RangeArray) -> None:
        """Put an answer, or what nobody asked for, to the tag's other messages."""
        known = self._members.by_tag.get(message.tag)
        asked = known if self.asking else None
        last = max(self._forgotten, asked.forgotten if asked else 0)
        if self.asking and is_forgotten(message, self._session, last):
            return
        strange = ""
        if asked is not None:
            asked.date(message)
        if not self.asking:
            clocks = known.clocks if known else Clocks()
            clocks.give_time(message, self, len(self.known_site.anchors))
            strange = leave_strangers(message, self.known_site.anchors)
        say = partial(self._dropped, message.tag)
        ranges = from_ranges(message, self.known_site.anchors, say)
        ns = nanoseconds(message.header.stamp)
        answered = (message.session, message.sequence)
        new = Gathered(ns, ranges, answered, perf_counter())
        if self.asking:
            self._wait(message.tag, new, self._asked_for(message, asked))
            return
        member = self._member(message.tag)
        if unasked(message):
            self.hear_clock(member.clocks, ns)
        if strange:
            self._dropped(message.tag, strange)
        whole, member.part = gather(member.part, new, more=message.more)
        for each in whole:
            self._wait(message.tag, each, None)

    def _asked_for(self, message: RangeArray, member: Member | None) -> Asked | None:
        """The schedule that waits for this answer; None for one that was given up."""
        check_session(message, self._session)
        if member is None:
            raise not_asked(message)
        late = member.given_up
        if late is not None and late.sequence == message.sequence:
            self.counts["late"] += 1
            self._patience.answered(late.since)
            member.given_up = None
            return None
        asked = member.asked
        if asked is None or asked.sequence != message.sequence:
            raise not_asked(message)
        member.asked = None
        self._patience.answered(asked.since)
        check_answer(message, asked.ns)
        return asked

    def _on_differences(self, message: RangeDifferenceArray) -> None:
        """Put a blink to the tag's other messages."""
        if self.config.tracker == "locdreamer":
            raise InputError("tracker locdreamer takes ranges, no time differences (TDoA)")
        strange = leave_strange_differences(message, self.known_site.anchors)
        ranges = from_differences(
            message, self.known_site.anchors, partial(self._dropped, message.tag)
        )
        ns = nanoseconds(message.header.stamp)
        member = self._member(message.tag)
        if strange:
            self._dropped(message.tag, strange)
        if ns == member.blink:
            raise InputError("uwb/range_differences: the same blink again")
        member.blink = ns
        self.hear_clock(member.clocks, ns)
        self._wait(message.tag, Gathered(ns, ranges, (0, 0), perf_counter()), None)

    def _member(self, tag: str) -> Member:
        return self._members.get(tag, most=self.config.most_tags, now=perf_counter())

    def _wait(self, tag: str, gathered: Gathered, asked: Asked | None) -> None:
        member = self._member(tag)
        member.quiet_s = self.now_s() - member.heard_s
        member.heard, member.heard_s = gathered.received, self.now_s()
        if len(member.waiting) >= MOST_WAITING:
            raise InputError(f"sends faster than is taken in: {MOST_WAITING} messages wait")
        member.waiting.append((gathered, asked))

    # One batch.

    def _take_in(self) -> None:
        """Take in what waits: one message of each tag at a time, all tags together."""
        members = self._members.by_tag
        while turn := {tag: m.waiting.popleft() for tag, m in members.items() if m.waiting}:
            times = {t: to_seconds(g.ns) for t, (g, _) in turn.items()} if not self.asking else {}
            plans = self.fleet.hear(times)
            for tag in times.keys() - plans.keys():
                loop = self.fleet.loop(tag)
                loop.pass_over(times[tag], turn[tag][0].ranges)
                why = why_unbelieved(times[tag], loop.estimate, members[tag].quiet_s)
                failed = " Or its numbers failed." if loop.estimate is None else ""
                self._dropped(tag, why + failed)
            answers: dict[str, tuple[Plan, Ranges]] = {}
            stamps: dict[str, int] = {}
            for tag, (gathered, asked) in turn.items():
                rows = gathered.ranges.anchor
                plan = self.fleet.loop(tag).late(rows) if self.asking else plans.get(tag)
                plan = plan if asked is None else asked.plan
                self._judge(members[tag], gathered)
                if plan is not None:
                    answers[tag] = (replace(plan, anchor=rows), gathered.ranges)
                    if plan.time <= to_seconds(gathered.ns):  # else late: used, and no pose of it
                        stamps[tag] = gathered.ns
            self._publish(self.fleet.absorb(answers), stamps)
        self._show()

    def _judge(self, member: Member, gathered: Gathered) -> None:
        """Look whether the tag's ranges can be of this site."""
        if member.judge is None:
            member.judge = self.judge(self.known_site)
        member.judge.hear(to_seconds(gathered.ns), gathered.ranges)

    def _publish(self, found: Mapping[str, Estimate], ns: Mapping[str, int]) -> None:
        """Each tag's pose on its topic, where it is possible and a range was used lately."""
        for tag, estimate in found.items():
            if self._members.by_tag[tag].impossible or tag not in ns:
                continue
            silence = self.fleet.loop(tag).status().silence
            if self.config.max_silence == 0.0 or silence <= self.config.max_silence:
                pose = to_pose(estimate, self.known_site.tag_height, ns[tag], self.config.frame)
                self._members.publish(tag, pose)
                self.counts["fixes"] += 1

    # Asking.

    def _ask(self) -> None:
        """A schedule for each tag whose answer is not on its way."""
        ns, now = self.get_clock().now().nanoseconds, perf_counter()
        due = {}
        for tag in self._wanted:
            member = self._members.get(tag, most=self.config.most_tags, now=now)
            if member.asked is not None and self._patience.lasts(member.asked.since):
                continue
            if member.asked is not None:
                self.counts["unanswered"] += 1
                member.give_up()
            due[tag] = to_seconds(ns)
        plans = self.fleet.plan(due)
        for tag, plan in (
            self._granted(self.fleet, plans) if self.config.air_time else plans
        ).items():
            self._sequence += 1
            message = to_schedule(
                plan.anchor,
                self.known_site.anchors,
                ns=ns,
                deadline=ns + round(DEADLINE_SHARE / self.config.rate * 1e9),
                session=self._session,
                sequence=self._sequence,
                tag=tag,
                frame=self.config.frame,
            )
            self._members.by_tag[tag].asked = Asked(plan, ns, self._sequence, perf_counter())
            self._schedule.publish(message)
            self.counts["schedules"] += 1

    def _granted(self, fleet: Fleet, plans: Mapping[str, Plan]) -> dict[str, Plan]:
        """Those plans that there is air time for in this turn."""
        part, now = self.config.air_time / self.config.rate, perf_counter()
        self._saved = min(self._saved + part, 2.0 * part)
        members = self._members.by_tag
        blind = {tag for tag in plans if now - members[tag].blind >= BLIND_S}
        given, self._saved = grant(
            plans,
            dict.fromkeys(plans, self._slot),
            self._saved,
            self.known_site.anchors,
            most=self.config.budget,
            blind=blind,
            answering={tag: fleet.answering(tag) for tag in plans},
        )
        for tag in given.keys() & blind:
            members[tag].blind = now
        return given

    # Who is there, and how they do.

    def _look_around(self) -> None:
        """Forget who was not heard for long."""
        now = perf_counter()
        for tag, member in list(self._members.by_tag.items()):
            if now - member.heard > self.config.forget_after and not self.asking:
                self._forget(tag)
                self.counts["tags_gone"] += 1

    def _forget(self, tag: str) -> None:
        self._members.forget(tag)
        if self._fleet is not None:
            self._fleet.forget(tag)

    def _states(self) -> dict[str, Status]:
        members = self._members.by_tag.items()
        return {tag: self.fleet.loop(tag).status(self._quiet(member)) for tag, member in members}

    def _quiet(self, member: Member) -> float:
        """For how long, s, a tag has had no turn: one that is asked has them all the time."""
        return 0.0 if self.asking else max(self.now_s() - member.heard_s, 0.0)

    def _show(self) -> None:
        """Status and markers, where somebody looks and it is time."""
        if self._status.due(STATUS_S):
            members = self._members.by_tag
            found = {t: self.fleet.condition(t, self._quiet(m)) for t, m in members.items()}
            array = states(members, found, self.known_site, perf_counter())
            array.header.stamp = self.get_clock().now().to_msg()
            self._status.publish(array)
        if self._markers.due(self.config.display_period):
            estimates = {}
            for tag, status in self._states().items():
                estimate = self.fleet.loop(tag).estimate
                if estimate is not None:
                    estimates[tag] = (estimate, status.state == State.TRACKING)
            head = header(self.get_clock().now().nanoseconds, self.config.frame)
            self._markers.publish(tag_markers(estimates, self.known_site, head))

    def health(self) -> tuple[str, dict[str, object]]:
        """How many tags are there, and which are not right."""
        missing = self.unplaced()
        if missing:
            return missing, {}
        found = self._states()
        members = self._members.by_tag.items()
        impossible = [f"tag {tag!r}: {m.impossible}" for tag, m in members if m.impossible]
        wrong = [tag for tag, status in found.items() if status.state != State.TRACKING]
        ids = self.known_site.anchors.ids
        said = [
            (tag, off_time(found[tag]) or far_off(found[tag].far, ids) or m.clocks.wrong())
            for tag, m in members
        ]
        clocks = [f"tag {tag!r}: {words}" for tag, words in said if words]
        values: dict[str, object] = {
            "tracker": self.config.tracker,
            "dimensions": self.known_site.dimensions,
            **self.about_anchors(),
            "tags": len(found),
            "tags_tracking": len(found) - len(wrong),
            "restarts": sum(self.fleet.restarts(tag) + m.restarts for tag, m in members),
        }
        if self.asking and (differ := not_asked_for(self)):
            return differ, values
        if not found:
            topic = RANGES[0] if self.asking else spoken_of(self, RANGES)
            return self.awaiting("ranges", topic, "or see its own log"), values
        if impossible or clocks:
            return [*impossible, *clocks][0], values
        if wrong:
            names = ", ".join(repr(tag) for tag in wrong[:MOST_NAMED])
            more = ", ..." if len(wrong) > MOST_NAMED else ""
            return f"{len(wrong)} of {len(found)} tags are not tracked well: {names}{more}", values
        return self.stopped(), values


def main() -> int:
    """Run the node."""
    return run_node(FleetNode)


if __name__ == "__main__":
    raise SystemExit(main())
