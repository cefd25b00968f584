# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Places that explain a window of ranges, robustly and without any filter's state.

The unknowns are position, velocity and an offset that all ranges share. A residual r costs
log(1 + (r / s)^2), so a wild range costs little more than a bad one; ranges of an anchor share one
vote. Candidates are where the circles of pairs of anchors meet; the best are polished by iterated
reweighted Gauss-Newton. Near and equal minima tell where geometry cannot decide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import field, replace
from functools import cached_property

import numpy as np

from locdreamer_ros import compiled
from locdreamer_ros.geometry import FLOOR_M, slant
from locdreamer_ros.integrity.window import Gathered
from locdreamer_ros.types import FloatArray, IntArray, Site
from locdreamer_ros.unchanging import unchanging

SCALE_M, SCALE_AGE = 0.3, 0.05
"""Scale of a residual: m, and m/s^2 for the square of its age: velocity is not constant."""
OFFSET_M = 0.5
"""Scale of the common offset, which has heavy tails and counts as one anchor."""
SPEED_M_S = 2.0
HEIGHT_M = 3.0
"""Sigma of the height about the site's, in space."""
MOST_POLISHED = 6
CANDIDATES_M, DISTINCT_M = 1.0, 0.7
"""Candidates, and minima, farther apart than this are different ones."""
NEAREST = 8
"""Circles of the shortest ranges are intersected."""
MIRROR_COST = 1.0
"""Two minima whose costs differ by less explain the ranges alike."""
GOOD_M = 0.5
"""An anchor whose median residual is smaller agrees."""
STEPS = (4.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0)
"""Factors of the scale in the steps of Gauss-Newton: coarse to fine."""
LEVELS = (-1.0, 0.0, 1.5, 4.0)
"""Heights above the site's where candidates begin, in space, m."""
CONSTANTS = (
    SCALE_M,
    SCALE_AGE,
    OFFSET_M,
    SPEED_M_S,
    HEIGHT_M,
    CANDIDATES_M,
    MOST_POLISHED,
    NEAREST,
)
FOR_KERNEL = tuple(np.array(values, dtype=np.float64) for values in (CONSTANTS, STEPS, LEVELS))


@unchanging
class Snapshot:
    """One explanation of a window. position, velocity (D,), covariance (D, D) of the position.

    offset m that all ranges share; cost in anchors; residuals (N,) m of the window's ranges;
    mirror: another place that explains the ranges nearly as well.
    """

    time: float
    position: FloatArray
    velocity: FloatArray
    covariance: FloatArray
    offset: float
    cost: float
    residuals: FloatArray = field(repr=False)
    window: Gathered = field(repr=False)
    mirror: Snapshot | None = field(default=None, repr=False)

    # Of most explanations nobody asks for these.

    @cached_property
    def residual(self) -> dict[int, float]:
        """Of each anchor the median, m."""
        return self.window.per_anchor(self.residuals)

    @cached_property
    def _agree(self) -> list[int]:
        return [anchor for anchor, off in self.residual.items() if abs(off) < GOOD_M]

    @property
    def good(self) -> int:
        """How many anchors agree."""
        return len(self._agree)

    @cached_property
    def fit(self) -> float:
        """Their mean cost."""
        each = self.window.weight * rho(self.residuals, scales(self.window))
        spent = np.bincount(self.window.anchor, each)
        return float(spent[self._agree].sum()) / len(self._agree) if self._agree else np.inf

    @property
    def anchors(self) -> int:
        """How many the window has."""
        return self.window.anchors


def rho(residual: FloatArray, scale: FloatArray | float) -> FloatArray:
    """Cost of residuals."""
    return np.asarray(np.log1p((residual / scale) ** 2))


def scales(gathered: Gathered) -> FloatArray:
    """Scale (N,) m of each range's residual."""
    return np.asarray(SCALE_M + SCALE_AGE * gathered.age**2)


def cost_of(residual: FloatArray, gathered: Gathered) -> tuple[float, float]:
    """`least_cost` of the residuals (N,) m of a window."""
    cost, offset = least_cost(residual[None], gathered.weight, scales(gathered))
    return float(cost[0]), float(offset[0])


def gaps(site: Site, anchor: IntArray, value: FloatArray, at: FloatArray) -> FloatArray:
    """Ranges value (N,) m of anchors (N,) less their slant distances from places `at` (N, D)."""
    return np.asarray(value - slant(site.offsets(at, anchor))[0])


