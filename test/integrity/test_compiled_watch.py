# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the watch asks of the kernel against the numpy beside it, strange numbers included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernels import KERNEL, turns, with_kernel

from locdreamer_ros import compiled
from locdreamer_ros import loop as in_loop
from locdreamer_ros.geometry import FLOOR_M
from locdreamer_ros.integrity import snapshot
from locdreamer_ros.integrity.track import SPANS, hold
from locdreamer_ros.integrity.watch import Watch
from locdreamer_ros.integrity.window import Gathered
from locdreamer_ros.loop import Loop, Plan
from locdreamer_ros.methods import Method
from locdreamer_ros.schedulers.simple import All
from locdreamer_ros.types import Anchors, Ranges, Site

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
    for turn in range(turns(6)):
        site = place(rng, anchors, dimensions)
        gathered = window(rng, site, ranges)
        seeds = rng.uniform(0.0, 12.0, (turn % 3, dimensions))
        given = (site, gathered, seeds, turn % 2 == 0, turn % 4 != 3)
        found = with_kernel(KERNEL, snapshot._polished_compiled, *given)
        expected = snapshot._polished(*given)
        assert found is not None
        for name in ("state", "cost", "covariance", "residual"):
            same(getattr(found, name), getattr(expected, name))


def walker(site: Site, time: float, anchor: Any, rng: np.random.Generator) -> Ranges:
    """Ranges to a walker."""
    at = np.array([5.0 + 0.8 * np.sin(time), 6.0 - 0.3 * time % 6.0, 1.2])
    value = np.linalg.norm(at - site.anchors.positions[anchor], axis=1)
    return Ranges.of(anchor, value + 0.1 * rng.standard_normal(len(anchor)), time)


def odd_answer(rng: np.random.Generator, site: Site, time: float) -> Ranges:
    """Ranges to a walker, some wild, heard before, late, twice in one answer, or of no use."""
    count = int(rng.integers(1, 6))
    anchor = rng.integers(0, len(site.anchors), count)
    at = np.array([5.0 + 0.8 * np.sin(time), 6.0 - 0.3 * time, 1.2])
    value = np.linalg.norm(at - site.anchors.positions[anchor], axis=1)
    value += 0.1 * rng.standard_normal(count) + (rng.random(count) < 0.03) * 6.0
    value[rng.random(count) < 0.03] = np.nan
    stamp = np.round(time - 0.05 * rng.integers(0, 3, count), 3)
    return Ranges.of(anchor, value, stamp - 2.0 * (rng.random(count) < 0.02))


@pytest.mark.parametrize(("dimensions", "anchors"), [(2, 8), (3, 30)])
def test_they_watch_alike(dimensions: int, anchors: int) -> None:
    """Window, track and what the one makes of the other; named anchors and crowded windows too."""
    rng = np.random.default_rng(dimensions * anchors)
    site = place(rng, anchors, dimensions)
    watches = [Watch(site, Method(tracker="ekf").make_tracker(site)) for _ in range(2)]
    plain = tests = 0
    for step in range(turns(100)):
        answer = odd_answer(rng, site, 0.05 * step)
        for watch, kernel in zip(watches, (KERNEL, None), strict=True):
            with_kernel(kernel, watch.predict, 0.05 * step)
            if kernel and watch.estimate is not None:
                given = (answer, 0.05 * step, watch.estimate)
                near = with_kernel(kernel, lambda w=watch, g=given: w._attend(*g, count=False))
                plain += near is not None
            with_kernel(kernel, watch.update, answer, 0.05 * step)
        one, other = watches
        assert (one.window.count, one._track.count) == (other.window.count, other._track.count)
        same(one.window.rows[: one.window.count], other.window.rows[: one.window.count])
        same(one._track.rows[: one._track.count], other._track.rows[: one._track.count])
        gathered = one.window.gathered(0.05 * step)
        medians = [
            with_kernel(k, gathered.per_anchor, gathered.value - 5.0) for k in (KERNEL, None)
        ]
        assert list(medians[0].items()) == list(medians[1].items())
        other.window.gathered(0.05 * step)
        same(one.gate.times.newest, other.gate.times.newest)
        long_, long_there = one.naming.lasting.rows, other.naming.lasting.rows
        lasts = ~np.isnan(long_[:, 0])
        np.testing.assert_array_equal(lasts, ~np.isnan(long_there[:, 0]))
        same(long_[lasts], long_there[lasts])
        same(long_[:, 4:], long_there[:, 4:])
        same(one.window.last, other.window.last)
        assert vars(one.status()) == vars(other.status())
        assert one.used == other.used
        counts = [(w.gate.times.late, w.gate.times.duplicates) for w in watches]
        assert counts[0] == counts[1]
        named = frozenset(rng.integers(0, anchors, step % 3).tolist())
        held = [
            with_kernel(kernel, hold, site, watch.window, watch._track, 0.05 * step, named)
            for watch, kernel in zip(watches, (KERNEL, None), strict=True)
        ]
        if held[0] is None or held[1] is None:
            assert held[0] is held[1]
            continue
        tests += 1
        same(held[0][:2], held[1][:2])
        same(held[0].offset, held[1].offset)
        assert held[0].fit.keys() == held[1].fit.keys()
        same(list(held[0].fit.values()), list(held[1].fit.values()))
    assert plain > turns(15), "the kernel itself let ranges through"
    assert tests > turns(60)


