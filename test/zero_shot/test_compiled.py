# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The kernel in C++ against numpy: the same numbers, the same refusals, whatever comes in.

Its network is in single precision, so what an update gives is the same within 1e-6; all else within
1e-9.

`KERNEL_UNDER_TEST` names another build of it (`test_sanitized.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernels import KERNEL, turns, with_kernel

from locdreamer_ros.schedulers import foresight as scheduler
from locdreamer_ros.schedulers import subsets
from locdreamer_ros.schedulers.foresight import present_variance
from locdreamer_ros.schedulers.sequential import best_first
from locdreamer_ros.types import Anchors, Criterion, Estimate, Foresight, Motion, Ranges, Site
from locdreamer_ros.zero_shot import step as in_numpy
from locdreamer_ros.zero_shot.compiled_step import CompiledForesight
from locdreamer_ros.zero_shot.model_file import Weights, shipped
from locdreamer_ros.zero_shot.state import PARTS
from locdreamer_ros.zero_shot.tracker import ZeroShotTracker

pytestmark = pytest.mark.skipif(KERNEL is None, reason="the kernel is not built: make install")
SHIPPED = shipped()
Both = tuple[ZeroShotTracker, ZeroShotTracker]


def site_of(rng: np.random.Generator, count: int, dimensions: int, unsure: float) -> Site:
    places = rng.uniform(0.0, 12.0, (count, 3))
    places[:, 2] = rng.uniform(0.3, 4.0, count)
    ids = tuple(f"A{i}" for i in range(count))
    return Site(Anchors(ids, places), dimensions, 1.0, height_sigma=unsure)


def started_pair(site: Site) -> Both:
    """A tracker with the kernel and one without, at the same first fix."""
    made = tuple(with_kernel(kernel, ZeroShotTracker, site, SHIPPED) for kernel in (KERNEL, None))
    d = site.dimensions
    mean = np.concatenate([[5.0, 6.0, 1.2][:d], [0.2, -0.1, 0.0][:d]])
    for tracker in made:
        tracker.start(Estimate(0.0, mean, np.diag([0.3] * d + [0.5] * d), offset=0.1))
    assert made[0]._compiled is not None
    assert made[1]._compiled is None
    return made[0], made[1]


def ranges_of(rng: np.random.Generator, site: Site, count: int, time: float) -> Ranges:
    """Ranges within .1 s before `time`, some blocked and said to be, one anchor perhaps twice."""
    places = site.anchors.positions
    rows = rng.choice(len(places), min(count, len(places)), replace=False)
    if rng.random() < 0.2:
        rows = np.append(rows, rows[0])
    truth = np.array([5.0 + 2.0 * np.sin(0.3 * time), 6.0 + np.cos(0.3 * time), 1.2])
    value = np.linalg.norm(places[rows] - truth, axis=1)
    value += 0.1 * rng.standard_normal(rows.size) + (rng.random(rows.size) < 0.15) * 2.0
    value[rng.random(rows.size) < 0.05] = np.nan
    blocked = np.where(rng.random(rows.size) < 0.5, np.nan, rng.random(rows.size))
    stamp = time - rng.uniform(0.0, 0.1, rows.size)
    stated = np.where(rng.random(rows.size) < 0.5, np.nan, rng.uniform(-0.1, 0.5, rows.size))
    return Ranges.of(rows, value, stamp, variance=stated, nlos_probability=blocked)


SINGLE, DOUBLE = 1e-6, 1e-9


def assert_same(pair: Both, within: float = SINGLE) -> None:
    """The two are in the same state, and say the same of it."""
    one, other = (tracker.estimate for tracker in pair)
    assert one is not None
    assert other is not None
    assert one.time == other.time
    same = {"rtol": within, "atol": within}
    far = max(1.0, float(np.abs(other.mean).max()))  # strange ranges fling it
    np.testing.assert_allclose(one.mean, other.mean, rtol=within, atol=within * far)
    np.testing.assert_allclose(one.covariance, other.covariance, **same)
    assert one.offset == pytest.approx(other.offset, rel=within, abs=within)
    np.testing.assert_array_equal(pair[0]._slot, pair[1]._slot)
    for name in PARTS:
        parts = [getattr(tracker.state, name) for tracker in pair]
        far = max(1.0, float(np.abs(parts[1]).max()))
        np.testing.assert_allclose(*parts, rtol=within, atol=within * far)
    rows = np.arange(len(pair[0].site.anchors))
    assert one.foresight is not None
    assert other.foresight is not None
    seen = [estimate.foresight(rows) for estimate in (one, other)]
    for name in ("position", "cross", "ranges"):
        np.testing.assert_allclose(getattr(seen[0], name), getattr(seen[1], name), **same)


FAMILIES = [
    # dimensions, sigma of the height m, anchors, asked
    (2, 0.0, 3, 1),
    (2, 0.0, 8, 3),
    (2, 0.0, 30, 30),
    (2, 2.0, 5, 5),
    (2, 2.0, 12, 4),
    (3, 0.0, 4, 2),
    (3, 0.0, 8, 8),
    (3, 0.0, 30, 5),
]


@pytest.mark.parametrize(("dimensions", "unsure", "count", "asked"), FAMILIES)
def test_they_are_the_same_filter(
    dimensions: int, unsure: float, count: int, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    look_at = in_numpy.look_at
    monkeypatch.setattr(in_numpy, "look_at", lambda *given: looks.append(0) or look_at(*given))
    rng = np.random.default_rng(count + 100 * dimensions)
    pair = started_pair(site_of(rng, count, dimensions, unsure))
    updates, time = 0, 0.0
    for step in range(turns(40)):
        dt = float(np.exp(rng.uniform(np.log(0.02), np.log(2.0))))
        time += dt
        ranges = ranges_of(rng, pair[0].site, asked if step % 7 else count, time)
        for tracker in pair:
            if step % 13 == 12:
                tracker.coast(dt, 0.5, 0.1)
            else:
                tracker.predict(dt)
        assert_same(pair)
        for tracker in pair:
            tracker.update(ranges)
        updates += bool(len(ranges.usable()))
        assert_same(pair)
    assert len(looks) == 2 * updates, "numpy looked for itself, and the kernel did without it"


@pytest.mark.parametrize(("dimensions", "unsure", "count", "asked"), FAMILIES)
def test_one_prediction_from_one_state(
    dimensions: int, unsure: float, count: int, asked: int
) -> None:
    """Nothing but the network's looks at ranges is in single precision."""
    rng = np.random.default_rng(count + 100 * dimensions)
    pair = started_pair(site_of(rng, count, dimensions, unsure))
    for step in range(turns(20)):
        ranges = ranges_of(rng, pair[0].site, asked, 0.1 * step)
        for tracker in pair:
            tracker.update(ranges)
        pair[1].state.packed[:] = pair[0].state.packed
        for tracker in pair:
            tracker.predict(0.1)
        assert_same(pair, DOUBLE)


@pytest.mark.parametrize(("dimensions", "unsure"), [(2, 0.0), (2, 2.0), (3, 0.0)])
def test_ten_minutes_do_not_part_them(dimensions: int, unsure: float) -> None:
    rng = np.random.default_rng(dimensions)
    pair = started_pair(site_of(rng, 8, dimensions, unsure))
    for step in range(turns(6000)):
        ranges = ranges_of(rng, pair[0].site, 3, 0.1 * step)
        for tracker in pair:
            tracker.predict(0.1)
            tracker.update(ranges)
        one, other = (tracker.estimate for tracker in pair)
        assert one is not None
        assert other is not None
        np.testing.assert_allclose(one.position, other.position, rtol=0.0, atol=SINGLE)


def test_odometry_is_numpys_and_the_kernel_takes_over_after_it() -> None:
    rng = np.random.default_rng(5)
    pair = started_pair(site_of(rng, 8, 2, 0.0))
    framed = []
    for step in range(turns(140)):
        time = 0.1 * (step + 1)
        moved = np.array([0.06 * np.cos(0.03 * step), 0.06 * np.sin(0.03 * step)])
        motion = Motion(displacement=moved) if step % 50 < 45 else None
        turning = Motion(turn=0.02) if step % 11 == 0 else motion
        ranges = ranges_of(rng, pair[0].site, 3, time)
        for tracker in pair:
            tracker.predict(0.1, turning)
            tracker.update(ranges)
        framed.append(pair[0]._framed)
        assert_same(pair)
    assert pair[0]._framed == pair[1]._framed


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize(
    ("count", "budget"), [(2, 1), (5, 2), (9, 3), (9, 6), (20, 3), (20, 6), (64, 1), (64, 3)]
)
def test_they_choose_as_well(axes: int, count: int, budget: int) -> None:
    rng = np.random.default_rng(count * budget + axes)
    for _ in range(turns(10)):
        root = rng.standard_normal((axes + count, axes + count))
        root[:, :axes] *= 2.0
        whole = root.T @ root / (axes + count)
        seen = Foresight(whole[:axes, :axes], whole[axes:, :axes], whole[axes:, axes:])
        given = (scheduler.best_subset, seen, budget, 0.2)
        chosen = [with_kernel(kernel, *given) for kernel in (KERNEL, None)]
        for rows in chosen:
            assert rows.shape == (budget,)
            assert (np.diff(rows) > 0).all()
        left = scheduler.remaining_variance(seen, np.array(chosen), 0.2)
        assert left[0] == pytest.approx(left[1], rel=1e-9, abs=1e-9)
        np.testing.assert_array_equal(*chosen)


@pytest.mark.parametrize("count", [8, 90])
def test_they_choose_ahead_as_by_foresight(count: int) -> None:
    """At once from the state, and from the arrays of a foresight: of all, and of those near."""
    rng = np.random.default_rng(count)
    tracker = started_pair(site_of(rng, count, 2, 0.0))[0]
    for step in range(5):
        prior = tracker.predict(0.1)
        rows = subsets.near(prior, tracker.site.anchors, np.arange(count))
        assert isinstance(prior.foresight, CompiledForesight)
        by = Criterion(scheduler.AXES[:2], 3, 0.2, subsets.MOST_SUBSETS, subsets.CLEAR_SHARE)
        chosen = prior.foresight.choose(rows, by)
        wanted = rows[scheduler.best_subset(prior.foresight(rows), 3, 0.2)]
        np.testing.assert_array_equal(chosen, wanted)
        of_nearest = np.empty(3, dtype=np.intp)
        standing = tracker._compiled.standing(tracker.state, tracker._slot)
        assert KERNEL.choose_ahead(*standing, subsets.NEAREST, *by, of_nearest) is True
        np.testing.assert_array_equal(of_nearest, wanted)
        for asked in (rows[:0], rows[[1, 4]]):
            left = np.setdiff1d(rows, asked)
            foresight = prior.foresight(left)
            first, variance = best_first(foresight, 3)
            alone = (left[first], variance, present_variance(foresight))
            for of in (left, subsets.NEAREST):
                assert prior.foresight.first(of, by, asked) == pytest.approx(alone)
        tracker.update(ranges_of(rng, tracker.site, 3, 0.1 * (step + 1)))


def test_the_kernel_itself_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that always left the choice to numpy would pass the test above."""
    monkeypatch.setattr(scheduler, "best", None)
    seen = Foresight(np.eye(2), np.eye(2)[[0, 1, 0, 1, 0]] * 0.5, np.eye(5))
    assert with_kernel(KERNEL, scheduler.best_subset, seen, 2, 0.2).tolist() == [0, 1]


@pytest.mark.parametrize("dimensions", [2, 3])
def test_they_find_the_same_anchors_near(dimensions: int) -> None:
    rng = np.random.default_rng(dimensions)
    anchors = site_of(rng, 300, dimensions, 0.0).anchors
    for _ in range(5):
        mean = rng.uniform(0.0, 12.0, 2 * dimensions)
        at = Estimate(0.0, mean, np.eye(2 * dimensions))
        given = at, anchors, np.arange(len(anchors))
        found = [with_kernel(kernel, subsets.near, *given) for kernel in (KERNEL, None)]
        np.testing.assert_array_equal(*found)
        assert found[0].size == subsets.NEAREST


def outcome(tracker: ZeroShotTracker, act: Any) -> type[BaseException] | None:
    """What a call is refused with; None: it is not."""
    try:
        with np.errstate(all="ignore"):
            act(tracker)
    except Exception as refusal:
        return type(refusal)
    return None


STRANGE = [np.nan, np.inf, -np.inf, 0.0, -1.0, 1e-300, 1e18, 1e160, 1e300, 5.0]


@pytest.mark.parametrize("seed", range(12))
def test_strange_ranges_end_alike(seed: int) -> None:
    """NaN, huge, negative, empty, late, of nobody: taken, passed over or refused by both."""
    rng = np.random.default_rng(seed)
    pair = started_pair(site_of(rng, 6, 2 + seed % 2, 0.0))
    for _ in range(turns(25)):
        for tracker in pair:
            tracker.predict(0.1)
        time = pair[0].estimate.time
        count = int(rng.integers(0, 5))
        rows = rng.integers(-1 if seed % 3 == 0 else 0, 8 if seed % 3 == 1 else 6, count)
        value = np.where(rng.random(count) < 0.5, rng.choice(STRANGE, count), 5.0)
        stamp = time + np.where(rng.random(count) < 0.3, rng.choice(STRANGE, count), 0.0)
        blocked = np.where(rng.random(count) < 0.3, rng.choice(STRANGE, count), np.nan)
        ranges = Ranges.of(
            rows,
            value,
            stamp,
            status=rng.integers(0, 2, count).astype(np.uint8),
            variance=np.where(rng.random(count) < 0.3, rng.choice(STRANGE, count), np.nan),
            nlos_probability=blocked,
        )
        ends = [outcome(tracker, lambda t, given=ranges: t.update(given)) for tracker in pair]
        assert ends[0] == ends[1]
        if not np.isfinite(pair[1].state.mean).all():
            break
        assert_same(pair)


@pytest.mark.parametrize("dt", [np.nan, np.inf, -0.5, 1e-12, 1e80, 1e300])
def test_strange_times_end_alike(dt: float) -> None:
    pair = started_pair(site_of(np.random.default_rng(0), 6, 2, 0.0))
    ends = [outcome(tracker, lambda t: t.predict(dt)) for tracker in pair]
    assert ends[0] == ends[1]
    np.testing.assert_allclose(pair[0].state.packed, pair[1].state.packed, rtol=1e-9)


def test_arrays_of_another_kind_are_numpys() -> None:
    rng = np.random.default_rng(1)
    pair = started_pair(site_of(rng, 6, 2, 0.0))
    for number, kind in enumerate((np.float32, np.float64, ">f8"), start=1):
        value = np.repeat(np.array([4.0, 6.0, 5.0], dtype=kind), 2)[::2]  # with a stride
        rows = np.array([0, 2, 4], dtype=np.int32 if number == 1 else np.intp)
        stamp = np.full(3, 0.1 * number)
        nan, good = np.full(3, np.nan), np.zeros(3, dtype=np.uint8)
        ranges = Ranges(rows, value, stamp, good, nan, nan, nan, nan)
        for tracker in pair:
            tracker.predict(0.1)
            tracker.update(ranges)
        assert_same(pair)


def test_weights_of_another_shape_are_numpys() -> None:
    arrays = dict(SHIPPED.arrays)
    arrays["token.bias"] = np.zeros(7)
    site = site_of(np.random.default_rng(0), 4, 2, 0.0)
    assert with_kernel(KERNEL, ZeroShotTracker, site, Weights(arrays))._compiled is None


def test_the_kernel_refuses_what_is_no_array() -> None:
    """Arguments of every wrong kind: an answer of `not me` or a TypeError, nothing written."""
    assert KERNEL is not None
    tracker = started_pair(site_of(np.random.default_rng(0), 6, 2, 0.0))[0]
    step = tracker._compiled
    assert step is not None
    state, site = tracker.state, tracker.site
    n, room = state.size, tracker._room()
    standing = step.standing(state, tracker._slot)
    predict = [*standing, 0.1, *room]
    assert KERNEL.predict(*predict) is True
    two = Ranges.of([0, 1], [5.0, 6.0], 0.0)
    told = (two.anchor, two.value, two.stamp, two.status, two.nlos_probability, two.variance)
    update = [*standing, 0.0, *told, *room]
    assert KERNEL.update(*update) == -2
    places, rows = site.anchors.positions, np.arange(6)
    foresee = [*standing, rows]
    foresee += [np.empty((2, 2)), np.empty((6, 2)), np.empty((6, 6))]
    assert KERNEL.foresee(*foresee) is True
    ahead = [*standing, rows, np.ones(2), 3, 0.2, 2000, 1e-9]
    first = [*ahead, np.array([1])]
    assert KERNEL.first_ahead(*first) is not None
    ahead.append(np.empty(3, dtype=np.intp))
    assert KERNEL.choose_ahead(*ahead) is True
    out = np.empty(3, dtype=np.intp)
    assert KERNEL.choose_ahead(*standing, 5, *ahead[5:]) is True, "of those nearest"
    pace = np.array([np.nan, np.nan, 0.2, 0.7])
    choice = [rows, np.ones(2), 3, pace, 2000, 1e-9, 3]
    planned = [*tracker.seat()[1], *choice, *tracker.standing(), 0.1, True]

    def plan(*given: Any) -> Any:
        seat = KERNEL.seat(tuple(given[:4]), tuple(given[4:11]), None, tuple(given[11:15]))
        return KERNEL.plan([(seat, given[15])], *given[16:])

    assert plan(*planned)[0][4].shape == (3,)
    choose = [np.eye(2), np.ones((6, 2)), np.eye(6), np.ones(2), 3, 0.2, 2000, 1e-9, out]
    assert KERNEL.choose(*choose) is True
    near = [places, np.zeros(2), out]
    assert KERNEL.near(*near) is True
    assert KERNEL.near(memoryview(places), *near[1:]) is True, "by the buffer protocol too"
    wrong = [None, "x", -1, 10**30, np.nan, np.empty(0), np.full((n + 1, n), np.nan), object()]
    wrong += [np.arange(6)[::2], np.full(6, 10**12), np.zeros(6, dtype=bool), np.array(3.0)]
    wrong += [np.full(6, -1), np.empty((6, 0))]
    before = state.packed.copy()
    for function, arguments in (
        (KERNEL.predict, predict),
        (KERNEL.update, update),
        (KERNEL.foresee, foresee),
        (KERNEL.choose_ahead, ahead),
        (KERNEL.first_ahead, first),
        (KERNEL.choose, choose),
        (KERNEL.near, near),
        (plan, planned),
    ):
        for place in range(len(arguments)):
            for garbage in wrong:
                try:
                    function(*arguments[:place], garbage, *arguments[place + 1 :])
                except (TypeError, ValueError, OverflowError):
                    continue
        with pytest.raises(TypeError, match="arguments"):
            function(*arguments[:-1])
    for no_list in (None, (), [5], [()], 5):
        with pytest.raises(TypeError):
            KERNEL.plan(no_list, True)
    assert KERNEL.plan([None], True) == KERNEL.absorb([None]) == [None]
    np.testing.assert_array_equal(state.packed, before)


def test_a_foresight_that_is_not_one_is_numpys() -> None:
    assert KERNEL is not None
    out = np.empty(2, dtype=np.intp)
    for bad in (np.nan, np.inf, -5.0):
        broken = np.eye(5)
        broken[3, 3] = bad
        given = (np.eye(2), np.ones((5, 2)), broken, np.ones(2))
        assert KERNEL.choose(*given, 2, 0.2, 2000, 1e-9, out) is False
        assert KERNEL.choose(*given, 2, 0.2, 1, 1e-9, out) is False
