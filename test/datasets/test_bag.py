# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""rosbag2 in and out: exact round trips, other people's bags, damaged ones."""

from __future__ import annotations

import dataclasses
import shutil
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import circle_recording

from locdreamer_ros.datasets import bag_messages, rosbag2
from locdreamer_ros.datasets.bag import read_bag, write_bag
from locdreamer_ros.datasets.bag_messages import RANGES
from locdreamer_ros.datasets.bag_writer import BagWriter
from locdreamer_ros.datasets.rosbag2 import message, read_messages, typestore
from locdreamer_ros.errors import InputError
from locdreamer_ros.recording import Recording
from locdreamer_ros.stamps import to_seconds
from locdreamer_ros.survey.files import load_unplaced
from locdreamer_ros.types import Anchors, RangeStatus

ANCHORS = Anchors(("A1", "b", "7"), np.array([[0.1, 0.2, 2.3], [5.0, 0.0, 2.1], [1 / 3, 4.0, 0.4]]))
OPTIONAL = ("truth", "stamps", "nlos", "rx_power", "first_path_power", "variance")


def assert_same(one: Recording, two: Recording) -> None:
    assert one.anchors.ids == two.anchors.ids
    np.testing.assert_array_equal(one.anchors.positions, two.anchors.positions)
    np.testing.assert_array_equal(one.times, two.times)
    np.testing.assert_array_equal(one.ranges, two.ranges)
    for name in OPTIONAL:
        mine, other = getattr(one, name), getattr(two, name)
        assert (mine is None) == (other is None), name
        if mine is not None:
            np.testing.assert_array_equal(mine, other, err_msg=name)


def bare_recording(epochs: int = 4) -> Recording:
    times = np.round(np.arange(epochs) * 0.1, 9)
    return Recording("bare", ANCHORS, times, np.full((epochs, 3), 2.5), np.ones((epochs, 3)))


def circle() -> Recording:
    recording = circle_recording()
    return dataclasses.replace(recording, times=np.round(recording.times, 9))


def test_what_says_no_answer_in_a_table_is_a_range_in_a_bag(tmp_path: Path) -> None:
    recording = dataclasses.replace(bare_recording(), ranges=np.full((4, 3), 65.535))
    write_bag(tmp_path / "bag", recording)
    assert_same(read_bag(tmp_path / "bag"), recording)


def test_differences_come_back_from_a_bag(tmp_path: Path) -> None:
    recording = circle()
    recording.ranges[5] = np.nan  # nobody heard that blink
    recording.ranges[7, 0] = np.nan
    stated = np.where(np.isnan(recording.ranges), np.nan, 0.01)
    stated[np.arange(len(stated)), np.argmax(np.isfinite(stated), axis=1)] = np.nan
    blinks = dataclasses.replace(recording, variance=stated).as_differences()
    write_bag(tmp_path / "bag", blinks)
    back = read_bag(tmp_path / "bag")
    assert back.differences
    assert_same(back, blinks.rows(np.arange(len(blinks)) != 5))
    with pytest.raises(InputError, match=r"/bag: expected ranges, it holds time differences"):
        load_unplaced(tmp_path / "bag")
    some = blinks.anchors.ids[2:5]
    picked = read_bag(tmp_path / "bag", blinks.anchors.subset(some))
    assert_same(picked, blinks.only(some).rows(np.arange(len(blinks)) != 5))


decimal = st.integers(1, 999_999_999).map(lambda n: n / 1e6)  # 0.000001 .. 999.999999 m
powers = st.floats(-120, 0, width=32) | st.just(float("nan"))


