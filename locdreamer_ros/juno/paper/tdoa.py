# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Equation (3): a position in the plane from two beacons' arrival times, compiled by numba.

Two beacons give one time difference, which is one hyperbola: not a position. Three readings:

- `REFERENCE` (default): both beacons against a third one that never changes; two hyperbolas.
- `CIRCLES`: the user's clock is synchronised too, so each arrival time is a distance; two circles.
- `HYPERBOLA`: the one hyperbola, and on it the point that is nearest to the prior.

**No-root rule.** Where the reading has no root in the area, the prior is the answer, unchanged, and
the fix is marked as not found. Where it has two, the one nearer to the prior is.
"""

from __future__ import annotations

from math import hypot, sqrt

import numpy as np
from numba import njit

from locdreamer_ros.types import BoolArray, FloatArray, IntArray

REFERENCE, CIRCLES, HYPERBOLA = 0, 1, 2
READINGS = {"reference": REFERENCE, "circles": CIRCLES, "hyperbola": HYPERBOLA}
MARGIN_M = 0.5
"""How far outside the area a root may lie: noise carries a user at the wall across it."""
SINGULAR = 1e-3
"""Sine of the angle between two beacons seen from the reference below which they are in line."""
NEWTON_STEPS = 8
NEWTON_M = 0.02
"""An iteration has arrived when it moves, or misses the hyperbola, by less than this."""

Place = tuple[float, float]
"""x, y m."""
Fix = tuple[float, float, bool]
"""x, y m, and whether a root was found."""


@njit(cache=True)
def _no_root(prior: Place) -> Fix:
    return prior[0], prior[1], False


@njit(cache=True)
def _nearer(one: Place, first: bool, other: Place, second: bool, prior: Place) -> Fix:
    """Of two roots, the first and the second valid or not, the one nearer to the prior."""
    if not (first or second):
        return _no_root(prior)
    if first and second:
        away = (one[0] - prior[0]) ** 2 + (one[1] - prior[1]) ** 2
        first = away <= (other[0] - prior[0]) ** 2 + (other[1] - prior[1]) ** 2
    return (one[0], one[1], True) if first else (other[0], other[1], True)


@njit(cache=True)
def _inside(x: float, y: float, size: FloatArray) -> bool:
    """Whether a root lies in the area from the origin to `size` (2,) m, or hardly outside."""
    return bool(-MARGIN_M <= x <= size[0] + MARGIN_M and -MARGIN_M <= y <= size[1] + MARGIN_M)


@njit(cache=True)
def _with_reference(
    beacons: FloatArray,
    times: FloatArray,
    i: int,
    j: int,
    prior: Place,
    size: FloatArray,
) -> Fix:
    """`REFERENCE`: where the hyperbolas of beacons i and j against the reference meet."""
    last = beacons.shape[0] - 1
    ox, oy = beacons[last, 0], beacons[last, 1]
    ux, uy = beacons[i, 0] - ox, beacons[i, 1] - oy
    vx, vy = beacons[j, 0] - ox, beacons[j, 1] - oy
    di, dj = times[i] - times[last], times[j] - times[last]
    uu, vv = ux * ux + uy * uy, vx * vx + vy * vy
    determinant = ux * vy - uy * vx
    if abs(determinant) < SINGULAR * sqrt(uu * vv):
        return _no_root(prior)
    # With the origin at the reference and R = ||p||: u . p = (|u|^2 - d^2) / 2 - d R for each, so
    # p = a + b R, and R^2 = ||a + b R||^2 is a quadratic in R.
    ci, cj = 0.5 * (uu - di * di), 0.5 * (vv - dj * dj)
    ax, ay = (ci * vy - cj * uy) / determinant, (ux * cj - vx * ci) / determinant
    bx, by = (dj * uy - di * vy) / determinant, (vx * di - ux * dj) / determinant
    square, half, constant = bx * bx + by * by - 1.0, ax * bx + ay * by, ax * ax + ay * ay
    if abs(square) < 1e-9:
        first = -0.5 * constant / half if half != 0.0 else -1.0
        second = first
    else:
        inner = half * half - square * constant
        if inner < 0.0:
            return _no_root(prior)
        root = sqrt(inner)
        first, second = (-half + root) / square, (-half - root) / square
    x1, y1 = ox + ax + bx * first, oy + ay + by * first
    x2, y2 = ox + ax + bx * second, oy + ay + by * second
    # Squaring added roots with a negative distance to a beacon; they are none.
    valid1 = first >= 0.0 and di + first >= 0.0 and dj + first >= 0.0
    valid2 = second >= 0.0 and di + second >= 0.0 and dj + second >= 0.0
    valid1 = valid1 and _inside(x1, y1, size)
    valid2 = valid2 and _inside(x2, y2, size)
    return _nearer((x1, y1), valid1, (x2, y2), valid2, prior)


@njit(cache=True)
def _two_circles(
    beacons: FloatArray,
    times: FloatArray,
    i: int,
    j: int,
    prior: Place,
    size: FloatArray,
) -> Fix:
    """`CIRCLES`: where the circles about beacons i and j meet; times are distances, m."""
    dx, dy = beacons[j, 0] - beacons[i, 0], beacons[j, 1] - beacons[i, 1]
    between = hypot(dx, dy)
    ri, rj = times[i], times[j]
    if between == 0.0 or ri <= 0.0 or rj <= 0.0:
        return _no_root(prior)
    along = 0.5 * (between + (ri - rj) * (ri + rj) / between)
    square = ri * ri - along * along
    if square < 0.0:
        return _no_root(prior)
    aside = sqrt(square)
    ex, ey = dx / between, dy / between
    mx, my = beacons[i, 0] + along * ex, beacons[i, 1] + along * ey
    x1, y1 = mx - aside * ey, my + aside * ex
    x2, y2 = mx + aside * ey, my - aside * ex
    valid1, valid2 = _inside(x1, y1, size), _inside(x2, y2, size)
    return _nearer((x1, y1), valid1, (x2, y2), valid2, prior)


@njit(cache=True)
def _onto_hyperbola(
    beacons: FloatArray,
    times: FloatArray,
    i: int,
    j: int,
    prior: Place,
    size: FloatArray,
) -> Fix:
    """`HYPERBOLA`: the point nearest to the prior on that of beacons i and j, by Newton's steps."""
    difference = times[i] - times[j]
    if abs(difference) >= hypot(beacons[i, 0] - beacons[j, 0], beacons[i, 1] - beacons[j, 1]):
        return _no_root(prior)
    x, y = prior
    for _ in range(NEWTON_STEPS):
        ix, iy = x - beacons[i, 0], y - beacons[i, 1]
        jx, jy = x - beacons[j, 0], y - beacons[j, 1]
        ri, rj = hypot(ix, iy) + 1e-9, hypot(jx, jy) + 1e-9
        gx, gy = ix / ri - jx / rj, iy / ri - jy / rj
        miss = ri - rj - difference
        steep = gx * gx + gy * gy
        if abs(miss) < NEWTON_M:
            return (x, y, True) if _inside(x, y, size) else _no_root(prior)
        if steep < 1e-6:
            break
        x, y = x - miss * gx / steep, y - miss * gy / steep
    return _no_root(prior)


