# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Robust least squares over anchors, offsets and the tag's walk at once.

Levenberg-Marquardt with weights set anew at each step (iteratively reweighted). A range touches two
neighbouring knots only, a bend three, so the walk's part of the normal equations is a band; it is
eliminated exactly, and what is left is a small dense system of anchors, offsets and headings, whose
inverse is their covariance. (`scipy.optimize.least_squares` with a sparse Jacobian solves each step
by LSMR and gives no covariance.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError, solveh_banded

from locdreamer_ros.survey.problem import Known, Walk
from locdreamer_ros.types import BoolArray, FloatArray, IntArray

ACCELERATION = 1.5
"""m/s^2, of a walking tag."""
GAP_S = 1.0
"""Knots farther apart say nothing of each other."""
COMMON_M, OWN_M = 0.5, 0.05
"""How far ranges may be off: all alike, and each anchor from the others."""
TAPE_M, RANGED_M, HEIGHT_M = 0.02, 0.10, 0.02
"""Standard deviations of a taped and a ranged length between anchors, and of the tag's height."""
STEP_M, STEP_SHARE, YAW_RAD = 0.02, 0.05, 0.1
"""Of a step of the odometry: fixed part, share of its length; of the heading's drift in YAW_S."""
CAUCHY, HUBER = 1.5, 2.0
"""Where weights begin to fall, in standard deviations: too long ranges fall faster."""
LEAST_SPREAD_M = 0.02
FARTHEST_M = 300.0
"""A weak pull of the walk to its middle, so that no knot is undetermined."""
STEPS = 60


@dataclass(frozen=True, eq=False)
class State:
    """Unknowns: knots (K, D) m, anchors (A, D) m, offsets (A,) m, yaws (Q,) rad of the odometry.

    delay m: what ranges between anchors have less than those of the tag.
    """

    knots: FloatArray
    anchors: FloatArray
    offsets: FloatArray
    yaws: FloatArray
    delay: float = 0.0


@dataclass(frozen=True, eq=False)
class Fit:
    """Where it ended: error (N,) m of each range, weight (N,) 0..1, cost.

    spread m: robust standard deviation of the errors; information (Y, Y) of anchors, offsets, delay
    and yaws, the walk eliminated.
    """

    state: State
    error: FloatArray
    weight: FloatArray
    spread: float
    information: FloatArray
    cost: float


class NormalEquations:
    """Normal equations: band of the walk (K, 3, D, D), coupling (K, D, Y), the rest (Y, Y).

    walk_slope (K, D), slope (Y,): their right-hand side, minus the gradient of the cost.
    """

    def __init__(self, knots: int, d: int, rest: int) -> None:
        self.band = np.zeros((knots, 3, d, d))
        """Of knot k with k, k + 1 and k + 2."""
        self.coupling = np.zeros((knots, d, rest))
        self.rest = np.zeros((rest, rest))
        self.walk_slope = np.zeros((knots, d))
        self.slope = np.zeros(rest)

    def solve(self, damping: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Steps of the walk (K, D) and the rest (Y,), and information (Y, Y) of the rest."""
        k, _, d, _ = self.band.shape
        banded = np.zeros((3 * d, k * d))
        for ahead in range(3):
            for i in range(d):
                for j in range(d):
                    above = ahead * d + j - i
                    if above < 0 or ahead >= k:
                        continue
                    column = np.arange(k - ahead) * d + ahead * d + j
                    banded[3 * d - 1 - above, column] = self.band[: k - ahead, ahead, i, j]
        banded[-1] *= 1.0 + damping
        right = np.column_stack([self.walk_slope.ravel(), self.coupling.reshape(k * d, -1)])
        solved = solveh_banded(banded, right, check_finite=False)
        mixed = self.coupling.reshape(k * d, -1)
        left = self.rest - mixed.T @ solved[:, 1:]
        diagonal = np.diag(self.rest) * damping + 1e-9
        step = np.linalg.solve(left + np.diag(diagonal), self.slope - mixed.T @ solved[:, 0])
        return (solved[:, 0] - solved[:, 1:] @ step).reshape(k, d), step, left


class Problem:
    """A walk and what is known, in D dimensions: residuals, weights, normal equations."""

    def __init__(
        self,
        walk: Walk,
        known: Known,
        dimensions: int,
        *,
        fixed: bool = True,
        repeated: float = 1.0,
    ) -> None:
        self.walk, self.known, self.d = walk, known, dimensions
        self.repeated = repeated
        """So many ranges say what one does: errors stay alike while the tag stays near."""
        places = known.places
        self.count = len(places)
        self.fixed: BoolArray = np.isfinite(places[:, : self.d]) & fixed
        height = 0.0 if known.tag_height is None else known.tag_height
        drop = np.nan_to_num(places[:, 2] - height) if known.tag_height is not None else 0.0
        self.drop: FloatArray = np.broadcast_to(drop if dimensions == 2 else 0.0, (self.count,))
        """(A,) m, known heights above the tag, in the plane."""
        steps = np.diff(walk.times)
        near = (steps[1:] <= GAP_S) & (steps[:-1] <= GAP_S)
        self.bend = np.flatnonzero(near)
        first, second = steps[:-1][near], steps[1:][near]
        middle = 0.5 * (first + second) * ACCELERATION
        self.bends = np.stack(
            [
                1.0 / (first * middle),
                -(1.0 / first + 1.0 / second) / middle,
                1.0 / (second * middle),
            ]
        )
        self.turns = walk.turns
        self.yaws = int(self.turns.max(initial=-1)) + 1
        n = self.count
        together = OWN_M**2 * np.eye(n) + COMMON_M**2 * np.ones((n, n))
        self.stiff: FloatArray = np.linalg.inv(together).astype(np.float64)

    @property
    def size(self) -> int:
        """Y: anchors' coordinates, offsets, delay, yaws."""
        return self.count * (self.d + 1) + 1 + self.yaws

    def errors(self, state: State) -> tuple[FloatArray, FloatArray]:
        """Errors (N,) m of the ranges, and unit directions (N, D) from anchor to tag."""
        walk, a = self.walk, self.walk.anchor
        along = walk.fraction[:, None]
        ahead = np.minimum(walk.knot + 1, len(state.knots) - 1)
        tag = (1.0 - along) * state.knots[walk.knot] + along * state.knots[ahead]
        delta = tag - state.anchors[a]
        distance = np.sqrt((delta**2).sum(axis=1) + self.drop[a] ** 2 + 1e-6)
        return walk.value - distance - state.offsets[a], delta / distance[:, None]

    def cost(self, state: State, spread: float) -> float:
        """The robust cost: minus the logarithm of the likelihood, without constants."""
        error, _ = self.errors(state)
        total = float(_loss(error / spread).sum()) / self.repeated
        total += 0.5 * float(state.offsets @ self.stiff @ state.offsets)
        total += float(_loss(np.linalg.norm(self._accelerations(state), axis=1)).sum())
        for residual, _ in self._lengths_and_yaws(state):
            total += 0.5 * float(residual @ residual)
        error, sigma, _, _ = self._odometry_errors(state)
        total += float(_loss(np.linalg.norm(error, axis=1) / sigma).sum())
        off = state.knots - state.knots.mean(axis=0)
        total += 0.5 * float((off**2).sum()) / FARTHEST_M**2
        if self.d == 3 and self.known.tag_height is not None:
            off = (state.knots[:, 2] - self.known.tag_height) / HEIGHT_M
            total += 0.5 * float(off @ off)
        return total

    def _accelerations(self, state: State) -> FloatArray:
        """Accelerations (B, D) over ACCELERATION."""
        at = self.bend
        return np.asarray(
            self.bends[0][:, None] * state.knots[at]
            + self.bends[1][:, None] * state.knots[at + 1]
            + self.bends[2][:, None] * state.knots[at + 2]
        )

    def _lengths_and_yaws(self, state: State) -> list[tuple[FloatArray, FloatArray]]:
        """Lengths and yaws, without the walk: residuals (R,) over their sigma, Jacobians (R, Y)."""
        between, d, n = self.known.between, self.d, self.count
        found = []
        if between.length.size:
            i, j = between.start, between.end
            delta = state.anchors[i] - state.anchors[j]
            apart = np.nan_to_num(self.drop[i] - self.drop[j])
            distance = np.sqrt((delta**2).sum(axis=1) + apart**2 + 1e-6)
            ranged = 1.0 - between.taped
            offset = state.offsets[i] + state.offsets[j] - state.delay
            sigma = np.where(between.taped > 0.0, TAPE_M, RANGED_M)
            rows = np.arange(i.size)
            jacobian = np.zeros((i.size, self.size))
            for axis in range(d):
                unit = delta[:, axis] / distance
                jacobian[rows, i * d + axis] += unit
                jacobian[rows, j * d + axis] -= unit
            _add(jacobian, (rows, n * d + i), ranged)
            _add(jacobian, (rows, n * d + j), ranged)
            jacobian[rows, n * (d + 1)] -= ranged
            residual = (between.length - distance - ranged * offset) / sigma
            found.append((residual, jacobian / sigma[:, None]))
        jacobian = np.zeros((1 + max(self.yaws - 1, 0), self.size))
        jacobian[0, n * (d + 1)] = 1.0 / COMMON_M
        gone = [-state.delay / COMMON_M]
        for q in range(1, self.yaws):
            gone.append(-(state.yaws[q] - state.yaws[q - 1]) / YAW_RAD)
            jacobian[q, n * (d + 1) + 1 + q], jacobian[q, n * (d + 1) + q] = (
                1 / YAW_RAD,
                -1 / YAW_RAD,
            )
        found.append((np.array(gone), jacobian))
        return found

    def normal(self, state: State, weight: FloatArray, spread: float) -> NormalEquations:
        """The normal equations at `state`, ranges weighted by `weight` (N,) / spread^2."""
        walk, d, n, k = self.walk, self.d, self.count, len(state.knots)
        equations = NormalEquations(k, d, self.size)
        error, unit = self.errors(state)
        w = weight / (spread**2 * self.repeated)
        near, far = 1.0 - walk.fraction, walk.fraction
        outer = w[:, None, None] * unit[:, :, None] * unit[:, None, :]
        ahead = np.minimum(walk.knot + 1, k - 1)
        _add(equations.band[:, 0], walk.knot, (near**2)[:, None, None] * outer)
        _add(equations.band[:, 0], ahead, (far**2)[:, None, None] * outer)
        _add(equations.band[:, 1], walk.knot, (near * far)[:, None, None] * outer)
        pull = (w * error)[:, None] * unit
        _add(equations.walk_slope, walk.knot, near[:, None] * pull)
        _add(equations.walk_slope, ahead, far[:, None] * pull)
        place = equations.rest[: n * d, : n * d].reshape(n, d, n, d)
        a = walk.anchor
        own = np.zeros((n, d, d))
        _add(own, a, outer)
        place[np.arange(n), :, np.arange(n), :] += own
        _add(equations.slope[: n * d].reshape(n, d), a, -pull)
        cross = np.zeros((n, d))
        _add(cross, a, -w[:, None] * unit)
        offset = n * d + np.arange(n)
        for axis in range(d):
            equations.rest[np.arange(n) * d + axis, offset] += cross[:, axis]
            equations.rest[offset, np.arange(n) * d + axis] += cross[:, axis]
        equations.rest[offset, offset] += np.bincount(a, w, n)
        equations.slope[offset] += np.bincount(a, w * error, n)
        for at, share in ((walk.knot, near), (ahead, far)):
            for axis in range(d):
                _add(
                    equations.coupling,
                    (at, slice(None), a * d + axis),
                    -share[:, None] * outer[:, axis],
                )
            _add(equations.coupling, (at, slice(None), n * d + a), (share * w)[:, None] * unit)
        equations.rest[n * d : n * d + n, n * d : n * d + n] += self.stiff
        equations.slope[n * d : n * d + n] -= self.stiff @ state.offsets
        for residual, jacobian in self._lengths_and_yaws(state):
            equations.rest += jacobian.T @ jacobian
            equations.slope += jacobian.T @ residual
        self._add_smoothness(equations, state)
        self._add_odometry(equations, state)
        self._hold_known(equations)
        return equations

    def _add_smoothness(self, equations: NormalEquations, state: State) -> None:
        """A walk bends little; a tag that is put elsewhere may jump."""
        bent = self._accelerations(state)
        w = _weight(np.linalg.norm(bent, axis=1))
        eye = np.eye(self.d)
        for i in range(3):
            _add(equations.walk_slope, self.bend + i, -(w * self.bends[i])[:, None] * bent)
            for j in range(i, 3):
                value = (w * self.bends[i] * self.bends[j])[:, None, None] * eye
                _add(equations.band[:, j - i], self.bend + i, value)
        middle = state.knots.mean(axis=0)
        equations.band[:, 0] += eye / FARTHEST_M**2
        equations.walk_slope -= (state.knots - middle) / FARTHEST_M**2
        if self.d == 3 and self.known.tag_height is not None:
            equations.band[:, 0, 2, 2] += HEIGHT_M**-2
            equations.walk_slope[:, 2] += (self.known.tag_height - state.knots[:, 2]) / HEIGHT_M**2

    def _odometry_errors(self, state: State) -> tuple[FloatArray, FloatArray, FloatArray, IntArray]:
        """Of odometry: errors (R, 2) m, sigmas (R,) m, steps turned left (R, 2) m, knots (R,)."""
        rows = np.flatnonzero(self.turns >= 0)
        step, yaw = self.walk.moved[rows], state.yaws[self.turns[rows]]
        cos, sin = np.cos(yaw), np.sin(yaw)
        x, y = cos * step[:, 0] - sin * step[:, 1], sin * step[:, 0] + cos * step[:, 1]
        error = state.knots[rows + 1, :2] - state.knots[rows, :2] - np.stack([x, y], axis=1)
        sigma = STEP_M + STEP_SHARE * np.linalg.norm(step, axis=1)
        return error, sigma, np.stack([-y, x], axis=1), rows

    def _add_odometry(self, equations: NormalEquations, state: State) -> None:
        """The odometry's steps, turned by the heading of their time."""
        error, sigma, across, rows = self._odometry_errors(state)
        if not rows.size:
            return
        q = self.turns[rows]
        w = _weight(np.linalg.norm(error, axis=1) / sigma) / sigma**2
        eye = np.zeros((self.d, self.d))
        eye[:2, :2] = np.eye(2)
        equations.band[rows, 0] += w[:, None, None] * eye
        equations.band[rows + 1, 0] += w[:, None, None] * eye
        equations.band[rows, 1] -= w[:, None, None] * eye
        equations.walk_slope[rows, :2] += w[:, None] * error
        equations.walk_slope[rows + 1, :2] -= w[:, None] * error
        at = self.count * (self.d + 1) + 1 + q
        for axis in range(2):
            _add(equations.coupling, (rows, axis, at), w * across[:, axis])
            _add(equations.coupling, (rows + 1, axis, at), -w * across[:, axis])
        _add(equations.rest, (at, at), w * (across**2).sum(axis=1))
        _add(equations.slope, at, w * (error * across).sum(axis=1))

    def _hold_known(self, equations: NormalEquations) -> None:
        """Known coordinates do not move; nor does a delay or yaw that nothing depends on."""
        held = np.flatnonzero(self.fixed.ravel())
        equations.rest[held], equations.rest[:, held] = 0.0, 0.0
        equations.rest[held, held] = 1e12
        equations.slope[held] = 0.0
        equations.coupling[:, :, held] = 0.0


def _add(target: FloatArray, index: Any, value: FloatArray) -> None:
    """Add values where `index` says, also where it says so twice."""
    np.add.at(target, index, value)


def _loss(x: FloatArray) -> FloatArray:
    """Cauchy's for what is too long, Huber's for what is too short."""
    long = 0.5 * CAUCHY**2 * np.log1p((np.maximum(x, 0.0) / CAUCHY) ** 2)
    short = np.minimum(np.abs(x), HUBER) * (np.abs(x) - 0.5 * np.minimum(np.abs(x), HUBER))
    return np.where(x > 0.0, long, short)


def _weight(x: FloatArray) -> FloatArray:
    """The loss's derivative over x, 0..1."""
    long = 1.0 / (1.0 + (np.maximum(x, 0.0) / CAUCHY) ** 2)
    return np.where(x > 0.0, long, HUBER / np.maximum(np.abs(x), HUBER))


def robust_spread(error: FloatArray) -> float:
    """Standard deviation of most errors, m."""
    return max(LEAST_SPREAD_M, 1.4826 * float(np.median(np.abs(error))))


def moved(state: State, walk: FloatArray, rest: FloatArray) -> State:
    """The state after a step."""
    n, d = state.anchors.shape
    return State(
        state.knots + walk,
        state.anchors + rest[: n * d].reshape(n, d),
        state.offsets + rest[n * d : n * (d + 1)],
        state.yaws + rest[n * (d + 1) + 1 :],
        state.delay + float(rest[n * (d + 1)]),
    )


def fit(problem: Problem, start: State, *, steps: int = STEPS) -> Fit:
    """The state that explains the ranges best, from `start`."""
    n, d = problem.count, problem.d
    anchors = np.where(problem.fixed, problem.known.places[:, :d], start.anchors)
    yaws = start.yaws if start.yaws.size == problem.yaws else np.zeros(problem.yaws)
    state = replace(start, anchors=anchors, yaws=yaws)
    damping = 1e-3
    spread = robust_spread(problem.errors(state)[0])
    for _ in range(steps):
        spread = robust_spread(problem.errors(state)[0])
        before = problem.cost(state, spread)
        weight = _weight(problem.errors(state)[0] / spread)
        equations = problem.normal(state, weight, spread)
        better = False
        while damping < 1e8 and not better:
            try:
                walk, rest, _ = equations.solve(damping)
                tried = moved(state, walk, rest)
                after = problem.cost(tried, spread)
                better = bool(after < before)
            except (LinAlgError, np.linalg.LinAlgError):
                better = False
            damping = damping / 5.0 if better else damping * 5.0
        if not better:
            break
        damping = max(damping, 1e-9)
        largest = float(np.abs(rest[: n * (d + 1)]).max())
        state = tried
        if largest < 1e-4 and before - after < 1e-4 * abs(before):
            break
    error, _ = problem.errors(state)
    spread = robust_spread(error)
    weight = _weight(error / spread)
    _, _, information = problem.normal(state, weight, spread).solve(0.0)
    return Fit(
        state,
        error,
        weight,
        spread,
        information,
        problem.cost(state, spread) + error.size / problem.repeated * float(np.log(spread)),
    )
