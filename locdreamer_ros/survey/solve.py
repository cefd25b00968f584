# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A survey: begin from ranges alone or from what is known, fit, and say how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from locdreamer_ros.errors import InputError
from locdreamer_ros.recording import Recording
from locdreamer_ros.survey.fit import Fit, Problem, State, fit
from locdreamer_ros.survey.frame import free_motions, placed
from locdreamer_ros.survey.problem import Known, Walk, walk_of
from locdreamer_ros.survey.start import OFFSETS_M, candidates, multilaterated, snapshots
from locdreamer_ros.types import Anchors, FloatArray, IntArray

TRIED, FINISHED = 8, 2
"""Starts that are tried on a few places of the walk, and on all of it."""
MOST_TURNED, ROUGH = 8, 8
"""Anchors whose sides are tried in every combination, of more each alone; steps of a trial."""
REPEATED = 10.0
"""So many ranges say what one does, until that is known."""
FEWEST_RANGES = 20
"""Of each anchor."""
MOVED_M = 0.5
"""Ranges that change less are of a tag that stands."""
ALIKE_M = 0.05
"""A mirror image that fits the known places as well as this cannot be told from the shape."""


@dataclass(frozen=True, eq=False)
class Survey:
    """What was found.

    anchors: places m; covariance (A, 3, 3) m^2, 0 where known, NaN where not looked for (heights in
    the plane); offset (A,) m by which ranges are too long, to offset_error (A,) m; spread m of the
    ranges' errors; excluded (A,) share of ranges that hardly count, of count (A,); tag (K, D) m at
    times (K,) s; mirrored: the mirror image fits as well; free: turns and shifts of the whole that
    nothing known ties down; misfit m of the known places before they were held, loose m: the spread
    then.
    """

    anchors: Anchors
    covariance: FloatArray
    offset: FloatArray
    offset_error: FloatArray
    spread: float
    excluded: FloatArray
    count: IntArray
    times: FloatArray
    tag: FloatArray
    dimensions: int
    mirrored: bool
    free: int
    misfit: float
    loose: float

    @property
    def sigma(self) -> FloatArray:
        """(A,) m: standard deviation of each place along its worst direction."""
        return np.sqrt([np.linalg.eigvalsh(np.nan_to_num(c))[-1] for c in self.covariance])


def survey(recording: Recording, known: Known, dimensions: int) -> Survey:
    """Find the anchors of a recording; its `anchors` say ids only.

    Raises InputError: too few anchors, too few ranges, no start.
    """
    ids = recording.anchors.ids
    _check(recording, dimensions)
    walk = walk_of(recording)
    starts = _best_starts(walk, known, dimensions, recording.name)
    problem = Problem(walk, known, dimensions, repeated=_repeated(walk, starts[0]))
    placed_starts = [_in_frame(start.state, known, dimensions) for start in starts]
    ends = [(fit(problem, state), misfits) for state, misfits in placed_starts]
    best, misfits = min(ends, key=lambda end: end[0].cost)
    if not np.isfinite(known.places[:, :2]).any():
        # On its way a fit turns and shifts a little what nothing ties to the room.
        best = fit(problem, _in_frame(best.state, known, dimensions)[0])
    return _result(problem, best, ids, misfits, starts[0].spread)


def _heights_only(known: Known) -> FloatArray:
    """Known places with x and y left open."""
    places: FloatArray = np.array(known.places)
    places[:, :2] = np.nan
    return places


def _check(recording: Recording, dimensions: int) -> None:
    """Raises InputError where ranges or dimensions are not enough for a survey."""
    if dimensions not in (2, 3):
        raise InputError(f"dimensions: expected 2 or 3, got {dimensions}")
    heard = np.isfinite(recording.ranges).sum(axis=0)
    few = [i for i, n in zip(recording.anchors.ids, heard, strict=True) if n < FEWEST_RANGES]
    if few:
        count = heard[recording.anchors.ids.index(few[0])]
        raise InputError(
            f"{recording.where}: anchor {few[0]!r} has {count} ranges, a survey needs at "
            f"least {FEWEST_RANGES} of each: walk where it is heard"
        )
    low, high = np.nanpercentile(recording.ranges, [5, 95], axis=0)
    if (high - low).max() < MOVED_M:
        raise InputError(
            f"{recording.where}: the tag stayed at one spot: no range changes by more than "
            f"{(high - low).max():.2f} m. Walk all over the floor"
        )
    if len(heard) < dimensions + 1:
        raise InputError(
            f"{recording.where}: a survey in {dimensions} dimensions needs at least "
            f"{dimensions + 1} anchors, there are {len(heard)}"
        )


