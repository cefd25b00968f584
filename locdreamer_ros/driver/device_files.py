# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files that follow from the device records: presets, and the table in docs/devices/README.md.

python -m locdreamer_ros.driver.device_files        # in the source tree, after a change
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from locdreamer_ros.driver.device import Device
from locdreamer_ros.driver.devices import all_devices
from locdreamer_ros.driver.energy import fix_cost
from locdreamer_ros.files import write_atomically

MARKS = "<!-- {0}: begin -->", "<!-- {0}: end -->"
ENERGY_HEADING = (
    "| `device` | chip, rate | a range: mJ | ms on air | ms radio on | listening between fixes, "
    "mJ in 100 ms | asking 3 of 8 saves air time | and energy, at 10 fixes/s |\n"
    "|---|---|---|---|---|---|---|---|"
)
PERIOD_MS = 100.0
FEW, ALL = 3, 8
HEADING = (
    "| `device` | module | who picks the anchors | anchors, ids | at most | baud | quality |\n"
    "|---|---|---|---|---|---|---|"
)


def preset(device: Device) -> str:
    """The text of config/driver/<device>.yaml."""
    return f"""\
# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# {device.about}
# Written by locdreamer_ros/driver/device_files.py from the device's record.
/**:
  ros__parameters:
    device: {device.name}
    port: "/dev/serial/by-id/{device.port}"
"""


def row(device: Device) -> str:
    """Its row of the table."""
    able = device.capabilities
    page = device.page or f"{device.name}.md"
    most = f"up to {able.max_anchors}"
    who, what = ("**you, per range**", "ranges") if able.schedulable else ("the tag", "fixes")
    return (
        f"| [`{device.name}`]({page}) | {device.title} | {who} | {most}, `{device.ids(1)[0]}` | "
        f"{able.max_rate:g} {what}/s | {able.baud if device.uart else 'USB'} | {device.quality} |"
    )


def energy_row(device: Device) -> str:
    """Its row of the table of costs, by the model of `driver.energy`."""
    radio = device.radio
    one = fix_cost(radio, 1, 0)
    few, every = (fix_cost(radio, n, 0, since_ms=PERIOD_MS) for n in (FEW, ALL))
    idle = fix_cost(radio, 0, 0, since_ms=PERIOD_MS).idle
    whole = every.energy + every.idle
    able = device.capabilities.schedulable
    saved = 1.0 - (few.energy + few.idle) / whole if able else 0.0
    air = f"{100.0 * (1.0 - few.air_time / every.air_time):.0f} %" if able else "none"
    return (
        f"| `{device.name}` | {radio.chip}, {radio.rate} | {one.energy:.2f} | {one.air_time:.2f} | "
        f"{one.radio_on:.2f} | {idle:.1f} | {air} | {_percent(saved)} |"
    )


def _percent(share: float) -> str:
    """As a table says it; a saving that is none, or worse, is none."""
    return f"{100.0 * share:.0f} %" if share >= 0.005 else "none"


def with_table(page: str, name: str, lines: Sequence[str]) -> str:
    """The page with these lines between the two marks of that name."""
    begin, end = (mark.format(name) for mark in MARKS)
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    return "\n".join([before + begin, *lines, end + after])


def files(root: Path) -> dict[Path, str]:
    """Each file below the source tree's root, and what it is to hold."""
    page = root / "docs" / "devices" / "README.md"
    presets = {root / "config" / "driver" / f"{d.name}.yaml": preset(d) for d in all_devices()}
    text = with_table(
        page.read_text(encoding="utf-8"), "devices", [HEADING, *map(row, all_devices())]
    )
    text = with_table(text, "energy", [ENERGY_HEADING, *map(energy_row, all_devices())])
    return {**presets, page: text}


def main() -> None:
    """Write them."""
    for path, text in files(Path(__file__).parents[2]).items():
        with write_atomically(path) as stream:
            stream.write(text)


if __name__ == "__main__":
    main()
