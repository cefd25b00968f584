# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`locdreamer demo`: the main job, through the ROS 2 graph or offline.

Both ways end in the same tracks and reports, which are shown and written by the same lines.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from locdreamer_ros.cli.method import add_method, add_site, read_method
from locdreamer_ros.cli.options import (
    add_common,
    add_view,
    check_output,
    check_seed,
    check_view_option,
    positive,
    refuse_inputs,
)
from locdreamer_ros.cli.simulate import add_environment
from locdreamer_ros.driver.devices import NAMES
from locdreamer_ros.errors import InputError
from locdreamer_ros.files import anchors_of, check_folder
from locdreamer_ros.methods import LISTENS, Method

if TYPE_CHECKING:
    from locdreamer_ros.evaluation.metrics import Track
    from locdreamer_ros.recording import Recording
    from locdreamer_ros.types import Anchors, FloatArray

SOURCES = ("simulator", "replay", "serial")
FILES_WRITTEN = ("metrics.json", "report.html", "track.png")
BASELINE, BASELINE_PRESET = "ekf", "paper"
PACE_HZ = 10.0
DURATION_S = {"serial": 30.0}
"""Of a source in real time; 120 s of the others."""
NEXT = """next:
  {report} in a browser: the run, with a time slider
  locdreamer plan house --anchors 4 --plot plan.png    # where to hang anchors
  locdreamer demo --source serial                      # an emulated module and the driver
  locdreamer init                                      # modules of your own: five questions"""
"""What to try next."""
DEVICE_SHARE = 0.8
"""Part of a device's own rate that is asked for: an answer is wanted before the next schedule."""


