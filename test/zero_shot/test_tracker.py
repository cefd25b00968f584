# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The zero-shot tracker: the trained filter in numpy, its symmetries, and long life."""

from __future__ import annotations

import numpy as np
import pytest
from worlds import circle_recording, follow, square_anchors

from locdreamer_ros.methods import make_scheduler
from locdreamer_ros.simulation import simulate
from locdreamer_ros.types import Anchors, Estimate, Ranges, Site
from locdreamer_ros.zero_shot.layout import NEAR_M
from locdreamer_ros.zero_shot.model_file import shipped
from locdreamer_ros.zero_shot.tracker import ZeroShotTracker

HEIGHT = 1.0
FIX = Estimate(0.0, np.array([4.3, 4.1, 0.1, -0.2]), np.diag([0.1, 0.1, 0.5, 0.5]))


@pytest.fixture(scope="module")
def weights():
    return shipped()


def steps_of(anchors, *, steps=25, budget=None, blocked=False, seed=0):
    """(rows, ranges m, blocked) of each step of a walk, some asked, some of them wild."""
    rng = np.random.default_rng(seed)
    count = len(anchors)
    found = []
    for t in range(steps):
        place = np.array([4.0 + 1.5 * np.cos(0.2 * t), 4.0 + 1.5 * np.sin(0.2 * t), HEIGHT])
        rows = np.sort(rng.permutation(count)[: budget or count])
        distance = np.linalg.norm(anchors.positions[rows] - place, axis=1)
        value = distance + 0.1 + 0.1 * rng.standard_normal(rows.size)
        value[rng.random(rows.size) < 0.05] += 3.0
        guess = rng.random(rows.size) if blocked else np.full(rows.size, np.nan)
        found.append((rows, value, guess))
    return found