@st.composite
def recordings(draw: st.DrawFn) -> Recording:
    count = draw(st.integers(1, 6))
    start = draw(st.integers(0, 10**15))
    steps = draw(st.lists(st.integers(1, 10**9), min_size=count, max_size=count))
    stamps = start + np.cumsum(steps)
    times = np.array([to_seconds(int(s)) for s in stamps])

    def grid(values: st.SearchStrategy[float], columns: int = 3) -> Any:
        cells = st.lists(values, min_size=count * columns, max_size=count * columns)
        return np.array(draw(cells)).reshape(count, columns)

    def maybe(values: Any) -> Any:
        return None if values is None or np.isnan(values).all() or draw(st.booleans()) else values

    late = [[to_seconds(int(s) + draw(st.integers(0, 10**7))) for _ in range(3)] for s in stamps]
    own = np.array(late)
    return Recording(
        "made",
        ANCHORS,
        times,
        grid(st.floats(1e-3, 1000.0) | decimal.filter(lambda m: m <= 1000) | st.just(float("nan"))),
        maybe(grid(st.floats(-1e6, 1e6))),
        None if (own == times[:, None]).all() else maybe(own),
        maybe(grid(st.floats(0, 1, width=32) | st.just(float("nan")))),
        maybe(grid(powers)),
        maybe(grid(powers)),
        variance=maybe(grid(st.floats(0, 1e6) | st.just(float("nan")))),
    )


@settings(max_examples=25)
@given(recordings())
def test_round_trip_is_exact(
    tmp_path_factory: pytest.TempPathFactory, recording: Recording
) -> None:
    path = tmp_path_factory.mktemp("bags") / "bag"
    write_bag(path, recording)
    assert_same(recording, read_bag(path))


def test_what_is_in_the_bag(tmp_path: Path) -> None:
    ranges = np.array([[1.0, np.nan, 3.0], [4.0, 5.0, 6.0]])
    recording = Recording("r", ANCHORS, np.array([1.25, 1.75]), ranges, np.ones((2, 3)))
    write_bag(tmp_path / "bag", recording, frame="hall", tag="t1")
    (anchors,) = read_messages(tmp_path / "bag", "/uwb/anchors", "locdreamer_ros/msg/AnchorArray")
    assert anchors.header.frame_id == "hall"
    assert [a.id for a in anchors.anchors] == list(ANCHORS.ids)
    assert anchors.anchors[2].position.x == 1 / 3
    first, second = read_messages(tmp_path / "bag", "/uwb/ranges", "locdreamer_ros/msg/RangeArray")
    assert (first.tag, first.sequence, second.sequence) == ("t1", 0, 0)
    assert (second.header.stamp.sec, second.header.stamp.nanosec) == (1, 750_000_000)
    assert [r.anchor for r in first.ranges] == list(ANCHORS.ids)
    assert [r.status for r in first.ranges] == [0, RangeStatus.TIMEOUT, 0]
    assert np.isnan(first.ranges[1].range)
    assert np.isnan(first.ranges[0].variance)
    poses = list(
        read_messages(tmp_path / "bag", "/ground_truth/pose", "geometry_msgs/msg/PoseStamped")
    )
    assert [p.pose.orientation.w for p in poses] == [1.0, 1.0]
    text = (tmp_path / "bag" / "metadata.yaml").read_text()
    assert "transient_local" in text
    assert (tmp_path / "bag" / "bag.mcap").is_file()


def test_unknown_truth_is_left_out_and_stays_unknown(tmp_path: Path) -> None:
    truth = np.array([[1.0, 2.0, np.nan], [np.nan] * 3, [3.0, 4.0, 5.0], [3.0, 4.0, 5.0]])
    recording = dataclasses.replace(bare_recording(), truth=truth)
    write_bag(tmp_path / "bag", recording)
    np.testing.assert_array_equal(read_bag(tmp_path / "bag").truth, truth)
    write_bag(tmp_path / "bag", dataclasses.replace(recording, truth=None))
    assert read_bag(tmp_path / "bag").truth is None