@njit(cache=True)
def _of_many(
    reading: int,
    beacons: FloatArray,
    times: FloatArray,
    rows: IntArray,
    prior: Place,
    size: FloatArray,
) -> Fix:
    """Least squares over three or more beacons by Gauss-Newton from the prior."""
    last = beacons.shape[0] - 1
    x, y = prior
    for _ in range(NEWTON_STEPS):
        ox, oy = x - beacons[last, 0], y - beacons[last, 1]
        far = hypot(ox, oy) + 1e-9
        a = b = d = e = f = 0.0
        for row in rows:
            ix, iy = x - beacons[row, 0], y - beacons[row, 1]
            near = hypot(ix, iy) + 1e-9
            gx, gy, miss = ix / near, iy / near, times[row] - near
            if reading != CIRCLES:
                gx, gy = gx - ox / far, gy - oy / far
                miss += far - times[last]
            a, b, d = a + gx * gx, b + gx * gy, d + gy * gy
            e, f = e + gx * miss, f + gy * miss
        determinant = a * d - b * b
        if determinant < 1e-6:
            return _no_root(prior)
        mx, my = (d * e - b * f) / determinant, (a * f - b * e) / determinant
        x, y = x + mx, y + my
        if hypot(mx, my) < NEWTON_M:
            return (x, y, True) if _inside(x, y, size) else _no_root(prior)
    return _no_root(prior)


@njit(cache=True)
def locate(
    reading: int,
    beacons: FloatArray,
    times: FloatArray,
    rows: IntArray,
    prior: Place,
    size: FloatArray,
) -> Fix:
    """Where the user is.

    beacons (A + 1, 2) m, the reference last; times (A + 1,) arrival times in metres of light, on
    one clock (whose offset matters only to `CIRCLES`); rows (K,) the beacons chosen; the area
    reaches from the origin to `size` (2,) m. More than two beacons are solved by least squares,
    `HYPERBOLA` then as `REFERENCE`; no convergence inside the area is no root.
    """
    if rows.size > 2:
        return _of_many(reading, beacons, times, rows, prior, size)
    i, j = rows[0], rows[1]
    if reading == CIRCLES:
        return _two_circles(beacons, times, i, j, prior, size)
    if reading == HYPERBOLA:
        return _onto_hyperbola(beacons, times, i, j, prior, size)
    return _with_reference(beacons, times, i, j, prior, size)


@njit(cache=True)
def locate_each(
    reading: int,
    beacons: FloatArray,
    times: FloatArray,
    rows: IntArray,
    priors: FloatArray,
    size: FloatArray,
) -> tuple[FloatArray, BoolArray]:
    """`locate` for times (T, A + 1), rows (T, K), priors (T, 2): fixes (T, 2) m, found (T,)."""
    fixes = np.empty((rows.shape[0], 2))
    found = np.empty(rows.shape[0], dtype=np.bool_)
    for t in range(rows.shape[0]):
        prior = (priors[t, 0], priors[t, 1])
        x, y, root = locate(reading, beacons, times[t], rows[t], prior, size)
        fixes[t, 0], fixes[t, 1], found[t] = x, y, root
    return fixes, found
