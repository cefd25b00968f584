# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`locdreamer doctor`: which UWB modules are plugged in, and what keeps them from working."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from locdreamer_ros.cli.options import add_common, check_output

if TYPE_CHECKING:
    from locdreamer_ros.driver.detect import Port

NOTHING_USABLE = 1
NO_PORTS = """\
No USB serial port is there. Plug the UWB module in; if it is, try another cable (many carry power
only), and see in `dmesg` whether the computer noticed it. Without a module, `locdreamer emulate`
makes a simulated one."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `doctor`."""
    parser = commands.add_parser(
        "doctor",
        help="find UWB modules, try a site from port to pose, and say what is in the way",
        description="Look at every USB serial port and those of a board's own header, recognise "
        "the UWB module behind it and say what to do where something is wrong. It asks devices "
        "only questions that change nothing. With a site file (`locdreamer init`) it tries all "
        "from that file to a pose: anchors, port, module, ranges. "
        f"Exit status {NOTHING_USABLE}: no module that can be used was found, or no pose.",
    )
    parser.add_argument(
        "port",
        nargs="?",
        metavar="PORT",
        help="look at this port only (a path, a pattern, or socket://HOST:PORT and the like), or "
        "try the chain of SITE.yaml",
    )
    add_common(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Look, print, write. Raises InputError."""
    check_output(options.json)
    if options.port is not None and options.port.endswith((".yaml", ".yml")):
        return try_site(Path(options.port), options.json)

    import dataclasses

    from tqdm import tqdm

    from locdreamer_ros.driver.detect import examine, find_ports
    from locdreamer_ros.evaluation.tables import save_json

    ports = find_ports(options.port)
    for port in tqdm(ports, unit="port", leave=False, disable=None):
        examine(port)
    print("\n\n".join(describe(port) for port in ports) or NO_PORTS)
    if options.json is not None:
        save_json(options.json, [dataclasses.asdict(port) for port in ports])
    return 0 if any(port.device for port in ports) else NOTHING_USABLE


def try_site(path: Path, json: Path | None) -> int:
    """Try the chain of a site file, print, write. Raises InputError."""
    import dataclasses

    from locdreamer_ros.cli.chain import try_chain
    from locdreamer_ros.evaluation.tables import save_json

    found = try_chain(path)
    next_steps = ["next:", *(f"  {step}" for step in found.steps)] if found.steps else []
    print("\n".join([str(path), *_shown(found.facts, found.advice), *next_steps]))
    if json is not None:
        save_json(json, dataclasses.asdict(found))
    return 0 if found.pose is not None else NOTHING_USABLE


def _shown(facts: Mapping[str, str], advice: Sequence[str]) -> list[str]:
    """Facts and advice in lines."""
    lines = [f"  {name:<11} {value}" for name, value in facts.items()]
    for sentence in advice:
        lines += textwrap.wrap(
            sentence,
            98,
            initial_indent="  -> ",
            subsequent_indent="     ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return lines


def describe(port: Port) -> str:
    """What is known of the port and what to do, for people."""
    from locdreamer_ros.driver.devices import get_device

    about = ", ".join(text for text in (port.description, port.usb) if text)
    lines = [f"{port.path} ({about})"]
    facts = {}
    device = port.device
    if device is not None:
        chooses = "anchors are asked one by one" if device.schedulable else "chooses by itself"
        facts["device"] = f"{device.device}, {device.mode} ({chooses})"
        facts["baud"] = str(device.baud)
        what = "ranges/s" if device.schedulable else "reports/s"
        now = f"{device.rate:.1f} {what} now, " if device.rate == device.rate else ""
        facts["rate"] = f"{now}at most {device.max_rate:g} {what}"
        if device.reply_ms == device.reply_ms:
            facts["reply"] = f"after {device.reply_ms:.1f} ms"
        usual = get_device(device.device).capabilities.baud
        baud = f"  baud: {device.baud}" if device.baud != usual else ""
        facts["use it"] = f"device: {device.device}  port: {port.stable}{baud}"
    if port.usable:
        facts["permission"] = "ok"
    else:
        facts["port"] = "cannot be opened, see below"
    if port.latency_ms is not None:
        facts["latency"] = f"{port.latency_ms} ms"
    return "\n".join([*lines, *_shown(facts, port.advice)])
