# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One channel, many tags: who ranges next, by expected information per millisecond.

A tag's next range takes away some of what is unknown of its position (`types.Foresight`), and takes
as long as the tag's radio has the channel. What it is worth is the fall of the expected
root-mean-square error, per millisecond; slots are given one after the other to whoever's is worth
most. A tag that was passed over grows unsure, and so comes next.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from locdreamer_ros.driver.device import Device
from locdreamer_ros.driver.energy import fix_cost
from locdreamer_ros.loop import Plan
from locdreamer_ros.schedulers.foresight import (
    FRESH_M,
    best_subset,
    present_variance,
    remaining_variance,
)
from locdreamer_ros.schedulers.subsets import near
from locdreamer_ros.types import Anchors, Foresight, IntArray

GUARD_MS = 0.3
"""Between two slots, for clocks that are not quite equal."""


def slot_ms(device: Device) -> float:
    """How long one range of a device has the channel, ms: its frames, its listening, a guard."""
    return fix_cost(device.radio, 1, 0).radio_on + GUARD_MS


def _error(variance: float) -> float:
    return math.sqrt(max(variance, 0.0))


def divide(
    foresights: Mapping[str, Foresight], slots: Mapping[str, float], ms: float, *, most: int
) -> dict[str, IntArray]:
    """Rows of each foresight to range with in the next `ms`, for the tags that get any.

    slots: of each tag how long a range takes, ms; most: ranges of one tag at once.
    """
    left: dict[str, list[float]] = {}
    subsets: dict[str, list[IntArray]] = {}
    heap: list[tuple[float, str]] = []

    def extend(tag: str) -> None:
        """Put the tag's next range among those that wait."""
        foresight, had = foresights[tag], len(subsets[tag])
        if had >= min(most, len(foresight.cross)):
            return
        rows = best_subset(foresight, had + 1, FRESH_M)
        subsets[tag].append(rows)
        left[tag].append(_error(float(remaining_variance(foresight, rows[None], FRESH_M)[0])))
        heapq.heappush(heap, (-(left[tag][-2] - left[tag][-1]) / slots[tag], tag))

    for tag, foresight in foresights.items():
        left[tag] = [_error(present_variance(foresight))]
        subsets[tag] = []
        extend(tag)
    given: dict[str, IntArray] = {}
    while heap:
        _, tag = heapq.heappop(heap)
        if slots[tag] > ms:  # no room for this one; a shorter one may fit
            continue
        ms -= slots[tag]
        given[tag] = subsets[tag][-1]
        extend(tag)
    return given


def grant(
    plans: Mapping[str, Plan],
    slots: Mapping[str, float],
    ms: float,
    anchors: Anchors,
    *,
    most: int,
    blind: Collection[str],
    answering: Mapping[str, IntArray] = MappingProxyType({}),
) -> tuple[dict[str, Plan], float]:
    """The plans of the tags that range in the next `ms`, and the ms that are left then.

    slots: of a range of each tag, ms; most: ranges of one tag at once. Of a tag without a fix
    nothing is expected: where it is in `blind` it asks whom it planned to, all anchors, before the
    others, and they wait for as long as that takes over `ms`: what is left is negative. answering:
    of a tag the rows of the anchors that answer it, where some do not.
    """
    everybody = np.arange(len(anchors))
    rows: dict[str, IntArray] = {}
    foresights: dict[str, Foresight] = {}
    given: dict[str, Plan] = {}
    for tag, plan in plans.items():
        prior = plan.prediction
        if prior is not None and prior.foresight is not None:
            rows[tag] = near(prior, anchors, answering.get(tag, everybody))
            foresights[tag] = prior.foresight(rows[tag])
        elif tag in blind and ms > 0.0:
            given[tag] = plan
            ms -= slots[tag] * plan.anchor.size
    for tag, chosen in divide(foresights, slots, ms, most=most).items():
        given[tag] = replace(plans[tag], anchor=rows[tag][chosen])
        ms -= slots[tag] * chosen.size
    return given, ms
