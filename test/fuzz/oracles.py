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


def _uwb650_carried(data: bytes, asked: Iterable[str]) -> Carried:
    values = [
        float(word) for word in re.findall(rb"\+RANGING=\((\d+\.?\d*)\),\(-?[\d.]+\)[\r\n]", data)
    ]
    return {(anchor, value) for anchor in asked for value in values}


def _mauwb_carried(data: bytes, asked: Iterable[str]) -> Carried:
    carried: Carried = set()
    for line in _lines(data):
        said = dict(re.findall(r"(range|ancid):\(([^)]*)\)", line[max(line.rfind("AT+"), 0) :]))
        ids = said.get("ancid", "").split(",")
        for place, number in enumerate(said.get("range", "").split(",")):
            if re.fullmatch(r"\d+", number, re.ASCII):
                anchor = ids[place] if len(ids) == 8 else str(place)
                carried.add((anchor, int(number) / 100.0))
    return carried


def _bu0x_carried(data: bytes, asked: Iterable[str]) -> Carried:
    carried: Carried = set()
    for head, first in ((b"CmdM:4", 17), (b"\xaa\x25\x01", 3)):
        for found in re.finditer(b"(?=%b)" % re.escape(head), data):
            places = data[found.start() + first : found.start() + first + 32]
            if len(places) == 32:
                carried |= {
                    (str(i), mm / 1000.0) for i, mm in enumerate(struct.unpack("<8i", places))
                }
    return carried


def _linktrack_carried(data: bytes, asked: Iterable[str]) -> Carried:
    carried: Carried = set()
    for begin in (i for i, byte in enumerate(data) if byte == 0x55):
        kind = data[begin + 1 : begin + 2]
        size = 128 if kind == b"\x01" else int.from_bytes(data[begin + 2 : begin + 4], "little")
        frame = data[begin : begin + size]
        if kind not in (b"\x01", b"\x04") or len(frame) != size or size < 120:
            continue
        if sum(frame[:-1]) & 255 != frame[-1]:
            continue
        if kind == b"\x01":
            places = [(str(i), frame[22 + 3 * i : 25 + 3 * i]) for i in range(8)]
        else:
            nodes = range(119, size - 13, 13)
            places = [(str(frame[n + 1]), frame[n + 2 : n + 5]) for n in nodes]
            places += [(str(frame[5]), frame[n + 2 : n + 5]) for n in nodes]
        carried |= {(a, int.from_bytes(mm, "little", signed=True) / 1000.0) for a, mm in places}
    return carried


def _fira_carried(data: bytes, asked: Iterable[str]) -> Carried:
    form = rb'mac_address=0x([0-9a-fA-F]{4}), status="SUCCESS", distance\[cm\]=(\d+)[,\]]'
    return {(a.decode().upper(), int(cm) / 100.0) for a, cm in re.findall(form, data)}


def _sketch_carried(data: bytes, asked: Iterable[str]) -> Carried:
    carried: Carried = set()
    for line in _lines(data):
        words = line[max(line.rfind("RANGE "), 0) :].split(" ")
        if (
            len(words) >= 5
            and words[0] == "RANGE"
            and re.fullmatch(r"\d+(\.\d+)?", words[2], re.ASCII)
        ):
            carried.add((words[1], float(words[2])))
    return carried


def _stream_carried(data: bytes, asked: Iterable[str]) -> Carried:
    links = re.findall(rb'\{"A":"([0-9A-Fa-f]+)","R":"(\d+\.\d+)"\}', data)
    links += re.findall(rb"from: ([0-9A-Fa-f]+)\t Range: (\d+\.\d\d) m", data)
    return {(anchor.decode().upper(), float(metres)) for anchor, metres in links}


Oracle = Callable[[bytes, Iterable[str]], Carried]
ORACLES: dict[str, Oracle] = {
    "decar": _decar_carried,
    "pozyx": _pozyx_carried,
    "dwm1001": _tlv_carried,
    "dwm1001-shell": _shell_carried,
    "trek1000": _trek_carried,
    "ryuw122": _ryuw_carried,
    "uwb650": _uwb650_carried,
    "mauwb": _mauwb_carried,
    "bu0x": _bu0x_carried,
    "linktrack": _linktrack_carried,
    "dwm3001cdk": _fira_carried,
    "sketch": _sketch_carried,
    "sketch-stream": _stream_carried,
}
