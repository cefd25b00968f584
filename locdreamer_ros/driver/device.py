# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the rest of the package knows of one radio: the record its folder in `devices/` holds.

Registry, detection, emulation, presets, fuzzing, energy and the table in the documentation follow
from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from locdreamer_ros.driver.codec import Capabilities, Codec
from locdreamer_ros.driver.firmware import Firmware, Measure


@dataclass(frozen=True)
class Sign:
    """How a device shows in what it says: mode in words, and a pattern that nothing else fits."""

    mode: str
    pattern: re.Pattern[bytes]


@dataclass(frozen=True)
class Radio:
    """What the radio is set to and does for a range, for the energy model.

    rate: data rate on air, a key of `energy.RADIOS`. ranging: a key of `energy.MESSAGES`.
    """

    rate: str = "6.8M"
    ranging: str = "ds"


@dataclass(frozen=True)
class Device:
    """One radio. Ids of anchors are as the device prints them."""

    name: str
    """As in `device:=` and in `locdreamer emulate`."""
    title: str
    """Module and chip in words."""
    capabilities: Capabilities
    codec: Callable[[], Codec]
    firmware: Callable[[Sequence[str], Measure], Firmware]
    """Makes the simulated device from (anchor ids, measure). Raises InputError: impossible id."""
    id_form: str
    """An emulated anchor's id by its `number` from 1 and `index` from 0, "A{index}"."""
    signs: tuple[Sign, ...]
    port: str
    """Pattern of the ports it is found at."""
    about: str
    """What its preset says of it, one sentence."""
    quality: str
    """What it tells of a range besides its length."""
    question: bytes = b""
    """Changes nothing in any device and makes this one show a sign; empty: it speaks by itself."""
    uart: bool = False
    """Whether it hangs on a UART, where the baud rate matters; over USB any will do."""
    radio: Radio = Radio()
    answer_time: float = 0.1
    """s for a schedule that brings no deadline of its own."""
    page: str = ""
    """Its page in docs/devices/; empty: <name>.md."""

    def ids(self, count: int) -> tuple[str, ...]:
        """Ids such as its own anchors have."""
        return tuple(self.id_form.format(number=i + 1, index=i) for i in range(count))
