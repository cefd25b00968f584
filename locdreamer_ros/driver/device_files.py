# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files that follow from the device records: presets, and the table in docs/devices/README.md.

python -m locdreamer_ros.driver.device_files        # in the source tree, after a change
"""

from __future__ import annotations

from pathlib import Path

from locdreamer_ros.driver.device import Device
from locdreamer_ros.driver.devices import all_devices
from locdreamer_ros.files import write_atomically

BEGIN, END = "<!-- devices: begin -->", "<!-- devices: end -->"
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


def with_table(page: str) -> str:
    """The page with the present table between its two marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    table = "\n".join([HEADING, *map(row, all_devices())])
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def files(root: Path) -> dict[Path, str]:
    """Each file below the source tree's root, and what it is to hold."""
    page = root / "docs" / "devices" / "README.md"
    presets = {root / "config" / "driver" / f"{d.name}.yaml": preset(d) for d in all_devices()}
    return {**presets, page: with_table(page.read_text(encoding="utf-8"))}


def main() -> None:
    """Write them."""
    for path, text in files(Path(__file__).parents[2]).items():
        with write_atomically(path) as stream:
            stream.write(text)


if __name__ == "__main__":
    main()
