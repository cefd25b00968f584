# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`locdreamer init`: five questions, and the files and lines with which a site begins."""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from locdreamer_ros.cli.demo import DEVICE_SHARE, PACE_HZ
from locdreamer_ros.cli.options import add_common, check_output
from locdreamer_ros.driver.devices import NAMES, get_device
from locdreamer_ros.driver.links import BY_ID, check_url, is_url
from locdreamer_ros.errors import InputError
from locdreamer_ros.files import check_folder

if TYPE_CHECKING:
    from locdreamer_ros.driver.device import Device

Answer = TypeVar("Answer")
MOST_ANCHORS = 200
IDS_ONLY = "survey_ids.csv"
BUDGET = 3
SITE = """\
# Parameters of the nodes at this site, written by `locdreamer init`; what is not here is in
# config/driver.yaml and config/tracker.yaml. Edit it as you like.
/**/driver_node:
  ros__parameters:
    device: {device}
    port: "{port}"
    anchors_file: {anchors}

/**/tracker_node:
  ros__parameters:
    dimensions: "{dimensions}"
{height}    # Fixes per second: at most what the module can do with {budget} ranges for each.
    rate: {rate}
    budget: {budget}
"""


@dataclass(frozen=True)
class Answers:
    """What the five questions found."""

    device: Device
    port: str
    anchors: Path | int
    tag_height: float | None
    ros: bool


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `init`."""
    parser = commands.add_parser(
        "init",
        help="five questions; writes site.yaml and an anchors file, and says what to run",
        description="Ask for module, port, anchors, the tag's height and ROS, as far as options do "
        "not say it; write DIR/site.yaml and, where there is no anchors file yet, DIR/anchors.csv "
        "to fill in; print what to run next. Nothing that is there is written over.",
    )
    parser.add_argument(
        "--output", type=Path, default=Path(), metavar="DIR", help="where to write (here)"
    )
    parser.add_argument("--device", metavar="D", help=f"module: {', '.join(NAMES)}")
    parser.add_argument("--port", metavar="PORT", help="serial port, pattern or URL")
    parser.add_argument("--anchors", metavar="WHAT", help="an anchors file, or how many there are")
    parser.add_argument(
        "--tag-height", metavar="Z", help="the tag's height in m, or `free` where it changes"
    )
    parser.add_argument("--ros", choices=("yes", "no"), help="whether `ros2 launch` is there")
    add_common(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Ask, write, print. Raises InputError."""
    check_folder(options.output)
    check_output(options.json)
    site, table = options.output / "site.yaml", options.output / "anchors.csv"
    if site.exists():
        raise InputError(f"{site}: is there already; choose another --output or move it away")
    answers = ask(options)
    survey = isinstance(answers.anchors, int)
    if survey and table.exists():
        raise InputError(f"{table}: is there already; name it with --anchors, or move it away")

    from locdreamer_ros.evaluation.tables import save_json
    from locdreamer_ros.files import write_atomically

    anchors = table if isinstance(answers.anchors, int) else answers.anchors
    if isinstance(answers.anchors, int):
        with write_atomically(table) as stream:
            stream.write("id,x,y,z\n")
            stream.writelines(f"{i},,,\n" for i in answers.device.ids(answers.anchors))
        # The driver wants places; for a survey any will do.
        with write_atomically(options.output / IDS_ONLY) as stream:
            stream.write("id,x,y,z\n")
            stream.writelines(f"{i},0,0,0\n" for i in answers.device.ids(answers.anchors))
    with write_atomically(site) as stream:
        stream.write(site_text(answers, anchors.resolve()))
    lines = next_steps(answers, site, anchors)
    if options.json is not None:
        result = {
            "site": str(site),
            "anchors": str(anchors),
            "device": answers.device.name,
            "next": lines,
        }
        save_json(options.json, result)
    print(f"written: {site}" + (f", {table}" if survey else ""))
    print("\n".join(lines))


def ask(options: argparse.Namespace) -> Answers:
    """The answers, from options or from whoever sits there. Raises InputError."""
    if options.device is None:
        print("modules:", *(f"  {name:<14}{get_device(name).title}" for name in NAMES), sep="\n")
    device = _answer(
        options.device,
        "1. Which module? `locdreamer doctor` recognises it",
        "",
        lambda text: get_device(text.strip().lower()),
    )
    usual = str(BY_ID / device.port)
    port = _answer(options.port, "2. Port, pattern or URL of it", usual, _port)
    anchors = _answer(
        options.anchors,
        "3. Anchors file (id,x,y,z), or how many anchors there are",
        "4",
        lambda text: _anchors(text, device),
    )
    height = _answer(
        options.tag_height,
        "4. Height of the tag in m, in the anchors' z; `free` where it moves up and down",
        "free",
        _height,
    )
    usual = "yes" if shutil.which("ros2") else "no"
    ros = _answer(options.ros, "5. Is a ROS 2 distribution with `ros2 launch` there?", usual, _yes)
    return Answers(device, port, anchors, height, ros)


