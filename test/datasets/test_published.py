# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Public recordings from files of the exact form, written here from a walk that is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from worlds import circle_recording

from locdreamer_ros.cli import main
from locdreamer_ros.cli.convert import PUBLISHED
from locdreamer_ros.datasets import load_recording, published
from locdreamer_ros.datasets.range_table import save_anchors
from locdreamer_ros.recording import Recording

DURATION_S = 6.0
BASE = datetime(2022, 8, 15, 9, 42, 24, tzinfo=timezone.utc)


@pytest.fixture
def walk() -> Recording:
    """Without errors in the ranges."""
    noisy = circle_recording(duration=DURATION_S)
    assert noisy.truth is not None
    exact = np.linalg.norm(noisy.truth[:, None] - noisy.anchors.positions, axis=2)
    return replace(noisy, ranges=exact)


def turned(yaw: float) -> tuple[float, float, float, float]:
    return (0.0, 0.0, float(np.sin(yaw / 2)), float(np.cos(yaw / 2)))


def inrol(folder: Path, walk: Recording) -> Path:
    """Poses of the IMU, which is turned; the antenna .1 m above it. Anchors' bodies .2 m below."""
    data = folder / "example" / "walk1" / "parsed_dataset"
    data.mkdir(parents=True)
    (folder / "example" / "config").mkdir()
    up = "[[1,0,0,0],[0,1,0,0],[0,0,1,{}],[0,0,0,1]]".format
    (folder / "example" / "config" / "parameter.yaml").write_text(
        f"extrinsics:\n  T_mocap_tag: {up(0.1)}\n  T_mocap_anchor: {up(0.2)}\n"
        f"  T_mocap_cam: {up(0)}\n  T_cam_imu: {up(0)}\n"
    )
    anchors = ["# anchor_id tx ty tz qx qy qz qw"]
    for row, (x, y, z) in enumerate(walk.anchors.positions, start=1):
        anchors.append(f"{row} {x} {y} {z - 0.2} 0 0 0.7071067811865476 0.7071067811865476")
    (data / "anchor.txt").write_text("\n".join(anchors))
    poses, heard = ["# timestamp tx ty tz qx qy qz qw"], ["# index timestamp anchor_id r"]
    assert walk.truth is not None
    for time, ranges, (x, y, z) in zip(walk.times, walk.ranges, walk.truth, strict=True):
        poses.append(f"{time} {x} {y} {z - 0.1} " + " ".join(map(str, turned(time))))
        for row, metres in enumerate(ranges):
            heard.append(f"{len(heard)} {time + row / 1000} {row + 1} {metres:.9f}")
    (data / "imu_pose.txt").write_text("\n".join(poses))
    (data / "uwb.txt").write_text("\n".join(heard))
    return data.parent


def librsf(folder: Path, walk: Recording) -> Path:
    """Ranges in turn, wheels that turn by 1 rad/s on a base of .2 m (half of it in the file)."""
    rows, truth = [], []
    assert walk.truth is not None
    for epoch, (time, (x, y, _)) in enumerate(zip(walk.times, walk.truth, strict=True)):
        row = epoch % 4
        ax, ay, _ = walk.anchors.positions[row]
        metres = float(np.hypot(x - ax, y - ay))
        rows.append(f"range2 {time} {metres} 0.01 {ax} {ay} {105 + row} 0 ")
        rows.append(f"odom2diff {time} 0.4 0.6 0 0.1 0 0 0 ")
        truth.append(f"point2 {time} {x} {y} 0 0 0 0 ")
    (folder / "Indoor_UWB_Input.txt").write_text("\n".join(rows) + "\n")
    (folder / "Indoor_UWB_GT.txt").write_text("\n".join(truth) + "\n")
    return folder


