# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What few anchors cannot tell is said: mirror images, and other places nearly as good."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from locdreamer_ros.integrity.doubt import GLANCE_S, LOOK_S, Doubt
from locdreamer_ros.integrity.mirror import Mirror
from locdreamer_ros.integrity.naming import Naming
from locdreamer_ros.integrity.snapshot import Snapshot
from locdreamer_ros.integrity.status import State
from locdreamer_ros.integrity.track import Held
from locdreamer_ros.integrity.watch import Watch
from locdreamer_ros.integrity.window import Gathered, Window
from locdreamer_ros.methods import Method
from locdreamer_ros.roles import Tracker
from locdreamer_ros.types import Anchors, Estimate, FloatArray, Motion, Ranges, Site


def row_of(off: float) -> Site:
    """Five anchors along a wall, each so far off their line, now on the one side, now on the other,
    and one 8 m away from it."""
    x = np.array([0.0, 2.5, 5.0, 7.5, 10.0])
    places = np.column_stack([x, off * np.array([1.0, -1.0, 0.0, 1.0, -1.0]), np.full(5, 2.0)])
    places = np.vstack([places, [5.0, 8.0, 2.0]])
    return Site(Anchors(tuple("abcdef"), places), 2, 1.0)


@pytest.mark.parametrize(
    ("off", "side", "flat"),
    [
        (0.1, 3.0, True),  # on a line
        (0.1, 0.1, True),  # and so is the tag
        (0.17, 2.0, True),  # differences of .2 m, that noise and walls make too
        (0.4, 3.0, False),
        (0.6, 0.2, False),  # its mirror image is .4 m away
        (4.0, 3.0, False),
    ],
)
def test_sides_are_told_apart_by_what_the_ranges_differ(
    off: float, side: float, flat: bool
) -> None:
    mirror = Mirror(row_of(off))
    place = np.array([4.0, side])
    mirror.look(set(range(5)), place)
    assert mirror.flat == flat
    if flat:
        across = place + mirror.across(place)
        assert across == pytest.approx([4.0, -side], abs=0.4)
    mirror.look(set(range(6)), place)
    assert not mirror.flat, "the sixth tells"


def walked(watch: Watch, site: Site, rate: float, duration: float, asked) -> FloatArray:
    """A walk at .8 m/s, 2.5 m before the wall; of each step the error m and the state."""
    rng = np.random.default_rng(1)
    seen = []
    for time in np.arange(0.0, duration, 1.0 / rate).tolist():
        at = np.array([5.0 + 4.0 * np.sin(0.2 * time), 2.5, 1.0])
        anchor = np.array(asked(time))
        value = np.linalg.norm(at - site.anchors.positions[anchor], axis=1)
        value += 0.05 * rng.standard_normal(anchor.size)
        value[anchor == 5] += 6.0 * (time > 4.0)
        watch.predict(time)
        estimate = watch.update(Ranges.of(anchor, value, time), time)
        if estimate is not None:
            error = float(np.hypot(*(estimate.position - at[:2])))
            seen.append([error, float(watch.status().state)])
    return np.array(seen)


def test_whoever_is_left_after_a_name_may_be_on_a_line() -> None:
    site = row_of(0.2)
    watch = Watch(site, Method(dimensions="2", tag_height=1.0).make_tracker(site))
    seen = walked(watch, site, 5.0, 12.0, lambda time: range(6))
    assert watch.naming.named == {5}
    assert (seen[:18, 1] == State.TRACKING).all()
    assert seen[-1, 1] == State.DOUBTFUL
    assert watch.status().mirror
    assert watch.estimate is not None
    assert watch.estimate.covariance[1, 1] > 4.0**2, "it holds the other side"


def test_ranges_of_long_ago_are_held_against_where_the_tag_was_then() -> None:
    site = row_of(4.0)
    watch = Watch(site, Method(dimensions="2", tag_height=1.0).make_tracker(site))
    walked(watch, site, 1.0, 30.0, lambda time: range(5) if time < 10.0 else [0, 1, 2])
    assert np.isfinite(watch._fits).nonzero()[0].tolist() == [0, 1, 2, 3, 4]
    assert np.nanmax(np.abs(watch._fits)) < 0.5, "of the last two 20 s ago"


