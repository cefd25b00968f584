# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The driver node over emulated modules as it is meant to go; the rest: test_driver_faults.py."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")

from driver.driver_graph import NOT_OFFERED, OK, SUCCESS, Graph, statuses
from geometry_msgs.msg import PoseWithCovarianceStamped
from locdreamer_ros.msg import RangeArray
from rclpy.lifecycle import TransitionCallbackReturn

from locdreamer_ros.datasets.range_table import load_anchors, save_anchors
from locdreamer_ros.driver.devices import make_codec
from locdreamer_ros.driver.devices.decar.codec import TICK_M
from locdreamer_ros.driver.ranger import Ranger
from locdreamer_ros.driver.session import Session
from locdreamer_ros.driver.transport import Transport
from locdreamer_ros.nodes import conversions as c
from locdreamer_ros.nodes import driver_node
from locdreamer_ros.nodes.conversions import from_anchors
from locdreamer_ros.nodes.domain import own_domain
from locdreamer_ros.nodes.lifecycle import LOSSLESS
from locdreamer_ros.nodes.survey_log import SurveyLog
from locdreamer_ros.survey.files import load_unplaced
from locdreamer_ros.types import Anchors, Ranges


def test_asks_exactly_the_scheduled_anchors(graph: Graph) -> None:
    tag = graph.emulate()
    assert graph.start() == SUCCESS
    graph.track_again()
    assert from_anchors(graph.anchors[-1]).ids == tag.anchors.ids
    answer = graph.ask("3", "1", "nobody", "5")
    assert [entry.anchor for entry in answer.ranges] == ["3", "1", "nobody", "5"]
    assert answer.ranges[2].status == NOT_OFFERED
    for entry in (answer.ranges[i] for i in (0, 1, 3)):
        if entry.status == OK:
            place = tag.anchors.positions[tag.anchors.rows([entry.anchor])[0]]
            error = entry.range - float(np.linalg.norm(tag.truth(time.monotonic()) - place))
            assert -1.0 < error < 6.0
            assert abs(entry.stamp.sec - time.time()) < 60

    def said() -> dict[str, str]:
        heard = [s for r in graph.reports for s in r.status if s.name.endswith("driver_node")]
        return {value.key: value.value for value in heard[-1].values} if heard else {}

    assert graph.spin(lambda: float(said().get("energy_mj_per_fix", "nan")) > 0.0)
    values = said()
    assert values["device"].startswith("DECAR")
    assert float(values["air_time_ms_per_fix"]) > 0.0
    assert values["reconnects"] == "0"
    assert "ok" in values["anchor 1"]


def test_a_schedule_that_is_malformed_is_dropped(graph: Graph) -> None:
    graph.emulate()
    assert graph.start() == SUCCESS
    for anchors in (["1", "1"], [str(number) for number in range(1001)], ["a" * 101]):
        graph.publish(*anchors)
    assert graph.spin(lambda: graph.node.counts["messages_dropped"] == 3)
    assert graph.node.counts["schedules"] == 0
    assert [entry.anchor for entry in graph.ask("1", "2").ranges] == ["1", "2"]


def test_a_tracker_whose_clock_is_behind_is_answered_and_told(graph: Graph) -> None:
    graph.emulate()
    graph.start()
    graph.track_again()

    def answered() -> bool:
        asked = graph.ask("3", wait=0.5, at=time.time_ns() - 3_600 * 10**9)
        return statuses(asked) == [OK]

    assert graph.spin(answered)
    assert re.search(r"schedules are 36\d\d\.\d s old when they come", graph.node.health()[0])
    graph.ask("3")
    assert graph.node.health()[0] == ""


