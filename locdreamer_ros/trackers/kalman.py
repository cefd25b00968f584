# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What all Kalman trackers share: motion, the range's Jacobian, one (iterated, weighted) update.

State layout: position (D), velocity (D), then whatever a tracker adds (biases).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from locdreamer_ros.geometry import slant
from locdreamer_ros.types import MAX_AGE_S, FloatArray, Ranges, Site

Linearise = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
"""State (S,) -> expected ranges (N,) m and their Jacobian (N, S)."""


def transition(dt: float, dimensions: int, size: int) -> FloatArray:
    """F (size, size) of constant velocity; what follows velocity in the state stays as it is."""
    matrix = np.eye(size)
    index = np.arange(dimensions)
    matrix[index, dimensions + index] = dt
    return matrix


def _blocks(position: float, cross: float, velocity: float, dimensions: int) -> FloatArray:
    """Each axis has the same 2 x 2 covariance of position and velocity; axes do not mix."""
    matrix = np.zeros((2 * dimensions, 2 * dimensions))
    first = np.arange(dimensions)
    second = first + dimensions
    matrix[first, first], matrix[second, second] = position, velocity
    matrix[first, second] = matrix[second, first] = cross
    return matrix


def piecewise_acceleration(dt: float, sigma: float, dimensions: int) -> FloatArray:
    """Q (2D, 2D) of an acceleration that is constant within each step (the paper's EKF).

    sigma in m/s^2. Depends on the step: ten steps of 0.1 s add less than one of 1 s.
    """
    q = sigma**2
    return _blocks(q * dt**4 / 4, q * dt**3 / 2, q * dt**2, dimensions)


def white_acceleration(dt: float, psd: float, dimensions: int) -> FloatArray:
    """Q (2D, 2D) of white acceleration noise of density psd, m^2/s^3: the same at every rate."""
    return _blocks(psd * dt**3 / 3, psd * dt**2 / 2, psd * dt, dimensions)


def recent(ranges: Ranges, time: float) -> Ranges:
    """Usable ranges within `MAX_AGE_S` of `time`."""
    usable = ranges.usable()
    near = np.abs(usable.stamp - time) <= MAX_AGE_S
    return usable if near.all() else usable[near]


def linearise_ranges(
    site: Site, state: FloatArray, time: float, ranges: Ranges
) -> tuple[FloatArray, FloatArray]:
    """Expected ranges (N,) m at each range's own stamp, and their Jacobian (N, 2D): (13a)."""
    d = site.dimensions
    ahead = ranges.stamp - time
    position = state[:d] + ahead[:, None] * state[d : 2 * d]
    distance, direction = slant(site.offsets(position, ranges.anchor))
    direction = direction[:, :d]
    return distance, np.concatenate([direction, ahead[:, None] * direction], axis=1)


def huber_update(
    prior: FloatArray,
    covariance: FloatArray,
    measured: FloatArray,
    sigma: FloatArray,
    linearise: Linearise,
    *,
    huber: float,
    iterations: int,
    differences: bool = False,
) -> tuple[FloatArray, FloatArray]:
    """Posterior mean (S,) and covariance (S, S) from ranges `measured` (N,) of `sigma` (N,) m.

    Minimises |x - prior|^2_P + sum rho(residual / sigma) by Gauss-Newton (the iterated EKF), with
    Huber's rho at `huber` sigma; one iteration with huber = inf is the plain EKF. In the weights a
    residual is scaled by its innovation sigma, so a badly known state does not reject good ranges.

    differences: the ranges share an unknown offset (`Ranges.differences`). Then what is linear in
    the state are the N - 1 to the first: an offset of infinite variance, done exactly.
    """
    state = prior
    if differences and measured.size < 2:
        return prior, covariance
    each = np.eye(measured.size)
    to_first = each[1:] - each[0] if differences else None  # (N - 1, N): to the first
    for _ in range(iterations):
        expected, jacobian = linearise(state)
        innovation = measured - expected - jacobian @ (prior - state)
        cross = jacobian @ covariance
        innovation_covariance = cross @ jacobian.T
        noise = sigma**2
        if np.isfinite(huber):
            residual = measured - expected
            if differences:  # from what most of them say of the offset
                residual = residual - np.median(residual)
            scale = np.sqrt(np.diag(innovation_covariance) + noise)
            noise = noise * np.maximum(1.0, np.abs(residual) / (huber * scale))
        innovation_covariance[np.diag_indices_from(innovation_covariance)] += noise
        if to_first is not None:
            innovation, jacobian, cross = (to_first @ x for x in (innovation, jacobian, cross))
            innovation_covariance = to_first @ innovation_covariance @ to_first.T
        gain = np.linalg.solve(innovation_covariance, cross).T
        updated = prior + gain @ innovation
        converged = float(np.abs(updated - state).max()) < 1e-3
        state = updated
        if converged:
            break
    # Joseph's form keeps the covariance symmetric and positive however the gain was rounded.
    keep = np.eye(prior.size) - gain @ jacobian
    of_ranges = gain if to_first is None else gain @ to_first
    posterior = keep @ covariance @ keep.T + (of_ranges * noise) @ of_ranges.T
    return state, 0.5 * (posterior + posterior.T)
