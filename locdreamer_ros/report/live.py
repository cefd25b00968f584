# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A run seen live through rerun: estimates and ranges turned into what its viewer shows.

rerun is optional (extra `view`). Its viewer is a process of its own: it listens on this machine
only, and its analytics are off, whatever the user's own settings say.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locdreamer_ros.errors import InputError, require
from locdreamer_ros.evaluation.metrics import Track
from locdreamer_ros.geometry import ellipse
from locdreamer_ros.integrity.status import State
from locdreamer_ros.types import Anchors, Estimate, FloatArray

IDLE, ASKED, EXCLUDED = (115, 128, 140), (242, 150, 40), (230, 60, 60)
TRUTH, WALL = (235, 235, 235), (150, 145, 135)
COLOURS = ((92, 184, 245), (255, 159, 74), (63, 208, 164))
TIMELINE = "run"
CROSS = 0.3 * np.array([[[-1.0, -1.0, 0.0], [1.0, 1.0, 0.0]], [[-1.0, 1.0, 0.0], [1.0, -1.0, 0.0]]])
"""The two arms of a cross (2, 2, 3) m over an anchor that is held back."""
_TURN = np.linspace(0.0, 2.0 * np.pi, 49)
CIRCLE = np.column_stack([np.cos(_TURN), np.sin(_TURN), np.zeros(_TURN.size)])
SEND_S = 0.2
"""How often what was gathered goes to the viewer."""
STARTING_S = 20.0
"""How long the viewer may take to listen."""


@dataclass(frozen=True, eq=False)
class Fix:
    """What a tracker said at one time.

    asked, excluded: rows of anchors, None where not known; heard (A,) m, NaN where there is no
    range; truth (3,) m, NaN where unknown.
    """

    tracker: str
    estimate: Estimate
    asked: Sequence[int] | None = None
    heard: FloatArray | None = None
    excluded: Sequence[int] = ()
    state: State | None = None
    truth: FloatArray | None = None