def copy_as(
    bag: Path, path: Path, *, storage: str = "MCAP", edit: Any = None, rename: Any = None
) -> Path:
    """The bag again through rosbags alone, with topics renamed or messages edited (None: drop)."""
    from rosbags.rosbag2 import Reader, StoragePlugin, Writer

    store = typestore()
    plugin = getattr(StoragePlugin, storage)
    with Reader(bag) as reader, Writer(path, version=9, storage_plugin=plugin) as writer:
        known: dict[str, Any] = {}
        for connection, stamp, raw in reader.messages():
            topic = connection.topic if rename is None else rename(connection.topic)
            body = store.deserialize_cdr(raw, connection.msgtype)
            if edit is not None:
                body = edit(connection.topic, body)
            if body is None:
                continue
            if topic not in known:
                known[topic] = writer.add_connection(topic, connection.msgtype, typestore=store)
            writer.write(known[topic], stamp, store.serialize_cdr(body, connection.msgtype))
    return path


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    write_bag(tmp_path / "bag", bare_recording())
    return tmp_path / "bag"


@pytest.mark.parametrize(("storage", "file"), [("MCAP", "x.mcap"), ("SQLITE3", "x.db3")])
def test_both_storages_and_their_single_files_are_read(
    tmp_path: Path, storage: str, file: str
) -> None:
    recording = circle()
    write_bag(tmp_path / "bag", recording)
    other = copy_as(tmp_path / "bag", tmp_path / "x", storage=storage)
    assert_same(recording, read_bag(other))
    assert_same(recording, read_bag(other / file))


def test_topics_are_found_in_a_namespace(bag: Path, tmp_path: Path) -> None:
    other = copy_as(bag, tmp_path / "x", rename=lambda topic: f"/robot1{topic}")
    assert_same(bare_recording(), read_bag(other))


def test_anchors_may_come_late_and_again(tmp_path: Path) -> None:
    store, recording = typestore(), bare_recording()
    write_bag(tmp_path / "bag", recording)
    name = "locdreamer_ros/msg/AnchorArray"
    (array,) = read_messages(tmp_path / "bag", "/uwb/anchors", name)
    places = recording.anchors.positions.copy()
    with BagWriter(tmp_path / "live") as writer:
        for body in read_messages(tmp_path / "bag", "/uwb/ranges", "locdreamer_ros/msg/RangeArray"):
            raw = store.serialize_cdr(body, "locdreamer_ros/msg/RangeArray")
            writer.write("/uwb/ranges", "locdreamer_ros/msg/RangeArray", 5, bytes(raw))
        for height in (1.0, 2.0):
            array.anchors[0].position.z = places[0, 2] = height
            writer.write("/uwb/anchors", name, 9, store.serialize_cdr(array, name), latched=True)
    np.testing.assert_array_equal(read_bag(tmp_path / "live").anchors.positions, places)


def test_only_the_anchors_asked_are_there_in_a_live_bag(bag: Path, tmp_path: Path) -> None:
    def ask_two(topic: str, body: Any) -> Any:
        if topic == "/uwb/ranges":
            body.ranges = body.ranges[1:][::-1]
            body.ranges[0].status = 3  # INVALID: not to be used, whatever the value
        return body

    recording = read_bag(copy_as(bag, tmp_path / "x", edit=ask_two))
    np.testing.assert_array_equal(recording.ranges, [[np.nan, 2.5, np.nan]] * 4)


@pytest.mark.parametrize("spoil", [False, True])
def test_the_parts_of_a_fix_are_one_epoch(
    bag: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: bool
) -> None:
    with BagWriter(tmp_path / "x") as writer:

        def write(topic: str, body: Any, kind: str) -> None:
            name = f"locdreamer_ros/msg/{kind}"
            writer.write(topic, name, 0, typestore().serialize_cdr(body, name))

        for body in read_messages(bag, "/uwb/anchors", "locdreamer_ros/msg/AnchorArray"):
            write("/uwb/anchors", body, "AnchorArray")
        for body in read_messages(bag, "/uwb/ranges", "locdreamer_ros/msg/RangeArray"):
            entries, body.more = body.ranges, True
            for part in ([entries[2]], [entries[2 if spoil else 0]]):
                body.ranges = part
                write("/uwb/ranges", body, "RangeArray")
            body.ranges, body.more = [], False
            write("/uwb/ranges", body, "RangeArray")
    if spoil:
        np.testing.assert_array_equal(read_bag(tmp_path / "x").ranges[:, 2], 2.5)
        assert "4 of 12 messages are left out" in caplog.text
        assert "message 2: anchor '7' appears twice" in caplog.text
        return
    whole, parts = read_bag(bag), read_bag(tmp_path / "x")
    np.testing.assert_array_equal(parts.times, whole.times)
    np.testing.assert_array_equal(parts.ranges[:, [0, 2]], whole.ranges[:, [0, 2]])
    assert np.isnan(parts.ranges[:, 1]).all()