def leiria(folder: Path, walk: Recording) -> Path:
    """On the belt: from its begin to its end at even pace, encoder and ranges of one clock."""
    (folder / "software" / "dataset").mkdir(parents=True)
    (folder / "software" / "movement_test" / "encoder_dataset").mkdir(parents=True)
    corners = walk.anchors.positions
    lines = ["{:.0f}, {:.0f}, {:.0f}".format(*row) for row in 1000 * corners]
    (folder / "software" / "anchor_coordinates").write_text("\n".join(lines))
    begin, end = map(np.array, published.LEIRIA_BELT["slow"])
    pulses, rows = [], []
    for number in range(101):
        time = (BASE + timedelta(seconds=0.1 * number)).strftime("%H:%M:%S.%f")
        pulses.append(time)
        place = begin + number / 100 * (end - begin)
        metres = np.linalg.norm(corners - place, axis=1)
        rows.append(f"{time},{number}," + "".join(f"-97,-80,{1000 * r:.0f},0.00," for r in metres))
    rows[50] = rows[50].replace("-97,-80,", "-97,-80,NaN,0.00,", 1)
    rows[50] = ",".join(rows[50].split(",")[:6] + rows[50].split(",")[8:])
    encoder = folder / "software" / "movement_test" / "encoder_dataset" / "Pos_encoder_slow"
    encoder.write_text("\n".join(pulses))
    source = folder / "software" / "dataset" / "128_move_slow"
    source.write_text("\n".join(rows))
    return source


def hanyang(folder: Path, walk: Recording) -> Path:
    head = "%time,field.stamp,field.id,field.x,field.y,field.z,field.distanceFromTag,field.rssi,"
    start = 1_734_501_485_000_000_000
    for row, (x, y, z) in enumerate(walk.anchors.positions[:4]):
        lines = [head + "field.rssi_fp"]
        for time, ranges in zip(walk.times, walk.ranges, strict=True):
            stamp = start + round(time * 1e9) + row * 1_000_000
            lines.append(f"{stamp + 99},{stamp},{row + 9},{x},{y},{z},{ranges[row]},-79.7,-80.7")
        (folder / f"A{row + 9}.csv").write_text("\n".join(lines))
    lines = ["timestamp,x,y,z,heading_degrees"]
    assert walk.truth is not None
    for time, (x, y, _) in zip(walk.times, walk.truth, strict=True):
        lines.append(f"{start + round(time * 1e9):.15e},{x},{y},0.0,1.5")
    (folder / "trajectory.csv").write_text("\n".join(lines))
    return folder


def lias(folder: Path, walk: Recording) -> Path:
    heard, poses = [], ["time,x,y,z,rotation,,,"]
    assert walk.truth is not None
    for time, ranges, place in zip(walk.times, walk.ranges, walk.truth, strict=True):
        when = (BASE + timedelta(seconds=float(time))).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        cells = [f"{ranges[row // 3]:.4f}" if row % 3 == 0 else "" for row in range(24)]
        heard.append(",".join([when, *cells]))
        yaw = 0.7
        x, y, z = published.LIAS_TAGS[0]
        cos, sin = np.cos(yaw), np.sin(yaw)
        plate = place - [cos * x - sin * y, sin * x + cos * y, z]
        turn = (0.0, np.cos(yaw / 2), np.sin(yaw / 2), 0.0)
        poses.append(",".join([when, *map(str, plate), *map(str, turn)]))
    (folder / "UWB_dynamic_exp_fast.csv").write_text("\n".join(heard))
    (folder / "motion_capture_dynamic_exp_fast.csv").write_text("\n".join(poses))
    save_anchors(folder / "site.csv", walk.anchors)
    return folder / "UWB_dynamic_exp_fast.csv"


WRITERS: dict[str, Callable[[Path, Recording], Path]] = {
    "inrol": inrol, "librsf": librsf, "leiria": leiria, "hanyang": hanyang, "lias": lias,
}  # fmt: skip


def convert(tmp_path: Path, name: str, walk: Recording, *options: str) -> Recording:
    (tmp_path / "in").mkdir()
    source = WRITERS[name](tmp_path / "in", walk)
    command = ["convert", name, str(source), "--output", str(tmp_path / "x.csv"), *options]
    if name == "lias":
        command += ["--anchors", str(source.parent / "site.csv")]
    assert main(command) == 0
    return load_recording(tmp_path / "x.csv")


def test_every_format_has_a_reader_and_a_test() -> None:
    assert set(PUBLISHED) == set(published.READERS) == set(WRITERS)


