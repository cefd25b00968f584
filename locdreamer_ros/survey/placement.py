# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where to hang anchors: the places that leave least error over the floor, walls considered.

The error is what `foresight` would leave from a walker's prior: of each cell of the floor, the
horizontal standard deviation after the K ranges that tell most. A range is worth less behind walls.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from locdreamer_ros.errors import InputError
from locdreamer_ros.types import BoolArray, FloatArray, IntArray

PRIOR_M = 1.0
"""How well a walker is known before a fix."""
CLEAR_M, WALL_M = 0.1, 0.35
"""Standard deviation of a range in line of sight, and what each wall adds to it."""
MOST_CELLS = 350
"""Of the floor, about."""
HOOKS = 90
"""Places along the walls that are tried, at most."""
LARGEST_M = 300.0
"""A floor: ranges do not reach farther, and no dozen of anchors serves it."""
AT_ONCE = 50
"""Walls that are looked at together: memory grows with them."""
ROUNDS = 3
"""Exchanges of each anchor for a better place."""
CLEARANCE_M = 0.05
"""Anchors hang this far in front of a wall, so that it is not in their way."""
WIDEST_DOOR_M = 3.0
"""A gap in outer walls that is wider is no door, and no end of a corridor."""
PROBE_M = 0.7
"""What lies so far in front of a wall is on that side of it."""


@dataclass(frozen=True, eq=False)
class Placement:
    """places (N, 2) m of the anchors; cells (C, 2) m of the floor with their expected error m."""

    places: FloatArray
    cells: FloatArray
    error: FloatArray


def crossings(one: FloatArray, other: FloatArray, walls: FloatArray) -> IntArray:
    """Walls (W, 2, 2) m between points (C, 2) and (N, 2) m: numbers (C, N)."""
    number = np.zeros((len(one), len(other)), dtype=np.intp)
    for first in range(0, len(walls), AT_ONCE):
        number += _crossings(one, other, walls[first : first + AT_ONCE])
    return number


def _crossings(one: FloatArray, other: FloatArray, walls: FloatArray) -> IntArray:
    start, end = walls[:, 0], walls[:, 1]

    def side(a: FloatArray, b: FloatArray, c: FloatArray) -> FloatArray:
        return np.asarray(
            (b[..., 0] - a[..., 0]) * (c[..., 1] - a[..., 1])
            - (b[..., 1] - a[..., 1]) * (c[..., 0] - a[..., 0])
        )

    p, q = one[:, None, None], other[None, :, None]
    apart = side(start, end, p) * side(start, end, q) < 0.0
    across = side(p, q, start[None, None]) * side(p, q, end[None, None]) < 0.0
    return np.asarray((apart & across).sum(axis=-1), dtype=np.intp)


def expected_errors(
    cells: FloatArray, places: FloatArray, walls: FloatArray, *, drop: float, budget: int
) -> FloatArray:
    """Expected horizontal error (C,) m of each cell with anchors at places (N, 2) m.

    drop m: how much higher the anchors hang than the tag.
    """
    return _remaining_error(
        _information(cells, places, walls, drop), np.arange(len(places)), budget
    )


def _information(
    cells: FloatArray, places: FloatArray, walls: FloatArray, drop: float
) -> FloatArray:
    """Information (C, N, 3) of one range: xx, xy, yy in 1/m^2."""
    delta = cells[:, None] - places
    distance = np.sqrt((delta**2).sum(axis=-1) + drop**2 + 1e-4)
    unit = delta / distance[..., None]
    behind = crossings(cells, places, walls)
    variance = CLEAR_M**2 + (WALL_M * behind) ** 2
    x, y = unit[..., 0], unit[..., 1]
    return np.asarray(np.stack([x * x, x * y, y * y], axis=-1) / variance[..., None])


def _remaining_error(information: FloatArray, chosen: IntArray, budget: int) -> FloatArray:
    """Error (C,) m after the `budget` of the chosen anchors that leave least."""
    sets = np.array(list(combinations(chosen.tolist(), min(budget, chosen.size))))
    xx, xy, yy = np.moveaxis(information[:, sets].sum(axis=2), -1, 0)
    xx, yy = xx + PRIOR_M**-2, yy + PRIOR_M**-2
    square = (xx + yy) / (xx * yy - xy**2)
    return np.asarray(np.sqrt(square.min(axis=1)))


