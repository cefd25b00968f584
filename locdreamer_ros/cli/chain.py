# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a site file to a pose, link by link, without ROS: what `locdreamer doctor SITE.yaml` tries.

The links are those of the nodes: their file, port, module, ranges, and the loop over these.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from locdreamer_ros.cli.init import launch_lines
from locdreamer_ros.config import build, load_parameters, parameters_of
from locdreamer_ros.datasets.range_table import load_anchors
from locdreamer_ros.driver.calibration import load_offsets, offsets_path
from locdreamer_ros.driver.detect import examine, find_ports
from locdreamer_ros.driver.device import Device
from locdreamer_ros.driver.devices import get_device
from locdreamer_ros.driver.ranger import QUIET_S, Ranger
from locdreamer_ros.driver.session import Session
from locdreamer_ros.driver.transport import Transport
from locdreamer_ros.errors import InputError
from locdreamer_ros.evaluation.fit import STRANGE_M
from locdreamer_ros.geometry import slant
from locdreamer_ros.loop import Loop
from locdreamer_ros.methods import Method
from locdreamer_ros.types import Anchors, BoolArray, FloatArray, IntArray, Ranges, Site
from locdreamer_ros.units import check_units, hang, out_of_reach

if TYPE_CHECKING:
    from locdreamer_ros.driver.detect import Port

READY_S = 8.0
"""A board that restarts when its port is opened speaks again after a few seconds."""
ROUNDS, ROUNDS_S = 12, 6.0
"""Every anchor is asked so often, for so long at most."""
FIXES, FIXES_S = 10, 5.0
"""So many fixes are enough, and they are waited for so long."""
PAUSE_S = 0.02
NEEDED = ("device", "port", "anchors_file")
USUAL = {"baud": 0, "answer_time": 0.0, "range_timeout": 0.0, "offsets_file": "", "module_tag": ""}
"""Parameters of `driver_node` that count here, and what they are where a file does not say."""


@dataclass(frozen=True)
class SiteFile:
    """What the nodes would read."""

    path: Path
    device: Device
    driver: Mapping[str, Any]
    anchors_file: Path
    site: Site
    offsets: Mapping[str, float]
    method: Method


@dataclass
class Chain:
    """What was found, link by link; advice: sentences; pose m and what to run, where all hold."""

    facts: dict[str, str] = field(default_factory=dict)
    advice: list[str] = field(default_factory=list)
    pose: list[float] | None = None
    steps: list[str] = field(default_factory=list)


class _Asked:
    """RangeSource over a ranger: a deadline counts from now, as a module needs its time."""

    def __init__(self, ranger: Ranger, answer_time: float) -> None:
        self._ranger, self._answer_time = ranger, answer_time
        self.heard: list[tuple[float, FloatArray]] = []
        """Time s and ranges (A,) m of each answer."""

    @property
    def anchors(self) -> Anchors:
        """All of the site."""
        return self._ranger.anchors

    def measure(self, anchor: IntArray, deadline: float) -> Ranges:
        """Ranges of anchors (N,), whatever `deadline` says."""
        ranges = self._ranger.measure(anchor, time.time() + self._answer_time)
        good, row = ranges.usable(), np.full(len(self.anchors), np.nan)
        row[good.anchor] = good.value
        self.heard.append((time.time(), row))
        return ranges


def try_chain(path: Path) -> Chain:
    """Try the links in their order until one does not hold. Raises InputError: no such file."""
    found = Chain()
    load_parameters(path, "driver_node")
    try:
        here = read_site(path)
        count = f"{len(here.site.anchors)} anchors of {here.anchors_file}"
        found.facts["site"] = f"{here.device.name} at {here.driver['port']}, {count}"
        port = _port(here, found)
        _ranges_and_pose(here, port, found)
    except InputError as reason:
        found.advice.insert(0, str(reason))
    else:
        lines = launch_lines(here.device, path, ros=shutil.which("ros2") is not None)
        found.steps = [line.strip() for line in lines]
    return found


def read_site(path: Path) -> SiteFile:
    """The site file and those that it names. Raises InputError."""
    driver, tracker = (load_parameters(path, f"{node}_node") for node in ("driver", "tracker"))
    for key in NEEDED:
        if not isinstance(driver.get(key), str) or not driver[key]:
            raise InputError(
                f"{path}: driver_node: no {key}; `locdreamer init` writes a file that has it"
            )
    driver = {**USUAL, **driver}
    for key, usual in USUAL.items():
        kind = (int, float) if isinstance(usual, float) else type(usual)
        if not isinstance(driver[key], kind):
            expected = type(usual).__name__
            raise InputError(f"{path}: {key}: expected {expected}, got {driver[key]!r}")
    device, file = get_device(driver["device"]), Path(driver["anchors_file"])
    try:
        anchors = load_anchors(file)
    except InputError as reason:
        raise InputError(f"{reason}. Write the anchors' places there, or survey them") from None
    offsets = Path(driver["offsets_file"] or offsets_path(file))
    known = parameters_of(Method)
    method = build(Method, {k: v for k, v in tracker.items() if k in known}, f"{path}: tracker")
    method.check()
    return SiteFile(
        path,
        device,
        driver,
        file,
        method.site(anchors),
        load_offsets(offsets, anchors) if offsets.exists() else {},
        method,
    )


