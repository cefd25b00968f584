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
from locdreamer_ros.driver.energy import Radio
from locdreamer_ros.driver.firmware import Firmware, Measure
from locdreamer_ros.errors import InputError


@dataclass(frozen=True)
class Sign:
    """How a device shows in what it says: mode in words, and a pattern that nothing else fits."""

    mode: str
    pattern: re.Pattern[bytes]
    times: int = 1
    """How often it is to be found, at least: a stream that lasts is told from a chance."""

    def shows_in(self, data: bytes) -> bool:
        """Whether the data has it often enough."""
        return sum(1 for _ in self.pattern.finditer(data)) >= self.times


def line(text: bytes) -> re.Pattern[bytes]:
    """Pattern of a whole line, however it ends, a prompt before it or none."""
    return re.compile(rb"(?:^|[\r\n]|> ?)" + text + rb"[\r\n]")


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
    label: re.Pattern[str]
    """An anchor's id as people write it; its group 1 is what counts."""
    signs: tuple[Sign, ...]
    radio: Radio
    """For the energy model."""
    port: str
    """Pattern of the ports it is found at."""
    about: str
    """What its preset says of it, one sentence."""
    quality: str
    """What it tells of a range besides its length."""
    printed_form: str = "{}"
    """What the device prints of that group, case aside."""
    question: bytes = b""
    """Changes nothing in any device and makes this one show a sign; empty: it speaks by itself."""
    bauds: tuple[int, ...] = ()
    """Other baud rates that it is found at."""
    uart: bool = False
    """Whether it hangs on a UART, where the baud rate matters; over USB any will do."""
    answer_time: float = 0.1
    """s for a schedule that brings no deadline of its own."""
    page: str = ""
    """Its page in docs/devices/; empty: <name>.md."""

    def printed(self, anchor: str) -> str:
        """The id as the device prints it, from that or from what its label says; "": impossible."""
        found = self.label.fullmatch(anchor.strip())
        return self.printed_form.format(found[1]) if found else ""

    def names(self, anchors: Sequence[str], file: str) -> tuple[str, ...]:
        """The ids of an anchors file as the device prints them; "" for one it cannot have.

        Raises InputError where it can have none of them, or two are the same to it.
        """
        names = tuple(self.printed(anchor) for anchor in anchors)
        if not any(names):
            raise InputError(
                f"{file}: {', '.join(anchors)}: none is an id of a {self.name}, whose ids are as "
                f"{self.ids(1)[0]!r}"
            )
        for row, name in enumerate(names):
            if name and name.upper() in (other.upper() for other in names[:row]):
                raise InputError(
                    f"{file}: {anchors[row]!r}: two anchors are {name!r} to the device"
                )
        return names

    def ids(self, count: int) -> tuple[str, ...]:
        """Ids such as its own anchors have."""
        return tuple(self.id_form.format(number=i + 1, index=i) for i in range(count))
