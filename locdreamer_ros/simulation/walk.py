# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A person walking about: from one spot to the next by the shortest way through the doors."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import cKDTree

from locdreamer_ros.errors import InputError
from locdreamer_ros.simulation.world import World
from locdreamer_ros.types import BoolArray, FloatArray, IntArray

CELL_M = 0.15
CLEARANCE_M = 0.3
"""The walker's middle keeps this far from walls."""
SPEED = (0.5, 0.6, 1.0)
"""Least, most likely and greatest, m/s: indoors one is always about to turn."""
SPEED_TIME_S = 4.0
"""How slowly the speed changes."""
STEP_M = 0.05
TURN_M = 0.5
"""Corners are rounded by a Gaussian of this sigma along the way, where walls let them."""
ROUNDS = 25
"""Small steps in which that happens, each followed by keeping clear of the walls."""
SHARPEST_TURN = 0.3
"""Least cosine between one leg and the next where there is a choice: nobody paces to and fro."""
CANDIDATES = 20
LONG_LEG_M = 3.0
MIN_LEG_M = 1.0


class FloorGraph:
    """Free cells (N, 2) m of the floor, joined with their eight neighbours."""

    def __init__(self, world: World) -> None:
        low, high = world.bounds
        axes = [np.arange(a + CELL_M / 2, b, CELL_M) for a, b in zip(low, high, strict=True)]
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)  # (X, Y, 2)
        self._points = _sampled(world.walls)
        self._tree = cKDTree(self._points)
        free = self._clear(grid.reshape(-1, 2)).reshape(grid.shape[:2])
        # Cells by number within a rim of -1, so that every cell has eight neighbours.
        number = np.pad(
            np.where(free, np.cumsum(free).reshape(free.shape) - 1, -1), 1, constant_values=-1
        )
        here = number[1:-1, 1:-1]
        heads, tails, lengths = [], [], []
        for dx, dy in ((1, 0), (0, 1), (1, 1), (1, -1)):
            there = number[1 + dx : number.shape[0] - 1 + dx, 1 + dy : number.shape[1] - 1 + dy]
            both = (here >= 0) & (there >= 0)
            heads.append(here[both])
            tails.append(there[both])
            lengths.append(np.full(int(both.sum()), CELL_M * np.hypot(dx, dy)))
        edges = (np.concatenate(heads), np.concatenate(tails))
        graph = csr_matrix((np.concatenate(lengths), edges), shape=2 * (int(free.sum()),))
        # Only the largest connected part is walked: the inside of furniture is free, too.
        label = np.asarray(connected_components(graph, directed=False)[1])
        keep = np.flatnonzero(label == np.bincount(label, minlength=1).argmax())
        if keep.size < 2:
            raise InputError(f"{world.name}: no room to walk between the walls")
        self.cells: FloatArray = grid[free][keep]
        self._graph = graph[keep][:, keep]

    def _clear(self, position: FloatArray) -> BoolArray:
        """Whether positions (N, 2) m are far enough from all walls."""
        return np.asarray(self._nearest_wall(position)[0] >= CLEARANCE_M)

    def _nearest_wall(self, position: FloatArray) -> tuple[FloatArray, IntArray]:
        """Distance (N,) m to the nearest wall point, infinite beyond the clearance; which (N,)."""
        distance, nearest = self._tree.query(position, distance_upper_bound=CLEARANCE_M)
        return np.asarray(distance), np.asarray(nearest)

    def pushed_clear(self, position: FloatArray) -> FloatArray:
        """Positions (N, 2) m with those too near a wall moved straight away from it."""
        distance, nearest = self._nearest_wall(position)
        close = np.flatnonzero(distance < CLEARANCE_M)
        wall = self._points[nearest[close]]
        away = (position[close] - wall) / np.maximum(distance[close], 1e-9)[:, None]
        result = np.array(position)
        result[close] = wall + CLEARANCE_M * away
        return result

    def ways(self, start: int) -> tuple[FloatArray, IntArray]:
        """Length (N,) m of the shortest way from cell `start` to each, and the cell before each."""
        length, before = dijkstra(
            self._graph, directed=False, indices=np.array([start]), return_predecessors=True
        )
        return length[0], np.asarray(before[0], dtype=np.intp)

    def pulled(self, way: list[int]) -> FloatArray:
        """Corners (C, 2) m of the way with needless ones taken out, as a string pulled tight."""
        corners = [self.cells[way[0]]]
        here = 0
        while here < len(way) - 1:
            there = len(way) - 1
            while there > here + 1 and not self._straight(corners[-1], self.cells[way[there]]):
                there = here + max(1, (there - here) * 3 // 4)
            corners.append(self.cells[way[there]])
            here = there
        return np.array(corners)

    def _straight(self, a: FloatArray, b: FloatArray) -> bool:
        steps = max(2, int(np.linalg.norm(b - a) / 0.05) + 1)
        return bool(self._clear(a + np.linspace(0.0, 1.0, steps)[:, None] * (b - a)).all())


def _sampled(walls: FloatArray) -> FloatArray:
    """Points (P, 2) m every few centimetres along walls (W, 2, 2)."""
    return np.concatenate(
        [
            a + np.linspace(0.0, 1.0, int(np.linalg.norm(b - a) / 0.04) + 2)[:, None] * (b - a)
            for a, b in walls
        ]
    )


def _unit(vector: FloatArray) -> FloatArray:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


def _next_leg(
    floor: FloorGraph, start: int, heading: FloatArray, rng: np.random.Generator
) -> tuple[FloatArray, int]:
    """Corners (C, 2) m of a way from cell `start` to a new spot, and that spot's cell.

    The first of some spots far off, then some near, that needs no sharp turn; else the best.
    """
    length, before = floor.ways(start)
    far = np.flatnonzero(length >= LONG_LEG_M)
    near = np.flatnonzero((length >= MIN_LEG_M) & (length < LONG_LEG_M))
    goals = [rng.choice(cells, CANDIDATES) for cells in (far, near) if cells.size]
    if not goals:
        raise InputError(f"no room to walk: nowhere to go that is {MIN_LEG_M:g} m away")
    best, straightest = [start], -np.inf
    for goal in np.concatenate(goals):
        way = [int(goal)]
        while way[-1] != start:
            way.append(int(before[way[-1]]))
        way.reverse()
        ahead = floor.cells[way[min(len(way) - 1, 5)]] - floor.cells[start]
        turn = float(heading @ _unit(ahead))
        if turn > straightest:
            best, straightest = way, turn
        if turn >= SHARPEST_TURN:
            break
    return floor.pulled(best), best[-1]


def draw_path(world: World, length: float, rng: np.random.Generator) -> FloatArray:
    """Points (P, 2) m along a smooth walk at least `length` m long, at most `STEP_M` apart.

    Raises InputError where walls leave no room to walk.
    """
    from tqdm import tqdm

    floor = FloorGraph(world)
    spot = int(rng.integers(floor.cells.shape[0]))
    heading = _unit(rng.standard_normal(2))
    corners = [floor.cells[spot]]
    reach, target = 0.0, 1.2 * length + 2.0  # rounding corners makes the way shorter
    bar = tqdm(total=round(target), desc=f"walk in {world.name}", unit="m", delay=3.0, leave=False)
    with bar:
        while True:
            while reach < target:
                leg, spot = _next_leg(floor, spot, heading, rng)
                corners.extend(leg[1:])
                heading = _unit(leg[-1] - leg[-2])
                gone = float(_along(leg)[-1])
                reach += gone
                bar.update(round(gone))
            path = _rounded(floor, _resample(np.array(corners), STEP_M))
            if _along(path)[-1] >= length:
                return path
            target *= 1.2


def _along(path: FloatArray) -> FloatArray:
    """Distance (P,) m walked at each point of a path (P, 2)."""
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])


