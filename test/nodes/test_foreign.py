# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ranges in other packages' messages."""

from __future__ import annotations

import re
from math import isnan
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'locdreamer_ros[ros]'")
pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")

from builtin_interfaces.msg import Time
from locdreamer_ros.msg import AnchorRange
from sensor_msgs.msg import Range
from std_msgs.msg import Header

from locdreamer_ros.errors import InputError
from locdreamer_ros.nodes import foreign

NOW = Time(sec=7)


def one(text: str, message: Any, topic: str = "/uwb/a7") -> AnchorRange:
    (mapping,) = foreign.parse(text)
    heard = mapping.ranges(message, topic, NOW)
    assert heard.header.stamp == heard.ranges[-1].stamp
    assert (heard.session, heard.sequence) == (0, 0)
    return heard.ranges[-1]


def test_a_range_sensor_is_known() -> None:
    header = Header(stamp=Time(sec=3, nanosec=5), frame_id="a1")
    message = Range(header=header, range=2.5, min_range=0.5, max_range=10.0)
    text = "topic=/x type=sensor_msgs/msg/Range"
    found = one(text, message)
    assert (found.anchor, found.range, found.status) == ("a1", 2.5, AnchorRange.OK)
    assert found.stamp == header.stamp
    assert isnan(found.variance), "0 is unknown in sensor_msgs/Range"
    message.variance = 0.25
    assert one(text, message).variance == 0.25
    message.range = 11.0
    assert one(text, message).status == AnchorRange.INVALID
    message.range = float("inf")
    assert one(text, message).status == AnchorRange.INVALID
    assert one(text + " anchor=@topic", message).anchor == "a7"
    assert one(text + " anchor='b'", message).anchor == "b"
    assert one("topic=/x type=sensor_msgs/Range", message).anchor == "a1"


def test_a_list_with_its_own_names_and_units() -> None:
    nodes = [
        SimpleNamespace(id=3, dis=2500, var=250000, rssi=-80.5, place=SimpleNamespace(nlos=0.25)),
        SimpleNamespace(id=4, dis=0, var=-1, rssi=-81.0, place=SimpleNamespace(nlos=1)),
    ]
    message = SimpleNamespace(nodes=nodes, at=Time(sec=9))
    (mapping,) = foreign.parse(
        "topic=/t type=std_msgs/msg/Header ranges=nodes anchor=id range=dis scale=0.001 "
        "variance=var rx_power=rssi nlos_probability=place.nlos stamp=/at"
    )
    first, second = mapping.ranges(message, "/t", NOW).ranges
    assert (first.anchor, first.range, first.status) == ("3", 2.5, AnchorRange.OK)
    assert (first.rx_power, first.nlos_probability, first.stamp.sec) == (-80.5, 0.25, 9)
    assert first.variance == pytest.approx(0.25)
    assert isnan(second.variance)
    assert second.status == AnchorRange.INVALID
    assert len(mapping.ranges(SimpleNamespace(nodes=[], at=NOW), "/t", NOW).ranges) == 0
    with pytest.raises(InputError, match="at most 1000 ranges"):
        mapping.ranges(SimpleNamespace(nodes=nodes * 501), "/t", NOW)
    with pytest.raises(InputError, match="/t: no field 'nodes'"):
        mapping.ranges(SimpleNamespace(), "/t", NOW)
    nodes[0].dis = "far"
    with pytest.raises(InputError, match="expected a number, got 'far'"):
        mapping.ranges(message, "/t", NOW)


def test_a_sender_without_a_clock_and_a_frame_of_ros_1() -> None:
    message = Range(header=Header(frame_id="/a1"), range=2.5, min_range=0.5, max_range=10.0)
    found = one("topic=/x type=sensor_msgs/msg/Range", message)
    assert (found.anchor, found.stamp) == ("a1", NOW)
    named = one(
        "topic=/x type=std_msgs/msg/Header anchor=id range=d", SimpleNamespace(id="/a", d=2)
    )
    assert named.anchor == "/a"  # no frame


def test_fields_of_another_kind_are_refused() -> None:
    message = SimpleNamespace(t=3.5, d=2.0, n=7, name="far")
    mapping = "topic=/x type=std_msgs/msg/Header anchor='a' range=d"
    with pytest.raises(InputError, match=r"/uwb/a7: expected a stamp, got '3.5'"):
        one(mapping + " stamp=t", message)
    for field in ("range", "rx_power"):
        with pytest.raises(InputError, match=r"expected a number, got 1e\+300"):
            one(f"{mapping} {field}=d", SimpleNamespace(d=1e300))
    for field in ("n", "name"):
        with pytest.raises(InputError, match=f"/uwb/a7: '{field}' is no list"):
            one(f"{mapping} ranges={field}", message)


def test_without_a_stamp_a_range_has_the_time_of_its_arrival() -> None:
    found = one("topic=/x type=std_msgs/msg/UInt32 anchor='a' range=data", SimpleNamespace(data=4))
    assert (found.stamp, found.range) == (NOW, 4.0)


def test_several_mappings_and_topics() -> None:
    second = "topic=/c type=std_msgs/msg/UInt32 anchor='a' range=data"
    text = f"topic=/a,/b type=sensor_msgs/msg/Range; {second};"
    one_of, other = foreign.parse(text)
    assert one_of.topics == ("/a", "/b")
    assert other.topics == ("/c",)
    assert list(foreign.parse("")) == []


def test_fields_that_the_messages_do_not_have_are_refused_before_any_comes() -> None:
    path = "type=nav_msgs/msg/Path ranges=poses anchor=header.frame_id"
    for text, complaint in (
        (
            "type=std_msgs/msg/UInt32 anchor='a' range=dist",
            "UInt32: no field 'dist'; there are data",
        ),
        ("type=std_msgs/msg/UInt32 anchor=id range=data", "UInt32: no field 'id'"),
        ("type=std_msgs/msg/String anchor='a' range=data", "String: expected a number, got ''"),
        ("type=sensor_msgs/msg/Range stamp=range", "Range: expected a stamp, got '0.0'"),
        ("type=sensor_msgs/msg/Range ranges=range", "'range' is no list of messages but float"),
        (f"{path} range=pose.position.w", "no field 'pose.position.w'; there are x, y, z"),
        (f"{path} range=/header.stamp.sec variance=/nothing", "no field 'nothing'"),
    ):
        with pytest.raises(InputError, match=re.escape(complaint)):
            foreign.read(f"topic=/x {text}")
    assert foreign.read(f"topic=/x {path} range=pose.position.x stamp=/header.stamp")
    assert foreign.read("topic=/x type=std_msgs/msg/UInt32 anchor=@topic range=data")
    assert foreign.read("topic=/x type=sensor_msgs/msg/Range")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("topic=/a", "needs topic, type, anchor and range"),
        ("type=sensor_msgs/msg/Range", "needs topic"),
        ("topic=/a type=std_msgs/msg/UInt32 range=data", "needs topic, type, anchor"),
        ("topic=/a type=nobodys_msgs/msg/Range anchor=a range=b", "no such message here"),
        ("topic=/a type=sensor_msgs/msg/Nothing anchor=a range=b", "no such message here"),
        ("topic=/a type=Range anchor=a range=b", "no such message here"),
        ("topic=/a type=sensor_msgs/msg/Range scale=mm", "scale: expected a number"),
        ("topic=/a color=red", "got 'color'"),
        ("topic", "got 'topic'"),
    ],
)
def test_a_bad_mapping_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        list(foreign.parse(text))