def test_each_part_of_a_fix_is_answered(graph: Graph) -> None:
    graph.emulate()
    graph.start()
    graph.track_again()
    now = time.time_ns()
    parts = [graph.ask(a, wait=2.0, more=True, at=now) for a in ("3", "1")]
    last = graph.ask(wait=0.001, at=now)  # nobody: no deadline can pass
    assert [[entry.anchor for entry in part.ranges] for part in parts] == [["3"], ["1"]]
    assert [part.more for part in (*parts, last)] == [True, True, False]
    assert list(last.ranges) == []
    assert {part.header.stamp.nanosec for part in (*parts, last)} == {now % 10**9}
    good = sum(entry.status == OK for part in parts for entry in part.ranges)
    assert graph.node._spent.good + graph.node._spent.failed == 2
    assert graph.node._spent.good >= good
    assert graph.node.counts["expired"] == 0


def test_the_parts_of_a_fix_do_not_wait_for_a_device_that_chooses(graph: Graph) -> None:
    tag = graph.emulate("trek1000")
    graph.start()
    graph.track_again()
    parts: list[RangeArray] = []

    def whole() -> bool:
        now = time.time_ns()
        parts[:] = [graph.ask(a, wait=5.0, more=True, at=now) for a in tag.anchors.ids[:3]]
        return all(part.ranges[0].status == OK for part in parts)

    assert graph.spin(whole)
    stamps = [c.nanoseconds(part.ranges[0].stamp) for part in parts]
    assert max(stamps) - min(stamps) < 50_000_000  # of one cycle


def test_a_sequential_tracker_tracks_through_it(graph: Graph) -> None:
    from locdreamer_ros.msg import TrackerStatus

    from locdreamer_ros.nodes.tracker_node import TrackerNode

    graph.emulate()
    given = {"tracker": "grid", "scheduler": "sequential", "rate": 5.0, "tag_height": 1.2}
    graph.start(*[w for k, v in given.items() for w in ("-p", f"tracker_node:{k}:={v}")])
    tracker = TrackerNode()
    graph.executor.add_node(tracker)
    heard: list[TrackerStatus] = []
    graph.client.create_subscription(TrackerStatus, "/tracker_node/status", heard.append, LOSSLESS)
    assert tracker.trigger_configure() == SUCCESS
    assert tracker.trigger_activate() == SUCCESS
    # The deadline cuts some short, on a busy machine many.
    whole = lambda: [each for each in heard if each.ranges_asked == 3]  # noqa: E731
    assert graph.spin(lambda: sum(each.ranges_used >= 2 for each in whole()) > 20)
    assert max(each.ranges_asked for each in heard[20:]) == 3
    tracker.close()
    tracker.destroy_node()


def test_offsets_are_taken_off(graph: Graph) -> None:
    tag = graph.emulate()
    (graph.folder / "site_offsets.csv").write_text("id,offset\n1,0.123\n")
    graph.start()
    graph.track_again()
    answer = graph.ask("1", "2")
    for entry, offset in zip(answer.ranges, (0.123, 0.0), strict=True):
        column = tag._walk.ranges[:, tag._columns[tag.anchors.rows([entry.anchor])[0]]]
        if entry.status == OK:
            assert np.nanmin(np.abs(column - entry.range - offset)) <= TICK_M


def test_an_offset_that_no_antenna_has_is_refused(graph: Graph) -> None:
    graph.emulate()
    (graph.folder / "site_offsets.csv").write_text("id,offset\n1,100.0\n")
    assert graph.start() == TransitionCallbackReturn.FAILURE
    assert "within 10 m" in graph.node.problem


def test_what_cannot_be_started_says_why(graph: Graph) -> None:
    graph.emulate()
    assert graph.start(anchors_file="absent.csv") == TransitionCallbackReturn.FAILURE
    assert "absent.csv: cannot read" in graph.node.problem


def test_labels_are_accepted_and_what_is_no_id_is_said(graph: Graph) -> None:
    """01 on the board, 1 on the wire."""
    tag = graph.emulate()
    save_anchors(graph.folder / "labels.csv", Anchors(("01", "2", "X9"), tag.anchors.positions[:3]))
    graph.start(anchors_file=str(graph.folder / "labels.csv"), range_timeout=1.0)
    graph.until(lambda answer: answer.ranges[0].status == OK, "01", "2", wait=3.0)
    assert graph.ask("X9").ranges[0].status == NOT_OFFERED
    assert graph.ask("01").ranges[0].anchor == "01"


