# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What intact frames in a heap of bytes carry, read by code that shares nothing with the codecs."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable

Carried = set[tuple[str, float]]
"""Anchor and range m."""

# A reply that names no anchor carries its range for every one that was asked.


def _lines(data: bytes) -> Iterable[str]:
    return (line.decode("latin-1") for line in re.split(rb"[\r\n]", data)[:-1])


def _decar_carried(data: bytes, asked: Iterable[str]) -> Carried:
    carried = set()
    for line in _lines(data):
        fields = line[line.rfind("R05") :].split("|")
        if len(fields) == 13 and fields[0] == "R05":
            carried |= {(fields[1], float(fields[2]))} if _is_number(fields[2]) else set()
    return carried


def _pozyx_carried(data: bytes, asked: Iterable[str]) -> Carried:
    values = [
        int.from_bytes(bytes.fromhex(line[-22:])[5:9], "little") / 1000.0
        for line in _lines(data)
        if len(line) >= 24 and line[-24:-20] == "D,01" and re.fullmatch("[0-9a-fA-F]+", line[-22:])
    ]
    return {(anchor, value) for anchor in asked for value in values}


def _tlv_carried(data: bytes, asked: Iterable[str]) -> Carried:
    carried: Carried = set()
    for found in re.finditer(rb"(?=\x40\x01\x00\x41\x0d)", data):
        frame = data[found.start() :]
        n = frame[20] if len(frame) > 20 else 255
        if n > 4 or frame[18] != 0x49 or frame[19] != 1 + 20 * n or len(frame) < 21 + 20 * n:
            continue
        for record in (frame[21 + 20 * i : 41 + 20 * i] for i in range(n)):
            address, millimetres = struct.unpack("<HI", record[:6])
            carried.add((f"{address:04X}", millimetres / 1000.0))
    return carried


def _shell_carried(data: bytes, asked: Iterable[str]) -> Carried:
    carried: Carried = set()
    for line in _lines(data):
        for word in line[max(line.find("[") - 4, 0) :].split():
            head, _, metres = word.partition("]=")
            if _is_number(metres) and len(metres.partition(".")[2]) == 2:
                carried.add((head[:4], float(metres)))
        fields = line[max(line.rfind("DIST,"), 0) :].split(",")
        for i in range(2, len(fields) - 5, 6):
            if fields[i][:2] == "AN" and _is_number(fields[i + 5].strip()):
                carried.add((fields[i + 1], float(fields[i + 5])))
    return carried


def _trek_carried(data: bytes, asked: Iterable[str]) -> Carried:
    carried: Carried = set()
    for line in _lines(data):
        words = line[max(line.rfind("mc "), 0) :].split()
        ids = [i for i, word in enumerate(words) if re.fullmatch(r"[at]\d:\d", word)]
        if ids in ([9], [13]) and words[0] == "mc":
            hexadecimal = [int(w, 16) for w in words[1 : ids[0]] if re.fullmatch("[0-9a-fA-F]+", w)]
            if len(hexadecimal) == ids[0] - 1:
                mask, ranges = hexadecimal[0], hexadecimal[1:-3]
                carried |= {(f"A{i}", r / 1000.0) for i, r in enumerate(ranges) if mask >> i & 1}
    return carried


def _ryuw_carried(data: bytes, asked: Iterable[str]) -> Carried:
    carried: Carried = set()
    for line in _lines(data):
        _, start, rest = line.rpartition("+ANCHOR_RCV=")
        anchor, _, rest = rest.partition(",")
        size, _, rest = rest.partition(",")
        if start and size.strip(" ").isdecimal() and rest[int(size) : int(size) + 1] == ",":
            distance, unit, _ = rest[int(size) + 1 :].partition("cm")
            if unit and distance.strip(" ").isdecimal():
                carried.add((anchor, int(distance) / 100.0))
    return carried


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+\.\d+", text, re.ASCII) is not None


Oracle = Callable[[bytes, Iterable[str]], Carried]
ORACLES: dict[str, Oracle] = {
    "decar": _decar_carried,
    "pozyx": _pozyx_carried,
    "dwm1001": _tlv_carried,
    "dwm1001-shell": _shell_carried,
    "trek1000": _trek_carried,
    "ryuw122": _ryuw_carried,
}
