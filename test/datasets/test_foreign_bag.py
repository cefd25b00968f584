# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Other people's bags: their topics, their message types, their units."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from worlds import circle_recording

from locdreamer_ros.cli import main
from locdreamer_ros.datasets import load_recording
from locdreamer_ros.datasets.bag import write_bag
from locdreamer_ros.datasets.range_table import save_anchors
from locdreamer_ros.errors import InputError
from locdreamer_ros.recording import Recording
from locdreamer_ros.survey.files import load_unplaced

rosbag2 = pytest.importorskip("rosbags.rosbag2")
typesys = pytest.importorskip("rosbags.typesys")

RANGING = """
int32 anchorId
int32 tagId
int32 range
uint32 seq
"""
SWEEP = """
std_msgs/Header header
lab_msgs/Hit[] hits
================================================================================
MSG: lab_msgs/Hit
string who
float32 metres
float32 spread
"""


class Writer:
    """Writes a bag as another program would, by the independent library."""

    def __init__(self, path: Path) -> None:
        self.store = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
        self.store.register(typesys.get_types_from_msg(RANGING, "gtec_msgs/msg/Ranging"))
        self.store.register(typesys.get_types_from_msg(SWEEP, "lab_msgs/msg/Sweep"))
        self.bag = rosbag2.Writer(path, version=8, storage_plugin=rosbag2.StoragePlugin.MCAP)
        self.bag.open()
        self.topics: dict[str, Any] = {}

    def make(self, name: str, **values: Any) -> Any:
        return self.store.types[name](**values)

    def header(self, time: float, frame: str = "") -> Any:
        sec, nanosec = divmod(round(time * 1e9), 10**9)
        stamp = self.make("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec)
        return self.make("std_msgs/msg/Header", stamp=stamp, frame_id=frame)

    def write(self, topic: str, name: str, time: float, **values: Any) -> None:
        if topic not in self.topics:
            self.topics[topic] = self.bag.add_connection(topic, name, typestore=self.store)
        raw = self.store.serialize_cdr(self.make(name, **values), name)
        self.bag.write(self.topics[topic], round(time * 1e9), raw)


@pytest.fixture
def walk(tmp_path: Path) -> Recording:
    recording = circle_recording(duration=4.0)
    save_anchors(tmp_path / "site.csv", recording.anchors)
    return recording


def epochs(recording: Recording) -> Iterator[tuple[float, Any, Any]]:
    assert recording.truth is not None
    yield from zip(recording.times, recording.ranges, recording.truth, strict=True)


def test_numbers_of_anchors_and_millimetres(tmp_path: Path, walk: Recording) -> None:
    """One range a message, without a header: when it was received counts."""
    writer = Writer(tmp_path / "bag")
    zero = writer.make("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0)
    for time, ranges, truth in epochs(walk):
        for row, metres in enumerate(ranges):
            body = {"anchorId": row + 1, "tagId": 7, "range": round(metres * 1000), "seq": 0}
            writer.write("/gtec/toa", "gtec_msgs/msg/Ranging", time, **body)
        place = writer.make("geometry_msgs/msg/Point", **dict(zip("xyz", truth, strict=True)))
        pose = writer.make("geometry_msgs/msg/Pose", position=place, orientation=zero)
        writer.write("/vrpn/tag", "geometry_msgs/msg/PoseStamped", time,
                     header=writer.header(time), pose=pose)  # fmt: skip
    writer.bag.close()
    site = tmp_path / "numbers.csv"
    site.write_text((tmp_path / "site.csv").read_text().replace("A", ""))
    with pytest.raises(
        InputError, match=r"it holds /gtec/toa \(gtec_msgs/msg/Ranging, 320\).*r_ID=TOPIC"
    ):
        load_recording(tmp_path / "bag", site)
    columns = {"ranges": "/gtec/toa", "anchor": "anchorId", "range_mm": "range",
               "truth": "/vrpn/tag"}  # fmt: skip
    recording = load_recording(tmp_path / "bag", site, columns=columns)
    np.testing.assert_allclose(recording.times, walk.times, atol=1e-9)
    np.testing.assert_allclose(recording.ranges, walk.ranges, atol=0.0006)
    np.testing.assert_allclose(recording.truth, walk.truth)
    text = ",".join(f"{role}={name}" for role, name in columns.items())
    table = tmp_path / "x.csv"
    command = ["convert", "bag", str(tmp_path / "bag"), "--anchors", str(site)]
    assert main([*command, "--columns", text, "--output", str(table)]) == 0
    np.testing.assert_allclose(load_recording(table).ranges, walk.ranges, atol=0.0006)


def test_fields_of_an_array(tmp_path: Path, walk: Recording) -> None:
    writer = Writer(tmp_path / "bag")
    for time, ranges, _ in epochs(walk):
        hits = [
            writer.make("lab_msgs/msg/Hit", who=anchor, metres=float(metres), spread=0.25)
            for anchor, metres in zip(walk.anchors.ids, ranges, strict=True)
        ]
        writer.write("/s", "lab_msgs/msg/Sweep", 9.0, header=writer.header(1.0 + time), hits=hits)
    writer.bag.close()
    columns = {"ranges": "s", "anchor": "hits.who", "range": "hits.metres"}
    recording = load_recording(tmp_path / "bag", tmp_path / "site.csv", columns=columns)
    np.testing.assert_allclose(recording.times, 1.0 + walk.times, atol=1e-9)
    np.testing.assert_allclose(recording.ranges, walk.ranges, atol=1e-5)
    assert recording.variance is None
    stated = load_recording(
        tmp_path / "bag", tmp_path / "site.csv", columns={**columns, "variance": "hits.spread"}
    )
    np.testing.assert_array_equal(stated.variance, np.full(walk.ranges.shape, 0.25))
    for wrong, words in (
        ({"range": "hits.far"}, "message 1: no field 'far'; it has who, metres, spread"),
        ({"anchor": "header.frame_id"}, "message 1: 1 anchors but 8 ranges"),
        ({"variance": "header.stamp"}, "message 1: 1 variances but 8 ranges"),
        ({"ranges": "/t"}, r"no topic /t; it holds /s \(lab_msgs/msg/Sweep, 40\)"),
        ({"tag": "x"}, "message 1: no field says whose tag's it is; it has header, hits"),
        ({"speed": "x"}, "columns: unknown 'speed'; a bag has anchors, ranges, truth"),
        ({"truth": "/s"}, "message 1: no position in it; it has header, hits"),
    ):
        with pytest.raises(InputError, match=words):
            load_recording(tmp_path / "bag", tmp_path / "site.csv", columns={**columns, **wrong})


@pytest.mark.parametrize("alone", [False, True])
def test_sensor_msgs_range(tmp_path: Path, walk: Recording, alone: bool) -> None:
    """One topic with the anchor as frame, or a topic for each."""
    writer = Writer(tmp_path / "bag")
    for time, ranges, _ in epochs(walk):
        for anchor, metres in zip(walk.anchors.ids, ranges, strict=True):
            topic = f"/uwb/{anchor}" if alone else "/uwb"
            writer.write(topic, "sensor_msgs/msg/Range", time, radiation_type=1,
                         header=writer.header(time, "" if alone else anchor), field_of_view=0.0,
                         min_range=0.0, max_range=99.0, range=float(metres))  # fmt: skip
    writer.bag.close()
    columns = {f"r_{a}": f"/uwb/{a}" for a in walk.anchors.ids} if alone else {"ranges": "/uwb"}
    recording = load_recording(tmp_path / "bag", tmp_path / "site.csv", columns=columns)
    np.testing.assert_allclose(recording.ranges, walk.ranges, atol=1e-5)
    assert recording.anchors.ids == walk.anchors.ids
    nowhere = load_unplaced(tmp_path / "bag", columns)  # for a survey, which finds the places
    assert nowhere.anchors.ids == walk.anchors.ids
    np.testing.assert_array_equal(nowhere.ranges, recording.ranges)


def test_a_driver_that_stamps_nothing(tmp_path: Path, walk: Recording) -> None:
    """A stamp of 0 says nothing: when the message came counts, as live."""
    writer = Writer(tmp_path / "bag")
    for time, ranges, _ in epochs(walk):
        for anchor, metres in zip(walk.anchors.ids, ranges, strict=True):
            writer.write("/uwb", "sensor_msgs/msg/Range", 50.0 + time, radiation_type=1,
                         header=writer.header(0.0, anchor), field_of_view=0.0,
                         min_range=0.0, max_range=99.0, range=float(metres))  # fmt: skip
    writer.bag.close()
    recording = load_recording(tmp_path / "bag", tmp_path / "site.csv", columns={"ranges": "/uwb"})
    np.testing.assert_allclose(recording.times, 50.0 + walk.times, atol=1e-9)


def test_ranges_of_two_tags_on_one_topic(tmp_path: Path, walk: Recording) -> None:
    writer = Writer(tmp_path / "bag")
    for time, ranges, _ in epochs(walk):
        for row, metres in enumerate(ranges):
            for tag in (7, 8):
                body = {"anchorId": row + 1, "tagId": tag, "range": round(metres), "seq": 0}
                writer.write("/toa", "gtec_msgs/msg/Ranging", time + 0.01 * tag, **body)
    writer.bag.close()
    columns = {"ranges": "/toa", "anchor": "anchorId"}
    with pytest.raises(InputError, match=r"message 2, field tagId: .* one tag, got 7 and 8"):
        load_recording(tmp_path / "bag", tmp_path / "site.csv", columns=columns)
    one = load_recording(tmp_path / "bag", tmp_path / "site.csv", columns={**columns, "tag": "8"})
    np.testing.assert_allclose(one.times, walk.times + 0.08, atol=1e-9)
    with pytest.raises(InputError, match="no ranges of the anchors"):
        load_recording(tmp_path / "bag", tmp_path / "site.csv", columns={**columns, "tag": "9"})


def test_our_own_type_under_another_name(tmp_path: Path, walk: Recording) -> None:
    write_bag(tmp_path / "bag", walk)
    columns = {"ranges": "/uwb/ranges", "truth": "/ground_truth/pose"}
    recording = load_recording(tmp_path / "bag", tmp_path / "site.csv", columns=columns)
    np.testing.assert_array_equal(recording.ranges, walk.ranges)
    np.testing.assert_array_equal(recording.truth, walk.truth)