def place(
    walls: FloatArray, count: int, *, drop: float, budget: int, where: str = "walls"
) -> Placement:
    """Hang `count` anchors along walls (W, 2, 2) m so that the mean error over the floor is least.

    One after the other, then each exchanged for a better place until nothing improves. Raises
    InputError, naming `where`: fewer than 3 or more than 12 anchors, or a floor without extent.
    """
    if not 3 <= count <= 12:
        raise InputError(f"anchors: expected 3 to 12, got {count}")
    low, high = walls.reshape(-1, 2).min(axis=0), walls.reshape(-1, 2).max(axis=0)
    if (high - low).min() < 1.0:
        raise InputError(
            f"{where}: expected a floor of at least 1 m in each direction, got "
            f"{(high - low).min():.3g}: are the walls in metres?"
        )
    if (high - low).max() > LARGEST_M:
        raise InputError(
            f"{where}: expected a floor of at most {LARGEST_M:g} m, got {(high - low).max():g}: "
            "are the walls in metres? else call their columns x1_mm, x1_cm and so on"
        )
    side = float(np.sqrt(np.prod(high - low) / MOST_CELLS))
    numbers = np.maximum(np.round((high - low) / side).astype(int), 2)
    x, y = (
        a + (np.arange(n) + 0.5) * (b - a) / n for a, b, n in zip(low, high, numbers, strict=True)
    )
    cells = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    outside = Outside(walls)
    cells = cells[~outside.holds(cells)]
    hooks = _hooks(walls, low, high, outside)
    if len(hooks) < count:
        raise InputError(
            f"{where}: walls too short for {count} anchors: there are {len(hooks)} places"
        )
    information = _information(cells, hooks, walls, drop)

    def cost(rows: list[int]) -> float:
        return float(_remaining_error(information, np.array(rows), budget).mean())

    chosen: list[int] = []
    for _ in range(count):
        left = [h for h in range(len(hooks)) if h not in chosen]
        chosen.append(min(left, key=lambda h: cost([*chosen, h])))
    best = cost(chosen)
    for _ in range(ROUNDS):
        before = best
        for i in range(count):
            others = chosen[:i] + chosen[i + 1 :]
            left = [h for h in range(len(hooks)) if h not in others]
            found = min(left, key=lambda h: cost([*others, h]))
            if cost([*others, found]) < best - 1e-6:
                chosen[i], best = found, cost([*others, found])
        if before - best < 1e-4:
            break
    places = hooks[chosen]
    error = expected_errors(cells, places, walls, drop=drop, budget=budget)
    return Placement(places, cells, error)


class Outside:
    """What of the walls' (W, 2, 2) m bounding box lies outside the building, as beside an L.

    Where a disk of WIDEST_DOOR_M gets from beyond the box. Of walls that close nothing in, as a
    hall's without the fourth, nothing is outside.
    """

    def __init__(self, walls: FloatArray) -> None:
        from scipy import ndimage

        corners = walls.reshape(-1, 2)
        size = float(np.ptp(corners, axis=0).max())
        self._step = max(WIDEST_DOOR_M / 16.0, size / 1000.0)
        self._low = corners.min(axis=0) - 2.0 * WIDEST_DOOR_M
        shape = np.ceil(
            (corners.max(axis=0) + 2.0 * WIDEST_DOOR_M - self._low) / self._step
        ).astype(int)
        free = np.ones(shape + 1, dtype=bool)
        for start, end in walls:
            number = 2 + int(2.0 * np.linalg.norm(end - start) / self._step)
            free[self._at(start + np.linspace(0.0, 1.0, number)[:, None] * (end - start))] = False
        reach = WIDEST_DOOR_M / 2.0 / self._step
        away = ndimage.distance_transform_edt(free)
        parts, _ = ndimage.label(away > reach)
        beyond = ndimage.distance_transform_edt(parts != parts[0, 0]) <= reach
        # What neither disk nor wall takes is floor, where it is wider than a corner between walls.
        parts, number = ndimage.label(free & ~beyond)
        widest = np.asarray(ndimage.maximum(away, parts, np.arange(number + 1)))
        floor = widest > 0.5 * reach
        floor[0] = False
        self._mask = free & ~floor[parts] if floor.any() else np.zeros_like(free)
        # The outer walls themselves are as little floor.
        self._mask |= ~free & ndimage.binary_dilation(self._mask, iterations=2)

    def _at(self, points: FloatArray) -> tuple[IntArray, IntArray]:
        x, y = np.round((points - self._low) / self._step).astype(np.intp).T
        return x, y

    def holds(self, points: FloatArray) -> BoolArray:
        """Which of points (N, 2) m in the box are outside."""
        return np.asarray(self._mask[self._at(points)])


def _hooks(walls: FloatArray, low: FloatArray, high: FloatArray, outside: Outside) -> FloatArray:
    """Places (H, 2) m in front of both sides of the walls, on the floor, evenly spread."""
    found = []
    length = np.linalg.norm(walls[:, 1] - walls[:, 0], axis=1)
    step = max(0.5, 2.0 * float(length.sum()) / HOOKS)
    for (start, end), long in zip(walls, length, strict=True):
        if long < 0.1:
            continue
        along = (end - start) / long
        across = np.array([-along[1], along[0]])
        number = max(1, round(long / step))
        for share in (np.arange(number) + 0.5) / number:
            at = start + share * (end - start)
            for before in (across, -across):
                found.append([at + CLEARANCE_M * before, at + PROBE_M * before])
    hooks, fronts = np.array(found).reshape(-1, 2, 2).transpose(1, 0, 2)
    inside = ((hooks > low) & (hooks < high)).all(axis=1)
    inside[inside] = ~outside.holds(fronts[inside])
    hooks = hooks[inside]
    # Of many short walls each gives some: as many as are tried, evenly of all.
    some = np.linspace(0, len(hooks) - 1, min(len(hooks), HOOKS)).astype(np.intp)
    return np.asarray(hooks[some])
