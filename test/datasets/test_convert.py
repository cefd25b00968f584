# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`locdreamer convert`, as a user calls it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from bregar_files import tree, write_json

from locdreamer_ros.cli import main
from locdreamer_ros.datasets import load_recording
from locdreamer_ros.datasets.rosbag2 import open_bag

SITE = "id,x,y,z\n1,0,0,2\n2,5,0,2\n"
TABLE = "t_s,gt_x,gt_y,gt_z,r_1,r_2\n0.0,1.0,2.0,1.0,2.5,\n0.1,,,,2.6,4.5\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "x.csv").write_text(TABLE)
    (tmp_path / "x_anchors.csv").write_text(SITE)
    return tmp_path / "x.csv"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_csv_to_bag_and_back_is_the_same_table(
    tmp_path: Path, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag, back, report = tmp_path / "bag", tmp_path / "out" / "y.csv", tmp_path / "r.json"
    arguments = ["csv", table, "--anchors", tmp_path / "x_anchors.csv", "--output", bag]
    assert main(["convert", *map(str, arguments), "--json", str(report)]) == 0
    assert "2 epochs in 0.1 s, 2 anchors, 3 ranges" in capsys.readouterr().out
    assert json.loads(report.read_text()) == {
        "output": str(bag),
        "epochs": 2,
        "anchors": ["1", "2"],
        "duration_s": 0.1,
        "ranges": 3,
        "ground_truth": True,
        "seed": 0,
    }
    through = tmp_path / "link"  # a device, a link: whatever it is called
    through.symlink_to(tmp_path / "s.json")
    assert main(["convert", "bag", str(bag), "--output", str(back), "--json", str(through)]) == 0
    assert json.loads((tmp_path / "s.json").read_text())["ranges"] == 3
    assert back.read_text() == TABLE
    assert load_recording(back).anchors.ids == ("1", "2")
    assert names(tmp_path / "out") == ["y.csv", "y_anchors.csv"]


OLD_RANGE = """
string anchor
builtin_interfaces/Time stamp
float64 range
float64 variance
uint8 status
float32 rx_power
float32 first_path_power
float32 nlos_probability
"""
OLD = {
    "Anchor": "string id\ngeometry_msgs/Point position\nfloat64[9] covariance\n",
    "AnchorArray": "std_msgs/Header header\nAnchor[] anchors\n",
    "AnchorRange": OLD_RANGE,
    "RangeArray": "std_msgs/Header header\nstring tag\nuint32 sequence\nAnchorRange[] ranges\n"
    "bool more\n",
}
"""The messages before sessions, when anchors had a covariance."""


def old_bag(path: Path, epochs: int, *, storage: str) -> None:
    """A bag as the first recorder wrote it, by the library."""
    typesys, rosbag2 = (
        pytest.importorskip("rosbags.typesys"),
        pytest.importorskip("rosbags.rosbag2"),
    )
    store = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
    types: dict[str, object] = {}
    for name, text in OLD.items():
        types |= typesys.get_types_from_msg(text, f"locdreamer_ros/msg/{name}")
    store.register(types)

    def make(name: str, **fields: object) -> object:
        package, _, kind = name.partition("/")
        return store.types[f"{package}/msg/{kind}"](**fields)

    def at(time: int) -> object:
        return make("builtin_interfaces/Time", sec=time, nanosec=0)

    plugin = rosbag2.StoragePlugin[storage]
    with rosbag2.Writer(path, version=9, storage_plugin=plugin) as bag:
        topics = {}
        for topic, name in (("anchors", "AnchorArray"), ("ranges", "RangeArray")):
            kind = f"locdreamer_ros/msg/{name}"
            topics[name] = bag.add_connection(f"/uwb/{topic}", kind, typestore=store)

        def write(name: str, time: int, **fields: object) -> None:
            header = make("std_msgs/Header", stamp=at(time), frame_id="map")
            body = make(f"locdreamer_ros/{name}", header=header, **fields)
            raw = store.serialize_cdr(body, f"locdreamer_ros/msg/{name}")
            bag.write(topics[name], time * 10**9, raw)

        places = [make("geometry_msgs/Point", x=5.0 * i, y=float(i), z=2.0) for i in range(3)]
        write("AnchorArray", 0, anchors=[
            make("locdreamer_ros/Anchor", id=f"a{i}", position=place, covariance=np.zeros(9))
            for i, place in enumerate(places)
        ])  # fmt: skip
        for time in range(epochs):
            heard = {"stamp": at(time), "status": 0, "rx_power": -80.0, "first_path_power": -82.0,
                     "nlos_probability": 0.25, "variance": 0.5}  # fmt: skip
            ranges = [
                make("locdreamer_ros/AnchorRange", anchor=f"a{i}", range=time + i + 0.5, **heard)
                for i in range(3)
            ]
            write("RangeArray", time, tag="t", sequence=time + 1, ranges=ranges, more=False)


def test_a_bag_of_older_messages_becomes_one_of_todays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for storage in ("MCAP", "SQLITE3"):
        old, new = tmp_path / f"old_{storage}", tmp_path / f"new_{storage}"
        old_bag(old, 4, storage=storage)
        assert main(["convert", "bag", str(old), "--output", str(new)]) == 0
        todays = {c.type.rpartition("/")[2]: c.definition for c in open_bag(new).channels}
        assert "uint32 session" in todays["RangeArray"]
        assert "covariance" not in todays["AnchorArray"]
        recording = load_recording(new)
        expected = np.arange(4.0)[:, None] + np.arange(3) + 0.5
        np.testing.assert_array_equal(recording.ranges, expected)
        np.testing.assert_array_equal(recording.variance, np.full((4, 3), 0.5))
        np.testing.assert_array_equal(recording.anchors.positions[:, 0], [0.0, 5.0, 10.0])
    capsys.readouterr()
    (file,) = (tmp_path / "old_SQLITE3").glob("*.db3")
    with closing(sqlite3.connect(file)) as base, base:  # as of Humble: no definitions
        base.execute("DROP TABLE message_definitions")
    assert main(["convert", "bag", str(file), "--output", str(tmp_path / "none")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "another version of its type, of which the bag has no definition" in line
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("own", ["stamps", "nlos", "rx_power", "variance"])
def test_what_is_of_a_range_survives_the_way_to_a_table_and_back(tmp_path: Path, own: str) -> None:
    turn = 1 if own == "stamps" else 4  # ranges of one stamp
    column = "" if own == "stamps" else f",{own}"
    table = f"t_s,anchor,range{column}\n" + "".join(
        f"{0.02 * (i // turn):.2f},{i % 4},{2 + i % 4}{column and f',.{i % 7 + 1}'}\n"
        for i in range(40)
    )
    (tmp_path / "x.csv").write_text(table)
    (tmp_path / "x_anchors.csv").write_text("id,x,y,z\n0,0,0,2\n1,5,0,2\n2,5,5,2\n3,0,5,2\n")
    assert main(["convert", "csv", str(tmp_path / "x.csv"), "--output", str(tmp_path / "bag")]) == 0
    assert main(["convert", "bag", str(tmp_path / "bag"), "--output", str(tmp_path / "y.csv")]) == 0
    first, last = load_recording(tmp_path / "x.csv"), load_recording(tmp_path / "y.csv")
    assert getattr(first, own) is not None
    assert getattr(last, own) is not None
    np.testing.assert_allclose(getattr(first, own), getattr(last, own), rtol=1e-6)


def test_bregar_to_bag_and_to_csv_are_the_same_walk(tmp_path: Path) -> None:
    write_json(tmp_path / "data_set" / "environment1" / "data.json", tree())
    common = ["convert", "bregar", str(tmp_path), "--environment", "1", "--rate", "4"]
    common += ["--seed", "5", "--channel", "ch3", "--output"]
    assert main([*common, str(tmp_path / "bag")]) == 0
    assert main([*common, str(tmp_path / "walk.csv")]) == 0
    bag, csv = load_recording(tmp_path / "bag"), load_recording(tmp_path / "walk.csv")
    for name in ("times", "ranges", "truth"):
        np.testing.assert_array_equal(getattr(bag, name), getattr(csv, name))
    # Points 0.5 m apart, three times, then 1 m, at 1 m/s and 4 Hz: 2 + 2 + 2 + 4 + 1 epochs.
    assert len(bag) == 11
    assert bag.rx_power is not None
    assert bag.nlos is not None
    other = tmp_path / "other.csv"
    assert main([*common[:-3], "--seed", "6", "--channel", "ch3", "--output", str(other)]) == 0
    assert (load_recording(other).ranges != csv.ranges).any()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["csv", "none.csv", "--output", "bag"], "none.csv: no such file"),
        (["csv", "x.dat", "--output", "bag"], "x.dat: expected a range table"),
        (["csv", "x.csv", "--output", "x.csv"], "x.csv: is the source; choose another name"),
        (
            ["csv", "x.csv", "--anchors", "x_anchors.csv", "--output", "x_anchors.csv"],
            "x_anchors.csv: is the source; choose another name",
        ),
        (["csv", "bad.csv", "--output", "bag"], "bad.csv: row 2, column r_1"),
        (["csv", "x.csv", "--output", "x.mcap"], "a rosbag2 is a folder"),
        (["csv", "x.csv", "--output", "x.csv/bag"], "x.csv is not a folder"),
        (["csv", "x.csv", "--output", "taken"], "taken: exists and is no rosbag2"),
        (["csv", "x.csv", "--output", "bag", "--json", "taken"], "taken: expected a file"),
        (["bag", "taken", "--output", "y.csv"], "taken: not a readable rosbag2"),
        (["bag", "x.csv", "--output", "y"], "x.csv: expected a rosbag2 (folder"),
        (["csv", "x.csv", "--output", "y", "--bag-version", "7"], "argument --bag-version"),
        (["bregar", ".", "--output", "y.csv"], "found no data.json and no raw data; say which"),
        (["bregar", ".", "--environment", "7", "--output", "y.csv"], "argument --environment"),
        (
            ["bregar", "environment0", "--output", "y.csv", "--rate", "0"],
            "--rate: expected a number > 0",
        ),
        (["bregar", "environment0", "--output", "y.csv", "--seed", "-1"], "--seed: expected"),
        (["bregar", "environment0", "--output", "y.csv", "--channel", "9"], "unknown channel '9'"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    tmp_path: Path,
    table: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.csv").write_text(TABLE.replace("2.5", "far"))
    (tmp_path / "bad_anchors.csv").write_text(SITE)
    (tmp_path / "x.txt").write_text(TABLE)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.tex").touch()
    write_json(tmp_path / "environment0" / "data.json", tree())
    before = names(tmp_path)
    assert main(["convert", *arguments]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert names(tmp_path) == before


@pytest.mark.parametrize("command", [[], ["bregar"], ["csv"], ["bag"]])
def test_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["convert", *command, "--help"])
    assert stop.value.code == 0
    assert "usage" in capsys.readouterr().out
