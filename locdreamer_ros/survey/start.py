# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where to begin: anchors and tag from ranges alone, in closed form.

Squared ranges less those of one anchor are a product of tag and anchor places: their matrix has
rank D (Crocco, Del Bue, Murino 2012). Its factors are the places up to a linear map, and the
squared ranges of that one anchor, linear in the map's square, say which. That holds where the tag
stays in one plane as well, whatever the anchors' heights: these are what is left of the range.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from locdreamer_ros.survey.problem import Known, Walk
from locdreamer_ros.types import BoolArray, FloatArray, IntArray

ROWS = 100
"""Places of the walk that are looked at."""
NEAR_S = 0.75
"""A range counts for a place if the tag was there at most so long before or after."""
OFFSETS_M = (0.0, 0.25)
"""What all ranges may be too long by."""


def snapshots(walk: Walk, anchors: int) -> tuple[FloatArray, FloatArray]:
    """Times (R,) s and ranges (R, A) m, interpolated; NaN where none is near."""
    stamp = walk.times[walk.knot] + walk.fraction * (
        walk.times[np.minimum(walk.knot + 1, walk.times.size - 1)] - walk.times[walk.knot]
    )
    rows = np.unique(np.linspace(0, walk.times.size - 1, 4 * ROWS).astype(int))
    times = walk.times[rows]
    table = np.full((times.size, anchors), np.nan)
    for a in range(anchors):
        own = walk.anchor == a
        if own.sum() < 3:
            continue
        when, value = stamp[own], _median3(walk.value[own])
        at = np.searchsorted(when, times).clip(1, when.size - 1)
        far = np.maximum(np.abs(when[at] - times), np.abs(times - when[at - 1]))
        table[:, a] = np.where(far <= NEAR_S, np.interp(times, when, value), np.nan)
    full = np.flatnonzero(np.isfinite(table).sum(axis=1) >= min(anchors, 3))
    kept = full[np.unique(np.linspace(0, full.size - 1, ROWS).astype(int))] if full.size else full
    return times[kept], table[kept]


def _median3(value: FloatArray) -> FloatArray:
    """Without single spikes."""
    padded = np.concatenate([value[:1], value, value[-1:]])
    return np.asarray(np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0))


def factored(table: FloatArray, reference: int, d: int) -> tuple[FloatArray, FloatArray] | None:
    """Tags (R, d) and anchors (A, d) of a whole table (R, A) m of ranges; None: it has no shape."""
    squares = table**2
    less = squares - squares[:, [reference]]
    centred = less - less.mean(axis=0)
    u, s, vt = np.linalg.svd(centred, full_matrices=False)
    if s.size < d or s[d - 1] < 1e-9:
        return None
    tags = u[:, :d] * np.sqrt(len(table))
    shape = (s[:d, None] * vt[:d]).T / np.sqrt(len(table))  # (A, d)
    i, j = np.triu_indices(d)
    columns = [
        tags[:, i] * tags[:, j] * np.where(i == j, 1.0, 2.0),
        2.0 * tags,
        np.ones((len(tags), 1)),
    ]
    matrix, right = np.hstack(columns), squares[:, reference]
    weight = np.ones(len(tags))
    for _ in range(5):
        found = np.linalg.lstsq(matrix * weight[:, None], right * weight, rcond=None)[0]
        miss = np.abs(matrix @ found - right)
        weight = 1.0 / np.sqrt(1.0 + (miss / (2.0 * np.median(miss) + 1e-9)) ** 2)
    square = np.zeros((d, d))
    square[i, j] = square[j, i] = found[: i.size]
    values, vectors = np.linalg.eigh(square)
    root = vectors * np.sqrt(np.maximum(values, 0.02 * max(values.max(), 1e-6)))
    middle = np.linalg.solve(root, found[i.size : i.size + d])
    anchors = -0.5 * np.linalg.solve(root, shape.T).T
    return tags @ root + middle, anchors