def _best_starts(walk: Walk, known: Known, d: int, name: str) -> list[Fit]:
    """The fit that explains the whole walk best, in no particular frame, places not yet held.

    Then the best that began at the known places, where these suffice and it is another: where
    the walk leaves several shapes alike, theirs counts.
    """
    times, table = snapshots(walk, len(known.places))
    flat = d == 3 and known.tag_height is not None
    found = []
    level = 2 if flat else d
    given = np.isfinite(known.places[:, :level]).all(axis=1).sum() > level
    for order, (tags, anchors, offset) in enumerate(candidates(table, known, level)):
        error = table - np.linalg.norm(tags[:, None] - anchors, axis=2) - offset
        if not np.isfinite(anchors).all() or np.isfinite(error).sum() < 2 * len(known.places):
            continue
        at_known = given and order < len(OFFSETS_M)
        found.append((float(np.nanmedian(np.abs(error))), tags, anchors, offset, at_known))
    if not found:
        raise InputError(
            f"{name}: no place on the walk hears enough anchors together to begin from: give "
            "known places (--anchors), lengths between anchors (--between), or walk where "
            f"{d + 2} of them are heard at once"
        )
    found.sort(key=lambda each: each[0])
    few, rows = _few(times, table)
    unplaced = replace(known, places=_heights_only(known))
    problem = Problem(few, unplaced, d, fixed=False, repeated=REPEATED)
    fits, at_places = [], []
    for _, tags, anchors, offset, at_known in [*found[:TRIED], *(f for f in found[TRIED:] if f[4])]:
        tags, anchors = _in_space(table - offset, tags, anchors, known) if flat else (tags, anchors)
        middle = np.nanmean(tags, axis=0)
        tags = np.where(np.isfinite(tags), tags, middle)
        state = State(tags[rows], anchors, np.full(len(anchors), offset), np.zeros(0))
        fits.append(fit(problem, state, steps=30))
        at_places += fits[-1:] if at_known else []
    best = min(fits, key=lambda each: each.cost)
    if d == 2:
        fits += [
            fit(problem, state, steps=30) for state in _other_sides(problem, best.state, table)
        ]
    fits.sort(key=lambda each: each.cost)
    full = Problem(walk, unplaced, d, fixed=False, repeated=REPEATED)

    def finished(some: list[Fit]) -> Fit:
        whole = []
        for each in some:
            knots = np.stack(
                [np.interp(walk.times, times[rows], column) for column in each.state.knots.T],
                axis=1,
            )
            yaws = _headings(full, knots)
            whole.append(fit(full, replace(each.state, knots=knots, yaws=yaws), steps=30))
        return min(whole, key=lambda each: each.cost)

    starts = [finished(fits[:FINISHED])]
    at_places.sort(key=lambda each: each.cost)
    return [*starts, finished(at_places[:1])] if at_places else starts


def _other_sides(problem: Problem, state: State, table: FloatArray) -> list[State]:
    """The same with anchors on the other side of the walk's main line, the likeliest few.

    Along a line an anchor and its mirror image are heard alike, so a start may have them on one
    side; which is right shows in how the walk bends. table (K, A) m: ranges at the knots.
    """
    middle = state.knots.mean(axis=0)
    across = np.linalg.svd(state.knots - middle, full_matrices=False)[2][1]
    mirrored = state.anchors - 2.0 * np.outer((state.anchors - middle) @ across, across)
    others = len(mirrored) - 1  # all mirrored is the same again: the first anchor stays
    turned = (np.arange(1, 2**others)[:, None] >> np.arange(others)) & 1
    if others >= MOST_TURNED:
        turned = np.eye(others, dtype=np.intp)
    found = []
    for turn in np.insert(turned, 0, 0, axis=1).astype(np.bool_):
        anchors = np.where(turn[:, None], mirrored, state.anchors)
        tags = multilaterated(table - state.offsets, anchors)
        tags = np.where(np.isfinite(tags), tags, state.knots)
        found.append(fit(problem, replace(state, knots=tags, anchors=anchors), steps=ROUGH))
    found.sort(key=lambda each: each.cost)
    return [each.state for each in found[:FINISHED]]


def _few(times: FloatArray, table: FloatArray) -> tuple[Walk, IntArray]:
    """A walk of the snapshots alone, far apart, and its rows of the table."""
    rows = np.arange(times.size)
    knot, anchor = np.nonzero(np.isfinite(table))
    apart = 1e3 * np.arange(times.size, dtype=np.float64)
    nothing = np.full((times.size - 1, 2), np.nan)
    walk = Walk(apart, knot, np.zeros(knot.size), anchor, table[knot, anchor], nothing)
    return walk, rows


def _in_space(
    table: FloatArray, tags: FloatArray, anchors: FloatArray, known: Known
) -> tuple[FloatArray, FloatArray]:
    """Tags (K, 3) and anchors (A, 3) m from those in the tag's plane: the rest of ranges is height.

    table (K, A) m: ranges at the knots.
    """
    height = known.tag_height or 0.0
    level = np.linalg.norm(tags[:, None] - anchors, axis=2)
    rest = np.nanmedian(table**2 - level**2, axis=0)
    above = height + np.sqrt(np.maximum(rest, 0.25))
    above = np.where(np.isfinite(known.places[:, 2]), known.places[:, 2], above)
    return (
        np.column_stack([tags, np.full(len(tags), height)]),
        np.column_stack([anchors, above]),
    )