def _resample(path: FloatArray, step: float) -> FloatArray:
    """The same path with a point every `step` m."""
    along = _along(path)
    at = np.arange(0.0, along[-1], step)
    return np.stack([np.interp(at, along, path[:, axis]) for axis in (0, 1)], axis=1)


def _rounded(floor: FloorGraph, path: FloatArray) -> FloatArray:
    """The path (P, 2), `STEP_M` apart, with its corners rounded but clear of the walls."""
    variance = (TURN_M / STEP_M) ** 2 / ROUNDS
    half = max(1, round(3.0 * variance**0.5))
    kernel = np.exp(-0.5 * np.arange(-half, half + 1) ** 2 / variance)
    kernel /= kernel.sum()
    for _ in range(ROUNDS):
        padded = np.pad(path, ((half, half), (0, 0)), mode="edge")
        path = np.stack(
            [np.convolve(padded[:, axis], kernel, mode="valid") for axis in (0, 1)], axis=1
        )
        path = floor.pushed_clear(path)
    return path


def draw_walk(
    world: World, *, duration: float, rate: float, rng: np.random.Generator
) -> FloatArray:
    """Tag positions (T, 3) m of a walk, T = max(1, round(duration s * rate Hz)) epochs.

    0.5 to 1 m/s along the path, changing slowly; through doors, never through walls.
    """
    epochs = max(1, round(duration * rate))
    speed = _speeds(epochs, rate, rng)
    at = np.concatenate([[0.0], np.cumsum(speed[:-1]) / rate])
    path = draw_path(world, float(at[-1]), rng)
    along = _along(path)
    truth = np.empty((epochs, 3))
    for axis in (0, 1):
        truth[:, axis] = np.interp(at, along, path[:, axis])
    truth[:, 2] = world.tag_height
    return truth


def _speeds(epochs: int, rate: float, rng: np.random.Generator) -> FloatArray:
    """Speeds (T,) m/s: a smooth random course between the limits."""
    knots = max(2, int(np.ceil(epochs / rate / SPEED_TIME_S)) + 1)
    course = rng.triangular(*SPEED, knots)
    return np.interp(np.arange(epochs) / rate, np.arange(knots) * SPEED_TIME_S, course)
