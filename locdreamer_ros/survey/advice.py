# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a survey could not tell, in sentences, and where to walk so that the next one can."""

from __future__ import annotations

import numpy as np

from locdreamer_ros.survey.problem import Known
from locdreamer_ros.survey.solve import Survey
from locdreamer_ros.types import FloatArray

WEAK_M = 0.25
"""An anchor known no better than this along its worst direction is named."""
ROUGH_M = 0.25
"""Ranges that a right shape explains have less spread."""
NEAR_M, FAR_M = 1.0, 15.0
"""Nearer an anchor its range says little of the direction; farther it may not be heard."""
LINE = 0.12
"""A walk that spreads across its main direction by less than this share of along it is a line."""
ONE_PLACE_M = 0.5
"""Nobody hangs two anchors nearer to each other."""
REACH_M = 5.0
"""A place so far from the walk must tell e times as much to be proposed."""


def advice(found: Survey, known: Known) -> list[str]:
    """Sentences, the most important first; none where nothing is left to say."""
    sentences = []
    # Where they did before the known places were held, these are what is wrong.
    if found.loose > ROUGH_M:
        other = "try --dimensions 3" if found.dimensions == 2 else "is the anchors' z right?"
        sentences.append(
            f"the ranges do not fit: their errors spread over {found.loose:.2f} m. Anchors at "
            f"other heights than the tag, or walls between, do that: {other}"
        )
    sentences += _sides(found)
    given = known.places[np.isfinite(known.places[:, 2]), 2]
    if found.dimensions == 2 and known.tag_height is None and given.size and np.ptp(given) > 0.0:
        sentences.append("heights of anchors count in the plane only together with --tag-height")
    misfit = found.misfit
    if misfit > max(4.0 * found.loose, 0.5):
        sentences.append(
            f"the known places do not fit the ranges: they are {misfit:.2f} m off in the mean "
            "(root mean square). Check ids, units, and which axis is x"
        )
    weak = np.flatnonzero(found.sigma > WEAK_M)
    for row in weak[np.argsort(-found.sigma[weak])][:3]:
        place = next_place(found, int(row))
        where = ", ".join(f"{value:.1f}" for value in place)
        sentences.append(
            f"anchor {found.anchors.ids[row]} is known to {found.sigma[row]:.2f} m only, along "
            f"{_direction(found, int(row))}: walk next near ({where})"
        )
    nothing = not np.isfinite(known.places[:, :2]).any()
    if found.free and nothing:
        sentences.append(
            f"nothing ties the places to the room: {found.anchors.ids[0]} is the origin and "
            f"{found.anchors.ids[1]} lies along x. Give places of three anchors with --anchors. "
            f"They are up to {_extent(found):.3g} m apart: as in the room?"
        )
    elif found.free:
        sentences.append("the known places do not hold the whole: it can still turn or shift")
    if found.mirrored:
        sentences.append(
            "the mirror image fits as well: compare with the room, and give the place of one more "
            "anchor (in space: one out of the plane of the others) where it is wrong"
        )
    return sentences


def _extent(found: Survey) -> float:
    """The longest distance between two anchors, m: nothing else shows ranges that are in feet."""
    places = found.anchors.positions[:, : found.dimensions]
    return float(np.linalg.norm(places[:, None] - places, axis=2).max())


def _sides(found: Survey) -> list[str]:
    """Whether an anchor may be on the other side of the walk: one image of many, all as likely."""
    spread = np.linalg.svd(found.tag - found.tag.mean(axis=0), compute_uv=False)
    sentences = []
    if spread[1] < LINE * spread[0]:
        sentences.append(
            "the walk is nearly a line: which side of it an anchor hangs on cannot be told, and "
            "places may be wrong by metres. Walk over the whole floor"
        )
    places, ids = found.anchors.positions[:, : found.dimensions], found.anchors.ids
    apart = np.linalg.norm(places[:, None] - places, axis=2)
    pairs = np.argwhere(np.triu(apart < ONE_PLACE_M, 1))
    if pairs.size:
        named = ", ".join(f"{ids[i]} and {ids[j]}" for i, j in pairs[:3])
        sentences.append(
            f"{named} come out at one place: their ranges were alike all the way, as on a line "
            "midway between them. Walk nearer to one than to the other"
        )
    return sentences


def _direction(found: Survey, row: int) -> str:
    """The worst direction of an anchor in words."""
    _values, vectors = np.linalg.eigh(np.nan_to_num(found.covariance[row]))
    worst = vectors[:, -1]
    if abs(worst[2]) > 0.8:
        return "the vertical"
    angle = float(np.degrees(np.arctan2(worst[1], worst[0]))) % 180.0
    return (
        "x"
        if min(angle, 180.0 - angle) < 15
        else "y"
        if abs(angle - 90) < 15
        else f"{angle:.0f} degrees from x"
    )


def next_place(found: Survey, row: int) -> FloatArray:
    """The place (2,) or (3,) m from where a range tells most of an anchor.

    Most is told along the line from the tag, so the tag should be where the anchor is unsure.
    """
    d = found.dimensions
    anchor, block = found.anchors.positions[row, :d], found.covariance[row, :d, :d]
    corners = np.vstack([found.anchors.positions[:, :2], found.tag[:, :2]])
    low, high = corners.min(axis=0), corners.max(axis=0)
    x, y = np.meshgrid(*(np.linspace(a, b, 25) for a, b in zip(low, high, strict=True)))
    places = np.column_stack([x.ravel(), y.ravel()])
    if d == 3:
        heights = np.percentile(found.tag[:, 2], [10, 90])
        places = np.vstack([np.column_stack([places, np.full(len(places), z)]) for z in heights])
    away = np.linalg.norm(places - anchor, axis=1)
    good = (away >= NEAR_M) & (away <= FAR_M)
    places = places[good] if good.any() else places
    unit = (places - anchor) / np.maximum(np.linalg.norm(places - anchor, axis=1), 1e-6)[:, None]
    variance = np.einsum("ni,ij,nj->n", unit, block, unit)
    walked = found.tag[:: max(1, len(found.tag) // 200)]
    off = np.linalg.norm(places[:, None] - walked, axis=2).min(axis=1)
    return np.asarray(places[int(np.argmax(variance * np.exp(-off / REACH_M)))])