def test_truth_with_other_stamps_is_interpolated_over_short_gaps(bag: Path, tmp_path: Path) -> None:
    """Poses at -.05 (not possible), .04, .16, .9 s for epochs at 0, .1, .2, .3 s."""
    stamps = iter((40_000_000, 160_000_000, 900_000_000))
    places = iter((1.0, 2.0, 5.0))

    def shift(topic: str, body: Any) -> Any:
        if topic == "/ground_truth/pose":
            stamp = next(stamps, None)
            if stamp is None:
                return None
            body.header.stamp.sec, body.header.stamp.nanosec = 0, stamp
            body.pose.position.x = next(places)
        return body

    truth = read_bag(copy_as(bag, tmp_path / "x", edit=shift)).truth
    assert truth is not None
    np.testing.assert_allclose(truth[1], [1.5, 1.0, 1.0])
    assert np.isnan(truth[[0, 2, 3]]).all()  # before the first; in the gap of .74 s


def set_(path: str, value: Any, message_number: int = 1) -> Any:
    """An edit of one RangeArray, 0: of all; `path` like ranges.0.range."""
    seen = [0]

    def edit(topic: str, body: Any) -> Any:
        if topic != "/uwb/ranges":
            return body
        seen[0] += 1
        if message_number in (0, seen[0]):
            *parents, last = path.split(".")
            target = body
            for part in parents:
                target = target[int(part)] if part.isdigit() else getattr(target, part)
            setattr(target, last, value)
        return body

    return edit


def only_stranger(topic: str, body: Any) -> Any:
    """An edit of all: one range, of an anchor that the site does not have."""
    if topic == "/uwb/ranges":
        body.ranges = body.ranges[:1]
        body.ranges[0].anchor = "Z9"
    return body


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (
            set_("ranges.1.range", 4321.0, 0),
            "message 1: anchor b: expected a range of at most 1000",
        ),
        (only_stranger, r"/uwb/ranges: message 1: unknown anchor 'Z9'"),
        (set_("tag", "other", 2), "message 2: expected one tag, got '' and 'other'"),
        (lambda t, b: None if t == "/uwb/ranges" else b, "no message on /uwb/ranges"),
        (lambda t, b: None if t == "/uwb/anchors" else b, "no anchors on /uwb/anchors"),
    ],
)
def test_bad_content_is_one_line_that_names_the_message(
    bag: Path, tmp_path: Path, edit: Any, words: str
) -> None:
    other = copy_as(bag, tmp_path / "x", edit=edit)
    with pytest.raises(InputError, match=words) as error:
        read_bag(other)
    assert str(other) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("edit", "epochs", "words"),
    [
        (
            set_("ranges.1.anchor", "A1", 2),
            3,
            "1 of 4 messages are left out, as a node drops them: /uwb/ranges: message 2: anchor "
            "'A1' appears twice",
        ),
        (set_("ranges.1.range", 4321.0, 3), 3, "1 of 4 messages are left out"),
        (set_("ranges.1.anchor", "Z9", 1), 4, "1 ranges of unknown anchors ('Z9') are left out"),
    ],
)
def test_what_a_node_drops_spoils_no_recording(
    bag: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, edit: Any, epochs: int, words: str
) -> None:
    """One glitch of a robot's module in an hour."""
    assert len(read_bag(copy_as(bag, tmp_path / "x", edit=edit))) == epochs
    assert words in caplog.text


