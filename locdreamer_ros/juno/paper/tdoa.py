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

Fix = tuple[float, float, bool]


@njit(cache=True)
def _nearer(
    ax: float, ay: float, a: bool, bx: float, by: float, b: bool, px: float, py: float
) -> Fix:
    """Of roots (ax, ay) and (bx, by), valid where a and b say, the one nearer to the prior."""
    if a and b:
        first = (ax - px) ** 2 + (ay - py) ** 2 <= (bx - px) ** 2 + (by - py) ** 2
        return (ax, ay, True) if first else (bx, by, True)
    if a:
        return ax, ay, True
    if b:
        return bx, by, True
    return px, py, False


@njit(cache=True)
def _inside(x: float, y: float, width: float, height: float) -> bool:
    return bool(-MARGIN_M <= x <= width + MARGIN_M and -MARGIN_M <= y <= height + MARGIN_M)


@njit(cache=True)
def _with_reference(
    beacons: FloatArray,
    times: FloatArray,
    i: int,
    j: int,
    px: float,
    py: float,
    width: float,
    height: float,
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
        return px, py, False
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
            return px, py, False
        root = sqrt(inner)
        first, second = (-half + root) / square, (-half - root) / square
    x1, y1 = ox + ax + bx * first, oy + ay + by * first
    x2, y2 = ox + ax + bx * second, oy + ay + by * second
    # Squaring added roots with a negative distance to a beacon; they are none.
    valid1 = first >= 0.0 and di + first >= 0.0 and dj + first >= 0.0
    valid2 = second >= 0.0 and di + second >= 0.0 and dj + second >= 0.0
    valid1 = valid1 and _inside(x1, y1, width, height)
    valid2 = valid2 and _inside(x2, y2, width, height)
    return _nearer(x1, y1, valid1, x2, y2, valid2, px, py)


@njit(cache=True)
def _two_circles(
    beacons: FloatArray,
    times: FloatArray,
    i: int,
    j: int,
    px: float,
    py: float,
    width: float,
    height: float,
) -> Fix:
    """`CIRCLES`: where the circles about beacons i and j meet; times are distances, m."""
    dx, dy = beacons[j, 0] - beacons[i, 0], beacons[j, 1] - beacons[i, 1]
    between = hypot(dx, dy)
    ri, rj = times[i], times[j]
    if between == 0.0 or ri <= 0.0 or rj <= 0.0:
        return px, py, False
    along = 0.5 * (between + (ri - rj) * (ri + rj) / between)
    square = ri * ri - along * along
    if square < 0.0:
        return px, py, False
    aside = sqrt(square)
    ex, ey = dx / between, dy / between
    mx, my = beacons[i, 0] + along * ex, beacons[i, 1] + along * ey
    x1, y1 = mx - aside * ey, my + aside * ex
    x2, y2 = mx + aside * ey, my - aside * ex
    valid1, valid2 = _inside(x1, y1, width, height), _inside(x2, y2, width, height)
    return _nearer(x1, y1, valid1, x2, y2, valid2, px, py)


@njit(cache=True)
def _onto_hyperbola(
    beacons: FloatArray,
    times: FloatArray,
    i: int,
    j: int,
    px: float,
    py: float,
    width: float,
    height: float,
) -> Fix:
    """`HYPERBOLA`: the point nearest to the prior on that of beacons i and j, by Newton's steps."""
    difference = times[i] - times[j]
    if abs(difference) >= hypot(beacons[i, 0] - beacons[j, 0], beacons[i, 1] - beacons[j, 1]):
        return px, py, False
    x, y = px, py
    for _ in range(NEWTON_STEPS):
        ix, iy = x - beacons[i, 0], y - beacons[i, 1]
        jx, jy = x - beacons[j, 0], y - beacons[j, 1]
        ri, rj = hypot(ix, iy) + 1e-9, hypot(jx, jy) + 1e-9
        gx, gy = ix / ri - jx / rj, iy / ri - jy / rj
        miss = ri - rj - difference
        steep = gx * gx + gy * gy
        if abs(miss) < NEWTON_M:
            return (x, y, True) if _inside(x, y, width, height) else (px, py, False)
        if steep < 1e-6:
            break
        x, y = x - miss * gx / steep, y - miss * gy / steep
    return px, py, False


@njit(cache=True)
def _of_many(
    reading: int,
    beacons: FloatArray,
    times: FloatArray,
    rows: IntArray,
    px: float,
    py: float,
    width: float,
    height: float,
) -> Fix:
    """Least squares over three or more beacons by Gauss-Newton from the prior."""
    last = beacons.shape[0] - 1
    x, y = px, py
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
            return px, py, False
        mx, my = (d * e - b * f) / determinant, (a * f - b * e) / determinant
        x, y = x + mx, y + my
        if hypot(mx, my) < NEWTON_M:
            return (x, y, True) if _inside(x, y, width, height) else (px, py, False)
    return px, py, False


@njit(cache=True)
def locate(
    reading: int,
    beacons: FloatArray,
    times: FloatArray,
    rows: IntArray,
    px: float,
    py: float,
    width: float,
    height: float,
) -> Fix:
    """Position (x, y) m of the user, and whether a root was found.

    beacons (A + 1, 2) m, the reference last; times (A + 1,) arrival times in metres of light, on
    one clock (whose offset matters only to `CIRCLES`); rows (K,) the beacons chosen; (px, py) the
    prior; the area reaches from the origin to (width, height). More than two beacons are solved by
    least squares, `HYPERBOLA` then as `REFERENCE`; no convergence inside the area is no root.
    """
    if rows.size > 2:
        return _of_many(reading, beacons, times, rows, px, py, width, height)
    i, j = rows[0], rows[1]
    if reading == CIRCLES:
        return _two_circles(beacons, times, i, j, px, py, width, height)
    if reading == HYPERBOLA:
        return _onto_hyperbola(beacons, times, i, j, px, py, width, height)
    return _with_reference(beacons, times, i, j, px, py, width, height)


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
        px, py = priors[t, 0], priors[t, 1]
        x, y, root = locate(reading, beacons, times[t], rows[t], px, py, size[0], size[1])
        fixes[t, 0], fixes[t, 1], found[t] = x, y, root
    return fixes, found
