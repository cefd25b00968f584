# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`locdreamer emulate`: a simulated UWB module on a pseudo-terminal, for those without one."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

from locdreamer_ros.cli.options import PLACES, add_common, check_output, check_seed
from locdreamer_ros.driver.devices import NAMES
from locdreamer_ros.driver.faults import FAULTS
from locdreamer_ros.errors import InputError

DEAD_OPTION = "dead="


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `emulate`."""
    parser = commands.add_parser(
        "emulate",
        help="make a simulated UWB module on a pseudo-terminal",
        description="Open a pseudo-terminal that speaks a module's real protocol with its real "
        "timing, measuring ranges on a walk through a simulated place. Prints the terminal's path "
        "and goes on until interrupted.",
    )
    parser.add_argument("device", metavar="DEVICE", help=", ".join(NAMES))
    parser.add_argument("--environment", default="house", metavar="E", help=f"{PLACES} (house)")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="F",
        help=f"{', '.join(FAULTS)}, or dead=ID,ID for anchors that never answer; "
        "may be given several times",
    )
    parser.add_argument("--link", type=Path, metavar="PATH", help="name that points to it")
    parser.add_argument(
        "--anchors", type=Path, metavar="FILE", help="write the place's anchors (id,x,y,z)"
    )
    add_common(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Emulate until interrupted. Raises InputError."""
    check_seed(options.seed)
    check_output(options.json)
    check_output(options.anchors)
    dead = [fault for fault in options.fault if fault.startswith(DEAD_OPTION)]
    if any(fault == DEAD_OPTION for fault in dead):
        raise InputError("--fault: expected dead=ID,ID with the ids of anchors")

    from locdreamer_ros.datasets.range_table import save_anchors
    from locdreamer_ros.driver.emulator import emulate
    from locdreamer_ros.evaluation.tables import save_json

    # Before the thread starts: these signals are to end `sigwait` below and nothing else.
    signals = {signal.SIGINT, signal.SIGTERM}
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under `nohup`
        signals.add(signal.SIGHUP)
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    emulator, tag = emulate(
        options.device,
        environment=options.environment,
        seed=options.seed,
        faults=[fault for fault in options.fault if fault not in dead],
        dead=[anchor for fault in dead for anchor in fault[len(DEAD_OPTION) :].split(",")],
        link=options.link,
    )
    try:
        port = str(options.link or emulator.path)
        ids = list(tag.anchors.ids)
        if options.anchors is not None:
            save_anchors(options.anchors, tag.anchors)
        if options.json is not None:
            save_json(options.json, {"device": options.device, "port": port, "anchors": ids})
        sentence = f"{options.device} on {port}; anchors {', '.join(ids)}; end it with Ctrl-C"
        if options.anchors is not None:
            sentence += (
                f"\ndriver_node: -p device:={options.device} -p port:={port} "
                f"-p anchors_file:={options.anchors.resolve()}"
            )
        print(sentence, flush=True)
        signal.sigwait(signals)
    finally:
        emulator.close()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