def multilaterated(table: FloatArray, anchors: FloatArray) -> FloatArray:
    """Tags (R, D) m from ranges (R, A) to anchors (A, D), NaN where unknown."""
    d = anchors.shape[1]
    use = np.isfinite(table) & np.isfinite(anchors[:, 0])
    enough = use.sum(axis=1) >= d + 1
    tags = np.full((len(table), d), np.nan)
    if not enough.any():
        return tags
    use, near = use[enough], np.where(use, table, 1.0)[enough]
    place = np.nan_to_num(anchors)
    weight = use / np.maximum(near, 0.3)
    matrix = np.column_stack([2.0 * place, -np.ones(len(place))]) * weight[..., None]  # (R, A, D+1)
    right = ((place**2).sum(axis=1) - near**2) * weight
    tag = (np.linalg.pinv(matrix, rcond=1e-3) @ right[..., None])[:, :d, 0]
    for _ in range(8):
        delta = tag[:, None] - place
        distance = np.maximum(np.linalg.norm(delta, axis=2), 0.05)
        unit, error = delta / distance[..., None], near - distance
        w = use / (1.0 + (error / 0.3) ** 2)
        normal = np.einsum("ra,rai,raj->rij", w, unit, unit) + 0.02 * np.eye(d)
        tag = (
            tag
            + np.linalg.solve(normal, np.einsum("ra,rai->ri", w * error, unit)[..., None])[..., 0]
        )
    tags[enough] = tag
    return tags


def scaled(between: FloatArray, d: int) -> FloatArray:
    """Anchors (A, d) from all lengths (A, A) m between them: classical multidimensional scaling."""
    n = len(between)
    centre = np.eye(n) - 1.0 / n
    values, vectors = np.linalg.eigh(-0.5 * centre @ between**2 @ centre)
    return np.asarray(vectors[:, -d:] * np.sqrt(np.maximum(values[-d:], 0.0)))


def candidates(
    table: FloatArray, known: Known, d: int
) -> Iterator[tuple[FloatArray, FloatArray, float]]:
    """Places to begin from: tags (R, d), anchors (A, d), NaN where not yet known, common offset m.

    From known places; from lengths between all anchors; from the whole table; where no row of it
    has all anchors, from those heard together, largest set first.
    """
    places, between = known.places[:, :d], known.between
    n = len(places)
    sure: BoolArray = np.asarray(np.isfinite(places).all(axis=1))
    if sure.sum() >= d + 1:
        start = np.where(sure[:, None], places, np.nan)
        for offset in OFFSETS_M:
            yield *grown(table - offset, start), offset
    lengths = np.full((n, n), np.nan)
    lengths[between.start, between.end] = lengths[between.end, between.start] = between.length
    lengths[np.diag_indices(n)] = 0.0
    if np.isfinite(lengths).all():
        yield *grown(table, scaled(lengths, d)), 0.0
    for together in subsets(table, 2 * d + 4):
        whole = table[np.isfinite(table[:, together]).all(axis=1)][:, together]
        for offset in OFFSETS_M:
            for reference in range(0, together.size, 1 if together.size == n else 3):
                found = factored(whole - offset, reference, d)
                if found is not None:
                    start = np.full((n, d), np.nan)
                    start[together] = found[1]
                    yield *grown(table - offset, start), offset


def subsets(table: FloatArray, rows: int) -> Iterator[IntArray]:
    """Sets of anchors heard together in at least so many rows, the largest first.

    Then the same without one anchor each, which may be the one that is wrong.
    """
    heard: BoolArray = np.asarray(np.isfinite(table))
    chosen = np.flatnonzero(heard.any(axis=0))
    while chosen.size > 3 and heard[:, chosen].all(axis=1).sum() < rows:
        # Without the one whose absence leaves most rows whole.
        whole = [heard[:, np.delete(chosen, i)].all(axis=1).sum() for i in range(chosen.size)]
        chosen = np.delete(chosen, int(np.argmax(whole)))
    yield chosen
    if chosen.size > 5:
        for i in range(chosen.size):
            yield np.delete(chosen, i)


def grown(table: FloatArray, anchors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Tags and anchors from the anchors known so far: they place tags, which place anchors."""
    anchors = anchors.copy()
    tags = multilaterated(table, anchors)
    for _ in range(len(anchors)):
        missing = ~np.isfinite(anchors[:, 0])
        if not missing.any():
            break
        known = np.isfinite(tags[:, 0])
        found = multilaterated(table[known][:, missing].T, tags[known])
        if not np.isfinite(found).any():
            break
        anchors[missing] = found
        tags = multilaterated(table, anchors)
    return tags, anchors
