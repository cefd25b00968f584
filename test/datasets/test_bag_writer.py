# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags that survive: a killed writer, a full disk, another ROS, a user's file in the folder."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from worlds import circle_recording

from locdreamer_ros.datasets import load_recording
from locdreamer_ros.datasets.bag import write_bag
from locdreamer_ros.datasets.bag_writer import VERSIONS, BagWriter, remove_bag
from locdreamer_ros.datasets.rosbag2 import message, open_bag, read_messages, typestore
from locdreamer_ros.errors import InputError

KIND = "std_msgs/msg/Float64"
ROOT = Path(__file__).resolve().parents[2]


def add(writer: BagWriter, number: float, stamp: int = 1) -> None:
    raw = typestore().serialize_cdr(message(KIND, data=float(number)), KIND)
    writer.write("/x", KIND, stamp, raw)


def numbers(path: Path) -> list[float]:
    return [body.data for body in read_messages(path, "/x", KIND)]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("gone", ["moved", "removed"])
@pytest.mark.parametrize("noticed", ["while it writes", "at the end"])
def test_a_bag_that_is_moved_or_removed_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, storage: str, gone: str, noticed: str
) -> None:
    writer = BagWriter(tmp_path / "bag", live=True, storage=storage)
    add(writer, 1.0)
    monkeypatch.setattr("locdreamer_ros.datasets.bag_writer.FLUSH_S", 0.0)
    writer.flush_when_due()
    if gone == "moved":
        (tmp_path / "bag").rename(tmp_path / "away")
    else:
        shutil.rmtree(tmp_path / "bag")

    def go_on() -> None:
        add(writer, 2.0)  # sqlite says it here
        writer.flush_when_due()

    with pytest.raises(InputError, match="bag: cannot write: "):
        (go_on if noticed == "while it writes" else writer.close)()
    assert writer.broken
    writer.close()
    assert not (tmp_path / "bag").exists()
    if gone == "moved":
        assert numbers(tmp_path / "away")[0] == 1.0


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("version", VERSIONS)
def test_other_readers_read_every_version(tmp_path: Path, storage: str, version: int) -> None:
    rosbag2 = pytest.importorskip("rosbags.rosbag2")
    recording = circle_recording(duration=2.0)
    write_bag(tmp_path / "bag", recording, storage=storage, version=version)
    np.testing.assert_array_equal(load_recording(tmp_path / "bag").ranges, recording.ranges)
    with rosbag2.Reader(tmp_path / "bag") as reader:
        counts = {c.topic: c.msgcount for c in reader.connections}
        assert counts == {"/uwb/anchors": 1, "/uwb/ranges": 20, "/ground_truth/pose": 20}
        assert sum(1 for _ in reader.messages()) == 41
        qos = {c.topic: c.ext.offered_qos_profiles[0] for c in reader.connections}
        assert qos["/uwb/anchors"].durability.name == "TRANSIENT_LOCAL"
        assert qos["/uwb/ranges"].reliability.name == "RELIABLE"
    body = yaml.safe_load((tmp_path / "bag" / "metadata.yaml").read_text())
    body = body["rosbag2_bagfile_information"]
    assert body["version"] == version
    topic = body["topics_with_message_count"][0]["topic_metadata"]
    # Humble reads a string of profiles, and knows no hashes of types.
    assert isinstance(topic["offered_qos_profiles"], str if version < 9 else list)
    assert ("type_description_hash" in topic) == (version >= 7)
    assert "&id" not in (tmp_path / "bag" / "metadata.yaml").read_text()


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_live_bag_can_be_read_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, storage: str
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    writer = BagWriter(tmp_path / "bag", live=True, storage=storage)
    assert (tmp_path / "bag" / "metadata.yaml").is_file()
    for number in range(25):
        now[0] += 0.1
        add(writer, number, number)
    found = numbers(tmp_path / "bag")
    assert found == list(range(len(found)))
    assert len(found) >= 20 - 1, "what is older than a second is there"
    writer.close()
    assert numbers(tmp_path / "bag") == list(range(25))
    assert [p.name for p in tmp_path.iterdir()] == ["bag"]


