# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The environment, the agents and the baselines, in rooms where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("numba", reason="needs numba: pip install 'locdreamer_ros[juno]'")

from locdreamer_ros.errors import InputError
from locdreamer_ros.juno.paper import baselines, dqn
from locdreamer_ros.juno.paper.guides import gdop_table, random_table, scheduler_table
from locdreamer_ros.juno.paper.jump_start import jump_start_steps
from locdreamer_ros.juno.paper.learning import Learning, learn
from locdreamer_ros.juno.paper.room import (
    Room,
    block_reference,
    draw_room,
    draw_room_with_walls,
    redraw_links,
)
from locdreamer_ros.juno.paper.surrogate import RangingError
from locdreamer_ros.juno.paper.tracked import as_values, track
from locdreamer_ros.juno.paper.walk import draw_walk, fix_errors, follow, next_zone, rectangle
from locdreamer_ros.schedulers.simple import Nearest

EXACT = RangingError(0.0, 1e-3, 0.5, 2.0, 1e-3)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def mean_error(room: Room, table: np.ndarray, seed: int = 9) -> float:
    walk = draw_walk(room, 4000, rng(seed))
    return float(fix_errors(room, walk, follow(room, walk, table[walk.zones])[0]).mean())


def test_rooms() -> None:
    room = draw_room(rng())
    assert room.nlos.shape == (400, 9)
    assert room.actions.shape == (28, 2)  # (9): C(8, 2)
    assert not room.nlos[:, -1].any()
    assert room.nlos[:, :-1].mean() == pytest.approx(0.5, abs=0.03)
    related = redraw_links(room, 0.3, rng(1))
    assert (related.nlos != room.nlos)[:, :-1].mean() == pytest.approx(0.15, abs=0.02)
    walled = draw_room_with_walls(rng())
    assert 0.2 < walled.nlos[:, :-1].mean() < 0.8
    assert draw_room(rng(), chosen=3).actions.shape == (56, 3)
    with pytest.raises(InputError, match="expected 2 to 8, got 1"):
        draw_room(rng(), chosen=1)


def test_a_reference_that_is_blocked_like_the_others_locates_worse() -> None:
    room = draw_room(rng())
    hidden = block_reference(room, rng(1))
    assert not room.nlos[:, -1].any()
    assert hidden.nlos[:, -1].mean() == pytest.approx(0.5, abs=0.06)
    assert np.array_equal(hidden.nlos[:, :-1], room.nlos[:, :-1])
    table = learn(room, rng(), Learning(epochs=300)).table
    assert mean_error(hidden, table) > 1.5 * mean_error(room, table)


def test_the_user_walks_in_eight_directions_and_stays_inside() -> None:
    draws = rng(3)
    seen = {next_zone(210, 20, 20, draws) for _ in range(500)}
    assert seen == {210 + dy * 20 + dx for dx in (-1, 0, 1) for dy in (-1, 0, 1)} - {210}
    assert {next_zone(0, 20, 20, draws) for _ in range(500)} == {0, 1, 20, 21}


def test_a_rectangle_closes() -> None:
    room = draw_room(rng())
    steps = np.abs(np.diff(room.centres[rectangle(room)], axis=0)).sum(axis=1)
    assert steps == pytest.approx(room.zone)
    assert rectangle(room)[0] == rectangle(room)[-1]


@given(epochs=st.integers(1, 500), horizon=st.integers(0, 200))
def test_the_guide_withdraws_from_h_to_0(epochs: int, horizon: int) -> None:
    steps = [jump_start_steps(epoch, epochs, horizon) for epoch in range(epochs + 5)]
    assert steps[0] == horizon
    assert steps[epochs:] == [0] * 5
    assert steps == sorted(steps, reverse=True)


def test_no_epochs_is_no_guide() -> None:
    assert jump_start_steps(0, 0, 100) == 0


def test_the_same_seed_learns_the_same() -> None:
    room = draw_room(rng())
    how = Learning(epochs=50)
    one, two, other = (learn(room, rng(seed), how) for seed in (1, 1, 2))
    assert np.array_equal(one.q, two.q)
    assert not np.array_equal(one.q, other.q)


def test_q_learning_finds_the_links_in_sight() -> None:
    room = draw_room(rng())
    learnt = learn(room, rng(), Learning(epochs=3000, error=EXACT))
    chosen = room.actions[learnt.table]
    clear = ~room.nlos[np.arange(400)[:, None], chosen].any(axis=1)
    possible = (~room.nlos[:, :-1]).sum(axis=1) >= 2
    assert clear[possible].mean() > 0.9
    noisy = learn(room, rng(), Learning(epochs=3000))
    assert mean_error(room, noisy.table) < 0.45 * mean_error(room, gdop_table(room))


