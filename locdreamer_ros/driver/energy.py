# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a fix costs the tag: energy, time on air and time with the radio on; a model, not measured.

    E = n_good (n_tx E_tx + n_rx E_rx + P_rx t_listen) + n_failed E_tx + P_rx t_waited
    E_idle = P_rx t_between, where the receiver stays on between fixes

Sources: DW1000, datasheet 2.12, tables 25 to 27 (channel 5, PRF 64 MHz, 30-byte frames, 3.3 V
through the DC/DC converter). DW3000, Ai-Thinker's table of its module BU03 (channel 5, 6.8 Mb/s,
3.3 V: 15.06 mA sending, 40.01 mA receiving; at 850 kb/s 17.03 and 39.81 mA).

Where the receiver stays on, its listening is most of the energy, whoever is asked: choosing anchors
then saves air time, and the energy of the ranges, but not that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Frame:
    """One frame of a chip at one data rate: ms on air; mJ to send and to receive it."""

    ms: float
    tx_mj: float
    rx_mj: float


RX_MW = {"DW1000": 389.0, "DW3000": 132.0}
"""Receiver on, looking for a preamble."""
FRAMES = {
    ("DW1000", "6.8M"): Frame(0.173, 0.047, 0.067),  # preamble of 128 symbols
    ("DW1000", "110k"): Frame(3.487, 0.679, 0.978),  # preamble of 1024 symbols
    ("DW3000", "6.8M"): Frame(0.173, 0.173 * 49.7e-3, 0.173 * 132.0e-3),
    ("DW3000", "850k"): Frame(0.470, 0.470 * 56.2e-3, 0.470 * 131.4e-3),
}
"""By chip and data rate. The times on air are the DW1000's; a DW3000's frames are as long."""
RATES = ("6.8M", "850k", "110k")


@dataclass(frozen=True)
class Radio:
    """What a device's radio is set to as delivered, and does for one range.

    sent, received: the tag's frames (parts where one frame serves several anchors). listen_ms: with
    the receiver on in a good range, besides those frames. listens_between: whether the receiver
    stays on when nobody is asked.
    """

    chip: str = "DW1000"
    rate: str = "6.8M"
    sent: float = 2.0
    received: float = 2.0
    listen_ms: float = 0.0
    listens_between: bool = False

    def at(self, rate: str) -> Radio:
        """The same at another data rate; where the chip does not have it, unchanged."""
        return replace(self, rate=rate) if (self.chip, rate) in FRAMES else self


@dataclass(frozen=True)
class Cost:
    """Of one fix. energy, idle: mJ for the ranges, and for listening since the fix before.

    air_time, radio_on: ms with a frame on air, and with sender or receiver on for the ranges.
    """

    energy: float = 0.0
    idle: float = 0.0
    air_time: float = 0.0
    radio_on: float = 0.0


def fix_cost(
    radio: Radio, good: int, failed: int, *, waited_ms: float = 0.0, since_ms: float = 0.0
) -> Cost:
    """Cost at the tag of `good` ranges and `failed` ones.

    waited_ms: how long the receiver waited for silent anchors, all together. since_ms: since the
    fix before. Raises KeyError for a chip or rate without a frame.
    """
    frame, rx_mw = FRAMES[radio.chip, radio.rate], RX_MW[radio.chip]
    one = radio.sent * frame.tx_mj + radio.received * frame.rx_mj + rx_mw * radio.listen_ms * 1e-3
    frames = good * (radio.sent + radio.received) + failed
    radio_on = frames * frame.ms + good * radio.listen_ms + waited_ms
    idle = rx_mw * max(since_ms - radio_on, 0.0) * 1e-3 if radio.listens_between else 0.0
    return Cost(
        energy=good * one + failed * frame.tx_mj + rx_mw * waited_ms * 1e-3,
        idle=idle,
        air_time=frames * frame.ms,
        radio_on=radio_on,
    )