def test_a_site_of_another_module_is_refused(graph: Graph) -> None:
    tag = graph.emulate()
    save_anchors(graph.folder / "other.csv", Anchors(("6E01", "6E02"), tag.anchors.positions[:2]))
    given = str(graph.folder / "other.csv")
    assert graph.start(anchors_file=given) == TransitionCallbackReturn.FAILURE
    assert "none is an id of a decar, whose ids are as '1'" in graph.node.problem


def test_a_survey_is_not_written_over_the_anchors(graph: Graph) -> None:
    tag = graph.emulate()
    site = graph.folder / "mine.csv"
    save_anchors(site, tag.anchors)
    before = site.read_bytes()
    given = {"anchors_file": str(site), "survey": f"{graph.folder}/./mine.csv"}
    assert graph.start(**given) == TransitionCallbackReturn.FAILURE
    assert "mine.csv is the anchors file" in graph.node.problem
    assert site.read_bytes() == before


def test_it_ranges_freely_round_robin_until_a_schedule_comes(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_node, "SCHEDULED_S", 60.0)  # a busy machine is no second without one
    tag = graph.emulate()
    heard: list[RangeArray] = []
    graph.start(free_rate=10.0, free_count=2)
    graph.client.create_subscription(RangeArray, "uwb/ranges", heard.append, LOSSLESS)
    asked = lambda: {entry.anchor for message in heard for entry in message.ranges}  # noqa: E731
    assert graph.spin(lambda: len(asked()) >= min(4, len(tag.anchors)))
    assert {message.sequence for message in heard} == {0}
    assert max(len(message.ranges) for message in heard) <= 2
    assert all(entry.status == OK for message in heard for entry in message.ranges)
    heard.clear()
    for _ in range(5):
        graph.ask("1", "2", wait=0.1)
    assert {message.sequence for message in heard} >= {1, 2, 3, 4}
    graph.spin(lambda: False, 0.2)  # what was under way
    heard.clear()
    graph.spin(lambda: False, 0.5)
    assert not heard


def test_schedules_for_another_tag_alone_are_named(graph: Graph) -> None:
    graph.emulate()
    assert graph.start(tag="robin") == SUCCESS
    graph.publish(graph.tag.anchors.ids[0])
    wanted = "schedules ask for tag '', and none for this driver's, 'robin'"
    assert graph.spin(lambda: wanted in graph.node.health()[0])