@dataclass(frozen=True)
class Outcome:
    """What a run leaves to show: tracks, the tracker's first, then the baseline's; metrics.json.

    recording: what to judge the tracks by, where there is something.
    """

    anchors: Anchors
    tracks: Sequence[Track]
    metrics: dict[str, Any]
    recording: Recording | None

    @property
    def reports(self) -> list[dict[str, Any]]:
        """One per track."""
        return [self.metrics, self.metrics["baseline"]]


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `demo`."""
    parser = commands.add_parser(
        "demo",
        help="the main job: track in closed loop, with a baseline beside it",
        description="Track a tag in closed loop, the paper's EKF beside it on the same ranges. "
        "Starts the ROS 2 nodes in processes of their own, or with --offline does the same without "
        "ROS. With --source serial an emulated UWB module and the driver stand for the simulator, "
        "in real time. Writes DIR/metrics.json, DIR/report.html, DIR/track.png and "
        "DIR/bag/.",
    )
    parser.add_argument(
        "--output", type=Path, default=Path("demo_output"), metavar="DIR", help="(demo_output)"
    )
    parser.add_argument(
        "--source", choices=SOURCES, default="simulator", help="where ranges come from (simulator)"
    )
    parser.add_argument("--recording", type=Path, metavar="FILE", help="replay: the recording")
    parser.add_argument("--anchors", type=Path, metavar="FILE", help="replay: its anchors")
    parser.add_argument(
        "--device",
        metavar="D",
        help=f"serial: what to emulate: {', '.join(NAMES)} (decar)",
    )
    add_environment(parser)
    parser.add_argument(
        "--duration", type=positive, metavar="S", help="length of the walk, s (120; serial: 30)"
    )
    add_method(parser)
    add_site(parser)
    parser.add_argument("--offline", action="store_true", help="without ROS")
    add_view(parser)
    add_common(parser)
    # Without --rate, a module is asked no faster than it can answer.
    parser.set_defaults(run=run, rate=None, environment=None)


def run(options: argparse.Namespace) -> None:
    """Run, print, write. Raises InputError."""
    view = check_options(options)
    method = read_method(options)
    recording = load(options) if options.source == "replay" else None
    if recording is not None and not options.offline:  # before any node starts
        method = replayed(options, method, recording)
    walls, method = place(options, method)
    options.duration = options.duration or DURATION_S.get(options.source, 120.0)
    usual = pace(options, method)
    options.rate = options.rate or usual
    outcome = (run_offline_job if options.offline else run_graph_job)(options, method, recording)
    height = method.site(outcome.anchors).tag_height
    tracks = named_tracks(outcome)
    notes = notes_on(outcome, method)
    write(options, outcome, tracks, height, walls, notes)
    show(options, outcome, notes)
    if options.view is not None and (options.offline or view is not None):
        from locdreamer_ros.report.live import show_tracks

        show_tracks(outcome.anchors, tracks, height=height, walls=walls, file=view)


def check_options(options: argparse.Namespace) -> Path | None:
    """Refuse what does not fit together, fill in what follows; the file of `--view`, if any.

    Raises InputError.
    """
    check_seed(options.seed)
    check_folder(options.output)
    check_output(options.json)
    view = check_view_option(options.view)
    if options.recording is not None:
        made = [options.output / name for name in (*FILES_WRITTEN, "bag")]
        anchors = anchors_of(options.recording, options.anchors)
        for outputs in (made, [options.json]):
            refuse_inputs(outputs, options.recording, anchors, options.params)
    if options.source == "serial" and options.offline:
        raise InputError("--source serial runs the driver in the ROS 2 graph: leave out --offline")
    if options.measurement == "tdoa" and options.source == "serial":
        raise InputError("--measurement tdoa: a module is asked for ranges; see docs/tdoa.md")
    if options.device is not None and options.source != "serial":
        raise InputError("--device: only --source serial emulates a module")
    options.device = options.device or "decar"
    if (options.source == "replay") != (options.recording is not None):
        raise InputError("--source replay and --recording FILE need each other")
    if options.source == "replay" and (options.duration or options.rate or options.environment):
        raise InputError(
            "--duration, --rate, --environment: --source replay has those of its recording"
        )
    if options.source != "replay" and options.anchors is not None:
        raise InputError(
            "--anchors: only --source replay reads them; a simulated place has its own"
        )
    options.environment = options.environment or "house"
    return view


def notes_on(outcome: Outcome, method: Method) -> list[str]:
    """What does not fit in the run, as `track` says it."""
    if outcome.recording is None or not outcome.tracks:
        return []
    from locdreamer_ros.evaluation.fit import doubts
    from locdreamer_ros.evaluation.run import site_of

    height = site_of(outcome.recording, method).tag_height
    return doubts(outcome.recording, outcome.tracks[0], height)


def named_tracks(outcome: Outcome) -> dict[str, Track]:
    """The tracks by what answered."""
    from locdreamer_ros.evaluation.run import answered_by

    tracks: dict[str, Track] = {}
    for row, track in zip(outcome.reports, outcome.tracks, strict=True):
        name = answered_by(row)
        tracks[f"{name}, baseline" if name in tracks else name] = track
    return tracks


def title_of(options: argparse.Namespace, outcome: Outcome) -> str:
    """What stands above the picture and the page."""
    report, count = outcome.reports[0], len(outcome.anchors)
    what = {
        "simulator": f"Simulated {options.environment}",
        "serial": f"Emulated {options.device} in a simulated {options.environment}",
    }.get(options.source) or options.recording.stem
    if report["scheduler"] == LISTENS:
        return f"{what}: time differences of {count} anchors"
    asked = f"{report['budget']} of {count} anchors per fix"
    return f"{what}: {asked}, chosen by {report['scheduler']}"


def write(
    options: argparse.Namespace,
    outcome: Outcome,
    tracks: Mapping[str, Track],
    height: float,
    walls: FloatArray | None,
    notes: Sequence[str],
) -> None:
    """The files of `FILES_WRITTEN`; height m of the tag."""
    from locdreamer_ros.evaluation.plots import plot_track
    from locdreamer_ros.evaluation.tables import save_json
    from locdreamer_ros.report.page import write_report

    metrics, title = outcome.metrics, title_of(options, outcome)
    for path in (options.output / "metrics.json", options.json):
        if path is not None:
            save_json(path, metrics)
    plot_track(options.output / "track.png", outcome.anchors, tracks, title=title, walls=walls)
    write_report(
        options.output / "report.html",
        outcome.anchors,
        tracks,
        outcome.reports,
        title=title,
        walls=walls,
        height=height,
        about=radio_costs(options.device, metrics) if options.source == "serial" else None,
        notes=notes,
    )


def show(options: argparse.Namespace, outcome: Outcome, notes: Sequence[str]) -> None:
    """The table, what else answered, the accounts, and where the files are."""
    from locdreamer_ros.cli.show import show_remarks, show_reports

    show_reports(outcome.reports)
    show_remarks(outcome.reports, outcome.tracks, notes)
    if accounts := outcome.metrics["accounts"]:
        print(", ".join(f"{name} {value}" for name, value in accounts.items()))
    print("written:", ", ".join(str(options.output / n) for n in FILES_WRITTEN))
    print("recorded:", options.output / "bag")
    if options.source == "simulator":
        print(NEXT.format(report=options.output / "report.html"))


def replayed(options: argparse.Namespace, method: Method, recording: Recording) -> Method:
    """The method with what the recording says and nodes do not see: dimensions, the tag's height.

    Sets `options.measurement`. Raises InputError.
    """
    from locdreamer_ros.evaluation.run import site_of

    options.measurement = "tdoa" if recording.differences else "twr"
    site = site_of(recording, method)
    if site.tag_height == method.site(recording.anchors).tag_height:
        return method
    return replace(method, dimensions=str(site.dimensions), tag_height=site.tag_height)


def load(options: argparse.Namespace) -> Recording:
    """The recording to replay, as differences where those are asked for. Raises InputError."""
    from locdreamer_ros.datasets import load_recording

    recording = load_recording(options.recording, options.anchors, differences=True)
    blinks = options.measurement == "tdoa" and not recording.differences
    return recording.as_differences() if blinks else recording


def place(options: argparse.Namespace, method: Method) -> tuple[FloatArray | None, Method]:
    """Walls (W, 2, 2) m where known, and the method with the tag height that a simulation has."""
    if options.source == "replay":
        return None, method
    from locdreamer_ros.simulation import make_world

    world = make_world(options.environment, options.seed)
    known = method.tag_height >= 0.0 or method.dimensions == "3"
    return world.walls, method if known else replace(method, tag_height=world.tag_height)


def pace(options: argparse.Namespace, method: Method) -> float:
    """Epochs or fixes per second where none is given. Raises InputError for an unknown device."""
    if options.source != "serial":
        return PACE_HZ
    from locdreamer_ros.driver.devices import make_codec

    able = make_codec(options.device).capabilities
    fixes = able.max_rate / method.budget if able.schedulable else able.max_rate
    return min(PACE_HZ, round(DEVICE_SHARE * fixes, 2))


def radio_costs(device: str, metrics: dict[str, Any]) -> dict[str, object]:
    """What a fix cost the tag, by the model of `driver.energy`, for reports."""
    from locdreamer_ros.driver.devices import get_device
    from locdreamer_ros.driver.energy import fix_cost

    known, accounts = get_device(device), metrics["accounts"]
    fixes, good = accounts.get("answers", 0), accounts.get("received", 0)
    if not known.capabilities.schedulable or not fixes:
        return {"device": device}  # it ranges with whom it likes, which nobody told us
    asked = round(fixes * metrics["ranges_per_fix"])
    cost = fix_cost(known.radio, good, max(asked - good, 0))
    return {
        "device": device,
        "energy of a fix, mJ (model)": cost.energy / fixes,
        "ms on air of a fix (model)": cost.air_time / fixes,
        "ms radio on of a fix (model)": cost.radio_on / fixes,
    }


def run_offline_job(
    options: argparse.Namespace, method: Method, recording: Recording | None
) -> Outcome:
    """The loop in this process, at its own speed; recording: to replay, else one is simulated."""
    from locdreamer_ros.datasets.bag import write_bag
    from locdreamer_ros.evaluation.run import summary, track_all
    from locdreamer_ros.simulation import simulate

    if recording is None:
        recording = simulate(
            options.environment, duration=options.duration, rate=options.rate, seed=options.seed
        )
        recording = recording.as_differences() if options.measurement == "tdoa" else recording
    tracks, reports = track_all(
        recording, method, beside=[method.beside(BASELINE, BASELINE_PRESET)], progress=True
    )
    # An interrupt is not to leave an older picture beside a new bag.
    for name in FILES_WRITTEN:
        (options.output / name).unlink(missing_ok=True)
    write_bag(options.output / "bag", recording)
    metrics = summary(reports, mode="offline", source=options.source)
    return Outcome(recording.anchors, tracks, metrics, recording)


def run_graph_job(
    options: argparse.Namespace, method: Method, recording: Recording | None
) -> Outcome:
    """The ROS 2 nodes in processes of their own; recording: that they replay."""
    from locdreamer_ros.nodes.graph import Job, run_graph
    from locdreamer_ros.nodes.tracks import load_tracks

    try:
        metrics = run_graph(
            Job(
                output=options.output,
                source=options.source,
                environment=options.environment,
                device=options.device,
                measurement=options.measurement,
                recording=options.recording,
                anchors=options.anchors,
                duration=options.duration,
                rate=options.rate,
                params=options.params,
                view=options.view == "",
            ),
            method,
            beside=method.beside(BASELINE, BASELINE_PRESET),
        )
    except RuntimeError as reason:  # a node died or nothing moves: the message says where to look
        raise SystemExit(f"locdreamer: {reason}") from None
    from contextlib import suppress

    from locdreamer_ros.datasets import load_recording
    from locdreamer_ros.report.recorded import asking_of

    anchors, found = load_tracks(options.output / "tracks.npz")
    tracks = list(found.values())
    with suppress(InputError):  # a run that was cut short may have left no ranges
        bag = load_recording(options.output / "bag", differences=True)
        asking = asking_of(bag, tracks[0], method.site(anchors))
        tracks[0] = replace(tracks[0], asking=asking)
        recording = recording or bag
    return Outcome(anchors, tracks, metrics, recording)
