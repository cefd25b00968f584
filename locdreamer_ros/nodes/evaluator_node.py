# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scores the trackers of the graph against ground truth and accounts for every released range.

A blink (time differences) counts as an answer that nobody asked for.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import isnan
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry

from locdreamer_ros.config import parameter
from locdreamer_ros.errors import InputError
from locdreamer_ros.evaluation.metrics import Track
from locdreamer_ros.evaluation.run import Report, report, summary
from locdreamer_ros.evaluation.tables import save_json
from locdreamer_ros.files import check_folder
from locdreamer_ros.methods import LISTENS, Method
from locdreamer_ros.msg import (
    AnchorArray,
    AnchorSchedule,
    RangeArray,
    RangeDifferenceArray,
    TrackerStatus,
)
from locdreamer_ros.nodes.conversions import (
    MAX_ANCHORS,
    check_schedule,
    from_anchors,
    from_odometry,
)
from locdreamer_ros.nodes.lifecycle import KEPT_QOS, LATCHED, UwbNode
from locdreamer_ros.nodes.listening import ListeningConfig, hear, names, when_published
from locdreamer_ros.nodes.running import run_node
from locdreamer_ros.nodes.tracks import save_tracks
from locdreamer_ros.stamps import nanoseconds, to_seconds
from locdreamer_ros.types import Anchors, Estimate, FloatArray, RangeStatus

WAITING = TrackerStatus.WAITING
LOOK_S, PATIENCE = 0.1, 70
"""How often it looks whether all has arrived, and after how many looks without news it gives up.

Counted in looks: where the machine stands still, so does the patience. A lost packet is sent again
within 3 s, and may be lost again.
"""
OF_SOURCE = ("epochs", "unscheduled", "unfinished", "reoffered", "answers", "released")
"""Counts of a source that goes into the accounts; a live one knows the first only."""


@dataclass(frozen=True)
class EvaluatorConfig(ListeningConfig):
    """Parameters of `evaluator_node`."""

    output: str = parameter("", "folder for metrics.json and tracks.npz; empty: only the log")
    source: str = parameter("source_node", "node that says when it is complete")
    budget: int = parameter(3, "the tracker's budget, for the report", low=1, high=255)
    seed: int = parameter(0, "the tracker's seed, for the report", low=0, high=2**31 - 1)
    kind: str = parameter("", "simulator, replay or serial, for the report")

    def check_values(self) -> None:
        """A place for the results, and names."""
        names(self.trackers)
        if self.output:
            check_folder(Path(self.output))


Asked = tuple[int, int]
"""Session and sequence of a schedule, and of what answers it."""


def asked_by(message: AnchorSchedule | RangeArray | TrackerStatus) -> Asked:
    """The schedule that a message is, answers or was made for; where nobody asked, its stamp."""
    if message.sequence == 0:
        return 0, nanoseconds(message.header.stamp)
    return message.session, message.sequence


@dataclass(frozen=True)
class Answer:
    """One answer: its epoch, the anchors that answered, how many of them with a range.

    A fix may take several, of the same epoch.
    """

    ns: int
    anchors: tuple[str, ...]
    released: int