def ordinary_turn(site: Site) -> tuple[Any, list[Any]]:
    """The kernel's `absorb` of one answer that is new each time, and what it takes for it."""
    loop = with_kernel(KERNEL, standing_loop, site)
    at = loop.estimate.position[None]
    answer = Ranges.of([0, 1, 2], site.expected(at, np.arange(3)), loop.estimate.time)
    plan = Plan(loop.estimate.time, loop.estimate, answer.anchor)
    _, *turn = with_kernel(KERNEL, loop._absorb_request, plan, answer)
    stepped, kept = loop.tracker.seat()
    kept += stepped.standing()
    *watched, calm, wide, lasting = loop.watch.seat()
    next_, tracked, looked = watched[13], watched[7], watched[15]
    watched[14] = watched[14].copy()
    watched[14][11:13] = 0.0  # whatever the ranges cost, other places are looked at
    assert calm is True

    def absorb(*given: Any) -> Any:
        answer.value[:] -= 1e-6
        filter_, standing, turn, of_watch = given[:4], given[4:8], given[8:15], given[15:]
        seat = KERNEL.seat(tuple(filter_), None, tuple(of_watch), tuple(standing))
        return KERNEL.absorb([(seat, *turn)])[0]

    before = tracked.item()
    next_[0] = loop.estimate.time
    assert absorb(*kept, *turn, *watched, True, wide, lasting)[4] == 3
    assert np.count_nonzero(~np.isnan(watched[11])) == 6, "the track was held against all anchors"
    assert next_[0] > loop.estimate.time
    assert looked[0] == loop.estimate.time, "and no other place was near"
    assert tracked.item() == before + 1
    next_[0] = loop.estimate.time
    used, cost, anchors, fit, offset = absorb(*kept, *turn, *watched, False, wide, lasting)[4]
    assert (used, anchors, len(fit)) == (3, 6, 6)
    assert cost < 1.0
    assert abs(offset) < 0.1
    return absorb, [*kept, *turn, *watched, True, wide, lasting]


@pytest.mark.parametrize("kernel", [KERNEL, None])
def test_an_anchor_that_is_a_little_short_is_named(kernel: Any) -> None:
    """Also where the kernel makes the turns, and the ranges cost little."""
    site = place(np.random.default_rng(6), 6, 2)
    loop = with_kernel(kernel, standing_loop, site, 0.55, 60)
    assert loop.status().excluded == (0,)


def standing_loop(site: Site, short: float = 0.0, steps: int = 20) -> Loop:
    """The default's loop, whose tag stands; anchor 0 is so many m short after a while."""
    loop = Loop(Method().make_tracker(site), All(), site, budget=len(site.anchors))
    at = np.array([[5.0, 6.0, 1.0][: site.dimensions]])
    for step in range(steps):
        everybody = np.arange(len(site.anchors))
        values = site.expected(at, everybody)
        values[0] -= short * (step >= 20)
        loop.absorb(loop.plan(0.1 * step), Ranges.of(everybody, values, 0.1 * step))
    assert loop.plan(0.1 * steps).prediction is not None
    return loop


