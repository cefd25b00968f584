# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Feeds the codecs millions of bytes: intact frames, damaged ones and noise, in random pieces.

    python benchmarks/fuzz_codecs.py [--bytes 10000000] [--seed 0]

No codec may raise, and none may accept a *wrong* range: one whose anchor and value no intact frame
in the bytes carried. An intact frame is a whole one by the protocol's grammar, read here by code
that shares nothing with the codecs. None of the protocols has a checksum, so damage can turn a
frame into another intact one; how often such an altered range came through is counted apart.
"""

from __future__ import annotations

import argparse
import re
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from locdreamer_ros.driver.codec import FailEvent, RangeEvent
from locdreamer_ros.driver.devices import CODECS, make_codec

Carried = set[tuple[str, float]]
Rng = np.random.Generator
BLOCK = 16_384
"""Bytes between two checks; the codec is started anew for each block."""


@dataclass
class Tally:
    """What became of the bytes fed to one codec."""

    device: str
    size: int = 0
    accepted: int = 0
    failed: int = 0
    wrong: int = 0
    altered: int = 0
    intact: int = 0


# One exchange or cycle as the device sends it, and what it carries.


def _metres(rng: Rng) -> float:
    return round(float(rng.uniform(0.02, 60.0)), 2)


def _decar(rng: Rng, asked: str) -> tuple[bytes, Carried]:
    stamps = "|".join(str(int(n)) for n in rng.integers(0, 1 << 32, 6))
    metres = _metres(rng)
    line = f"R05|{asked}|{metres:.4f}|{stamps}|-80.1200|-79.9000|0.5000|-0.4800\r\n"
    return line.encode(), {(asked, metres)}


def _pozyx(rng: Rng, asked: str) -> tuple[bytes, Carried]:
    millimetres, stamp = int(rng.integers(20, 60_000)), int(rng.integers(1 << 32))
    replies = [b"\x00", b"\x01", b"\x00", b"\x10", struct.pack("<BIIh", 1, stamp, millimetres, -81)]
    if rng.random() < 0.5:
        replies.insert(0, b"\x43\x11")
    text = b"".join(b"D,%b\r\n" % reply.hex().encode() for reply in replies)
    return text, {(asked, millimetres / 1000.0)}


def _addresses(rng: Rng) -> list[str]:
    return [f"{int(n):04X}" for n in rng.choice(65536, int(rng.integers(1, 5)), replace=False)]


def _tlv(rng: Rng, asked: str) -> tuple[bytes, Carried]:
    ranges = [(anchor, int(rng.integers(20, 60_000))) for anchor in _addresses(rng)]
    frame = b"\x40\x01\x00\x41\x0d" + struct.pack("<iiiB", *rng.integers(-9999, 9999, 3), 90)
    frame += bytes([0x49, 1 + 20 * len(ranges), len(ranges)])
    for anchor, millimetres in ranges:
        frame += struct.pack("<HIBiiiB", int(anchor, 16), millimetres, 100, 5, -7, 9, 100)
    return frame, {(anchor, millimetres / 1000.0) for anchor, millimetres in ranges}


def _shell(rng: Rng, asked: str) -> tuple[bytes, Carried]:
    ranges = [(anchor, _metres(rng)) for anchor in _addresses(rng)]
    if rng.random() < 0.5:
        words = [f"{anchor}[5.00,-8.00,2.25]={metres:.2f}" for anchor, metres in ranges]
        line = " ".join([*words, "le_us=2576 est[2.57,1.98,1.68,100]"])
    else:
        groups = [f",AN{i},{a},5.00,8.00,2.25,{m:.2f}" for i, (a, m) in enumerate(ranges)]
        line = f"DIST,{len(ranges)}" + "".join(groups) + ",POS,2.55,2.01,1.71,98"
    return line.encode() + b"\r\n", set(ranges)


def _trek(rng: Rng, asked: str) -> tuple[bytes, Carried]:
    mask, ranges = int(rng.integers(16)), rng.integers(20, 60_000, 4)
    words = " ".join(f"{int(r):08x}" for r in ranges)
    line = f"mc {mask:02x} {words} {int(rng.integers(65536)):04x} 15 00af89a4 t0:0\r\n"
    return line.encode(), {
        (f"A{i}", int(r) / 1000.0) for i, r in enumerate(ranges) if mask >> i & 1
    }


def _ryuw(rng: Rng, asked: str) -> tuple[bytes, Carried]:
    centimetres = int(rng.integers(2, 6_000))
    payload = ["", "HELLO", "a,b,9 cm"][int(rng.integers(3))]
    line = f"+OK\r\n+ANCHOR_RCV={asked},{len(payload)},{payload},{centimetres} cm,-72\r\n"
    return line.encode(), {(asked, centimetres / 100.0)}


# What intact frames carry, wherever they begin in the bytes. A reply that names no anchor carries
# its range for the one asked.


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


Generate = Callable[[Rng, str], tuple[bytes, Carried]]
Oracle = Callable[[bytes, Iterable[str]], Carried]
DEVICES: dict[str, tuple[Generate, Oracle, tuple[str, ...]]] = {
    "decar": (_decar, _decar_carried, ("1", "2", "7", "12")),
    "pozyx": (_pozyx, _pozyx_carried, ("6E10", "6E11", "A001", "0D0D")),
    "dwm1001": (_tlv, _tlv_carried, ()),
    "dwm1001-shell": (_shell, _shell_carried, ()),
    "trek1000": (_trek, _trek_carried, ()),
    "ryuw122": (_ryuw, _ryuw_carried, ("TAG00001", "T", "TAG00002")),
}
"""How to make a frame, what frames carry, and whom to ask."""


def damage(rng: Rng, frame: bytes, other: bytes) -> bytes:
    """The frame with bytes changed, lost, repeated or inserted, cut, or run into another."""
    at, size = int(rng.integers(len(frame))), int(rng.integers(1, 5))
    kind = int(rng.integers(7))
    if kind == 0:
        return frame[:at] + rng.bytes(size) + frame[at + size :]
    if kind == 1:
        return frame[:at] + frame[at + size :]
    if kind == 2:
        return frame[:at] + frame[at : at + size] + frame[at:]
    if kind == 3:
        return frame[:at] + rng.bytes(size) + frame[at:]
    if kind == 4:
        return frame[:at]
    if kind == 5:
        return frame[:at] + other[int(rng.integers(len(other))) :]
    return frame[:at] + bytes([frame[at] ^ 1 << int(rng.integers(8))]) + frame[at + 1 :]


def fuzz(device: str, size: int, seed: int, progress: Callable[[int], object] = int) -> Tally:
    """Feed a codec at least `size` bytes; `progress` is told of each block's bytes.

    Raises AssertionError where a codec answers for an anchor that was not asked, or twice.
    """
    generate, oracle, anchors = DEVICES[device]
    rng = np.random.default_rng(seed)
    codec = make_codec(device)
    tally = Tally(device)
    other = generate(rng, "1")[0]
    while tally.size < size:
        codec.start()
        block, truth, asked = b"", set[tuple[str, float]](), set[str]()
        accepted: list[RangeEvent] = []
        while len(block) < BLOCK:
            anchor = anchors[int(rng.integers(len(anchors)))] if anchors else ""
            if anchor and rng.random() < 0.9:
                assert codec.request(anchor)
                asked.add(anchor)
            elif anchor:
                codec.cancel()
                anchor = ""
            # Sometimes another anchor answers; a Pozyx does not say which.
            right = anchor and (device == "pozyx" or rng.random() < 0.8)
            speaker = anchor if right else (anchors or ("",))[0]
            piece, carried = generate(rng, speaker)
            kind = rng.random()
            truth |= carried if kind < 0.8 else set()
            if kind < 0.4:
                tally.intact += 1
            elif kind < 0.8:
                piece, other = damage(rng, piece, other), piece
            else:
                piece = rng.bytes(int(rng.integers(1, 200))) + (b"\r\n" if kind < 0.9 else b"")
            block += piece
            answers = 0
            while piece:
                cut = int(rng.integers(1, 90))
                for event in codec.feed(piece[:cut]):
                    if isinstance(event, RangeEvent):
                        accepted.append(event)
                    if isinstance(event, RangeEvent | FailEvent) and anchors:
                        answers += 1
                        assert event.anchor == anchor, f"{device}: {anchor} asked, {event}"
                        assert answers == 1, f"{device}: more than one answer to {anchor}"
                    tally.failed += isinstance(event, FailEvent)
                piece = piece[cut:]
        carried = oracle(block, asked)
        tally.accepted += len(accepted)
        tally.wrong += sum((e.anchor, e.range) not in carried for e in accepted)
        tally.altered += sum((e.anchor, e.range) not in truth for e in accepted)
        tally.size += len(block)
        progress(len(block))
    return tally


def main() -> None:
    """Fuzz every codec with an equal share of the bytes and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bytes", type=int, default=10_000_000, help="for all codecs together")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    begin = time.monotonic()
    share = -(-arguments.bytes // len(CODECS))
    with tqdm(total=share * len(CODECS), unit="B", unit_scale=True) as bar:
        tallies = [fuzz(device, share, arguments.seed, bar.update) for device in CODECS]
    print("device          bytes     intact  accepted  failed  wrong  altered")
    for t in tallies:
        print(
            f"{t.device:13} {t.size:9} {t.intact:8} {t.accepted:9} {t.failed:7} {t.wrong:6} "
            f"{t.altered:8}"
        )
    print(f"seed {arguments.seed}, {time.monotonic() - begin:.0f} s")
    if any(tally.wrong for tally in tallies):
        raise SystemExit("a codec accepted a wrong range")


if __name__ == "__main__":
    main()