@pytest.mark.parametrize("differences", [False, True])
def test_one_of_several_tags_is_read_by_its_name(tmp_path: Path, differences: bool) -> None:
    """What the recorder leaves of a fleet; the truth is of nobody knows whom."""
    whole = dataclasses.replace(circle(), differences=differences)
    write_bag(tmp_path / "bag", whole)
    number = count()

    def in_turn(topic: str, body: Any) -> Any:
        if topic.startswith("/uwb/range"):
            body.tag = "robin" if next(number) % 2 else "wren"
        return body

    bag = copy_as(tmp_path / "bag", tmp_path / "x", edit=in_turn)
    with pytest.raises(InputError, match="got 'wren' and 'robin'; --columns tag=ID reads one"):
        read_bag(bag)
    robin = read_bag(bag, topics={"tag": "robin"})
    np.testing.assert_array_equal(robin.times, whole.times[1::2])
    assert robin.truth is None
    named = read_bag(bag, topics={"tag": "robin", "truth": "/ground_truth/pose"})
    assert named.truth is not None
    with pytest.raises(InputError, match="of tag 'owl', but of wren, robin"):
        read_bag(bag, topics={"tag": "owl"})


def test_ranges_of_no_answer_are_counted_and_said(
    bag: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def spoiled(topic: str, body: Any) -> Any:
        if topic == "/uwb/ranges":
            body.ranges[0].range, body.ranges[1].range = -1.0, float("nan")
        return body

    recording = read_bag(copy_as(bag, tmp_path / "x", edit=spoiled))
    np.testing.assert_array_equal(recording.ranges, [[np.nan, np.nan, 2.5]] * 4)
    assert "8 values are no range and count as no answer: < 0 (4), nan (4)" in caplog.text


def stamped(*nanoseconds: int, later: int = 0) -> Any:
    """An edit: each epoch has another stamp and its number, m, in its ranges.

    later: s that the first two are after their stamp.
    """
    stamps = enumerate(nanoseconds)

    def edit(topic: str, body: Any) -> Any:
        if topic == "/uwb/ranges":
            number, body.header.stamp.nanosec = next(stamps)
            body.header.stamp.sec = later if number < 2 else 0
            for entry in body.ranges:
                entry.stamp, entry.range = body.header.stamp, 1.0 + number
        return body

    return edit


def test_a_clock_that_goes_back_keeps_its_epochs(
    bag: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Equal stamps, and the time of the first half again: a bag played in a loop."""
    edit = stamped(0, 100_000_000, 0, 0, later=10)
    recording = read_bag(copy_as(bag, tmp_path / "x", edit=edit))
    assert recording.times.tolist() == [10.0, 10.1, 0.0, 0.0]
    assert recording.truth is not None
    assert np.isfinite(recording.truth[2:]).all()
    assert "the clock goes back 1 times" in caplog.text


def test_epochs_that_came_a_little_late_are_put_in_order(
    bag: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of publishers for each anchor: a tracker takes them in, and offline it would begin anew."""
    came = copy_as(bag, tmp_path / "x", edit=stamped(0, 200_000_000, 100_000_000, 300_000_000))
    recording = read_bag(came)
    np.testing.assert_allclose(recording.times, [0.0, 0.1, 0.2, 0.3])
    np.testing.assert_array_equal(recording.ranges[:, 0], [1.0, 3.0, 2.0, 4.0])
    assert "1 rows are late and were put in order of time" in caplog.text


def transform(above: str, child: str, x: float, yaw: float) -> Any:
    turned = bag_messages.rotated(np.array([x, 0.0, 0.0]), yaw)
    offset = message("geometry_msgs/msg/Vector3", x=x, y=0.0, z=0.0)
    body = message("geometry_msgs/msg/Transform", translation=offset, rotation=turned.orientation)
    return message(
        "geometry_msgs/msg/TransformStamped",
        header=bag_messages.header_of(0, above),
        child_frame_id=child,
        transform=body,
    )


@pytest.mark.parametrize("moving", ["/tf_static", "/tf"])
def test_anchors_of_another_frame_are_where_tf_says(
    bag: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, moving: str
) -> None:
    """As the tracker had them that was recorded."""
    store, name = typestore(), "tf2_msgs/msg/TFMessage"
    broken = transform("map", "broken", np.nan, 0.0)
    with BagWriter(tmp_path / "x") as out:
        for topic, kind in (bag_messages.ANCHORS, RANGES):
            for body in read_messages(bag, topic, kind):
                if topic == "/uwb/anchors":
                    body.header.frame_id = "/hall"
                out.write(topic, kind, 0, store.serialize_cdr(body, kind))
        for topic, step in (
            ("/tf_static", transform("map", "site", 10.0, 0.0)),
            (moving, transform("site", "hall", 0.0, np.pi / 2)),
        ):
            body = message(name, transforms=[broken, step])
            out.write(topic, name, 0, store.serialize_cdr(body, name))
    found = read_bag(tmp_path / "x").anchors.positions
    x, y, z = ANCHORS.positions.T
    np.testing.assert_allclose(found, np.stack([10.0 - y, x, z], axis=1), atol=1e-12)
    assert f"anchors in frame hall: taken to map by {moving}" in caplog.text


def test_what_a_killed_recorder_left_in_sqlite_is_read_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_bag(tmp_path / "x", bare_recording(), storage="sqlite3")
    assert_same(read_bag(tmp_path / "x"), bare_recording())
    assert not caplog.text
    (tmp_path / "x" / "x.db3-journal").touch()
    assert_same(read_bag(tmp_path / "x"), bare_recording())
    assert "x.db3 was not finished" in caplog.text


def test_repeated_anchor_ids_are_refused(bag: Path, tmp_path: Path) -> None:
    def twice(topic: str, body: Any) -> Any:
        if topic == "/uwb/anchors":
            body.anchors[1].id = "A1"
        return body

    with pytest.raises(InputError, match="/uwb/anchors: anchors: id 'A1' appears twice"):
        read_bag(copy_as(bag, tmp_path / "x", edit=twice))


@pytest.mark.parametrize("part", [0.0, 0.01, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("storage", ["MCAP", "SQLITE3"])
def test_truncated_bags_say_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, storage: str, part: float
) -> None:
    """MCAP is read up to its last whole chunk, where there is one; see also test_mcap.py."""
    write_bag(tmp_path / "bag", circle())
    other = copy_as(tmp_path / "bag", tmp_path / "x", storage=storage)
    (file,) = (p for p in other.iterdir() if p.suffix in (".mcap", ".db3"))
    with file.open("r+b") as stream:
        stream.truncate(int(part * file.stat().st_size))
    for path in (other, file):
        with pytest.raises(InputError, match="not a readable rosbag2") as error:
            read_bag(path)
        assert "\n" not in str(error.value)


def test_what_is_no_bag_says_so(tmp_path: Path, bag: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "x.mcap").write_text("t_s,r_1\n")
    (tmp_path / "empty.db3").touch()
    for path in ("folder", "x.mcap", "empty.db3", "absent"):
        with pytest.raises(InputError, match=f"{path}: not a readable rosbag2"):
            read_bag(tmp_path / path)
    (bag / "bag.mcap").unlink()
    with pytest.raises(InputError, match="files are missing"):
        read_bag(bag)
    (bag / "metadata.yaml").write_text("rosbag2_bagfile_information: [")
    with pytest.raises(InputError, match="not a readable rosbag2"):
        read_bag(bag)


def test_a_bag_of_an_older_version_is_read_as_far_as_it_goes(
    bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before `more`, `sequence` and `session`; a type without `stamp` is refused."""
    folder = tmp_path / "msg"
    shutil.copytree(Path(__file__).resolve().parents[2] / "msg", folder)
    text = (folder / "RangeArray.msg").read_text()
    later = (["more"], ["sequence"], ["session"])
    old = [line for line in text.splitlines() if line.split()[1:2] not in later]
    assert len(old) == len(text.splitlines()) - 3
    (folder / "RangeArray.msg").write_text("\n".join(old))

    def written(name: str) -> Path:
        """The bag again, with the types of `folder`."""
        bodies = {kind: list(read_messages(bag, *kind)) for kind in (bag_messages.ANCHORS, RANGES)}
        monkeypatch.setattr(rosbag2, "message_folder", lambda: folder)
        typestore.cache_clear()
        with BagWriter(tmp_path / name) as writer:
            for (topic, kind), messages in bodies.items():
                for body in messages:
                    writer.write(topic, kind, 0, typestore().serialize_cdr(body, kind))
        monkeypatch.undo()
        typestore.cache_clear()
        return tmp_path / name

    np.testing.assert_array_equal(read_bag(written("old")).ranges, read_bag(bag).ranges)
    text = (folder / "AnchorRange.msg").read_text()
    kept = [line for line in text.splitlines() if line.split()[1:2] != ["stamp"]]
    (folder / "AnchorRange.msg").write_text("\n".join(kept))
    with pytest.raises(InputError, match=r"another version of .*/AnchorRange: field stamp"):
        read_bag(written("other"))


def test_a_type_without_a_field_that_is_read_is_refused(tmp_path: Path) -> None:
    """Of ROS's own types, too: a bit flipped in a definition that no checksum guards."""
    write_bag(tmp_path / "bag", circle_recording(duration=1.0), storage="sqlite3")
    path = tmp_path / "bag" / "bag.db3"
    whole = path.read_bytes()
    assert b"builtin_interfaces/Time stamp" in whole
    path.write_bytes(
        whole.replace(b"builtin_interfaces/Time stamp", b"builtin_interfaces/Time stomp")
    )
    with pytest.raises(InputError, match="another version of std_msgs/msg/Header: field stamp"):
        read_bag(tmp_path / "bag")


def test_two_robots_in_one_bag_are_refused(bag: Path, tmp_path: Path) -> None:
    with BagWriter(tmp_path / "x") as writer:
        for robot in ("/a", "/b"):
            for topic, name in (
                ("/uwb/anchors", "locdreamer_ros/msg/AnchorArray"),
                ("/uwb/ranges", "locdreamer_ros/msg/RangeArray"),
            ):
                for body in read_messages(bag, topic, name):
                    raw = typestore().serialize_cdr(body, name)
                    writer.write(robot + topic, name, 0, raw)
    with pytest.raises(InputError, match="holds both /a/uwb/anchors and /b/uwb/anchors"):
        read_bag(tmp_path / "x")


@pytest.mark.parametrize("time", [-1.0, 2.0**31])
def test_times_that_ros_cannot_say_are_refused(tmp_path: Path, time: float) -> None:
    recording = dataclasses.replace(bare_recording(2), times=np.sort([time, 5.0]), truth=None)
    with pytest.raises(InputError, match="a bag needs times in"):
        write_bag(tmp_path / "bag", recording)
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_nothing_and_the_old_bag_in_place(bag: Path, tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        with BagWriter(path) as writer:
            raw = typestore().serialize_cdr(
                message("std_msgs/msg/Float64", data=1.0), "std_msgs/msg/Float64"
            )
            writer.write("/x", "std_msgs/msg/Float64", 1, raw)
            raise RuntimeError

    for path in (bag, tmp_path / "new"):
        with pytest.raises(RuntimeError):
            fail(path)
    assert [p.name for p in tmp_path.iterdir()] == ["bag"]
    assert_same(bare_recording(), read_bag(bag))


def test_an_old_bag_is_replaced_but_nothing_else(bag: Path, tmp_path: Path) -> None:
    write_bag(bag, bare_recording(7))
    assert len(read_bag(bag)) == 7
    (tmp_path / "empty").mkdir()
    write_bag(tmp_path / "empty", bare_recording())
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("...")
    (tmp_path / "file").write_text("...")
    for taken in ("thesis", "file"):
        with pytest.raises(InputError, match=f"{taken}: exists and is no rosbag2"):
            write_bag(tmp_path / taken, bare_recording())
    with pytest.raises(InputError, match=r"a rosbag2 is a folder; give its name without \.mcap"):
        write_bag(tmp_path / "x.mcap", bare_recording())
    with pytest.raises(InputError, match="cannot write"):
        write_bag(tmp_path / "file" / "bag", bare_recording())
    assert (tmp_path / "thesis" / "chapter1.tex").read_text() == "..."
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bag", "empty", "file", "thesis"]