def _answer(given: str | None, question: str, usual: str, read: Callable[[str], Answer]) -> Answer:
    """The option if given, else what is typed; empty: the usual. Raises InputError."""
    if given is not None:
        return read(given)
    while True:
        try:
            typed = input(f"{question}{f' [{usual}]' if usual else ''}: ").strip()
        except EOFError:
            raise InputError("init: nobody answers; give all options (see --help)") from None
        try:
            return read(typed or usual)
        except InputError as reason:
            print(reason)


def _port(text: str) -> str:
    text = text.strip()
    path = "/" in text or Path(text).exists()
    if not text or not path or any(c in text for c in "\"'\\\n"):
        raise InputError(
            "port: expected a path as /dev/ttyUSB0, a pattern, or a URL as "
            f"socket://192.168.4.1:3333, got {text!r}"
        )
    if is_url(text):
        try:
            check_url(text)
        except ValueError as reason:
            raise InputError(f"port: {reason}, got {text!r}") from None
    return text


def _anchors(text: str, device: Device) -> Path | int:
    if text.isdigit():
        most = sum(bool(device.printed(anchor)) for anchor in device.ids(MOST_ANCHORS))
        if not 3 <= int(text) <= most:
            raise InputError(
                f"anchors: expected 3 to {most} of them with a {device.name}, got {text}"
            )
        return int(text)
    from locdreamer_ros.datasets.range_table import load_anchors
    from locdreamer_ros.units import check_site

    site = load_anchors(Path(text))
    check_site(site, text)
    ids = site.ids
    for anchor, name in zip(ids, device.names(ids, text), strict=True):
        if not name:
            print(
                f"{text}: {anchor!r} is no id of a {device.name}, whose ids are as "
                f"{device.ids(1)[0]!r}: it will not be asked"
            )
    return Path(text)


def _height(text: str) -> float | None:
    if text == "free":
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 100.0:
        raise InputError(f"tag height: expected metres from 0 to 100, or `free`, got {text!r}")
    return value


def _yes(text: str) -> bool:
    if text.lower() not in ("yes", "y", "no", "n"):
        raise InputError(f"expected yes or no, got {text!r}")
    return text.lower().startswith("y")


def rate_of(device: Device, ranges: int) -> float:
    """Fixes of so many ranges per second that the module can do, with some to spare."""
    able = device.capabilities
    most = able.max_rate / ranges if able.schedulable else able.max_rate
    return float(min(PACE_HZ, max(0.1, round(DEVICE_SHARE * most, 2))))


def site_text(answers: Answers, anchors: Path) -> str:
    """The parameter file."""
    known = answers.tag_height is not None
    return SITE.format(
        device=answers.device.name,
        port=answers.port,
        anchors=json.dumps(str(anchors)),  # quoted as YAML has it too
        dimensions="2" if known else "auto",
        height=f"    tag_height: {answers.tag_height}\n" if known else "",
        rate=rate_of(answers.device, BUDGET),
        budget=BUDGET,
    )


def next_steps(answers: Answers, site: Path, anchors: Path) -> list[str]:
    """What to do, in lines."""
    runs = "ros2 run locdreamer_ros " if answers.ros else ""
    table, ids = (shlex.quote(str(p)) for p in (anchors, site.with_name(IDS_ONLY)))
    lines = ["next:"]
    if isinstance(answers.anchors, int):
        rate = rate_of(answers.device, answers.anchors)
        file = shlex.quote(str(site))
        lines += [
            f"  locdreamer doctor '{answers.port}'",
            f"write the anchors' ids, as the module prints them, and places into {table}.",
            "Or let them be surveyed: give three places that are not on one line, the ids in",
            f"{ids} as well, walk around for two minutes, and end the node:",
            f"  {runs}driver_node --ros-args --params-file {file} "
            f"-p anchors_file:={ids} -p survey:=walk.csv -p free_rate:={rate}",
            f"  locdreamer survey walk.csv --anchors {table} --output surveyed.csv",
            "then try it all and track, with surveyed.csv as anchors_file in the site file:",
        ]
    lines.append(f"  locdreamer doctor {shlex.quote(str(site))}")
    return lines + launch_lines(answers.device, site, ros=answers.ros)


def launch_lines(device: Device, site: Path, *, ros: bool) -> list[str]:
    """What starts the nodes of a site file; ros: a distribution is there."""
    file = shlex.quote(str(site))
    if ros:
        launch = f"ros2 launch locdreamer_ros robot.launch.py device:={device.name}"
        return [f"  {launch} params_file:={file}"]
    return [
        f"  driver_node --ros-args --params-file {file} &",
        f"  tracker_node --ros-args --params-file {file}",
    ]
