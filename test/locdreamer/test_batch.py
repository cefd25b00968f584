# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A fleet's steps of the world model in one batch: what each tag would get alone."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from elsewhere import ELSEWHERE, Elsewhereness  # noqa: E402
from rooms import trained  # noqa: E402
from worlds import circle_recording, square_anchors  # noqa: E402

from locdreamer_ros.fleet import Fleet  # noqa: E402
from locdreamer_ros.locdreamer import batch as module  # noqa: E402
from locdreamer_ros.locdreamer import tracker as tracker_module  # noqa: E402
from locdreamer_ros.locdreamer.batch import Batch  # noqa: E402
from locdreamer_ros.locdreamer.model_file import save_model  # noqa: E402
from locdreamer_ros.loop import Loop  # noqa: E402
from locdreamer_ros.methods import Method  # noqa: E402
from locdreamer_ros.recording import RecordingSource  # noqa: E402
from locdreamer_ros.types import Ranges, Site  # noqa: E402

RECORDINGS = {
    tag: circle_recording(anchors=square_anchors(), duration=3.0, rate=4.0, sigma=0.1, seed=seed)
    for seed, tag in enumerate(("robin", "wren", "owl"))
}
SITE = Site.of(RECORDINGS["robin"].anchors, "2", 1.0)
TIMES = RECORDINGS["robin"].times.tolist()
CHOSEN = {"robin": [0, 2, 5], "wren": [1, 3, 6], "owl": [0, 3, 4, 7]}
"""Whom each tag hears after the first fix: of one of them more."""


@pytest.fixture
def method(tmp_path) -> Method:
    path = tmp_path / "model.safetensors"
    save_model(path, trained())
    return Method(tracker="locdreamer", scheduler="gdop", model=str(path))


@pytest.fixture
def alone_steps(monkeypatch) -> list[int]:
    """One entry for each step that a tracker made alone."""
    made: list[int] = []
    real = Batch.alone
    monkeypatch.setattr(Batch, "alone", lambda *given: (made.append(1), real(*given))[1])
    return made


def heard(tag: str, row: int) -> Ranges:
    rows = np.array(CHOSEN[tag]) if row > 4 else np.arange(len(SITE.anchors))
    return RecordingSource(RECORDINGS[tag]).answer(row, rows)


def garbage(row: int, time: float) -> Ranges:
    """Values that no place explains, some of which overflow."""
    return Ranges.of([0, 2, 5], [(np.inf, 1e39, 0.3)[row % 3], 1e30, 5.0 + row], time)


def run_together(
    method: Method, *, rogue: bool = False, late: int = 0
) -> tuple[Fleet, dict[str, list]]:
    """late: owl comes so many rows after the others."""
    fleet = Fleet(SITE, method, asking=False)
    found: dict[str, list] = {tag: [] for tag in RECORDINGS}
    for row, time in enumerate(TIMES):
        here = [tag for tag in RECORDINGS if tag != "owl" or row >= late]
        plans = fleet.hear(dict.fromkeys([*here, *(["rogue"] if rogue else [])], time))
        answers = {tag: (plans[tag], heard(tag, row)) for tag in here}
        if rogue:
            like = heard("robin", row)
            answers["rogue"] = (plans["rogue"], like if row < 7 else garbage(row, time))
        estimates = fleet.absorb(answers)
        for tag in RECORDINGS:
            found[tag].append(estimates.get(tag))
    return fleet, found


def run_alone(tag: str, method: Method) -> list:
    tracker, scheduler = method.make_tracker(SITE), method.make_scheduler(SITE)
    loop = Loop(tracker, scheduler, SITE, budget=len(SITE.anchors))
    return [loop.absorb(loop.hear(time), heard(tag, row)) for row, time in enumerate(TIMES)]


def assert_alike(found: dict[str, list], method: Method) -> None:
    for tag, estimates in found.items():
        wanted = run_alone(tag, method)
        assert wanted[-1] is not None
        for one, other in zip(estimates, wanted, strict=True):
            assert (one is None) == (other is None)
            if one is not None:
                np.testing.assert_allclose(one.mean, other.mean, atol=1e-4)
                np.testing.assert_allclose(one.covariance, other.covariance, atol=1e-4)