def least_cost(
    residual: FloatArray, weight: FloatArray, scale: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Least cost (M,) of residuals (M, N) over a common offset, and that offset (M,) m.

    The offset is none or the weighted median.
    """
    order = np.argsort(residual, axis=1)
    sums = np.cumsum(weight[order], axis=1)
    middle = (sums < 0.5 * sums[:, -1:]).sum(axis=1)
    rows = np.arange(len(residual))
    offset = residual[rows, order[rows, np.minimum(middle, residual.shape[1] - 1)]]
    plain = (weight * rho(residual, scale)).sum(axis=1)
    moved = (weight * rho(residual - offset[:, None], scale)).sum(axis=1) + rho(offset, OFFSET_M)
    better = moved < plain
    return np.where(better, moved, plain), np.where(better, offset, 0.0)


def _meetings(site: Site, gathered: Gathered) -> FloatArray:
    """Where the circles of pairs of anchors meet, (M, D), or come nearest."""
    rows = gathered.latest()[:NEAREST]
    places = site.anchors.positions[gathered.anchor[rows]]
    first, second = np.triu_indices(rows.size, 1)
    apart = places[second, :2] - places[first, :2]
    length = np.maximum(np.hypot(*apart.T), 1e-6)
    along = apart / length[:, None]
    across = np.column_stack([-along[:, 1], along[:, 0]])
    levels = (0.0,) if site.dimensions == 2 else LEVELS
    found = []
    for level in levels:
        height = site.tag_height + level
        radius = np.sqrt(np.maximum(gathered.value[rows] ** 2 - (height - places[:, 2]) ** 2, 0.01))
        a, b = radius[first], radius[second]
        x = np.clip((a**2 - b**2 + length**2) / (2.0 * length), -a, a)
        y = np.sqrt(np.maximum(a**2 - x**2, 0.0))
        foot = places[first, :2] + along * x[:, None]
        for side in (across, -across):
            at = foot + side * y[:, None]
            if site.dimensions == 3:
                at = np.column_stack([at, np.full(len(at), height)])
            found.append(at)
    return np.concatenate(found)


def whatever_offset(site: Site, gathered: Gathered) -> FloatArray:
    """Places (M, D) that the ranges say whatever offset they share: of all, and without one each.

    (r - c)^2 = |x - a|^2 is linear in the place, the offset c and one number more, |x|^2 - c^2.
    None where there are fewer anchors than that.
    """
    d = site.dimensions
    rows = gathered.latest()
    n = rows.size
    if n < d + 2:
        return np.empty((0, d))
    places, value = site.anchors.positions[gathered.anchor[rows]], gathered.value[rows]
    middle = places[:, :d].mean(axis=0)
    at = places[:, :d] - middle
    matrix = np.column_stack([2.0 * at, -2.0 * value, np.ones(n)])
    right = (at**2).sum(axis=1) - value**2
    if d == 2:
        right += (site.tag_height - places[:, 2]) ** 2
    kept = np.ones((n + 1 if n > d + 2 else 1, n))
    kept[np.arange(1, len(kept)), np.arange(len(kept) - 1)] = 0.0
    normal = np.einsum("mn,ni,nj->mij", kept, matrix, matrix) + 1e-6 * np.eye(d + 2)
    solved = np.linalg.solve(normal, np.einsum("mn,ni,n->mi", kept, matrix, right)[..., None])
    return np.asarray(solved[:, :d, 0] + middle)


def _spread_out(places: FloatArray, cost: FloatArray) -> FloatArray:
    """The best rows of places (M, D) that lie apart."""
    chosen: list[int] = []
    for row in np.argsort(cost, kind="stable"):
        if all(np.linalg.norm(places[row] - places[c]) > CANDIDATES_M for c in chosen):
            chosen.append(int(row))
        if len(chosen) == MOST_POLISHED:
            break
    return np.array(chosen, dtype=np.intp)


@unchanging
class Polished:
    """Candidates after Gauss-Newton.

    state (P, 2D + 1): position, velocity, offset; cost (P,);
    covariance (P, D, D) of the position; residual (P, N) m.
    """

    state: FloatArray
    cost: FloatArray
    covariance: FloatArray
    residual: FloatArray


def _polished_compiled(
    site: Site, gathered: Gathered, seeds: FloatArray, still: bool, shared: bool
) -> Polished | None:
    """`_polished` by the kernel; None where it leaves it to numpy."""
    if compiled.kernel is None:
        return None
    d, n = site.dimensions, gathered.age.size
    room = Polished(
        *(np.empty((MOST_POLISHED, 2 * d + 1)), np.empty(MOST_POLISHED)),
        *(np.empty((MOST_POLISHED, d, d)), np.empty((MOST_POLISHED, n))),
    )
    count = compiled.kernel.explain(
        *(site.anchors.positions, site.tag_height, FLOOR_M),
        *(gathered.age, gathered.anchor, gathered.value, gathered.weight, seeds, still, shared),
        *(*FOR_KERNEL, room.state, room.cost, room.covariance, room.residual),
    )
    if count < 0:
        return None
    return Polished(
        room.state[:count], room.cost[:count], room.covariance[:count], room.residual[:count]
    )


def _polished(
    site: Site, gathered: Gathered, seeds: FloatArray, still: bool, shared: bool
) -> Polished:
    """Candidates that are good and apart, polished; seeds (M, D): further candidates."""
    d = site.dimensions
    places = site.anchors.positions[gathered.anchor]
    scale, weight, age = scales(gathered), gathered.weight, gathered.age

    def residuals(position: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Of positions (M, N, D): residuals (M, N) m before any offset, directions (M, N, D)."""
        delta = np.empty((*position.shape[:-1], 3))
        delta[..., :d] = position - places[:, :d]
        if d == 2:
            delta[..., 2] = site.tag_height - places[:, 2]
        distance, direction = slant(delta)
        return gathered.value - distance, direction[..., :d]

    candidates = np.concatenate([_meetings(site, gathered), seeds])
    n = age.size
    tiled = np.broadcast_to(candidates[:, None], (len(candidates), n, d))
    cost, offset = least_cost(residuals(tiled)[0], weight, 3.0 * scale)
    if not shared:
        offset = np.zeros_like(offset)
        cost = (weight * rho(residuals(tiled)[0], 3.0 * scale)).sum(axis=1)
    chosen = _spread_out(candidates, cost)
    size = 2 * d + 1
    state = np.zeros((chosen.size, size))
    state[:, :d], state[:, -1] = candidates[chosen], offset[chosen]
    calm = 1e6 if still else SPEED_M_S**-2
    level = HEIGHT_M**-2 if d == 3 else 0.0
    speed = np.arange(d, 2 * d)
    for factor in STEPS:
        position = state[:, None, :d] + age[:, None] * state[:, None, d : 2 * d]
        residual, direction = residuals(position)
        residual = residual - state[:, -1:]
        gradient = np.concatenate(
            [direction, age[:, None] * direction, np.ones((*residual.shape, 1))], axis=-1
        )
        wide = factor * scale
        w = 2.0 * weight / (1.0 + (residual / wide) ** 2) / wide**2
        hessian = np.einsum("mni,mn,mnj->mij", gradient, w, gradient)
        slope = np.einsum("mni,mn->mi", gradient, w * residual)
        tie = 2.0 / (1.0 + (state[:, -1] / OFFSET_M) ** 2) / OFFSET_M**2
        tie = tie if shared else np.full_like(tie, 1e9)
        hessian[:, speed, speed] += calm
        hessian[:, -1, -1] += tie
        hessian[:, np.arange(d), np.arange(d)] += 1e-4
        slope[:, d : 2 * d] -= calm * state[:, d : 2 * d]
        slope[:, -1] -= tie * state[:, -1]
        if d == 3:
            hessian[:, 2, 2] += level
            slope[:, 2] -= level * (state[:, 2] - site.tag_height)
        state = state + np.linalg.solve(hessian, slope[..., None])[..., 0]
    position = state[:, None, :d] + age[:, None] * state[:, None, d : 2 * d]
    residual = residuals(position)[0] - state[:, -1:]
    cost = (weight * rho(residual, scale)).sum(axis=1) + rho(state[:, -1], OFFSET_M)
    cost += 0.5 * calm * (state[:, d : 2 * d] ** 2).sum(axis=1)
    if d == 3:
        cost += 0.5 * level * (state[:, 2] - site.tag_height) ** 2
    covariance = np.linalg.inv(hessian)[:, :d, :d]
    covariance = 0.5 * (covariance + covariance.transpose(0, 2, 1))
    return Polished(state, cost, covariance, residual)


def explain(
    site: Site,
    gathered: Gathered,
    *,
    time: float,
    seeds: Sequence[FloatArray] = (),
    still: bool = False,
    shared: bool = True,
) -> list[Snapshot]:
    """Explanations of a window at `time` s, the best first; none where too few anchors were heard.

    seeds: places (D,) to look at besides; still: the window is too short to tell a velocity;
    shared: whether an offset that all ranges share is looked for.
    """
    d = site.dimensions
    if gathered.anchors < 3:
        return []
    extra = np.array([seed[:d] for seed in seeds]).reshape(-1, d)
    given = (site, gathered, extra, still, shared)
    polished = _polished_compiled(*given) or _polished(*given)
    state, cost = polished.state, polished.cost
    found: list[Snapshot] = []
    places = state[:, :d].tolist()
    distinct: list[int] = []
    for row in np.argsort(cost, kind="stable").tolist():
        if any(math.dist(places[row], places[other]) < DISTINCT_M for other in distinct):
            continue
        distinct.append(row)
        found.append(
            Snapshot(
                time,
                state[row, :d],
                state[row, d : 2 * d],
                polished.covariance[row],
                float(state[row, -1]),
                float(cost[row]),
                polished.residual[row],
                gathered,
            )
        )
    if len(found) > 1 and found[1].cost - found[0].cost < MIRROR_COST:
        found[0] = replace(found[0], mirror=found[1])
    return found
