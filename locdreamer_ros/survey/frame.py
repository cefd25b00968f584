# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A found shape in the frame of what is known: turned, moved, mirrored where that fits better."""

from __future__ import annotations

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from locdreamer_ros.types import BoolArray, FloatArray

LEAST_ANGLE_RAD = 0.02


def canonical(places: FloatArray) -> FloatArray:
    """Points (A, D) with the first at the origin, the second along x, and y (then z) upwards."""
    d = places.shape[1]
    moved = places - places[0]
    basis: list[FloatArray] = []
    for point in moved[1:]:
        left = point - sum((point @ b) * b for b in basis)
        if np.linalg.norm(left) > LEAST_ANGLE_RAD * np.linalg.norm(moved, axis=1).max():
            basis.append(left / np.linalg.norm(left))
        if len(basis) == d:
            break
    turned = moved @ np.array(basis).T if len(basis) == d else moved
    return np.asarray(turned)


def placed(points: FloatArray, known: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Points (P, D) in the frame of the known coordinates (P, D), NaN where unknown.

    Returns them, and the root mean square misfit of the shape and of its mirror image, m: alike
    where the known coordinates do not tell them apart.
    """
    d = points.shape[1]
    use = np.isfinite(known)
    if not use.any():
        return canonical(points), np.zeros(2)
    middle = points.mean(axis=0)
    best: list[tuple[float, FloatArray]] = []
    for sign in (1.0, -1.0):
        shape = points - middle
        shape = shape * np.append(np.ones(d - 1), sign)
        best.append(
            min((_turned(shape, known, use, turn) for turn in _turns(d)), key=lambda f: f[0])
        )
    misfits = np.array([cost for cost, _ in best])
    # The shape itself, where its mirror image is no better.
    chosen = best[int(misfits[1] < 0.95 * misfits[0] - 1e-3)]
    turned = chosen[1]
    if d == 3 and not use[:, :2].any():  # of known heights: the floor plan is as free as without
        turned = np.column_stack([canonical(turned[:, :2]), turned[:, 2]])
    return turned, misfits


def _turns(d: int) -> list[FloatArray]:
    """Rotation vectors to begin from."""
    if d == 2:
        return [np.array([angle]) for angle in np.arange(8) * np.pi / 4]
    spread = Rotation.random(24, random_state=0).as_rotvec()
    return [np.zeros(3), *spread]


def _turned(
    shape: FloatArray, known: FloatArray, use: BoolArray, turn: FloatArray
) -> tuple[float, FloatArray]:
    """Misfit m and points after the turn and shift that fit best from `turn`."""
    d = shape.shape[1]
    size = turn.size

    def at(x: FloatArray) -> FloatArray:
        if d == 2:
            cos, sin = np.cos(x[0]), np.sin(x[0])
            return np.asarray(shape @ np.array([[cos, sin], [-sin, cos]]) + x[size:])
        return np.asarray(Rotation.from_rotvec(x[:3]).apply(shape) + x[size:])

    def miss(x: FloatArray) -> FloatArray:
        return np.asarray((at(x) - known)[use])

    middle = np.array([np.nanmean(c) if np.isfinite(c).any() else 0.0 for c in known.T])
    found = least_squares(miss, np.append(turn, middle))
    return float(np.sqrt(np.mean(miss(found.x) ** 2))), at(found.x)


def free_motions(anchors: FloatArray, fixed: BoolArray, *, level: bool) -> FloatArray:
    """Rigid motions (A * D, g) of anchors (A, D) m that known coordinates leave free, orthonormal.

    level: what is vertical is known otherwise, so that only turns about it are free, and no shift.
    """
    n, d = anchors.shape
    found = []
    shape = anchors - anchors.mean(axis=0)
    for axis in range(2 if level else d):
        found.append(np.tile(np.eye(d)[axis], (n, 1)))
    planes = [(0, 1)] if d == 2 or level else [(0, 1), (0, 2), (1, 2)]
    for i, j in planes:
        turn = np.zeros((n, d))
        turn[:, i], turn[:, j] = -shape[:, j], shape[:, i]
        found.append(turn)
    motions = np.stack([m.ravel() for m in found], axis=1)
    motions = motions / np.linalg.norm(motions, axis=0)
    held = motions[fixed.ravel()]
    if held.size:
        _, s, vt = np.linalg.svd(held)
        rank = int((s > 1e-3).sum())
        motions = motions @ vt[rank:].T
    return np.asarray(np.linalg.qr(motions)[0]) if motions.size else motions