@pytest.mark.parametrize(("dimensions", "anchors"), [(2, 8), (3, 9)])
def test_an_ordinary_turn_is_the_turn_by_parts(
    dimensions: int, anchors: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Predict, choose, gate, update and test in two calls: the same to the last bit.

    With anchors that are silent, ranges that are wild, for long too, late or heard before, and a
    pause.
    """
    monkeypatch.setattr(compiled, "kernel", KERNEL)
    rng = np.random.default_rng(anchors)
    site = place(rng, anchors, dimensions)
    loops = [
        Loop(Method().make_tracker(site), m.make_scheduler(site), site, budget=3)
        for m in (Method(), Method())
    ]
    made = 0
    for step in range(turns(150)):
        time = 0.1 * step + 5.0 * (step > turns(110))
        answer = odd_answer(rng, site, time) if step > turns(20) else None
        if answer is not None and turns(40) < step < turns(100):
            off = 9.0 if step % turns(30) < turns(15) else 2.0  # beyond the gate, and within
            answer.value[answer.anchor < 2] += off
        ends = []
        for loop, at_once in zip(loops, (True, False), strict=True):
            with monkeypatch.context() as patch:
                if not at_once:
                    patch.setattr(in_loop, "plan_all", lambda asked, **_: [None] * len(asked))
                    patch.setattr(in_loop, "absorb_all", lambda asked: [None] * len(asked))
                plan = loop.plan(time)
                if answer is None:
                    answer = walker(site, time, np.arange(anchors), rng)
                made += loop._seat is not None
                ends.append((plan.anchor, loop.absorb(plan, answer), loop.status(), loop.watch))
        (one, here, said, watch), (other, there, says, other_watch) = ends
        np.testing.assert_array_equal(one, other)
        assert vars(said) == vars(says)
        assert (here is None) == (there is None)
        if here is not None and there is not None:
            np.testing.assert_array_equal(here.mean, there.mean)
            np.testing.assert_array_equal(here.covariance, there.covariance)
            assert here.time == there.time
        count = watch.window.count
        assert (count, watch.used) == (other_watch.window.count, other_watch.used)
        np.testing.assert_array_equal(watch.window.rows[:count], other_watch.window.rows[:count])
        same(watch._fits, other_watch._fits)
        same(watch.naming.lasting.rows, other_watch.naming.lasting.rows)
    assert made > turns(60), "the kernel itself made turns"


def test_what_was_said_stays() -> None:
    """Whatever the kernel uses again, nobody has any more: plans, estimates and their foresight."""
    rng = np.random.default_rng(5)
    site = place(rng, 8, 2)
    everybody = np.arange(8)
    method = Method()
    loop = Loop(method.make_tracker(site), method.make_scheduler(site), site, budget=3)

    def told(plan: Plan, posterior: Any) -> list[Any]:
        said: list[Any] = [plan.anchor]
        for each in (plan.prediction, posterior):
            if each is not None:
                foreseen = each.foresight(everybody)
                said += [each.mean, each.covariance, foreseen.cross, foreseen.ranges]
        return [values.copy() for values in said]

    kept = []
    for step in range(40):
        plan = loop.plan(0.1 * step)
        posterior = loop.absorb(plan, walker(site, 0.1 * step, plan.anchor, rng))
        if step % 3:
            kept.append((plan, posterior, told(plan, posterior)))
    for plan, posterior, said in kept:
        for now, then in zip(told(plan, posterior), said, strict=True):
            np.testing.assert_array_equal(now, then)


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
    limits = np.array([1.0, FLOOR_M, -1e9, 1e9, 9.0, 0.1, 0.7, 3.0, 0.3])
    good, rows = np.zeros(6, dtype=np.uint8), np.zeros((9, 3))
    attend = [known[0], limits, 0.0, np.arange(6), gathered.value, gathered.age, good]
    attend += [0.0, np.zeros(4), np.eye(4), 0.0, True, np.zeros((6, 2)), np.full(6, -9.0), rows, 1]
    attend += [np.full((6, 8), np.nan)]
    assert KERNEL.attend(*attend) == (7, 0)
    track = np.zeros((4, 3))
    remember = [track, 2, 0.0, np.zeros(4), 7.0]
    assert KERNEL.remember(*remember) == 3
    rows[:7, 1], rows[:7, 2] = np.arange(7) % 6, 5.0
    held = [known[0], np.array([1.0, FLOOR_M, *SPANS]), rows, 7, track, 3, 0.0, np.array([2])]
    assert KERNEL.hold(*held)[2] == 5
    for function, arguments in (
        (KERNEL.explain, explain),
        (KERNEL.attend, attend),
        (KERNEL.remember, remember),
        (KERNEL.hold, held),
        (KERNEL.medians, [gathered.anchor, gathered.value]),
        ordinary_turn(site),
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