def tracked(weights, anchors, steps, *, fix=FIX, dt=0.2, free=False, apart=0.0):
    """Estimates after each step; apart s: by how much ranges of anchor after anchor are."""
    tracker = ZeroShotTracker(Site(anchors, len(fix.mean) // 2, HEIGHT), weights)
    tracker.start(fix)
    found = []
    for number, (rows, value, guess) in enumerate(steps, start=1):
        tracker.predict(dt)
        stamp = number * dt + apart * rows
        ranges = Ranges.of(rows, value, stamp, nlos_probability=guess, differences=free)
        found.append(tracker.update(ranges))
    return found


IN_SPACE = Estimate(
    0.0, np.array([4.3, 4.1, 0.6, 0.1, -0.2, 0.0]), np.diag([0.1, 0.1, 0.4, 0.5, 0.5, 0.1])
)


def in_space(fix: Estimate) -> tuple[np.ndarray, np.ndarray]:
    """Mean (6,) and covariance (6, 6) of a fix; one in the plane knows its height."""
    if len(fix.mean) == 6:
        return fix.mean, fix.covariance
    mean, covariance, plane = np.zeros(6), np.zeros((6, 6)), np.array([0, 1, 3, 4])
    mean[2] = HEIGHT
    mean[plane], covariance[np.ix_(plane, plane)] = fix.mean, fix.covariance
    return mean, covariance


@pytest.mark.parametrize("blocked", [False, True])
@pytest.mark.parametrize("budget", [None, 3, 1])
@pytest.mark.parametrize("free", [False, True], ids=["ranges", "blinks"])
@pytest.mark.parametrize("fix", [FIX, IN_SPACE], ids=["plane", "space"])
@pytest.mark.parametrize("apart", [0.0, 0.03], ids=["at once", "apart"])
def test_numpy_and_torch_are_the_same_filter(weights, budget, blocked, fix, free, apart):
    torch = pytest.importorskip("torch")
    from locdreamer_ros.zero_shot.training.chunk import freed
    from locdreamer_ros.zero_shot.training.hybrid import Hybrid

    anchors = square_anchors(6)
    steps = steps_of(anchors, budget=budget, blocked=blocked)
    model = Hybrid().double()
    model.near = NEAR_M
    model.load_state_dict({k: torch.from_numpy(v) for k, v in weights.arrays.items()})
    mean, covariance = in_space(fix)
    axes = len(fix.mean) // 2
    shown = np.r_[:axes, 3 : 3 + axes]
    with torch.no_grad():
        belief = model.start(
            torch.from_numpy(anchors.positions)[None],
            torch.from_numpy(mean)[None],
            torch.from_numpy(covariance)[None],
        )
        said = tracked(weights, anchors, steps, fix=fix, free=free, apart=apart)
        ahead = apart * torch.arange(6, dtype=torch.float64)[None]
        for (rows, value, guess), estimate in zip(steps, said, strict=True):
            full = torch.full((2, 1, 6), torch.nan, dtype=torch.float64)
            full[0, 0, rows] = torch.from_numpy(value)
            full[1, 0, rows] = torch.from_numpy(guess)
            asked = torch.zeros(1, 6, dtype=torch.bool)
            asked[0, rows] = True
            belief = model.predict(belief, torch.tensor([0.2], dtype=torch.float64))
            measured = full[0]
            belief, measured, asked = freed(
                model, belief, measured, ahead, asked, torch.tensor([free])
            )
            belief = model.update(belief, measured, ahead, asked, full[1])
            np.testing.assert_allclose(estimate.mean, belief.mean[0].numpy()[shown], atol=1e-6)
            np.testing.assert_allclose(
                estimate.position_covariance,
                model.reported(belief)[0].numpy()[:axes, :axes],
                rtol=1e-4,
                atol=1e-8,
            )


ANGLE = 0.7
TURN = np.array([[np.cos(ANGLE), -np.sin(ANGLE)], [np.sin(ANGLE), np.cos(ANGLE)]])


@pytest.mark.parametrize(
    ("matrix", "shift"),
    [
        (TURN, np.zeros(2)),
        (np.diag([-1.0, 1.0]), np.zeros(2)),
        (np.eye(2), np.array([120.0, -45.0])),
        (TURN @ np.diag([1.0, -1.0]), np.array([-3.0, 8.0])),
    ],
)
def test_the_world_may_be_turned_mirrored_and_shifted(weights, matrix, shift):
    anchors = square_anchors(7)
    steps = steps_of(anchors, budget=4)
    places = anchors.positions.copy()
    places[:, :2] = places[:, :2] @ matrix.T + shift
    both = np.kron(np.eye(2), matrix)
    offset = np.concatenate([shift, [0.0, 0.0]])
    fix = Estimate(0.0, both @ FIX.mean + offset, both @ FIX.covariance @ both.T)
    moved = tracked(weights, Anchors(anchors.ids, places), steps, fix=fix)
    for here, there in zip(tracked(weights, anchors, steps), moved, strict=True):
        np.testing.assert_allclose(there.mean, both @ here.mean + offset, atol=1e-6)
        np.testing.assert_allclose(there.covariance, both @ here.covariance @ both.T, atol=1e-6)


def test_order_of_ranges_and_of_anchors_does_not_matter(weights):
    anchors = square_anchors(6)
    steps = steps_of(anchors, budget=4)
    plain = tracked(weights, anchors, steps)[-1]
    reversed_ranges = [(rows[::-1], value[::-1], guess[::-1]) for rows, value, guess in steps]
    np.testing.assert_allclose(
        tracked(weights, anchors, reversed_ranges)[-1].mean, plain.mean, atol=1e-9
    )
    order = np.array([3, 0, 5, 2, 1, 4])
    renamed = Anchors(tuple(anchors.ids[i] for i in order), anchors.positions[order])
    at = np.argsort(order)
    moved = [(at[rows], value, guess) for rows, value, guess in steps]
    np.testing.assert_allclose(tracked(weights, renamed, moved)[-1].mean, plain.mean, atol=1e-9)


@pytest.mark.parametrize("count", [3, 5, 12, 20])
def test_any_number_of_anchors(count):
    recording = circle_recording(anchors=square_anchors(count), duration=15.0, bias=0.1)
    site = Site(recording.anchors, 2, HEIGHT)
    tracker = ZeroShotTracker(site, shipped())
    _, errors = follow(recording, tracker, make_scheduler("gdop", site), site)
    assert np.mean(errors[20:]) < 0.25


def test_the_covariance_stays_positive_over_a_long_run_with_outliers(weights):
    rng = np.random.default_rng(4)
    anchors = square_anchors(5)
    tracker = ZeroShotTracker(Site(anchors, 2, HEIGHT), weights)
    tracker.start(FIX)
    time = 0.0
    for t in range(1500):
        dt = float(np.exp(rng.uniform(np.log(0.05), np.log(2.0))))
        time += dt
        prior = tracker.predict(dt)
        place = np.array([4.0 + 1.5 * np.cos(0.1 * t), 4.0 + 1.5 * np.sin(0.1 * t), HEIGHT])
        rows = rng.permutation(5)[: rng.integers(0, 6)]
        value = np.linalg.norm(anchors.positions[rows] - place, axis=1)
        value += 0.1 * rng.standard_normal(rows.size)
        wild = rng.random(rows.size) < 0.1
        value = np.where(wild, rng.uniform(0.1, 60.0, rows.size), value)
        value[rng.random(rows.size) < 0.1] = np.nan
        posterior = tracker.update(Ranges.of(rows, value, time))
        for estimate in (prior, posterior):
            assert np.isfinite(estimate.mean).all()
            assert np.linalg.eigvalsh(estimate.covariance).min() > 0.0
    assert np.linalg.eigvalsh(tracker.state.covariance).min() > -1e-9


def test_anchors_never_heard_change_nothing_and_cost_nothing(weights):
    near = square_anchors(6)
    far = near.positions + np.array([100.0, 0.0, 0.0])
    more = [f"F{i}" for i in range(300)]
    order = np.random.default_rng(1).permutation(306)
    ids = np.array([*near.ids, *more])[order]
    places = np.concatenate([near.positions, np.tile(far, (50, 1))])[order]
    big = Anchors(tuple(ids.tolist()), places)
    at = big.rows(near.ids)
    steps = steps_of(near, budget=3, blocked=True)
    tracker = ZeroShotTracker(Site(big, 2, HEIGHT), weights)
    tracker.start(FIX)
    for number, (rows, value, guess) in enumerate(steps, start=1):
        tracker.predict(0.2)
        ranges = Ranges.of(at[rows], value, number * 0.2, nlos_probability=guess)
        found = tracker.update(ranges)
        small = tracked(weights, near, steps[:number])[-1]
        np.testing.assert_allclose(found.mean, small.mean, atol=1e-12)
        np.testing.assert_allclose(found.covariance, small.covariance, atol=1e-12)
        seen, known = found.foresight(at), small.foresight(np.arange(6))
        np.testing.assert_allclose(seen.ranges, known.ranges, atol=1e-12)
        np.testing.assert_allclose(seen.cross, known.cross, atol=1e-12)
    assert tracker.state.size == 7 + 2 * 7, "six heard, and the stranger"


def test_what_is_foreseen_of_strangers(weights):
    """Two anchors never heard share the position and the common bias, and nothing else."""
    anchors = square_anchors(5)
    tracker = ZeroShotTracker(Site(anchors, 2, HEIGHT), weights)
    tracker.start(FIX)
    seen = tracker.estimate.foresight(np.array([4, 1, 2]))
    common, own, local = (np.exp(weights.noise[name]) for name in ("common", "own", "local"))
    offset = np.append(FIX.mean[:2], HEIGHT) - anchors.positions[[4, 1, 2]]
    direction = (offset / np.linalg.norm(offset, axis=1)[:, None])[:, :2]
    ranges = direction @ FIX.covariance[:2, :2] @ direction.T + common**2
    ranges += (own**2 + local**2) * np.eye(3)
    np.testing.assert_allclose(seen.ranges, ranges, rtol=1e-12)


def test_biases_are_learned(weights):
    bias = np.array([0.3, 0.25, 0.2, 0.3, 0.35, 0.3, 0.2, 0.3])
    recording = circle_recording(duration=40.0, sigma=0.05, bias=bias)
    site = Site(recording.anchors, 2, HEIGHT)
    tracker = ZeroShotTracker(site, weights)
    _, errors = follow(recording, tracker, make_scheduler("all", site), site, budget=8)
    assert np.mean(errors[200:]) < 0.08
    # The shift of each range takes a part that all share.
    assert np.corrcoef(tracker.biases, bias)[0, 1] > 0.8


class Halved(ZeroShotTracker):
    """The same tracker, moved ahead in two steps instead of one."""

    def predict(self, dt, motion=None):
        super().predict(dt / 2, motion)
        return super().predict(dt / 2, motion)


@pytest.mark.parametrize("rate", [0.5, 3.0, 10.0])
def test_half_the_step_is_the_same_error(weights, rate):
    errors = []
    for seed in range(3):
        recording = simulate("house", duration=60.0 / min(rate, 3.0), rate=rate, seed=40 + seed)
        site = Site.of(recording.anchors, "2", HEIGHT)
        for kind in (ZeroShotTracker, Halved):
            _, found = follow(
                recording.blind(), kind(site, weights), make_scheduler("all", site), site, budget=5
            )
            errors.append(np.nanmean(found[5:]))
    whole, half = np.reshape(errors, (-1, 2)).mean(axis=0)
    assert half == pytest.approx(whole, rel=0.05)
