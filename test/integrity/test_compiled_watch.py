# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the watch asks of the kernel against the numpy beside it, strange numbers included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernels import KERNEL, with_kernel

from locdreamer_ros.geometry import FLOOR_M
from locdreamer_ros.integrity import snapshot
from locdreamer_ros.integrity.watch import Watch
from locdreamer_ros.integrity.window import Gathered
from locdreamer_ros.methods import Method
from locdreamer_ros.types import Anchors, Estimate, Ranges, Site

pytestmark = pytest.mark.skipif(
    not hasattr(KERNEL, "explain"), reason="the kernel is not built: make install"
)


def place(rng: np.random.Generator, count: int, dimensions: int) -> Site:
    places = rng.uniform(0.0, 12.0, (count, 3)) * [1.0, 1.0, 0.3]
    return Site(Anchors(tuple(map(str, range(count))), places), dimensions)


def window(rng: np.random.Generator, site: Site, count: int) -> Gathered:
    """Ranges of the last six seconds to a walker, some lengthened by walls or wild."""
    anchor = rng.integers(0, len(site.anchors), count)
    age = -rng.uniform(0.0, 6.0, count)
    at = np.column_stack([5.0 + 0.8 * age, 6.0 - 0.3 * age, np.full(count, 1.2)])
    value = np.linalg.norm(at - site.anchors.positions[anchor], axis=1)
    value += 0.1 * rng.standard_normal(count) + (rng.random(count) < 0.2) * 2.5
    seen = np.bincount(anchor)
    return Gathered(age, anchor, value, 1.0 / seen[anchor], int((seen > 0).sum()))


def same(one: Any, other: Any) -> None:
    np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize(("anchors", "ranges"), [(4, 6), (8, 24), (30, 60)])
def test_they_explain_a_window_alike(dimensions: int, anchors: int, ranges: int) -> None:
    rng = np.random.default_rng(ranges + dimensions)
    for turn in range(6):
        site = place(rng, anchors, dimensions)
        gathered = window(rng, site, ranges)
        seeds = rng.uniform(0.0, 12.0, (turn % 3, dimensions))
        given = (site, gathered, seeds, turn % 2 == 0, turn % 4 != 3)
        found = with_kernel(KERNEL, snapshot._polished_compiled, *given)
        expected = snapshot._polished(*given)
        assert found is not None
        for name in ("state", "cost", "covariance", "residual"):
            same(getattr(found, name), getattr(expected, name))


def test_they_weigh_residuals_alike() -> None:
    rng = np.random.default_rng(4)
    site = place(rng, 8, 2)
    for count in (1, 2, 24):
        gathered = window(rng, site, count)
        at = rng.uniform(0.0, 12.0, (count, 2))
        given = (site, gathered.anchor, gathered.value, at)
        residual = snapshot.gaps(*given)
        same(with_kernel(KERNEL, snapshot.gaps, *given), with_kernel(None, snapshot.gaps, *given))
        for shift in (0.0, 3.0):
            both = (residual + shift, gathered)
            costs = [with_kernel(k, snapshot.cost_of, *both) for k in (KERNEL, None)]
            same(*costs)
        medians = [with_kernel(k, gathered.per_anchor, residual) for k in (KERNEL, None)]
        assert list(medians[0].items()) == list(medians[1].items())
        assert KERNEL is not None
        assert KERNEL.medians(gathered.anchor, residual) == medians[1], "by the kernel itself"


@pytest.mark.parametrize("dimensions", [2, 3])
def test_they_let_the_same_ranges_near(dimensions: int) -> None:
    rng = np.random.default_rng(dimensions)
    site = place(rng, 8, dimensions)
    watch = Watch(site, Method().make_tracker(site))
    watch._heard = 3.0  # else the gate is open
    answers = []
    for _ in range(200):
        mean = np.concatenate([[5.0, 6.0, 1.2][:dimensions], rng.standard_normal(dimensions)])
        now = Estimate(3.0, mean, np.diag(rng.uniform(0.0, 0.5, 2 * dimensions)))
        anchor = rng.integers(0, 8, 3)
        distance = np.linalg.norm(
            np.array([5.0, 6.0, 1.2]) - site.anchors.positions[anchor], axis=1
        )
        value = distance + rng.uniform(-8.0, 14.0, 3) * (rng.random(3) < 0.4)
        ranges = Ranges.of(anchor, value, 3.0 - rng.uniform(0.0, 0.5, 3))
        said = with_kernel(KERNEL, watch._all_near, ranges, now)
        answers.append(said)
        assert said == watch._near(ranges, now, 3.0, count=False).all()
    assert 20 < sum(answers) < 180


WRONG = [None, "x", -1, 10**30, np.nan, np.empty(0), np.full((7, 7), np.nan), object()]
WRONG += [np.arange(6)[::2], np.full(6, 10**12), np.zeros(6, dtype=bool), np.full(6, -1)]
WRONG += [np.array(3.0), np.empty((6, 0)), np.full(6, np.inf), np.zeros(6)]


def test_the_kernel_refuses_what_is_no_window() -> None:
    """Arguments of every wrong kind: an answer of `not me`, a TypeError, or numbers; no crash."""
    assert KERNEL is not None
    rng = np.random.default_rng(0)
    site = place(rng, 6, 2)
    known = [site.anchors.positions, 1.0, FLOOR_M]
    gathered = window(rng, site, 6)
    of_window = [gathered.age, gathered.anchor, gathered.value, gathered.weight]
    rooms = [np.empty((6, 5)), np.empty(6), np.empty((6, 2, 2)), np.empty((6, 6))]
    explain = [*known, *of_window, np.zeros((1, 2)), False, True, *snapshot.FOR_KERNEL, *rooms]
    assert KERNEL.explain(*explain) > 0
    gaps = [*known, gathered.anchor, gathered.value, np.zeros((6, 2)), np.empty(6)]
    assert KERNEL.gaps(*gaps) is True
    cost = [gathered.value, gathered.weight, np.ones(6), 0.5]
    assert KERNEL.least_cost(*cost) is not None
    near = [*known, gathered.anchor, gathered.value, gathered.age, 0.0, np.zeros(4), np.eye(4)]
    near += [0.0, -1e9, 1e9]
    assert KERNEL.all_near(*near) is True
    for function, arguments in (
        (KERNEL.explain, explain),
        (KERNEL.gaps, gaps),
        (KERNEL.least_cost, cost),
        (KERNEL.all_near, near),
        (KERNEL.medians, [gathered.anchor, gathered.value]),
    ):
        for at in range(len(arguments)):
            for garbage in WRONG:
                try:
                    function(*arguments[:at], garbage, *arguments[at + 1 :])
                except (TypeError, ValueError, OverflowError):
                    continue
        with pytest.raises(TypeError, match="arguments"):
            function(*arguments[:-1])


def test_a_window_that_is_not_finite_is_numpys() -> None:
    rng = np.random.default_rng(1)
    site = place(rng, 6, 2)
    gathered = window(rng, site, 12)
    gathered.value[3] = np.nan
    given = (site, gathered, np.zeros((0, 2)), False, True)
    assert with_kernel(KERNEL, snapshot._polished_compiled, *given) is None
