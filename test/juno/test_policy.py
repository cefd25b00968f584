# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`--scheduler juno`: the model file, the scheduler, and `locdreamer juno train`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from worlds import circle_recording, follow, square_anchors

from locdreamer_ros.cli import main
from locdreamer_ros.datasets.range_table import save_anchors, save_range_table
from locdreamer_ros.errors import InputError
from locdreamer_ros.juno.policy import Policy
from locdreamer_ros.juno.scheduler import JunoScheduler
from locdreamer_ros.methods import make_scheduler, make_tracker
from locdreamer_ros.recording import Recording
from locdreamer_ros.types import Anchors, Estimate, Site

ANCHORS = square_anchors(4)
SUBSETS = np.array([[0, 1], [2, 3]])


def policy() -> Policy:
    """West of x = 4 anchors 0 and 1 are best, east of it 2 and 3; nothing is known above y = 6."""
    values = np.zeros((64, 2))
    west = np.arange(64) % 8 < 4
    values[west, 0] = values[~west, 1] = 1.0
    values[np.arange(64) // 8 >= 6] = np.nan
    return Policy(ANCHORS, np.zeros(2), 1.0, 8, SUBSETS, values)


def near(x: float, y: float, sigma: float = 0.3) -> Estimate:
    return Estimate(0.0, np.array([x, y, 0.0, 0.0]), np.diag([sigma**2, sigma**2, 1.0, 1.0]))


def test_a_file_holds_everything(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    policy().save(path)
    again = Policy.load(path)
    assert again.anchors.ids == ANCHORS.ids
    for name in ("low", "subsets", "values"):
        assert np.array_equal(getattr(again, name), getattr(policy(), name), equal_nan=True)
    assert (again.zone, again.columns, again.budget) == (1.0, 8, 2)
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    for name, content in (("text", b"hello"), ("empty", b""), ("zip", b"PK\x03\x04broken")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="expected a model of `locdreamer juno train`"):
            Policy.load(tmp_path / name)
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(InputError, match="expected a model"):
        Policy.load(tmp_path / "other.npz")
    np.savez(tmp_path / "pickle.npz", values=np.array([object()]), version=np.array(1))
    with pytest.raises(InputError, match="expected a model"):
        Policy.load(tmp_path / "pickle.npz")
    with pytest.raises(InputError, match="cannot read"):
        Policy.load(tmp_path / "absent.npz")
    replace(policy(), columns=7).save(tmp_path / "damaged.npz")
    with pytest.raises(InputError, match="do not fit together"):
        Policy.load(tmp_path / "damaged.npz")


def test_the_scheduler_asks_by_place_and_gdop_where_nothing_is_known() -> None:
    scheduler = JunoScheduler(Site(ANCHORS), policy())
    assert scheduler.select(near(1.5, 2.5), ANCHORS, 2).tolist() == [0, 1]
    assert scheduler.select(near(6.5, 2.5), ANCHORS, 2).tolist() == [2, 3]
    assert scheduler.fallback == ""
    rows = scheduler.select(near(1.5, 7.8), ANCHORS, 2)
    assert scheduler.fallback == "nothing learned here"
    assert rows.size == 2
    assert scheduler.select(near(1.5, 2.5), ANCHORS, 4).tolist() == [0, 1, 2, 3]
    with pytest.raises(InputError, match="this model chooses 2 anchors, the budget is 3"):
        scheduler.select(near(1.5, 2.5), ANCHORS, 3)


def test_values_are_averaged_over_the_belief() -> None:
    one_sided = policy()
    one_sided.values[:, 0] *= 3.0  # being wrong in the west costs more
    scheduler = JunoScheduler(Site(ANCHORS), one_sided)
    assert scheduler.select(near(4.3, 3.0, 0.05), ANCHORS, 2).tolist() == [2, 3]
    assert scheduler.select(near(4.3, 3.0, 1.5), ANCHORS, 2).tolist() == [0, 1]


def test_anchors_in_another_order_are_the_same_and_others_are_not() -> None:
    turned = Anchors(ANCHORS.ids[::-1], ANCHORS.positions[::-1])
    scheduler = JunoScheduler(Site(turned), policy())
    assert scheduler.select(near(1.5, 2.5), turned, 2).tolist() == [2, 3]
    with pytest.raises(InputError, match="was trained for anchors A1, A2, A3, A4"):
        JunoScheduler(Site(square_anchors(5)), policy())
    moved = Anchors(ANCHORS.ids, ANCHORS.positions + np.array([0.5, 0.0, 0.0]))
    with pytest.raises(InputError, match=r"anchor A1 stands 0\.50 m"):
        JunoScheduler(Site(moved), policy())


def test_a_scheduler_without_a_model_says_so() -> None:
    with pytest.raises(InputError, match="scheduler juno needs a trained model: --model FILE"):
        make_scheduler("juno", Site(ANCHORS))


def biased(seed: int) -> Recording:
    """A circle on which anchors 0 to 2 always range 2 m too far."""
    bias = np.array([2.0, 2.0, 2.0, 0.0, 0.0, 0.0])
    return circle_recording(anchors=square_anchors(6), bias=bias, duration=60.0, seed=seed)


def test_training_avoids_anchors_that_lie() -> None:
    pytest.importorskip("numba", reason="needs numba: pip install 'locdreamer_ros[juno]'")
    from locdreamer_ros.juno.recorded import Training, train_policy

    recording = biased(0)
    site = Site(recording.anchors)
    for guide in (None, make_scheduler("gdop", site)):
        learnt = train_policy(recording, site, budget=3, rng=np.random.default_rng(0), guide=guide)
        test = biased(1)
        errors = {}
        for name, scheduler in (
            ("juno", JunoScheduler(site, learnt)),
            ("random", make_scheduler("random", site)),
        ):
            tracker = make_tracker("robust-ekf", site)
            steps, found = follow(test, tracker, scheduler, site)
            errors[name] = np.nanmean(found[100:])
        asked = np.concatenate([step.plan.anchor for step in steps[10:]])
        assert asked.size
        assert errors["juno"] < 0.5 * errors["random"]
    with pytest.raises(InputError, match="--budget: expected 1 to 5 of 6 anchors, got 6"):
        train_policy(recording, site, budget=6, rng=np.random.default_rng(0))
    blind = replace(recording, truth=None)
    with pytest.raises(InputError, match="training needs ground truth"):
        train_policy(blind, site, budget=3, rng=np.random.default_rng(0))
    assert Training().horizon > 0


def test_differences_do_not_feel_a_common_offset() -> None:
    pytest.importorskip("numba", reason="needs numba: pip install 'locdreamer_ros[juno]'")
    from locdreamer_ros.juno.recorded import fix_errors

    recording = circle_recording(bias=3.0, sigma=0.01)
    site = Site(recording.anchors)
    subsets = np.array([[0, 2, 4, 6]])
    rng = np.random.default_rng(0)
    assert fix_errors(recording, site, subsets, rng, tdoa=True).mean() < 0.15  # the prior pulls
    assert fix_errors(recording, site, subsets[:, :3], rng).mean() > 0.5


def test_train_then_track(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("numba", reason="needs numba: pip install 'locdreamer_ros[juno]'")
    for seed, name in ((0, "train"), (1, "test")):
        save_range_table(tmp_path / f"{name}.csv", biased(seed))
        save_anchors(tmp_path / f"{name}_anchors.csv", biased(seed).anchors)
    model = tmp_path / "model.npz"
    said = tmp_path / "said.json"
    command = ["juno", "train", "--recording", str(tmp_path / "train.csv"), "--output", str(model)]
    assert main([*command, "--dimensions", "2", "--json", str(said)]) == 0
    assert json.loads(said.read_text())["subsets"] == 20
    track = ["track", str(tmp_path / "test.csv"), "--tracker", "ekf", "--dimensions", "2"]
    found = {}
    for scheduler, file in (("juno", ["--model", str(model)]), ("random", [])):
        out = tmp_path / f"{scheduler}.json"
        options = ["--scheduler", scheduler, *file, "--json", str(out)]
        assert main([*track, *options]) == 0
        found[scheduler] = json.loads(out.read_text())["mae"]
    assert found["juno"] < 0.6 * found["random"]
    capsys.readouterr()


def test_train_in_a_simulated_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("numba", reason="needs numba: pip install 'locdreamer_ros[juno]'")
    command = ["juno", "train", "--environment", "house", "--duration", "60", "--budget", "2"]
    options = ["--measurement", "tdoa", "--guide", "nearest"]
    assert main([*command, *options, "--output", str(tmp_path / "m.npz")]) == 0
    assert Policy.load(tmp_path / "m.npz").budget == 2
    capsys.readouterr()


def never(*arguments: object, **options: object) -> None:
    raise AssertionError("work was begun")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--environment", "house", "--output", "m.txt"], "expected a name ending in .npz"),
        (["--environment", "moon", "--output", "m.npz"], "moon"),
        (["--environment", "house", "--guide", "wls", "--output", "m.npz"], "--guide: expected"),
        (["--environment", "house", "--guide", "best", "--output", "m.npz"], "--guide: expected"),
        (["--environment", "house", "--budget", "5", "--output", "m.npz"], "--budget: expected"),
        (["--environment", "house", "--anchors", "x", "--output", "m.npz"], "belongs to"),
        (["--recording", "no.csv", "--output", "m.npz"], "no.csv"),
        (["--recording", "no.csv", "--duration", "9", "--output", "m.npz"], "--duration belongs"),
        (["--output", "m.npz"], "one of the arguments --recording --environment is required"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    expected: str,
) -> None:
    pytest.importorskip("numba", reason="needs numba: pip install 'locdreamer_ros[juno]'")
    monkeypatch.chdir(tmp_path)
    # Nothing is simulated, nor learned, before all is known to be right.
    monkeypatch.setattr("locdreamer_ros.simulation.simulate_in", never)
    monkeypatch.setattr("locdreamer_ros.juno.recorded.train_policy", never)
    assert main(["juno", "train", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line
    assert list(tmp_path.iterdir()) == []