WRITER = """
import sys
from pathlib import Path
from locdreamer_ros.datasets.bag_writer import BagWriter
from locdreamer_ros.datasets.rosbag2 import message, typestore
kind = "std_msgs/msg/Float64"
writer = BagWriter(Path(sys.argv[1]), live=True, storage=sys.argv[2])
number = 0
while True:
    raw = typestore().serialize_cdr(message(kind, data=float(number)), kind)
    writer.write("/x", kind, number, raw)
    number += 1
    if number == 20000:
        writer._flushed = 0.0
        writer.flush_when_due()
        print("ready", flush=True)
"""


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_what_a_killed_recorder_left_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, storage: str
) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path / "bag"), storage]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGKILL)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bag"], "no hidden folder"
    found = numbers(tmp_path / "bag")
    assert len(found) >= 20_000
    assert found == list(range(len(found)))
    if storage == "mcap":
        assert "bag.mcap was not finished" in caplog.text
        assert f"written whole last, {len(found)} messages" in caplog.text
    (tmp_path / "bag" / "metadata.yaml").unlink()
    assert numbers(tmp_path / "bag") == found
    assert "has no metadata.yaml" in caplog.text
    (tmp_path / "bag" / "metadata.yaml").touch()  # as after a power cut
    assert numbers(tmp_path / "bag") == found
    assert "has an empty metadata.yaml" in caplog.text


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_recorder_started_again_keeps_what_a_killed_one_left(
    tmp_path: Path, storage: str
) -> None:
    bag, aside = tmp_path / "bag", [tmp_path / "bag_1", tmp_path / "bag_2"]
    for number in range(2):
        killed = BagWriter(bag, live=True, storage=storage)
        add(killed, number)
        killed._flushed = 0.0
        killed.flush_when_due()
        killed._writer.abort()
    (bag / "notes.txt").write_text("mine")
    with BagWriter(bag, live=True, storage=storage) as writer:
        add(writer, 2.0)
    assert [numbers(place) for place in (*aside, bag)] == [[0.0], [1.0], [2.0]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bag", "bag_1", "bag_2"]
    assert (bag / "notes.txt").exists()


def test_a_users_file_in_an_older_bag_is_kept(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        add(writer, 1.0)
    (tmp_path / "bag" / "notes.txt").write_text("mine")
    (tmp_path / "bag" / "other.mcap").write_text("mine too")
    with BagWriter(tmp_path / "bag", storage="sqlite3") as writer:
        add(writer, 2.0)
    names = {p.name for p in (tmp_path / "bag").iterdir()}
    assert names == {"notes.txt", "other.mcap", "metadata.yaml", "bag.db3"}
    assert numbers(tmp_path / "bag") == [2.0]
    remove_bag(tmp_path / "bag")
    assert {p.name for p in (tmp_path / "bag").iterdir()} == {"notes.txt", "other.mcap"}


FULL = """
import resource, sys
from pathlib import Path
from locdreamer_ros.datasets.bag_writer import BagWriter
from locdreamer_ros.datasets.rosbag2 import message, typestore
from locdreamer_ros.errors import InputError
kind = "std_msgs/msg/String"
writer = BagWriter(Path(sys.argv[1]), live=sys.argv[2] == "live", storage=sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))
try:
    with writer:
        for number in range(100):
            body = message(kind, data="x" * 100_000)
            writer.write("/s", kind, number, typestore().serialize_cdr(body, kind))
            writer._flushed = 0.0
except InputError as reason:
    print(reason)
"""


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("live", [False, True])
def test_a_full_disk_is_one_line(tmp_path: Path, storage: str, live: bool) -> None:
    """A limit on the size of a file stands for it. Of a live bag what was whole is left."""
    with BagWriter(tmp_path / "bag", storage=storage) as writer:
        add(writer, 1.0)
    place = tmp_path / ("new" if live else "bag")
    command = [sys.executable, "-c", FULL, str(place), "live" if live else "", storage]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.startswith(f"{place}: cannot write: ")
    assert done.stdout.count("\n") == 1
    assert numbers(tmp_path / "bag") == [1.0], "the older bag is in its place"
    assert len(list((tmp_path / "bag").iterdir())) == 2
    if live:
        left = list(read_messages(place, "/s", "std_msgs/msg/String"))
        assert 20 <= len(left) <= 30


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"storage": "csv"}, "bag storage: expected one of mcap, sqlite3, got 'csv'"),
        ({"version": 7}, "bag version: expected one of 5, 8, 9, got 7"),
    ],
)
def test_what_cannot_be_written_is_said_before(
    tmp_path: Path, options: dict[str, int], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        BagWriter(tmp_path / "bag", **options)
    assert not list(tmp_path.iterdir())


def test_without_the_library_it_says_what_to_install(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['rosbags.typesys'] = None\n"
        "from locdreamer_ros.cli import main\n"
        f"sys.exit(main(['convert', 'bag', {str(tmp_path / 'bag')!r}, '--output', 'x.csv']))"
    )
    write_bag(tmp_path / "bag", circle_recording(duration=1.0))
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("locdreamer: bags need the package rosbags: pip install")
    assert done.stderr.count("\n") == 1


def test_a_folder_lists_what_it_holds(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        add(writer, 1.0)
    assert open_bag(tmp_path / "bag").described() == "/x (std_msgs/msg/Float64, 1)"
    with pytest.raises(InputError, match=r"it holds /x \(std_msgs/msg/Float64, 1\)"):
        load_recording(tmp_path / "bag")