class LiveView:
    """Shows fixes of named trackers over one floor; whom was asked is said by the first of them.

    file: written instead of opening a viewer; height m: the tag's where an estimate is in the
    plane. Raises InputError where rerun or a display is missing, or the file cannot be written.
    """

    def __init__(
        self, anchors: Anchors, names: Sequence[str], *, height: float, file: Path | None = None
    ) -> None:
        check_view(file)
        import rerun

        self._rr = rerun
        self._stream = rerun.RecordingStream("locdreamer")
        if file is None:
            self._stream.connect_grpc(f"rerun+http://127.0.0.1:{_open_viewer()}/proxy")
        else:
            try:
                self._stream.save(file)
            except RuntimeError as reason:
                raise InputError(f"{file}: cannot write: {reason}") from None
        self._anchors, self._height, self._first = anchors, height, names[0]
        self._file = file
        self._part = {n: rerun.escape_entity_path_part(n) for n in (*names, *anchors.ids)}
        self._began: float | None = None
        self._now, self._sent_at = 0.0, monotonic()
        self._last: dict[str, FloatArray] = {}
        self._said: dict[str, str] = {}
        self._waiting: dict[str, tuple[str, list[tuple[float, Any]]]] = {}
        paths = [f"floor/path/{self._part[name]}" for name in names]
        self._stream.send_blueprint(_layout([*paths, "floor/path/truth"], anchors))
        self._stream.log("floor", rerun.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
        self.show_anchors(anchors)
        self._look("points", "floor/asked", ASKED, 0.2)
        self._look("lines", "floor/excluded", EXCLUDED, 0.05)
        self._look("lines", "floor/ranges", (*ASKED, 90), 0.01)
        self._look("lines", "floor/path/truth", TRUTH, 0.03)
        self._look("points", "floor/tag/truth", TRUTH, 0.07)
        for order, name in enumerate(names):
            part, colour = self._part[name], COLOURS[order % len(COLOURS)]
            line = rerun.SeriesLines(colors=colour, names=name)
            self._stream.log(f"error/{part}", line, static=True)
            self._look("lines", f"floor/path/{part}", colour, 0.03)
            self._look("points", f"floor/tag/{part}", colour, 0.1)
            self._look("lines", f"floor/ellipse/{part}", colour, 0.02)
        for name in anchors.ids:
            look = rerun.SeriesPoints(marker_sizes=2.0)
            self._stream.log(f"residual/{self._part[name]}", look, static=True)

    def show_anchors(self, anchors: Anchors) -> None:
        """The anchors from now on: the same ones, at other places."""
        self._anchors = anchors
        points = self._rr.Points3D(
            anchors.positions, colors=IDLE, radii=0.12, labels=list(anchors.ids), show_labels=True
        )
        self._stream.log("floor/anchors", points, static=True)

    def show_walls(self, walls: FloatArray) -> None:
        """Walls (W, 2, 2) m of the floor."""
        lines = [np.column_stack([wall, np.zeros(2)]) for wall in walls]
        drawn = self._rr.LineStrips3D(lines, colors=WALL, radii=0.04)
        self._stream.log("floor/walls", drawn, static=True)

    def show_map(self, cells: NDArray[np.int8], cell_m: float, origin: Sequence[float]) -> None:
        """An occupancy grid (rows, columns) of -1 unknown, 0 free .. 100; origin x, y m."""
        rows, columns = cells.shape
        form = self._rr.components.ImageFormat(
            width=columns, height=rows, color_model="L", channel_datatype="U8"
        )
        grid = self._rr.GridMap(
            data=np.flipud(cells).tobytes(),  # a grid's first row is its lowest
            format=form,
            cell_size=cell_m,
            translation=[origin[0], origin[1], 0.0],
            colormap=self._rr.components.Colormap.RvizMap,
        )
        self._stream.log("floor/map", grid, static=True)

    def show(self, fix: Fix) -> None:
        """Show a fix."""
        name, estimate = self._part[fix.tracker], fix.estimate
        if self._began is None:
            self._began = estimate.time
        self._now = estimate.time - self._began
        flat = estimate.dimensions == 2
        place = np.append(estimate.position, self._height) if flat else estimate.position
        self._step(f"floor/path/{name}", place)
        self._add("points", f"floor/tag/{name}", [place])
        self._add("lines", f"floor/ellipse/{name}", [ellipse(estimate, self._height)])
        if fix.state is not None:
            self._say(f"state/{name}", fix.state.name.lower())
        truth = fix.truth
        if truth is not None and np.isfinite(truth[:2]).all():
            there = np.where(np.isfinite(truth), truth, place)
            self._add("scalars", f"error/{name}", float(np.linalg.norm((place - there)[:2])))
            if fix.tracker == self._first:
                self._step("floor/path/truth", there)
                self._add("points", "floor/tag/truth", [there])
        if fix.asked is not None:
            self._show_asking(fix, fix.asked, place)
        if monotonic() - self._sent_at > SEND_S:
            self.send()

    def _show_asking(self, fix: Fix, asked: Sequence[int], place: FloatArray) -> None:
        at, ids = self._anchors.positions, self._anchors.ids
        self._add("scalars", "ranges_per_fix", float(len(asked)))
        self._add("points", "floor/asked", list(at[list(asked)]))
        crosses = [at[row] + arm for row in fix.excluded for arm in CROSS]
        self._add("lines", "floor/excluded", crosses)
        for row, name in enumerate(ids):
            word = "held back" if row in fix.excluded else "asked" if row in asked else ""
            self._say(f"asked/{self._part[name]}", word)
        circles = []
        heard = np.full(len(ids), np.nan) if fix.heard is None else fix.heard
        for row in np.flatnonzero(np.isfinite(heard)).tolist():
            value, away = float(heard[row]), place - at[row]
            residual = value - float(np.linalg.norm(away))
            self._add("scalars", f"residual/{self._part[ids[row]]}", residual)
            radius = np.sqrt(max(value**2 - float(away[2]) ** 2, 0.0))
            circles.append(np.array([*at[row, :2], place[2]]) + radius * CIRCLE)
        self._add("lines", "floor/ranges", circles)

    def send(self) -> None:
        """Hand what was gathered to the viewer: a column for each path, which is far cheaper."""
        rr = self._rr
        for path, (kind, rows) in self._waiting.items():
            values = [value for _, value in rows]
            if kind == "scalars":
                columns = rr.Scalars.columns(scalars=values)
            elif kind == "states":
                columns = rr.StateChange.columns(state=values)
            else:
                flat = [each for value in values for each in value]
                columns = (
                    rr.Points3D.columns(positions=np.reshape(flat, (-1, 3)))
                    if kind == "points"
                    else rr.LineStrips3D.columns(strips=flat)
                ).partition([len(value) for value in values])
            times = rr.TimeColumn(TIMELINE, duration=[time for time, _ in rows])
            self._stream.send_columns(path, [times], columns)
        self._waiting.clear()
        self._sent_at = monotonic()

    def close(self) -> None:
        """Send or write what is still held. Raises InputError where a file cannot be written."""
        try:
            self.send()
            self._stream.flush()
            self._stream.disconnect()
        except RuntimeError as reason:
            if self._file is not None:
                raise InputError(f"{self._file}: cannot write: {reason}") from None
            # Whoever closes the window does not want to lose the run.
            print("the live view: its viewer is gone; the run is not affected", file=sys.stderr)

    def _look(self, kind: str, path: str, colour: Sequence[int], radius: float) -> None:
        """What does not change of points or lines."""
        drawn = self._rr.Points3D if kind == "points" else self._rr.LineStrips3D
        self._stream.log(path, drawn.from_fields(colors=list(colour), radii=radius), static=True)

    def _add(self, kind: str, path: str, value: Any) -> None:
        self._waiting.setdefault(path, (kind, []))[1].append((self._now, value))

    def _step(self, path: str, place: FloatArray) -> None:
        """One step more of a path; the view shows all of them up to its time."""
        before = self._last.get(path, place)
        self._last[path] = place
        if not np.array_equal(before, place):
            self._add("lines", path, [np.stack([before, place])])

    def _say(self, path: str, word: str) -> None:
        """A state, where it is another than before; empty: none."""
        if self._said.get(path, "") != word:
            self._said[path] = word
            self._add("states", path, word)


def show_tracks(
    anchors: Anchors,
    tracks: Mapping[str, Track],
    *,
    height: float,
    walls: FloatArray | None = None,
    file: Path | None = None,
) -> None:
    """Show whole tracks by name, the one of interest first, fix by fix; as in `LiveView`."""
    view = LiveView(anchors, list(tracks), height=height, file=file)
    if walls is not None:
        view.show_walls(walls)
    first = next(iter(tracks.values()))
    for row in range(len(first)):
        for name, track in tracks.items():
            if row >= len(track) or not track.known[row]:
                continue
            asking, states = track.asking, track.states
            view.show(
                Fix(
                    name,
                    Estimate(float(track.times[row]), track.mean[row], track.covariance[row]),
                    None if asking is None else np.flatnonzero(asking.chosen[row]).tolist(),
                    None if asking is None else asking.heard[row],
                    () if asking is None else np.flatnonzero(asking.excluded[row]).tolist(),
                    None if states is None else State(int(states[row])),
                    track.truth[row],
                )
            )
    view.close()


def check_view(file: Path | None) -> None:
    """Raises InputError where rerun is not installed or nothing could show its viewer."""
    require("rerun", "the live view")
    if file is not None:
        if file.suffix != ".rrd":
            raise InputError(f"{file}: expected a name ending in .rrd")
        return
    shown = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    if sys.platform == "linux" and not shown:
        raise InputError(
            "the live view needs a display; without one give it a file, --view run.rrd, "
            "and look at that elsewhere: rerun run.rrd"
        )


def viewer_environment(folder: Path) -> dict[str, str]:
    """The viewer's environment: its settings are in `folder`, with analytics off."""
    found = {**os.environ, "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    off = [sys.executable, "-m", "rerun_cli", "analytics", "disable"]
    done = subprocess.run(off, env=found, capture_output=True, text=True)
    if done.returncode != 0:
        raise InputError(f"rerun: cannot turn its analytics off: {done.stderr.strip()}")
    return found


def _open_viewer() -> int:
    """Start the viewer, which outlives this process; returns the port that it listens on."""
    import socket
    import tempfile

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    environment = viewer_environment(Path(tempfile.mkdtemp(prefix="locdreamer_view_")))
    command = [sys.executable, "-m", "rerun_cli", "--bind", "127.0.0.1", "--port", str(port),
               "--expect-data-soon"]  # fmt: skip
    viewer = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    deadline = monotonic() + STARTING_S
    while monotonic() < deadline and viewer.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
            return port
        except OSError:
            sleep(0.1)
    raise InputError("the live view: rerun's viewer did not open; does `rerun` run by itself?")


def _layout(paths: Sequence[str], anchors: Anchors) -> Any:
    """Floor to the left; errors, ranges, residuals and whom was asked to the right."""
    import rerun.blueprint as rrb

    begin, now = rrb.TimeRangeBoundary.infinite(), rrb.TimeRangeBoundary.cursor_relative()
    past = rrb.VisibleTimeRanges(rrb.VisibleTimeRange(TIMELINE, start=begin, end=now))
    low, high = anchors.positions[:, :2].min(axis=0), anchors.positions[:, :2].max(axis=0)
    middle, size = 0.5 * (low + high), max(float((high - low).max()), 4.0)
    eye = rrb.EyeControls3D(
        position=[middle[0], middle[1] - 0.5 * size, 1.3 * size], look_target=[*middle, 0.0]
    )
    floor = rrb.Spatial3DView(
        eye_controls=eye,
        origin="floor",
        name="Floor",
        overrides=dict.fromkeys(paths, past),
    )
    beside = rrb.Vertical(
        rrb.TimeSeriesView(origin="error", name="Error m"),
        rrb.TimeSeriesView(origin="ranges_per_fix", name="Ranges per fix"),
        rrb.TimeSeriesView(origin="residual", name="Range less distance to the estimate m"),
        rrb.StateTimelineView(
            origin="/", contents=["+ /asked/**", "+ /state/**"], name="Asked, held back, states"
        ),
    )
    return rrb.Blueprint(
        rrb.Horizontal(floor, beside, column_shares=[3, 2]),
        rrb.BlueprintPanel(state="collapsed"),
        rrb.SelectionPanel(state="collapsed"),
        rrb.TimePanel(state="collapsed", timeline=TIMELINE, play_state="following"),
    )