class EvaluatorNode(UwbNode):
    """Listens until the source is complete, then scores."""

    def __init__(self) -> None:
        super().__init__("evaluator_node", EvaluatorConfig)

    def configure(self) -> None:
        """Subscribe to everything but the ranges."""
        self._names = names(self.config.trackers)
        self._anchors: Anchors | None = None
        self._truth: dict[int, FloatArray] = {}
        self._schedules: dict[Asked, tuple[str, ...]] = {}
        self._answers: dict[Asked, Answer] = {}
        self._estimates: dict[str, dict[int, Estimate]] = {name: {} for name in self._names}
        self._statuses: dict[str, dict[Asked, TrackerStatus]] = {name: {} for name in self._names}
        self._everyone = 0
        self._source: dict[str, int] = {}
        self._source_session = ""
        name, space = self.config.source, self.get_namespace().rstrip("/")
        self._source_name = name if name.startswith("/") else f"{space}/{name}"
        self._truths = self._truths_heard = 0
        """Messages on `ground_truth/pose`, by the source's count and those that came."""
        self._unheard = 0
        """Looks since something came; of a live source, since it was complete."""
        self.finished = False
        hear(self, AnchorArray, "uwb/anchors", self._on_anchors, LATCHED, always=True)
        hear(self, PoseStamped, "ground_truth/pose", self._on_truth, KEPT_QOS)
        hear(self, AnchorSchedule, "uwb/schedule", self._on_schedule, KEPT_QOS)
        self.listen(DiagnosticArray, "/diagnostics", self._on_diagnostics)
        for name in self._names:
            self._listen_to(name)

    def _listen_to(self, name: str) -> None:
        estimates, statuses = self._estimates[name], self._statuses[name]

        def on_odometry(message: Odometry) -> None:
            estimates[nanoseconds(message.header.stamp)] = from_odometry(message)
            self._note_news()

        def on_status(message: TrackerStatus) -> None:
            if isnan(message.latency):  # of a silence, of no fix
                return
            if asked_by(message) in statuses:
                self.counts["duplicated_statuses"] += 1
            statuses[asked_by(message)] = message
            self._note_news()

        hear(self, Odometry, f"{name}/odometry", on_odometry, KEPT_QOS)
        hear(self, TrackerStatus, f"{name}/status", on_status, KEPT_QOS)

    def activate(self) -> None:
        """Listen to the ranges once the trackers are there; look for the end now and then."""
        topics = [f"{name}/{topic}" for name in self._names for topic in ("odometry", "status")]
        when_published(self, ["ground_truth/pose", *topics], self._listen_to_ranges)
        self.every(LOOK_S, self._look_for_the_end)

    def _listen_to_ranges(self) -> None:
        hear(self, RangeArray, "uwb/ranges", self._on_ranges, KEPT_QOS)
        hear(self, RangeDifferenceArray, "uwb/range_differences", self._on_differences, KEPT_QOS)

    def _on_anchors(self, message: AnchorArray) -> None:
        self._anchors = from_anchors(message)

    def _on_truth(self, message: PoseStamped) -> None:
        place = message.pose.position
        position = np.array([place.x, place.y, place.z])
        if not np.isfinite(position).all():
            raise InputError("ground_truth/pose: expected finite numbers")
        self._truth[nanoseconds(message.header.stamp)] = position
        self._truths_heard += 1
        self._note_news()

    def _on_schedule(self, message: AnchorSchedule) -> None:
        check_schedule(message)
        self._schedules[asked_by(message)] = tuple(message.anchors)

    def _on_ranges(self, message: RangeArray) -> None:
        if len(message.ranges) > MAX_ANCHORS:
            raise InputError(f"uwb/ranges: expected at most {MAX_ANCHORS} ranges")
        anchors = tuple(entry.anchor for entry in message.ranges)
        good = sum(entry.status == RangeStatus.OK for entry in message.ranges)
        self._answered(asked_by(message), Answer(nanoseconds(message.header.stamp), anchors, good))

    def _on_differences(self, message: RangeDifferenceArray) -> None:
        """A blink reaches all anchors; what is released of it are its differences."""
        if self._anchors is None:
            raise InputError("uwb/range_differences: no anchors are known yet")
        if len(message.differences) > MAX_ANCHORS:
            raise InputError(f"uwb/range_differences: expected at most {MAX_ANCHORS}")
        self._everyone = len(self._anchors)
        ns = nanoseconds(message.header.stamp)
        self._answered((0, ns), Answer(ns, self._anchors.ids, len(message.differences)))

    def _note_news(self) -> None:
        """Something came; the trackers of a live source never fall silent."""
        if not (self._source and self._live):
            self._unheard = 0

    def _answered(self, asked: Asked, answer: Answer) -> None:
        self._note_news()
        if asked in self._answers:
            self.counts["duplicated"] += 1
        else:
            self._answers[asked] = answer

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == self._source_name:
                self._hear_source({pair.key: pair.value for pair in status.values})

    def _hear_source(self, values: dict[str, str]) -> None:
        """How far the source is. Raises InputError where it does not count as a source does."""
        session = values.get("session", "")
        if self._source_session not in ("", session):
            self.counts["source_restarts"] += 1
        self._source_session = session
        if values.get("complete") != "True" or self._source:
            return
        counts = {key: values[key] for key in OF_SOURCE if key in values}
        whole = set(counts) in (set(OF_SOURCE), {"epochs"})
        if not whole or not all(value.isdecimal() for value in counts.values()):
            raise InputError(f"{self._source_name}: complete, but without counts")
        self._source = {key: int(value) for key, value in counts.items()}
        truths = values.get("truths", "")
        self._truths = int(truths) if truths.isdecimal() else 0
        self._unheard = 0

    @property
    def _live(self) -> bool:
        """Whether the trackers go on after completion: who answers is not who is complete."""
        return "answers" not in self._source

    def _look_for_the_end(self) -> None:
        if self.finished or not self._source:
            return
        self._unheard += 1
        if self._has_all() or self._unheard > PATIENCE:
            self.finished = True
            if self._live:  # what came after completion has no truth
                kept = {s: a for s, a in self._answers.items() if a.ns in self._truth}
                self._answers = kept
            self._finish()
            self.report()

    def _has_all(self) -> bool:
        """Whether truth, answers, statuses and poses have arrived that belong to the run.

        Each topic comes in order, but of several any may be behind.
        """
        asked = set(self._asked())
        if self._live:
            last = max(self._truth, default=0)
            answered = max(asked, default=0) >= last  # what is not there by then has no answer
            asked &= self._truth.keys()
        else:
            answered = len(self._answers) >= self._source["answers"]
        return (
            answered
            and self._truths_heard >= self._truths
            and all(self._made_all(name, asked) for name in self._names)
        )

    def _made_all(self, name: str, asked: set[int]) -> bool:
        """Whether a tracker's statuses of the times asked for are there, and its last pose."""
        states = {nanoseconds(s.header.stamp): s.state for s in self._statuses[name].values()}
        made = [ns for ns, state in states.items() if ns in asked and state != WAITING]
        return asked <= states.keys() and (not made or made[-1] in self._estimates[name])

    def accounts(self) -> dict[str, int]:
        """Where the released ranges went: the source's count against what arrived here.

        Of a live source: how many of its epochs were answered, with how many ranges.
        """
        released = sum(answer.released for answer in self._answers.values())
        wrong = sum(
            self._schedules.get(asked, answer.anchors) != answer.anchors
            for asked, answer in self._answers.items()
        )
        source = dict(self._source)
        if self._live:
            lost = {"answers": len(self._answers), "unanswered": self._unanswered()}
        else:
            lost = {"lost": source["released"] - released}
        return {
            **source,
            "received": released,
            **lost,
            "duplicated": self.counts["duplicated"],
            "not_as_asked": wrong,
            **{f"unused_by_{name}": len(self._unused(name)) for name in self._names},
        }

    def _impossible(self, accounts: dict[str, int]) -> str:
        """Why the accounts cannot be true; empty: they can."""
        if self.counts["source_restarts"]:
            return f"{self._source_name}: it was started anew while its ranges were counted"
        if accounts.get("lost", 0) < 0:
            return f"{-accounts['lost']} more ranges arrived than {self._source_name} released"
        return ""

    def _unanswered(self) -> int:
        """Schedules before the last answered one of their session that got no answer."""
        last: dict[int, int] = {}
        for session, sequence in self._answers:
            last[session] = max(last.get(session, 0), sequence)
        return sum(
            (session, sequence) not in self._answers and sequence < last.get(session, 0)
            for session, sequence in self._schedules
        )

    def _unused(self, name: str) -> set[int]:
        """Epochs that were answered, and of which the tracker made nothing."""
        used = {nanoseconds(status.header.stamp) for status in self._statuses[name].values()}
        return set(self._asked()) - used

    def _asked(self) -> dict[int, int]:
        """Anchors asked for the fix of each answered epoch, in order of time."""
        asked: dict[int, int] = {}
        for answer in sorted(self._answers.values(), key=lambda answer: answer.ns):
            asked[answer.ns] = asked.get(answer.ns, 0) + len(answer.anchors)
        return asked

    def _track(self, name: str) -> tuple[Track, FloatArray]:
        """Its estimates at the answered epochs, and seconds per step."""
        estimates, statuses = self._estimates[name], self._statuses[name]
        asked = self._asked()
        fixed = [ns for ns in asked if ns in estimates]
        if not fixed:
            raise InputError(f"{name}: no estimate at any of {len(asked)} answered epochs")
        # An epoch whose estimate is missing later on was not tracked: it cannot be scored.
        rows = [ns for ns in asked if ns in estimates or ns < fixed[0]]
        unknown = np.full(3, np.nan)
        track = Track.of(
            [estimates.get(ns) for ns in rows],
            times=np.array([to_seconds(ns) for ns in rows]),
            truth=np.array([self._truth.get(ns, unknown) for ns in rows]),
            asked=[asked[ns] for ns in rows],
            dimensions=estimates[fixed[0]].dimensions,
        )
        by_time = {nanoseconds(status.header.stamp): status for status in statuses.values()}
        return track, np.array([by_time[ns].step_time for ns in asked if ns in by_time])

    def _first_status(self, name: str) -> TrackerStatus:
        return next(iter(self._statuses[name].values()))

    def _method(self, name: str) -> Method:
        """What the tracker says it does."""
        status = self._first_status(name)
        return Method(
            tracker=status.tracker,
            preset=status.preset,
            scheduler=status.scheduler or LISTENS,
            budget=self._everyone or self.config.budget,  # a blink reaches all
            seed=self.config.seed,
        )

    def _fallbacks(self, name: str) -> Counter[str]:
        """Updates that another answered in the tracker's place, by reason."""
        estimates = self._estimates[name]
        return Counter(
            status.fallback
            for status in self._statuses[name].values()
            if status.fallback and nanoseconds(status.header.stamp) in estimates
        )

    def _finish(self) -> None:
        accounts = self.accounts()
        reports: list[Report] = []
        tracks: dict[str, Track] = {}
        problem = self._impossible(accounts)
        for name in self._names:
            try:
                tracks[name], seconds = self._track(name)
                row = report(
                    tracks[name],
                    self._method(name),
                    step_us=1e6 * seconds,
                    model=self._first_status(name).model or None,
                    fallbacks=self._fallbacks(name),
                )
                reports.append(row)
                error = f"MAE {row['mae']:.3f} m, " if "mae" in row else ""
                self.get_logger().info(f"{name}: {error}{row['ranges_per_fix']:.3g} ranges per fix")
            except InputError as reason:
                problem = problem or str(reason)
                self.get_logger().error(str(reason))
        self.get_logger().info(", ".join(f"{key} {value}" for key, value in accounts.items()))
        if self.config.output:
            folder = Path(self.config.output)
            if self._anchors is not None:
                save_tracks(folder / "tracks.npz", self._anchors, tracks)
            # Last: whoever waits for it finds everything else.
            result = summary(
                reports,
                mode="graph",
                source=self.config.kind,
                accounts=accounts,
                problem=problem,
            )
            save_json(folder / "metrics.json", result)

    def health(self) -> tuple[str, dict[str, object]]:
        """How many answers were heard, and whether the scores are out."""
        return "", {"answers": len(self._answers), "complete": self.finished}


def main() -> int:
    """Run the node."""
    return run_node(EvaluatorNode)


if __name__ == "__main__":
    raise SystemExit(main())