def test_each_tag_gets_what_it_would_get_alone_and_nobody_steps_alone(method, alone_steps):
    fleet, found = run_together(method)
    # The first fix comes with the first ranges; only owl, who hears more, has nobody to go with.
    assert len(alone_steps) <= sum(row > 4 for row in range(len(TIMES)))
    assert not any(fleet.loop(tag).tracker.fallbacks for tag in RECORDINGS)
    assert_alike(found, method)


def test_garbage_of_one_tag_is_its_own(method, alone_steps):
    fleet, found = run_together(method, rogue=True)
    assert len(alone_steps) < len(TIMES), "the others went on together"
    assert not any(fleet.loop(tag).tracker.fallbacks for tag in RECORDINGS)
    assert_alike(found, method)


def test_numbers_that_fail_in_a_batch_are_one_tags(method):
    """Past the watch, which takes out what no place explains: straight into the trackers."""
    fleet, _ = run_together(method)
    trackers = [fleet.loop(tag).tracker for tag in RECORDINGS]
    for tracker in trackers:
        tracker.predict(0.25)
    now = trackers[0].estimate.time
    fine, broken = Ranges.of([0, 2, 5], [5.0, 6.0, 7.0], now), garbage(1, now)
    kept = trackers[0].fork()
    Batch.update(trackers[0].batch, trackers, [fine, broken, fine])
    for tracker, ranges in zip(trackers, (fine, broken, fine), strict=True):
        tracker.update(ranges)
    assert [bool(tracker.fallback) for tracker in trackers] == [False, True, False]
    np.testing.assert_allclose(trackers[0].estimate.mean, kept.update(fine).mean, atol=1e-4)


def test_a_step_of_another_state_or_question_is_not_taken(method, alone_steps):
    fleet, _ = run_together(method)
    one, other = (fleet.loop(tag).tracker for tag in ("robin", "wren"))
    one.batch.predict([one, other], [0.25, 0.25])
    alone_steps.clear()
    one.predict(0.5)
    other.start(other.estimate)
    other.predict(0.25)
    assert len(alone_steps) == 2


def test_a_fleet_elsewhere_is_that_of_here(method, monkeypatch):
    _, here = run_together(method, late=3)
    monkeypatch.setattr(tracker_module, "device_of", lambda name: ELSEWHERE)
    with Elsewhereness():
        fleet, there = run_together(Method(**{**vars(method), "compute": "cuda"}), late=3)
        assert fleet.loop("robin").tracker.carried.hidden.device.type == ELSEWHERE
    for tag, estimates in there.items():
        assert estimates[-1] is not None
        np.testing.assert_allclose(estimates[-1].mean, here[tag][-1].mean, atol=1e-4)


def test_of_graphs_there_are_few_sizes(method, monkeypatch):
    sizes = set()

    def played(model, anchor, *, captured):
        move, take = real(model, anchor, captured=False)

        def noted(step):
            return lambda *given: (sizes.add(len(given[0])), step(*given))[1]

        return noted(move), noted(take)

    real = module.steps
    monkeypatch.setattr(module, "steps", played)
    first = Batch.__init__

    def on_cuda(self, model, anchor):
        first(self, model, anchor)
        self._captured = True

    monkeypatch.setattr(Batch, "__init__", on_cuda)
    _, found = run_together(method)
    assert sizes <= {1, 2, 4}, "three tags make a batch of four"
    assert 4 in sizes
    monkeypatch.undo()
    assert_alike(found, method)


def test_a_batch_that_is_late_is_late_for_all_its_tags(method, monkeypatch):
    now = [0.0]

    def clock() -> float:
        now[0] += 1.0
        return now[0]

    monkeypatch.setattr(module, "thread_time", clock)  # of the batch; a step alone costs nothing
    fleet, found = run_together(method)
    for tag in ("robin", "wren"):
        tracker = fleet.loop(tag).tracker
        assert tracker.fallback == "model late"
        assert found[tag][-1] is not None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_fleet_on_cuda_is_that_of_here(method):
    fleet, found = run_together(Method(**{**vars(method), "compute": "cuda"}))
    assert fleet.loop("robin").tracker.carried.hidden.is_cuda
    assert_alike(found, method)