def test_a_range_of_long_ago_tells_no_side_any_more() -> None:
    """The row fits both sides at no cost; the anchor beside it was heard for three seconds."""
    site = row_of(0.1)
    watch = Watch(site, Method(dimensions="2", tag_height=1.0).make_tracker(site))
    watch._overruling.persists = lambda *_: True  # type: ignore[method-assign]
    seen = walked(watch, site, 1.0, 30.0, lambda time: range(6) if time < 3.0 else range(5))
    assert np.isfinite(watch._fits[:6]).all(), "it is still in the window"
    assert (seen[3:7, 1] == State.TRACKING).all()
    assert (seen[15:, 1] == State.DOUBTFUL).mean() > 0.7
    assert watch.estimate is not None
    assert watch.estimate.covariance[1, 1] > 3.0**2, "it holds the other side"
    assert watch.restarts == 0, "what costs so little is no reason to begin anew"


@pytest.mark.parametrize(("cost", "wait"), [(1.6, LOOK_S), (0.1, GLANCE_S)])
def test_other_places_are_looked_at_now_and_then(cost: float, wait: float) -> None:
    site = row_of(4.0)
    doubt = Doubt(site, Mirror(site), Naming(site), Window(6))
    held = Held(cost, 4, {})
    assert doubt.looks_around(held, 0.0)
    assert not doubt.looks_around(held, wait - 0.01)
    assert doubt.looks_around(held, wait)
    doubt.covariance = np.eye(2)
    assert doubt.looks_around(held, wait + 0.01), "at each test while there is one"


def place(x: float, cost: float) -> Snapshot:
    nothing = np.empty(0)
    window = Gathered(nothing, nothing.astype(np.intp), nothing, nothing, 0)
    at = np.array([x, 0.0])
    return Snapshot(0.0, at, np.zeros(2), 0.01 * np.eye(2), 0.0, cost, nothing, window)


@pytest.mark.parametrize(
    ("rivals", "metres"),
    [
        ([(0.0, 1.0), (2.0, 1.0)], 2.0 / np.sqrt(2.0)),  # either of two
        ([(0.0, 1.0), (2.0, 1.9)], 2.0 * np.sqrt(1.0 / (1.0 + np.exp(0.9)))),
        ([(0.0, 1.0), (2.0, 2.1)], 0.0),  # it costs too much
        ([(0.8, 0.0)], 0.0),  # it is too near
        ([(2.0, -4.0), (-5.0, -1.5)], 2.0 * np.sqrt(1.0 / (1.0 + np.exp(-5.0)))),  # and the best
    ],
)
def test_a_place_nearly_as_good_widens_the_covariance(
    rivals: list[tuple[float, float]], metres: float
) -> None:
    site = row_of(4.0)
    doubt = Doubt(site, Mirror(site), Naming(site), Window(6))
    estimate = Estimate(0.0, np.zeros(4), 0.04 * np.eye(4))
    doubt.compare([place(*each) for each in rivals], 1.0, estimate)
    if not metres:
        assert doubt.covariance is None
        return
    assert doubt.covariance is not None
    assert doubt.covariance == pytest.approx(np.diag([metres**2, 0.0]))


class Stands(Tracker):
    """A tracker that is lost: it says that the tag stands where it was started."""

    def start(self, fix: Estimate) -> None:
        self._estimate = replace(fix, mean=np.append(fix.position, [0.0, 0.0]))

    def predict(self, dt: float, motion: Motion | None = None) -> Estimate:
        self._estimate = replace(self.now, time=self.now.time + dt)
        return self.now

    def update(self, ranges: Ranges) -> Estimate:
        return self.now


@pytest.mark.parametrize("count", [5, 16])
def test_ranges_of_many_anchors_from_before_outweigh_no_new_ones(count: int) -> None:
    """The tag goes 2 m aside, and then only four of the anchors are asked."""
    turn = 2.0 * np.pi * np.arange(count) / count
    places = np.column_stack([9.0 * np.cos(turn), 9.0 * np.sin(turn), np.full(count, 2.0)])
    site = Site(Anchors(tuple(map(str, range(count))), places), 2, 1.0)
    watch = Watch(site, Stands())
    for time in np.arange(0.0, 24.0):
        at = np.array([1.0 + 2.0 * (time > 8.0), 0.5, 1.0])
        anchor = np.arange(count) if time <= 8.0 else np.arange(4) * (count // 4)
        value = np.linalg.norm(at - site.anchors.positions[anchor], axis=1)
        watch.predict(time)
        watch.update(Ranges.of(anchor, value, time), time)
    assert watch.restarts == 1
    assert watch.tracker.estimate is not None
    assert watch.tracker.estimate.position == pytest.approx([3.0, 0.5], abs=0.3)
