# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The evaluator's accounts: runs told apart, other robots passed over, nonsense refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'locdreamer_ros[ros]'")
pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseStamped
from locdreamer_ros.msg import AnchorSchedule, TrackerStatus
from nodes.hosted import ANCHORS, TRUTH, Hosted, answer_to, hosting

from locdreamer_ros.errors import InputError
from locdreamer_ros.nodes import conversions as c
from locdreamer_ros.nodes.evaluator_node import PATIENCE, EvaluatorNode
from locdreamer_ros.nodes.source_node import SourceConfig
from locdreamer_ros.types import Estimate

COUNTS = {"unscheduled": 0, "unfinished": 0, "reoffered": 0}


@pytest.fixture
def evaluator(tmp_path: Path) -> Iterator[Hosted]:
    names = {"trackers": "tracker_node", "output": str(tmp_path)}
    with hosting(EvaluatorNode, "-r", "__ns:=/robot1", **names) as hosted:
        yield hosted


def turn(node: Any, session: int, sequence: int, epoch: int) -> int:
    """One epoch, asked and answered and tracked; the ranges released for it."""
    head = c.header(10**9 + epoch * 10**8, "map")
    schedule = AnchorSchedule(header=head, session=session, sequence=sequence, anchors=["a", "b"])
    node._on_truth(PoseStamped(header=head))
    node._on_schedule(schedule)
    node._on_ranges(answer_to(schedule))
    ns = c.nanoseconds(head.stamp)
    node._estimates["tracker_node"][ns] = Estimate(ns / 1e9, np.array([*TRUTH, 0, 0]), np.eye(4))
    node._statuses["tracker_node"][session, sequence] = TrackerStatus(
        header=head,
        state=TrackerStatus.TRACKING,
        tracker="ekf",
        session=session,
        sequence=sequence,
    )
    return 2


def say(node: Any, name: str = "/robot1/source_node", **values: Any) -> None:
    pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
    node._on_diagnostics(DiagnosticArray(status=[DiagnosticStatus(name=name, values=pairs)]))


def finished(node: Any, tmp_path: Path) -> dict[str, Any]:
    node._look_for_the_end()
    assert node.finished
    found: dict[str, Any] = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    return found


def test_a_tracker_that_starts_anew_loses_and_doubles_nothing(
    evaluator: Hosted, tmp_path: Path
) -> None:
    node = evaluator.node
    released = sum(turn(node, 11, sequence, sequence) for sequence in range(1, 21))
    released += sum(turn(node, 12, sequence, 20 + sequence) for sequence in range(1, 21))
    say(node, complete=True, session=5, epochs=40, answers=40, released=released, **COUNTS)
    metrics = finished(node, tmp_path)
    accounts = metrics["accounts"]
    assert (accounts["lost"], accounts["duplicated"], accounts["not_as_asked"]) == (0, 0, 0)
    assert accounts["received"] == released == 80
    assert metrics["problem"] == ""


@pytest.mark.parametrize("late", ["_truth", "_estimates", "_statuses", "_answers"])
@pytest.mark.parametrize("live", [False, True])
def test_no_topic_is_taken_for_complete_by_another(
    evaluator: Hosted, tmp_path: Path, late: str, live: bool
) -> None:
    """A busy machine loses packets; what is sent again comes after all the rest."""
    node = evaluator.node
    released = sum(turn(node, 11, sequence, sequence) for sequence in range(1, 21))
    kept = getattr(node, late)
    kept = kept.get("tracker_node", kept)
    lost = dict([kept.popitem() for _ in range(9)])
    if late == "_truth":
        node._truths_heard = len(kept)
    counts = {} if live else {"answers": 20, "released": released, **COUNTS}
    say(node, complete=True, session=5, epochs=20, truths=20, **counts)
    node._look_for_the_end()
    assert not node.finished
    kept |= reversed(lost.items())
    node._truths_heard = 20
    assert finished(node, tmp_path)["steps"] == 10


def test_what_never_comes_is_not_waited_for_for_ever(evaluator: Hosted, tmp_path: Path) -> None:
    node = evaluator.node
    released = sum(turn(node, 11, sequence, sequence) for sequence in range(1, 21))
    node._estimates["tracker_node"].popitem()
    say(node, complete=True, epochs=20, answers=20, truths=20, released=released, **COUNTS)
    for _ in range(PATIENCE):
        node._look_for_the_end()
    assert not node.finished
    assert finished(node, tmp_path)["steps"] == 9


def test_another_robots_source_does_not_end_the_evaluation(evaluator: Hosted) -> None:
    node = evaluator.node
    full = {"epochs": 1, "answers": 1, "released": 2, **COUNTS}
    for name in ("/robot2/source_node", "/source_node", "source_node", "/robot1/other_node"):
        say(node, name, complete=True, **full)
    node._look_for_the_end()
    assert not node.finished
    assert node._source == {}


@pytest.mark.parametrize(
    "values",
    [{}, {"epochs": "many"}, {"epochs": -1}, {"epochs": 1, "answers": 1}],
)
def test_complete_without_counts_is_dropped(evaluator: Hosted, values: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="complete, but without counts"):
        say(evaluator.node, complete=True, **values)
    assert not evaluator.node._source


@pytest.mark.promise("Accounts of ranges that cannot be true are a problem, not a result.")
def test_accounts_that_cannot_be_true_are_a_problem(evaluator: Hosted, tmp_path: Path) -> None:
    node = evaluator.node
    for sequence in range(1, 21):
        turn(node, 11, sequence, sequence)
    say(node, complete=True, session=5, epochs=20, answers=20, released=30, **COUNTS)
    assert "10 more ranges arrived than" in finished(node, tmp_path)["problem"]


def test_a_source_that_starts_anew_is_a_problem(evaluator: Hosted, tmp_path: Path) -> None:
    node = evaluator.node
    say(node, complete=False, session=4)
    released = sum(turn(node, 11, sequence, sequence) for sequence in range(1, 21))
    say(node, complete=True, session=5, epochs=20, answers=20, released=released, **COUNTS)
    assert "started anew" in finished(node, tmp_path)["problem"]


def test_a_truth_that_is_no_place_is_dropped(evaluator: Hosted) -> None:
    message = PoseStamped(header=c.header(10**9, "map"))
    message.pose.position.x = float("inf")
    with pytest.raises(InputError, match="ground_truth/pose: expected finite"):
        evaluator.node._on_truth(message)


def test_an_answer_that_comes_twice_is_counted_once(evaluator: Hosted) -> None:
    node = evaluator.node
    turn(node, 11, 1, 1)
    turn(node, 11, 1, 1)
    assert node.counts["duplicated"] == 1
    assert len(node._answers) == 1
    assert ANCHORS.ids[0] in next(iter(node._answers.values())).anchors


def test_what_could_not_be_done_at_the_end_is_refused_at_the_beginning(tmp_path: Path) -> None:
    """Scores of an hour that no folder takes; a recording that a simulator would not look at."""
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(AssertionError, match=r"file: cannot write: .* is not a folder"),
        hosting(EvaluatorNode, output=tmp_path / "file"),
    ):
        pass
    with pytest.raises(InputError, match="recording: only source replay"):
        SourceConfig(recording="walk.csv").check_values()
