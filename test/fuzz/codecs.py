# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Feeds the codecs millions of bytes: intact frames, damaged ones and noise, in random pieces.

    PYTHONPATH=.:test python test/fuzz/codecs.py [--bytes 10000000] [--seed 0] [DEVICE ...]

Frames are those that each device's simulated firmware says. No codec may raise, and none may accept
a *wrong* range: one whose anchor and value no intact frame in the bytes carried. An intact frame is
a whole one by the protocol's grammar, read by `oracles`. Damage can turn a frame into another
intact one where a protocol has no checksum; how often such an altered range came through is counted
apart, and stated in docs/devices/README.md.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from driver.wire import Wire
from fuzz.oracles import ORACLES, Carried
from tqdm import tqdm

from locdreamer_ros.driver.codec import Codec, CycleEvent, FailEvent, RangeEvent
from locdreamer_ros.driver.devices import NAMES, get_device, make_codec

Rng = np.random.Generator
ROUNDED_M = 0.0049
"""To whole ticks of the clock, as a DECAR board does."""
NAMELESS = ("pozyx", "uwb650")
"""Devices whose answers name no anchor."""
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


class Source:
    """Intact exchanges or cycles of a simulated device, and what they carry."""

    def __init__(self, device: str, rng: Rng) -> None:
        record = get_device(device)
        self.asked = record.capabilities.schedulable
        self.ids = record.ids(4)
        self._rng = rng
        self._truth: Carried = set()
        self._wire = Wire(device, self.ids, self._measure)
        self._wire.open()

    def _measure(self, anchor: str) -> float:
        metres = round(float(self._rng.uniform(0.02, 60.0)), 2)
        self._truth.add((anchor, metres))
        return metres

    def exchange(self, anchor: str, codec: Codec | None = None) -> tuple[bytes, Carried]:
        """All the device says in one exchange with the anchor, or in one cycle of its own.

        codec: in what state the host is; none: in that of one which hears the device undamaged.
        """
        self._wire.heard = b""
        earlier, self._truth = self._truth, set()
        if self.asked:
            before = self._wire.codec
            self._wire.codec = before if codec is None else copy.deepcopy(codec)
            self._wire.ask(anchor)
            self._wire.codec = before
        else:
            self._wire.run(2.0, lambda event: isinstance(event, CycleEvent))
        # A cycle may be asked for only after it was measured.
        return self._wire.heard, earlier | self._truth


def _is_true(event: RangeEvent, truth: Carried) -> bool:
    """Whether the range was measured, up to what the device rounds."""
    if (event.anchor, event.range) in truth:
        return True
    same = (metres for anchor, metres in truth if anchor == event.anchor)
    return any(abs(event.range - metres) < ROUNDED_M for metres in same)


def fuzz(device: str, size: int, seed: int, progress: Callable[[int], object] = int) -> Tally:
    """Feed a codec at least `size` bytes; `progress` is told of each block's bytes.

    Raises AssertionError where a codec answers for an anchor that was not asked, or twice.
    """
    rng = np.random.default_rng(seed)
    source = Source(device, rng)
    codec = make_codec(device)
    tally = Tally(device)
    other = source.exchange(source.ids[0])[0]
    while tally.size < size:
        codec.start()
        block, truth, asked = b"", set[tuple[str, float]](), set[str]()
        accepted: list[RangeEvent] = []
        while len(block) < BLOCK:
            anchor = source.ids[int(rng.integers(len(source.ids)))] if source.asked else ""
            # Sometimes another anchor answers; some devices do not say which.
            right = anchor and (device in NAMELESS or rng.random() < 0.8)
            piece, carried = source.exchange(
                anchor if right else source.ids[0], codec if right else None
            )
            if anchor and rng.random() < 0.9:
                assert codec.request(anchor)
                asked.add(anchor)
            elif anchor:
                codec.cancel()
                anchor = ""
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
                    if isinstance(event, RangeEvent | FailEvent) and anchor:
                        answers += 1
                        assert event.anchor == anchor, f"{device}: {anchor} asked, {event}"
                        assert answers == 1, f"{device}: more than one answer to {anchor}"
                    tally.failed += isinstance(event, FailEvent)
                piece = piece[cut:]
        carried = ORACLES[device](block, asked)
        tally.accepted += len(accepted)
        tally.wrong += sum((e.anchor, e.range) not in carried for e in accepted)
        tally.altered += sum(not _is_true(event, truth) for event in accepted)
        tally.size += len(block)
        progress(len(block))
    return tally


def main() -> None:
    """Fuzz the codecs and print what became of the bytes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bytes", type=int, default=10_000_000, help="for each codec")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("devices", nargs="*", default=NAMES, help="which (all)")
    arguments = parser.parse_args()
    begin = time.monotonic()
    devices, size = arguments.devices, arguments.bytes
    with tqdm(total=size * len(devices), unit="B", unit_scale=True) as bar:
        tallies = [fuzz(device, size, arguments.seed, bar.update) for device in devices]
    print("device          bytes     intact  accepted  failed  wrong  altered   share")
    for t in tallies:
        print(
            f"{t.device:13} {t.size:9} {t.intact:8} {t.accepted:9} {t.failed:7} {t.wrong:6} "
            f"{t.altered:8} {100.0 * t.altered / max(t.accepted, 1):5.2f} %"
        )
    print(f"seed {arguments.seed}, {time.monotonic() - begin:.0f} s")
    if any(tally.wrong for tally in tallies):
        raise SystemExit("a codec accepted a wrong range")


if __name__ == "__main__":
    main()