def test_a_survey_writes_what_the_survey_command_reads(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = graph.emulate()
    walk = graph.folder / "walk.csv"
    walk.write_text("t_s,anchor,range\n0,1,2.5\n")
    (graph.folder / "site_offsets.csv").write_text("id,offset\n1,5.0\n")  # not in a survey
    assert graph.start(survey=str(walk)) == SUCCESS
    assert graph.spin(lambda: min(graph.node._survey.counts.values()) >= 3)
    assert "ranges: walk on" in graph.node.health()[0]
    monkeypatch.setattr(driver_node, "SCHEDULED_S", 60.0)
    graph.publish(tag.anchors.ids[0])
    graph.spin(lambda: graph.node.counts["schedules"])
    assert "a tracker asks on uwb/schedule" in graph.node.health()[0]
    graph.node.close()
    recording = load_unplaced(walk)
    assert set(recording.anchors.ids) == set(tag.anchors.ids)
    for anchor, ranges in zip(recording.anchors.ids, recording.ranges.T, strict=True):
        column = tag._walk.ranges[:, tag._columns[tag.anchors.ids.index(anchor)]]
        for metres in ranges[np.isfinite(ranges)]:
            assert np.nanmin(np.abs(column - metres)) <= TICK_M + 1e-4
    assert (graph.folder / "walk_1.csv").read_text() == "t_s,anchor,range\n0,1,2.5\n"


def test_lengths_between_anchors_are_written_by_the_sites_ids(tmp_path: Path) -> None:
    """Of anchors of the site only, medians; an older survey's are kept with it."""
    codec, site = make_codec("trek1000"), Anchors(("left", "right", "far"), np.zeros((3, 3)))
    session = Session(Transport(str(tmp_path / "none"), 115200), codec)
    ranger = Ranger(site, session, names=("A0", "A2", "A5"))
    for number in (0x699, 0x69C, 0x6A5):
        ranger._take(
            codec.feed(b"ma 0e 00000000 000006d9 %08x 0000026b 1 51 0 a0:0\r\n" % number), None
        )
    table = tmp_path / "walk_between.csv"
    for metres in ("1.6920", "1.7000"):
        log = SurveyLog(tmp_path / "walk.csv", site)
        log.add_between({pair: [*values] for pair, values in ranger.between.items()})
        log.close()
        assert table.read_text() == f"anchor,other,range\nleft,right,{metres}\n"
        ranger.between[("left", "right")].extend([1.7, 1.7, 1.7, 1.7])
    assert "1.6920" in (tmp_path / "walk_1_between.csv").read_text()


def test_a_survey_whose_file_is_gone_says_so(tmp_path: Path) -> None:
    log = SurveyLog(tmp_path / "walk.csv", Anchors(("1", "2"), np.zeros((2, 3))))
    log.add(Ranges.of([0], [2.5], 0.1))
    (tmp_path / "walk.csv").rename(tmp_path / "moved.csv")
    log.add(Ranges.of([0], [2.5], 0.2))
    log.close()
    assert "walk.csv: cannot write: it was moved or removed; the survey ends here" in log.problem
    assert log.counts == {"1": 1, "2": 0}
    assert len((tmp_path / "moved.csv").read_text().splitlines()) == 2


def test_a_survey_is_written_in_order_of_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever asks in another order than the anchors' has the answers in theirs."""
    site = Anchors(("1", "2"), np.zeros((2, 3)))
    log = SurveyLog(tmp_path / "walk.csv", site)
    log.add(Ranges.of([0, 1], [2.5, 3.5], np.array([0.2, 0.1])))
    log.close()
    rows = (tmp_path / "walk.csv").read_text(encoding="utf-8").splitlines()
    assert rows[1:] == ["0.100000,2,3.5000", "0.200000,1,2.5000"]
    # Nor is it worth a word that anchors whose places are wanted are all at one.
    save_anchors(tmp_path / "ids.csv", site)
    load_anchors(tmp_path / "ids.csv")
    assert caplog.messages == []


def test_a_survey_with_offsets_of_before_is_refused(graph: Graph) -> None:
    graph.emulate()
    given = {"survey": "walk.csv", "offsets_file": "x.csv"}
    assert graph.start(**given) == TransitionCallbackReturn.FAILURE
    assert "survey: finds the offsets" in graph.node.problem


def off(graph: Graph, pose: PoseWithCovarianceStamped) -> float:
    """How far, m, a pose is from where the tag was at its stamp; it may come late."""
    age = (time.time_ns() - c.nanoseconds(pose.header.stamp)) * 1e-9
    place, truth = pose.pose.pose.position, graph.tag.truth(time.monotonic() - age)
    return float(np.hypot(place.x - truth[0], place.y - truth[1]))


def test_a_passive_tracker_tracks_what_is_ranged_freely(graph: Graph) -> None:
    from locdreamer_ros.nodes.tracker_node import TrackerNode

    graph.emulate()
    given = {"tracker": "grid", "passive": "true", "tag_height": 1.2}
    more = [w for k, v in given.items() for w in ("-p", f"tracker_node:{k}:={v}")]
    graph.start(*more, free_rate=10.0, free_count=4)
    tracker = TrackerNode()
    graph.executor.add_node(tracker)
    errors: list[float] = []

    graph.client.create_subscription(
        PoseWithCovarianceStamped,
        "/tracker_node/pose",
        lambda message: errors.append(off(graph, message)),
        LOSSLESS,
    )
    assert tracker.trigger_configure() == SUCCESS
    assert tracker.trigger_activate() == SUCCESS
    assert graph.spin(lambda: len(errors) > 40)
    assert np.median(errors[20:]) < 1.0
    assert graph.node.counts["schedules"] == 0
    tracker.close()
    tracker.destroy_node()


def test_free_anchors_that_are_not_there_are_named(graph: Graph) -> None:
    graph.emulate()
    assert graph.start(free_anchors="1,77") == TransitionCallbackReturn.FAILURE
    assert "free_anchors: no anchor '77'" in graph.node.problem


def test_what_is_wrong_is_said_in_the_terminal(
    graph: Graph, capfd: pytest.CaptureFixture[str]
) -> None:
    graph.emulate()
    graph.start(port=str(graph.folder / "absent"))
    said = ""

    def is_said(words: str) -> bool:
        nonlocal said
        said += capfd.readouterr().err
        return words in said

    assert graph.spin(lambda: is_said("no such port"))
    assert said.count("no such port: is the module plugged in") == 1
    (graph.folder / "absent").symlink_to(graph.emulator.path)
    assert graph.spin(lambda: is_said("answers on"))


def test_it_can_be_cleaned_up_and_started_again(graph: Graph) -> None:
    graph.emulate()
    graph.start()
    graph.track_again()
    for _ in range(2):
        assert graph.node.trigger_deactivate() == SUCCESS
        assert graph.node.trigger_cleanup() == SUCCESS
        assert graph.node.trigger_configure() == SUCCESS
        assert graph.node.trigger_activate() == SUCCESS
        graph.spin(lambda: graph.schedule.get_subscription_count() > 0)
        graph.track_again()


def test_a_tracker_tracks_through_it_and_through_an_unplugging(graph: Graph) -> None:
    from locdreamer_ros.nodes.tracker_node import TrackerNode

    graph.emulate()
    given = {"tracker": "grid", "rate": 10.0, "tag_height": 1.2}
    graph.start(*[w for k, v in given.items() for w in ("-p", f"tracker_node:{k}:={v}")])
    tracker = TrackerNode()
    graph.executor.add_node(tracker)
    errors: list[float] = []

    graph.client.create_subscription(
        PoseWithCovarianceStamped,
        "/tracker_node/pose",
        lambda message: errors.append(off(graph, message)),
        LOSSLESS,
    )
    assert tracker.trigger_configure() == SUCCESS
    assert tracker.trigger_activate() == SUCCESS
    assert graph.spin(lambda: len(errors) > 60)
    assert np.median(errors[20:]) < 1.0
    graph.emulator.unplug()
    graph.spin(lambda: False, 1.0)
    graph.emulator.plug()
    graph.spin(lambda: False, 2.0)
    before = len(errors)
    assert graph.spin(lambda: len(errors) > before + 40)
    assert np.median(errors[before + 10 :]) < 1.0
    tracker.close()
    tracker.destroy_node()


@pytest.mark.promise(
    "The driver does not grow in memory, descriptors or threads at 50 fixes a second."
)
@pytest.mark.slow
def test_half_a_minute_at_fifty_fixes_a_second_does_not_grow(tmp_path: Path) -> None:
    """The short form of what docs/notebook.md says of one hour."""
    report = tmp_path / "endurance.json"
    command = [sys.executable, "-m", "locdreamer_ros.nodes.driver_timing", "endurance"]
    with own_domain() as domain:
        environment = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
        environment["PYTHONPATH"] = str(Path(__file__).parents[2])
        subprocess.run([*command, "30", str(report)], check=True, env=environment)
    found = json.loads(report.read_text())
    assert found["exit_status"] == 0
    assert found["answers"] >= 0.99 * found["schedules"] > 0
    assert found["descriptor_growth"] == 0
    assert found["thread_growth"] == 0
    assert found["rss_growth_mb"] < 3.0  # what warming up takes
