# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes small files in the exact format of Bregar's data set, values invented."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

HEADER = (
    "TAG_ID,ANCHOR_ID,X_TAG,Y_TAG,Z_TAG,X_ANCHOR,Y_ANCHOR,Z_ANCHOR,NLOS,RANGE,FP_INDEX,RSS,RSS_FP,"
    "FP_POINT1,FP_POINT2,FP_POINT3,STDEV_NOISE,CIR_POWER,MAX_NOISE,RXPACC,CHANNEL_NUMBER,"
    "FRAME_LENGTH,PREAMBLE_LENGTH,BITRATE,PRFR,PREAMBLE_CODE,CIR"
)
PATH = [(0.5, 1.2, 1.2), (1.0, 1.2, 1.2), (1.5, 1.2, 1.2), (2.0, 1.2, 1.2), (2.0, 2.2, 1.2)]
PLACES = {
    "A1": (8.47, 11.87, 1.9),
    "A2": (8.41, 7.85, 0.5),
    "A3": (5.95, 7.45, 2.1),
    "A4": (5.45, 6.71, 1.8),
    "A5": (6.95, 0.05, 1.9),
    "A6": (2.24, 0.05, 1.7),
    "A7": (3.06, 8.33, 2.0),
    "A8": (4.47, 11.21, 1.9),
}
CHANNELS = ("ch1", "ch2", "ch3", "ch4", "ch5", "ch7")


def folder(point: Sequence[float]) -> str:
    return "_".join(f"{v:.2f}" for v in point)


def sample(anchor: str, channel: str, point: Sequence[float], **values: Any) -> dict[str, Any]:
    """One measurement with all keys; `values` replaces some."""
    x, y, z = PLACES[anchor]
    fields: dict[str, Any] = {
        "tag_id": 4369, "anchor_id": 8738, "x_tag": point[0], "y_tag": point[1],
        "z_tag": point[2], "x_anchor": x, "y_anchor": y, "z_anchor": z, "nlos": 0, "range": 4.25,
        "fp_index": 747, "rss": -80.1, "rss_fp": -85.0, "fp_point1": 9103, "fp_point2": 10011,
        "fp_point3": 7004, "stdev_noise": 52, "cir_power": 13041, "max_noise": 1120,
        "rxpacc": 1015, "channel_number": int(channel[2:]), "frame_length": 12,
        "preamble_length": 1024, "bitrate": 110, "prfr": 64, "preamble_code": 9,
        "cir": ["(12-3j)", "(-4+0j)", "(7+101j)"],
    }  # fmt: skip
    fields.update(values)
    return fields


Fill = Callable[[int, str, str], list[dict[str, Any]]]


def known(point: int, anchor: str, channel: str) -> list[dict[str, Any]]:
    """Samples whose range says where they come from: point.anchor-channel-number."""
    metres = 1 + point + int(anchor[1:]) / 10 + int(channel[2:]) / 100
    return [
        sample(
            anchor, channel, PATH[point], range=metres + n / 1000, nlos=int(anchor == "A3"),
            rss=-70.0 - point, rss_fp=-75.0 - point,
        )
        for n in range(3)
    ]  # fmt: skip


def tree(
    fill: Fill = known,
    *,
    anchors: Sequence[str] = tuple(PLACES),
    channels: Sequence[str] = CHANNELS,
    path: Sequence[Sequence[float]] = tuple(PATH),
) -> dict[str, Any]:
    """The content of data.json."""
    return {
        "path": [
            dict(zip(("x", "y", "z"), (f"{v:.2f}" for v in point), strict=True), name=folder(point))
            for point in path
        ],
        "anchors": list(anchors),
        "channels": list(channels),
        "measurements": {
            folder(point): {a: {c: fill(p, a, c) for c in channels} for a in anchors}
            for p, point in enumerate(path)
        },
    }


def write_json(path: Path, content: dict[str, Any], **format_: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, **format_))
    return path


def write_big_json(stream: IO[str], *, samples: int, cir: int) -> int:
    """A data.json with so many samples per cell, each with `cir` taps; returns their number."""
    taps = json.dumps([f"({n % 97}-{n % 89}j)" for n in range(cir)])
    body = json.dumps(sample("A1", "ch1", PATH[0])).replace(
        json.dumps(["(12-3j)", "(-4+0j)", "(7+101j)"]), taps
    )
    content = tree(lambda p, a, c: [], channels=("ch1",), anchors=("A1",))
    head, tail = json.dumps(content | {"measurements": "HERE"}).split('"HERE"')
    stream.write(head + "{")
    for number, point in enumerate(PATH):
        stream.write("," * bool(number) + f'"{folder(point)}": {{"A1": {{"ch1": [')
        for n in range(samples):
            stream.write(", " * bool(n) + body)
        stream.write("]}}")
    stream.write("}" + tail)
    return samples * len(PATH)


def write_raw(
    environment: Path,
    fill: Fill,
    *,
    anchors: Sequence[str] = tuple(PLACES),
    channels: Sequence[str] = CHANNELS,
    path: Sequence[Sequence[float]] = tuple(PATH),
    version: str = "v1.1",
) -> Path:
    """The raw tree of one environment; `fill` gives nlos as text where it should be one."""
    environment.mkdir(parents=True)
    lines = ["x,y,z", *(",".join(f"{v}" for v in point) for point in path)]
    (environment / "walking_path.csv").write_text("\n".join(lines) + "\n")
    for p, point in enumerate(path):
        place = environment / "data" / folder(point)
        place.mkdir(parents=True)
        for anchor in anchors:
            for channel in channels:
                rows = [
                    ",".join(str(v) for v in (*list(fields.values())[:-1], *fields["cir"]))
                    for fields in fill(p, anchor, channel)
                ]
                text = "\n".join([version, HEADER, *rows]) + "\n"
                (place / f"{channel}_{anchor}.csv").write_text(text)
    return environment