def _port(here: SiteFile, found: Chain) -> Port:
    """The port at which the site's device answers. Raises InputError."""
    ports = find_ports(here.driver["port"])
    # A module with a binary mode and a shell is in the first at power-on.
    wanted = here.device.name.removesuffix("-shell")
    for port in ports:
        examine(port)
        if port.device is not None and port.device.device == wanted:
            found.facts["port"] = port.path
            found.facts["device"] = f"{port.device.device}, {port.device.mode}"
            found.advice += port.advice
            return port
    others = [port for port in ports if port.device is not None]
    if others and others[0].device is not None:
        name = others[0].device.device
        raise InputError(
            f"A {name} answers at {others[0].path}, not a {here.device.name}: write `device: "
            f"{name}` into {here.path}"
        )
    raise InputError(" ".join(ports[0].advice))


def _ranges_and_pose(here: SiteFile, port: Port, found: Chain) -> None:
    """Range and track as the nodes would. Raises InputError."""
    names = here.device.names(here.site.anchors.ids, str(here.anchors_file))
    codec = here.device.codec()
    baud = here.driver["baud"] or codec.capabilities.baud
    session = Session(Transport(port.path, baud), codec)
    ranger = Ranger(
        here.site.anchors,
        session,
        names=names,
        tag=here.driver["module_tag"],
        range_timeout=here.driver["range_timeout"],
        offsets=here.offsets,
    )
    source = _Asked(ranger, here.driver["answer_time"] or here.device.answer_time)
    try:
        until = time.monotonic() + READY_S
        while not session.ready and time.monotonic() < until:
            ranger.idle(PAUSE_S)
        if not session.ready:
            raise InputError(session.problem or f"{port.path}: the session with it does not begin")
        asked = np.flatnonzero([bool(name) for name in names])
        _ask_all(here, asked, ranger, source, found)
        _track(here, asked, ranger, source, found)
    finally:
        session.close()


def _ask_all(here: SiteFile, asked: IntArray, ranger: Ranger, source: _Asked, found: Chain) -> None:
    """Whether the anchors (rows) answer, and with ranges that can be theirs. Raises InputError."""
    site, begin = here.site, time.monotonic()
    spent, rounds = 0.0, 0
    heard: BoolArray = np.zeros(len(site.anchors), dtype=bool)
    while spent < ROUNDS_S and (rounds < ROUNDS or (not heard.any() and spent < 1.2 * QUIET_S)):
        _round(here, asked, ranger, source)
        heard = np.asarray(np.isfinite([row for _, row in source.heard]).any(axis=0))
        rounds, spent = rounds + 1, time.monotonic() - begin
    ids = np.array(site.anchors.ids)
    silent = ", ".join(ids[~heard])
    found.facts["ranges"] = f"{heard.sum()} of {len(ids)} anchors answer"
    if silent:
        found.facts["ranges"] += f"; silent: {silent}"
    if not heard.any():
        raise InputError(ranger.problem or f"No anchor answers within {spent:.0f} s.")
    if heard.sum() < site.dimensions + 1:
        raise InputError(
            f"A place in {site.dimensions}-D takes {site.dimensions + 1} anchors. Are {silent} on, "
            "in reach, and are the ids theirs?"
        )
    times = np.array([when for when, _ in source.heard])
    ranges = np.array([row for _, row in source.heard])
    check_units(site.anchors, times, ranges, str(here.anchors_file), "the ranges")
    if out_of_reach(site, ranges):
        raise InputError(
            f"tag_height {site.tag_height:g}: {hang(site.anchors)}, and most ranges are shorter "
            "than that is away: set it"
        )


def _round(here: SiteFile, asked: IntArray, ranger: Ranger, source: _Asked) -> int:
    """Ask each of the anchors (rows) once, a budget of them together; in how many parts."""
    parts = np.array_split(asked, max(1, -(-asked.size // here.method.budget)))
    for part in parts:
        source.measure(part, 0.0)
        ranger.idle(PAUSE_S)
    return len(parts)


def _track(here: SiteFile, asked: IntArray, ranger: Ranger, source: _Asked, found: Chain) -> None:
    """Whether the loop comes to a pose, and the ranges fit it. Raises InputError."""
    site, method = here.site, here.method
    scheduler = method.make_scheduler(site)
    loop = Loop(method.make_tracker(site), scheduler, site, budget=method.budget)
    estimate, fixes = None, 0
    begin = time.monotonic()
    try:
        while fixes < FIXES and time.monotonic() - begin < FIXES_S:
            step = loop.step(source, time.time())
            ranger.idle(PAUSE_S)
            if step.estimate is None:
                continue
            estimate, fixes = step.estimate, fixes + 1
    finally:
        loop.close()
    if estimate is None:
        raise InputError(
            "No first fix: the ranges agree on no place. Are ids and places in "
            f"{here.anchors_file} those of the anchors?"
        )
    # Of all anchors, whomever the tracker asks: three ranges fit some place wherever they are.
    parts = _round(here, asked, ranger, source)
    away, _ = slant(site.offsets(estimate.position, np.arange(len(site.anchors))))
    misfits = np.abs([row - away for _, row in source.heard[-parts:]])
    spread = estimate.position_covariance
    off, sigma = float(np.nanmedian(misfits)), float(np.sqrt(np.linalg.eigvalsh(spread)[-1]))
    found.pose = estimate.position.tolist()
    where = ", ".join(f"{value:.2f}" for value in found.pose)
    found.facts["pose"] = f"({where}) m, to {sigma:.2f} m; the ranges fit it to {off:.2f} m"
    if off > STRANGE_M:
        found.pose = None
        raise InputError(
            f"The ranges do not fit the anchors. Are ids and places in {here.anchors_file} theirs, "
            "and the tag's height?"
        )