def _headings(problem: Problem, knots: FloatArray) -> FloatArray:
    """Yaws (Q,) rad of the odometry that turn its steps into the walk's."""
    yaws = np.zeros(problem.yaws)
    for q in range(problem.yaws):
        rows = np.flatnonzero(problem.turns == q)
        went, step = knots[rows + 1, :2] - knots[rows, :2], problem.walk.moved[rows]
        cross = (step[:, 0] * went[:, 1] - step[:, 1] * went[:, 0]).sum()
        yaws[q] = np.arctan2(cross, (step * went).sum())
    return np.unwrap(yaws)


def _in_frame(state: State, known: Known, d: int) -> tuple[State, FloatArray]:
    """The state in the frame of the known places, and the misfits of shape and mirror image, m."""
    n = len(state.anchors)
    points = np.vstack([state.anchors, state.knots])
    target = np.full_like(points, np.nan)
    target[:n] = known.places[:, :d]
    if d == 3 and known.tag_height is not None:
        target[n:, 2] = known.tag_height
    turned, misfits = placed(points, target)
    moved = replace(state, anchors=turned[:n], knots=turned[n:])
    return moved, misfits


def _result(
    problem: Problem, best: Fit, ids: Sequence[str], misfits: FloatArray, loose: float
) -> Survey:
    """The best fit, with the inverse of its information: free motions of the whole left out."""
    state, walk, d = best.state, problem.walk, problem.d
    n = problem.count
    level = (d == 3 and problem.known.tag_height is not None) or problem.yaws > 0
    motions = free_motions(state.anchors, problem.fixed, level=level and d == 3)
    information = best.information[: n * (d + 1), : n * (d + 1)]
    # Delay and yaws are found along with the rest.
    more = slice(n * (d + 1), None)
    far = best.information[more, more] + 1e-6 * np.eye(problem.size - n * (d + 1))
    cross = best.information[: n * (d + 1), more]
    information = information - cross @ np.linalg.solve(far, cross.T)
    gauge = np.zeros((n * (d + 1), motions.shape[1]))
    gauge[: n * d] = motions
    held = np.zeros(n * (d + 1), dtype=bool)
    held[: n * d] = problem.fixed.ravel()
    open_ = ~held
    constrained = information[np.ix_(open_, open_)] + gauge[open_] @ gauge[open_].T * 1e4
    inverse = np.linalg.pinv(0.5 * (constrained + constrained.T), rcond=1e-12, hermitian=True)
    inverse -= gauge[open_] @ gauge[open_].T * 1e-4
    whole = np.zeros_like(information)
    whole[np.ix_(open_, open_)] = inverse
    covariance = np.full((n, 3, 3), np.nan) if d == 2 else np.zeros((n, 3, 3))
    places = np.zeros((n, 3))
    places[:, :d] = state.anchors
    if d == 2:
        given = problem.known.places[:, 2]
        known_heights = given[np.isfinite(given)]
        height = problem.known.tag_height
        if height is None:
            height = float(np.median(known_heights)) if known_heights.size else 0.0
        places[:, 2] = np.where(np.isfinite(given), given, height)
    for a in range(n):
        block = slice(a * d, (a + 1) * d)
        covariance[a, :d, :d] = whole[block, block]
    mirrored = bool(misfits[0] + misfits[1] == 0.0 or abs(misfits[0] - misfits[1]) < ALIKE_M)
    offsets = slice(n * d, n * (d + 1))
    count = np.bincount(walk.anchor, minlength=n)
    low = np.bincount(walk.anchor, best.weight < 0.25, n)
    return Survey(
        Anchors(tuple(ids), places),
        covariance,
        state.offsets,
        np.sqrt(np.maximum(np.diag(whole)[offsets], 0.0)),
        best.spread,
        low / np.maximum(count, 1),
        count,
        walk.times,
        state.knots,
        d,
        mirrored,
        int(motions.shape[1]),
        float(misfits.min()),
        loose,
    )


def _repeated(walk: Walk, best: Fit) -> float:
    """How many ranges say what one does: errors of one anchor stay alike while the tag stays near.

    1 + 2 times the sum of the autocorrelation up to its first zero, the mean over anchors.
    """
    found = []
    for a in range(len(best.state.anchors)):
        error = np.clip(best.error[walk.anchor == a], -3 * best.spread, 3 * best.spread)
        error = error - error.mean()
        size = 1 << (2 * error.size - 1).bit_length()
        power = np.abs(np.fft.rfft(error, size)) ** 2
        correlation = np.fft.irfft(power)[: error.size]
        correlation = correlation / max(correlation[0], 1e-12)
        until = int(np.argmax(correlation <= 0.0)) or error.size
        found.append(1.0 + 2.0 * float(correlation[1:until].sum()))
    return float(np.mean(found))
