# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a fix costs the tag: energy and time on air, by a model of its radio, not measured.

    E = sum(n_tx E_tx + n_rx E_rx + P_rx t_listen) + P_idle t_turn + (1 - p) P_rx t_timeout

with the figures of the DW1000 datasheet 2.12, tables 25-27 (channel 5, PRF 64 MHz, 30-byte frames,
3.3 V through the DC/DC converter). Failures dominate: waiting 39 ms for a silent anchor costs as
much as a hundred good ranges.
"""

from __future__ import annotations

from dataclasses import dataclass

RX_POWER_MW = 389.0
"""Receiver on, looking for a preamble."""
IDLE_POWER_MW = 50.0
"""Between the messages of an exchange; the datasheet's 40 to 59 mW."""


@dataclass(frozen=True)
class Radio:
    """One frame at one data rate: time on air, ms; energy to send and to receive it, mJ."""

    frame_ms: float
    tx_mj: float
    rx_mj: float


RADIOS: dict[str, Radio] = {
    "6.8M": Radio(0.173, 0.047, 0.067),  # preamble of 128 symbols
    "110k": Radio(3.487, 0.679, 0.978),  # preamble of 1024 symbols
}
MESSAGES = {"ss": 2, "ds": 4}
"""Messages per range: single-sided and double-sided two-way ranging."""


@dataclass(frozen=True)
class Cost:
    """Energy, mJ, and time on air, ms."""

    energy: float
    air_time: float


def fix_cost(
    ok: int,
    failed: int,
    *,
    radio: str = "6.8M",
    ranging: str = "ss",
    listen_ms: float = 0.0,
    turn_ms: float = 0.0,
    timeout_ms: float = 39.0,
) -> Cost:
    """Cost at the tag of `ok` good ranges and `failed` ones.

    listen_ms, turn_ms: receiver hunting and idling within one good range. timeout_ms: how long the
    receiver waits for a silent anchor, the device's retries included (the DECAR firmware's 39 ms).
    Raises KeyError for a `radio` or `ranging` not in `RADIOS` or `MESSAGES`.
    """
    frame, messages = RADIOS[radio], MESSAGES[ranging]
    good = messages / 2 * (frame.tx_mj + frame.rx_mj)
    good += (RX_POWER_MW * listen_ms + IDLE_POWER_MW * turn_ms) * 1e-3
    bad = frame.tx_mj + RX_POWER_MW * timeout_ms * 1e-3
    return Cost(ok * good + failed * bad, (ok * messages + failed) * frame.frame_ms)
