# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The paper's indoor area: zones, beacons, and which links are blocked in which zone (section IV).

None of the sizes is in our copy of the paper; these are a trial's, see docs/juno.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from locdreamer_ros.errors import InputError
from locdreamer_ros.simulation.world import crossings
from locdreamer_ros.types import BoolArray, FloatArray, IntArray

SIZE_M = 10.0
ZONE_M = 0.5
BEACONS = 8
REFERENCE_M = (4.4, 5.9)
"""Where the reference hangs: near the middle, but in line with no two of the beacons."""
BLOCKED = 0.5
"""Share of links that are NLoS where they are drawn independently."""
WALLS = 7
WALL_M = (2.0, 4.0)
"""Number of walls in a room with obstacles, and the shortest and longest."""


@dataclass(frozen=True, eq=False)
class Room:
    """An area from the origin to `size` (2,) m in square zones of `zone` m, row by row along y.

    beacons (A + 1, 2) m, the reference last; nlos (Z, A + 1); actions (M, K) rows of beacons;
    walls (W, 2, 2) m, none where the links were drawn.
    """

    size: FloatArray
    zone: float
    beacons: FloatArray
    nlos: BoolArray
    actions: IntArray
    walls: FloatArray

    @property
    def columns(self) -> int:
        """Zones along x."""
        return round(float(self.size[0]) / self.zone)

    @property
    def rows(self) -> int:
        """Zones along y."""
        return round(float(self.size[1]) / self.zone)

    @property
    def centres(self) -> FloatArray:
        """(Z, 2) m: where users stand."""
        x, y = np.meshgrid(np.arange(self.columns), np.arange(self.rows))
        return np.asarray(self.zone * (np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5))

    @property
    def distances(self) -> FloatArray:
        """(Z, A + 1) m from zone centres to beacons."""
        return np.asarray(np.linalg.norm(self.centres[:, None] - self.beacons, axis=-1))


def _beacons() -> FloatArray:
    """Eight around the wall, corners and middles of the sides, and the reference (9, 2) m."""
    places = [(0, 0), (1, 0), (2, 0), (2, 1), (2, 2), (1, 2), (0, 2), (0, 1)]
    around = np.array(places, dtype=np.float64) * SIZE_M / 2.0
    return np.concatenate([around, [REFERENCE_M]])


def _room(nlos: BoolArray | None, walls: FloatArray, chosen: int) -> Room:
    if not 2 <= chosen <= BEACONS:
        raise InputError(f"beacons per fix: expected 2 to {BEACONS}, got {chosen}")
    side = round(SIZE_M / ZONE_M)
    actions = np.array(list(combinations(range(BEACONS), chosen)), dtype=np.intp)
    empty = np.zeros((side * side, BEACONS + 1), dtype=np.bool_)
    room = Room(np.full(2, SIZE_M), ZONE_M, _beacons(), empty, actions, walls)
    if nlos is None:
        nlos = crossings(room.centres[:, None], room.beacons[None], walls) > 0
    # The reference keeps the others' clocks; it hangs from the ceiling, in view of every zone.
    nlos[:, -1] = False
    return replace(room, nlos=nlos)


def draw_room(rng: np.random.Generator, *, chosen: int = 2) -> Room:
    """A room in which each link of each zone is blocked or not at random, as the paper has it.

    chosen: beacons per action, K of equation (9). Raises InputError where that makes no sense.
    """
    side = round(SIZE_M / ZONE_M)
    nlos = rng.random((side * side, BEACONS + 1)) < BLOCKED
    return _room(nlos, np.empty((0, 2, 2)), chosen)


def draw_room_with_walls(rng: np.random.Generator) -> Room:
    """A room with straight obstacles; a link is NLoS where one cuts it. Two beacons per action."""
    middle = rng.uniform(0.1 * SIZE_M, 0.9 * SIZE_M, (WALLS, 2))
    angle = rng.uniform(0.0, np.pi, WALLS)
    half = 0.5 * rng.uniform(*WALL_M, WALLS)
    reach = half[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return _room(None, np.stack([middle - reach, middle + reach], axis=1), 2)


def redraw_links(room: Room, share: float, rng: np.random.Generator) -> Room:
    """A related room: this share of the links is drawn again, half of which come out the same."""
    again = rng.random(room.nlos.shape) < share
    again[:, -1] = False
    drawn = rng.random(room.nlos.shape) < BLOCKED
    return replace(room, nlos=np.where(again, drawn, room.nlos))


def block_reference(room: Room, rng: np.random.Generator) -> Room:
    """The room with the reference blocked in as many zones as any other beacon."""
    nlos = room.nlos.copy()
    nlos[:, -1] = rng.random(len(nlos)) < BLOCKED
    return replace(room, nlos=nlos)