@pytest.mark.parametrize("name", WRITERS)
def test_ranges_agree_with_truth_and_anchors(
    tmp_path: Path, walk: Recording, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the walk ranges are exact: so they are here, at each range's own stamp."""
    found = convert(tmp_path, name, walk)
    assert found.truth is not None
    truth = found.truth.copy()
    if name in ("librsf", "hanyang"):
        assert np.isnan(truth[:, 2]).all()
        truth[:, 2] = 0.0 if name == "librsf" else walk.truth[0, 2]  # type: ignore[index]
    expected = np.linalg.norm(truth[:, None] - found.anchors.positions, axis=2)
    known = np.isfinite(found.ranges) & np.isfinite(expected)
    assert known.sum() > 0.9 * np.isfinite(found.ranges).sum()
    # The tag goes .5 m/s: over a sweep of .2 s its place is not the epoch's.
    allowed = {"inrol": 0.02, "hanyang": 0.01, "librsf": 0.15}.get(name, 0.002)
    assert np.abs(found.ranges - expected)[known].max() < allowed
    assert found.times[0] == pytest.approx(0.0, abs=0.2)
    assert found.times[-1] > 5.0
    capsys.readouterr()


def test_own_stamps_are_kept_by_a_long_table(
    tmp_path: Path, walk: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    found = convert(tmp_path, "inrol", walk)
    assert (tmp_path / "x.csv").read_text().startswith("t_s,anchor,range,gt_x,gt_y,gt_z\n")
    assert found.stamps is not None
    np.testing.assert_allclose(found.stamps[0], np.arange(8) / 1000, atol=1e-9)
    assert len(found) == len(walk)
    capsys.readouterr()


def test_wheels_turn_the_odometry(
    tmp_path: Path, walk: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    found = convert(tmp_path, "librsf", walk)
    assert found.odometry is not None
    yaw = found.odometry[:, 2]
    np.testing.assert_allclose(yaw, found.times, atol=0.01)
    radius = np.hypot(found.odometry[:, 0], found.odometry[:, 1] - 0.5)
    np.testing.assert_allclose(radius, 0.5, atol=0.06)  # .5 m/s at 1 rad/s
    capsys.readouterr()


def test_thinned_to_a_rate(
    tmp_path: Path, walk: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    found = convert(tmp_path, "lias", walk, "--rate", "2")
    assert np.diff(found.times).min() > 0.49
    assert len(found) == 2 * DURATION_S
    capsys.readouterr()


@pytest.mark.parametrize(
    ("name", "spoil", "words"),
    [
        ("inrol", ("uwb.txt", "0 0.1 9 2.5"), "unknown anchor '9'"),
        ("inrol", ("anchor.txt", "1 2 3"), "anchor.txt: line 1: expected 8 numbers, got 3"),
        ("librsf", ("Indoor_UWB_Input.txt", "odom2diff 1 2"), "line 1: too few numbers"),
        ("librsf", ("Indoor_UWB_Input.txt", "point3 1 2"), "no lines of range2"),
        ("hanyang", ("A9.csv", "%\n1,2,3,x,5,6,7"), "A9.csv: line 2: expected a number, got 'x'"),
        ("leiria", ("128_move_slow", "22:31,1,2"), "line 1: expected 8 ranges"),
        ("lias", ("UWB_dynamic_exp_fast.csv", "now,1"), "line 1: expected a date with a time"),
    ],
)
def test_other_files_are_refused_in_one_line(
    tmp_path: Path,
    walk: Recording,
    capsys: pytest.CaptureFixture[str],
    name: str,
    spoil: tuple[str, str],
    words: str,
) -> None:
    source = WRITERS[name](tmp_path, walk)
    (file,) = tmp_path.rglob(spoil[0])
    file.write_text(spoil[1])
    command = ["convert", name, str(source), "--output", str(tmp_path / "x.csv")]
    if name == "lias":
        command += ["--anchors", str(tmp_path / "site.csv")]
    assert main(command) == 2
    captured = capsys.readouterr().err
    assert words in captured
    assert captured.count("\n") == 1
    assert not (tmp_path / "x.csv").exists()