def test_a_guide_leads_at_first_and_only_then() -> None:
    room = draw_room(rng())
    guide = learn(room, rng(1), Learning(epochs=2000)).table
    how = Learning(epochs=60, guide_epochs=10**6, epsilon=0.0, epsilon_last=0.0)
    led = learn(room, rng(2), how, guide=guide)
    tried = np.argwhere(led.q != 0.0)
    assert (guide[tried[:, 0]] == tried[:, 1]).mean() > 0.9
    plain = learn(room, rng(2), how)
    assert led.errors.mean() < 0.6 * plain.errors.mean()
    unguided = learn(room, rng(2), Learning(epochs=60, guide_horizon=0), guide=guide)
    assert np.array_equal(unguided.q, learn(room, rng(2), Learning(epochs=60)).q)


def test_a_warm_start_begins_where_another_ended() -> None:
    room = draw_room(rng())
    before = learn(room, rng(1), Learning(epochs=2000))
    kept = before.q.copy()
    warm = learn(room, rng(2), Learning(epochs=20), start=before.q)
    assert np.array_equal(before.q, kept)
    assert warm.errors.mean() < 0.5 * learn(room, rng(2), Learning(epochs=20)).errors.mean()


def test_gamma_takes_the_next_value_in() -> None:
    room = draw_room(rng())
    learnt = learn(room, rng(), Learning(epochs=300, gamma=0.9))
    assert learnt.q.max() > 1.5  # a sum of rewards, not one


def test_rewards_and_errors_agree() -> None:
    room = draw_room(rng())
    learnt = learn(room, rng(), Learning(epochs=2000))
    assert -100.0 <= learnt.rewards.min() <= learnt.rewards.max() <= 100.0
    assert np.corrcoef(learnt.rewards, learnt.errors)[0, 1] < -0.8


def test_guides_are_tables_of_actions() -> None:
    room = draw_room(rng())
    nearest = scheduler_table(room, Nearest())
    zone = 0  # beside beacon 0, then 1 and 7 on either side
    assert set(room.actions[nearest[zone]].tolist()) in ({0, 1}, {0, 7})
    for table in (
        nearest,
        gdop_table(room),
        gdop_table(room, "circles"),
        random_table(room, rng()),
    ):
        assert table.shape == (400,)
        assert 0 <= table.min() <= table.max() < 28


def test_everybody_finds_the_user_where_nothing_is_in_the_way() -> None:
    room = draw_room(rng())
    room.nlos[:] = False
    walk = draw_walk(room, 300, rng(), RangingError(0.0, 0.01))
    fixes = {
        "gdop": follow(room, walk, gdop_table(room)[walk.zones])[0],
        "all": baselines.locate_by_all(room, walk, robust=False)[0],
        "robust": baselines.locate_by_all(room, walk, robust=True)[0],
        "wls": baselines.locate_by_wls(room, walk),
    }
    for name, found in fixes.items():
        assert np.median(fix_errors(room, walk, found)) < 0.1, name


def test_a_deep_net_learns_obstacles() -> None:
    room = draw_room_with_walls(rng())
    q = dqn.learn_deep(room, rng())
    assert mean_error(room, np.argmax(q, axis=1)) < 0.8 * mean_error(room, gdop_table(room))


def test_tracking_by_belief_beats_gdop_behind_obstacles() -> None:
    room = draw_room_with_walls(rng(1))
    q = np.zeros((400, 28))
    training, walk = draw_walk(room, 40_000, rng(2)), draw_walk(room, 3000, rng(3))
    epsilon = np.linspace(1.0, 0.02, 40_000)
    track(room, training, q, average=True, alpha=0.2, epsilon=epsilon, rng=rng(4))
    agent = track(room, walk, q, average=True)
    gdop = track(room, walk, as_values(gdop_table(room), 28), average=False)
    error = [fix_errors(room, walk, tracked.fixes).mean() for tracked in (agent, gdop)]
    assert error[0] < 0.9 * error[1]
    assert np.array_equal(track(room, walk, q, average=True).fixes, agent.fixes)


@pytest.mark.parametrize("chosen", [2, 3])
def test_gymnasium_accepts_the_environment(chosen: int) -> None:
    pytest.importorskip("gymnasium", reason="needs gymnasium: locdreamer_ros[juno]")
    from gymnasium.utils.env_checker import check_env

    from locdreamer_ros.juno.paper.environment import NodeSelection

    env = NodeSelection(draw_room(rng(), chosen=chosen), horizon=5)
    check_env(env, skip_render_check=True)
    env.reset(seed=1)
    for step in range(5):
        zone, reward, terminated, truncated, info = env.step(step)
        assert env.observation_space.contains(zone)
        assert reward == (1.0 if info["error"] <= 0.5 else -1.0)
        assert not terminated
        assert truncated == (step == 4)


@pytest.mark.parametrize("kind", ["cnn", "lstm"])
def test_a_regressor_learns_the_room(kind: str) -> None:
    pytest.importorskip("torch", reason="needs torch: locdreamer_ros[learn]")
    from locdreamer_ros.juno.paper.regressors import locate_by_net

    room = draw_room(rng())
    walk = draw_walk(room, 500, rng(1))
    fixes = locate_by_net(kind, room, draw_walk(room, 5000, rng(2)), walk, seed=0)
    middle = np.linalg.norm(room.centres[walk.zones] - 5.0, axis=1).mean()
    assert fix_errors(room, walk, fixes).mean() < 0.5 * middle
