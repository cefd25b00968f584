# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a tracker starts: the place that explains a window of ranges, polished by least squares.

`integrity.snapshot` finds the right basin (mirrors, wild ranges, places far outside the anchors),
Gauss-Newton the place in it.
"""

from __future__ import annotations

import numpy as np

from locdreamer_ros.geometry import slant
from locdreamer_ros.integrity.snapshot import HEIGHT_M, Snapshot, explain, whatever_offset
from locdreamer_ros.integrity.window import Gathered, Window
from locdreamer_ros.types import Estimate, FloatArray, IntArray, Ranges, Site

SIGMA_M = 0.3
ITERATIONS = 10
FIX_FLOOR_M = 0.3
"""Least sigma claimed for a fix: what biased ranges share does not show in their residuals."""
SPEED_SIGMA = 1.0
"""Prior sigma of each velocity component, m/s: a walking person or indoor robot."""
OFFSET_M = 0.7
"""A smaller common offset is left to the filter, which knows such biases."""
CLEARLY, ELSEWHERE_M = 2.0, 1.0
"""An offset must explain so many anchors more than walls would; unless the tag is so far from where
it would be without: that is another explanation, see `Snapshot.mirror`."""
STILL_S = 0.5
"""A shorter window says nothing of the velocity."""
SURE_S, LONGEST_S = 1.0, 3.0
"""How long to wait for a better fix: see `ready`."""


def solve_position(
    site: Site,
    anchor: IntArray,
    value: FloatArray,
    start: FloatArray,
    *,
    moved: FloatArray | float = 0.0,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Huber-weighted Gauss-Newton from `start` (D,) to ranges value (N,) m of anchors (N,).

    moved (N, D) m: from the position to where the tag was at each range. Returns position (D,) m,
    covariance (D, D) m^2 for ranges of sigma `SIGMA_M`, residuals (N,) m.
    """
    d = site.dimensions
    position = start.copy()
    ridge = 1e-6 * np.eye(d)
    if d == 3:
        ridge[2, 2] += (SIGMA_M / HEIGHT_M) ** 2
    for _ in range(ITERATIONS):
        distance, direction = slant(site.offsets(position + moved, anchor))
        jacobian = direction[:, :d]
        residual = value - distance
        weight = 1.0 / np.maximum(1.0, np.abs(residual) / SIGMA_M)
        information = jacobian.T @ (jacobian * weight[:, None]) + ridge
        slope = jacobian.T @ (weight * residual)
        if d == 3:
            slope[2] -= ridge[2, 2] * (position[2] - site.tag_height)
        move = np.linalg.solve(information, slope)
        position = position + move
        if float(np.abs(move).max()) < 1e-4:
            break
    return position, SIGMA_M**2 * np.linalg.inv(information), residual


def sought(
    site: Site, window: Window, time: float
) -> tuple[Gathered, Snapshot, Snapshot | None] | None:
    """What a track begins from at `time` s: ranges, a place, its twin; None: wait for more."""
    gathered, first = window.gathered(time), window.first
    if first is None or gathered.anchors < 3:
        return None
    waited = time - first
    seeds = whatever_offset(site, gathered)
    found = explain(site, gathered, time=time, seeds=list(seeds), still=waited < STILL_S)
    if not found or not ready(site, found[0], waited):
        return None
    return gathered, *beginning(site, gathered, found[0])


def ready(site: Site, snapshot: Snapshot, waited: float) -> bool:
    """Whether a snapshot is good enough to start from, after `waited` s of ranges.

    At once where anchors agree that are one more than the unknowns and the offset, and no mirror;
    after `SURE_S` where as many agree as there are unknowns; after `LONGEST_S` whatever there is.
    """
    agree, d = snapshot.good, site.dimensions
    if agree >= d + 2 and snapshot.mirror is None:
        return True
    return waited >= (SURE_S if agree >= d + 1 else LONGEST_S)


def _plain(site: Site, gathered: Gathered, snapshot: Snapshot) -> Snapshot | None:
    """The explanation that needs no common offset; None where it costs much more.

    Walls lengthen several ranges at once: that is no offset, and one that is taken for true at the
    start is hard to unlearn.
    """
    plain = explain(site, gathered, time=snapshot.time, seeds=[snapshot.position], shared=False)
    return plain[0] if plain and plain[0].cost - snapshot.cost <= CLEARLY else None


def beginning(
    site: Site, gathered: Gathered, snapshot: Snapshot
) -> tuple[Snapshot, Snapshot | None]:
    """Where a track begins, and its twin, where there is one.

    Most sites are calibrated: an explanation without a common offset that is another place, and not
    clearly worse, comes first, and the snapshot is its twin.
    """
    plain = _plain(site, gathered, snapshot)
    if plain is not None and _far(plain.position, snapshot):
        return plain, snapshot
    return snapshot, snapshot.mirror


def _far(position: FloatArray, snapshot: Snapshot) -> bool:
    return float(np.linalg.norm(position - snapshot.position)) > ELSEWHERE_M


def fix_of(site: Site, gathered: Gathered, snapshot: Snapshot, *, moving: bool = False) -> Estimate:
    """A snapshot as an estimate to start from; moving: with its velocity, else at rest."""
    d = site.dimensions
    if abs(snapshot.offset) >= OFFSET_M:
        plain = _plain(site, gathered, snapshot)
        snapshot = snapshot if plain is None or _far(plain.position, snapshot) else plain
    rows = gathered.latest()
    moved = gathered.age[rows, None] * snapshot.velocity

    # The filter was trained to start from such a fix: less sharp than the snapshot.
    def solved(offset: float) -> tuple[FloatArray, FloatArray]:
        values = gathered.value[rows] - offset
        given = (site, gathered.anchor[rows], values, snapshot.position)
        return solve_position(*given, moved=moved)[:2]

    offset = snapshot.offset if abs(snapshot.offset) >= OFFSET_M else 0.0
    position, covariance = solved(offset)
    if offset != snapshot.offset and _far(position, snapshot):
        offset = snapshot.offset
        position, covariance = solved(offset)
    apart = float(np.linalg.norm(position - snapshot.position))
    if not apart <= 2.0 + 3.0 * np.sqrt(np.trace(snapshot.covariance)):
        position, covariance = snapshot.position, snapshot.covariance
    full = np.zeros((2 * d, 2 * d))
    full[:d, :d] = covariance + FIX_FLOOR_M**2 * np.eye(d)
    full[d:, d:] = SPEED_SIGMA**2 * np.eye(d)
    velocity = snapshot.velocity if moving else np.zeros(d)
    return Estimate(snapshot.time, np.concatenate([position, velocity]), full, offset=offset)


def first_fix(site: Site, ranges: Ranges, *, time: float) -> Estimate | None:
    """The first estimate from one epoch's ranges, at rest; None with fewer than D + 1 anchors."""
    usable = ranges.usable()
    if np.unique(usable.anchor).size < site.dimensions + 1:
        return None
    window = Window(len(site.anchors))
    window.add(usable)
    gathered = window.gathered(time)
    found = explain(site, gathered, time=time, still=True)
    return fix_of(site, gathered, found[0]) if found else None
