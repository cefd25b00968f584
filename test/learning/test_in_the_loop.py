# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The model as tracker and scheduler: the role's contract, the fallback, the file."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")

sys.path.insert(0, str(Path(__file__).parent))
from rooms import IDS, task  # noqa: E402
from worlds import circle_recording, follow, square_anchors  # noqa: E402

from locdreamer_ros.errors import InputError  # noqa: E402
from locdreamer_ros.locdreamer.learning.hyperparameters import TrainConfig  # noqa: E402
from locdreamer_ros.locdreamer.learning.train import begin  # noqa: E402
from locdreamer_ros.locdreamer.model_file import (  # noqa: E402
    KEY,
    Trained,
    load_model,
    places,
    save_model,
)
from locdreamer_ros.locdreamer.scheduler import ActorScheduler  # noqa: E402
from locdreamer_ros.locdreamer.tracker import LocDreamerTracker  # noqa: E402
from locdreamer_ros.locdreamer.world_model.model import ModelConfig  # noqa: E402
from locdreamer_ros.methods import make_scheduler, make_tracker  # noqa: E402
from locdreamer_ros.recording import Recording  # noqa: E402
from locdreamer_ros.types import Anchors, Estimate, Ranges, Site  # noqa: E402


def trained(step_s: tuple[float, float] = (0.1, 1.0), encoder: str = "innovation") -> Trained:
    """A model that has learned nothing yet: physics, and ranges worth 0.3 m."""
    job, config = task(), TrainConfig()
    learner = begin(job, ModelConfig(encoder=encoder), config, 0)
    return Trained(
        learner.model.requires_grad_(False),
        learner.actor.requires_grad_(False),
        config,
        places(job.train.anchors),
        places(job.deploy),
        step_s,
        1.0,
        job.train.digest,
        0,
    )


def begun(site: Site, model: Trained | None = None) -> LocDreamerTracker:
    tracker = LocDreamerTracker(site, model or trained())
    mean = np.array([5.0, 4.0, 0.1, 0.1])
    tracker.start(Estimate(0.0, mean, np.diag([0.09, 0.09, 0.25, 0.25])))
    return tracker


@pytest.mark.parametrize("scheduler", ["random", "all", "gdop"])
def test_tracks_a_circle(scheduler):
    recording = circle_recording(anchors=square_anchors(8, seed=1))
    site = Site(recording.anchors, 2, 1.0)
    tracker = LocDreamerTracker(site, trained())
    steps, errors = follow(recording, tracker, make_scheduler(scheduler, site), site, budget=4)
    assert tracker.fallback == ""
    assert np.mean(errors[10:]) < 0.2
    for step in steps:
        assert step.estimate.mean.dtype == np.float64
        assert np.linalg.eigvalsh(step.estimate.covariance).min() > 0.0


def test_order_of_ranges_does_not_matter():
    site = Site(square_anchors(), 2, 1.0)
    means = []
    for order in (np.arange(5), np.array([3, 0, 4, 2, 1])):
        tracker = begun(site)
        tracker.predict(0.5)
        values = np.array([5.0, 4.4, 4.1, 4.6, 5.2])
        means.append(tracker.update(Ranges.of(order, values[order], 0.5)).mean)
    np.testing.assert_allclose(means[0], means[1], atol=1e-5)


def test_an_empty_answer_leaves_the_prior():
    tracker = begun(Site(square_anchors(), 2, 1.0))
    prior = tracker.predict(0.5)
    posterior = tracker.update(Ranges.of(np.arange(3), np.full(3, np.nan), 0.5))
    np.testing.assert_array_equal(prior.mean, posterior.mean)
    assert posterior.time == 0.5
    longer = tracker.predict(1.0)
    assert np.trace(longer.position_covariance) > np.trace(prior.position_covariance)


def test_a_late_range_counts_at_its_own_time():
    anchors = square_anchors()
    times = np.arange(0.0, 6.0, 0.2)
    truth = np.stack([1.0 + times, np.full(times.size, 4.0), np.ones(times.size)], axis=1)
    asked = truth - np.array([0.3, 0.0, 0.0])
    ranges = np.linalg.norm(asked[:, None, :] - anchors.positions, axis=-1)
    stamps = np.repeat(times[:, None] - 0.3, len(anchors), axis=1)
    site = Site(anchors, 2, 1.0)

    def bias(recording: Recording) -> float:
        steps, _ = follow(
            recording,
            LocDreamerTracker(site, trained()),
            make_scheduler("all", site),
            site,
            budget=8,
        )
        return float(
            np.mean([s.estimate.position[0] - t[0] for s, t in zip(steps, truth, strict=True)][15:])
        )

    known = bias(Recording("late", anchors, times, ranges, truth, stamps))
    ignored = bias(Recording("late", anchors, times, ranges, truth))
    assert ignored < -0.15
    assert abs(known) < 0.6 * abs(ignored)


def test_before_the_first_fix_there_is_no_estimate():
    tracker = LocDreamerTracker(Site(square_anchors(), 2, 1.0), trained())
    assert tracker.estimate is None
    with pytest.raises(RuntimeError, match="first fix"):
        tracker.predict(0.1)


def test_a_step_outside_training_falls_back_and_returns():
    site = Site(square_anchors(), 2, 1.0)
    tracker = begun(site, trained((1.0, 1.0)))
    tracker.predict(0.01)
    assert "trained for 0.5 to 2 s" in tracker.fallback
    tracker.update(Ranges.of(np.arange(4), [5.0, 4.4, 4.1, 4.6], 0.01))
    tracker.predict(1.0)
    assert tracker.fallback == ""
    assert tracker.update(Ranges.of(np.arange(4), [5.0, 4.4, 4.1, 4.6], 1.01)).time == 1.01


def test_anchors_elsewhere_fall_back():
    anchors = square_anchors()
    far = Anchors(anchors.ids, anchors.positions + 100.0)
    tracker = LocDreamerTracker(Site(far, 2, 101.0), trained())
    tracker.start(Estimate(0.0, np.array([104.0, 104.0, 0.0, 0.0]), np.eye(4)))
    tracker.predict(0.5)
    assert tracker.fallback == "anchors outside the area of training"


def test_numbers_that_are_not_fall_back():
    model = trained()
    tracker = begun(Site(square_anchors(), 2, 1.0), model)
    with torch.no_grad():
        model.model.encoder.head[-1].bias.fill_(torch.nan)
    tracker.predict(0.5)
    estimate = tracker.update(Ranges.of(np.arange(4), [5.0, 4.4, 4.1, 4.6], 0.5))
    assert tracker.fallback == "model not finite"
    assert np.isfinite(estimate.mean).all()
    tracker.predict(0.5)
    assert np.isfinite(tracker.estimate.covariance).all()


def test_a_late_model_falls_back(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr("locdreamer_ros.locdreamer.tracker.thread_time", lambda: float(next(clock)))
    tracker = begun(Site(square_anchors(), 2, 1.0))
    for _ in range(3):
        tracker.predict(0.5)
    assert tracker.fallback == "model late"


@pytest.mark.parametrize("budget", [1, 3, 8, 20])
def test_actor_asks_as_many_as_it_may(budget):
    recording = circle_recording(duration=5.0)
    site = Site(recording.anchors, 2, 1.0)
    scheduler = ActorScheduler(site, trained())
    steps, _ = follow(recording, LocDreamerTracker(site, trained()), scheduler, site, budget=budget)
    for step in steps[1:]:
        assert len(set(step.plan.anchor.tolist())) == min(budget, 8)
    assert scheduler.fallback == ""


def test_actor_goes_with_any_tracker():
    recording = circle_recording(duration=20.0)
    site = Site(recording.anchors, 2, 1.0)
    _, errors = follow(
        recording, make_tracker("robust-ekf", site), ActorScheduler(site, trained()), site, budget=3
    )
    assert np.mean(errors[10:]) < 0.2


def test_actor_falls_back_to_gdop():
    site = Site(square_anchors(30), 2, 1.0)
    scheduler = ActorScheduler(site, trained())
    prediction = Estimate(0.0, np.array([4.0, 4.0, 0.0, 0.0]), np.eye(4))
    rows = scheduler.select(prediction, site.anchors, 10)
    assert len(rows) == 10
    assert "too many" in scheduler.fallback
    model = trained()
    with torch.no_grad():
        model.actor.sharpness.fill_(torch.nan)
    scheduler = ActorScheduler(Site(square_anchors(), 2, 1.0), model)
    rows = scheduler.select(prediction, square_anchors(), 3)
    assert len(rows) == 3
    assert scheduler.fallback == "policy not finite"


def test_a_model_file_says_all_there_is(tmp_path):
    path = tmp_path / "m.safetensors"
    one = trained()
    save_model(path, one)
    other = load_model(path)
    assert (other.config, other.step_s, other.data) == (one.config, one.step_s, one.data)
    assert dict(other.bootstrap) == dict(one.bootstrap)
    assert set(other.bootstrap) == set(IDS)
    assert other.model.area == one.model.area
    for a, b in zip(
        one.model.state_dict().values(), other.model.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b)
    site = Site(square_anchors(), 2, 1.0)
    assert isinstance(make_tracker("locdreamer", site, model=path), LocDreamerTracker)
    assert isinstance(make_scheduler("actor", site, model=path), ActorScheduler)


def change(path: Path, **changes: object) -> None:
    """Write the file again with another header."""
    with safetensors.safe_open(path, framework="pt") as stream:
        header = json.loads(stream.metadata()[KEY])
        tensors = {k: stream.get_tensor(k) for k in stream.keys()}  # noqa: SIM118
    safetensors.save_file(tensors, path, metadata={KEY: json.dumps({**header, **changes})})


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"format": 99}, "format: expected 2, got 99"),
        ({"model": {"hidden": 51}}, "expected shape"),
        ({"model": {"hiden": 50}}, "unknown key 'hiden'"),
        ({"model": {"encoder": "other"}}, "expected one of innovation, raw"),
        ({"actor": "dice"}, "actor: expected one of"),
        ({"area": {}}, "missing or malformed"),
        ({"step_s": [1.0]}, "missing or malformed"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(tmp_path, changes, complaint):
    path = tmp_path / "m.safetensors"
    save_model(path, trained())
    change(path, **changes)
    with pytest.raises(InputError, match=complaint) as caught:
        load_model(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_models_are_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    with pytest.raises(InputError, match="no such model file"):
        load_model(path)
    path.write_bytes(b"\x80\x04not a model")
    with pytest.raises(InputError, match="not a model file"):
        load_model(path)
    safetensors.save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(InputError, match="not a LocDreamer model"):
        load_model(path)


def test_a_model_with_nan_or_without_a_tensor_is_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    model = trained()
    model.model.encoder.head[-1].bias.data.fill_(torch.nan)
    save_model(path, model)
    with pytest.raises(InputError, match="not finite"):
        load_model(path)
    with safetensors.safe_open(path, framework="pt") as stream:
        metadata = stream.metadata()
    safetensors.save_file({"x": torch.zeros(1)}, path, metadata=metadata)
    with pytest.raises(InputError, match="is missing"):
        load_model(path)


def test_what_does_not_fit_the_site_is_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    save_model(path, trained())
    site = Site(square_anchors(), 3, 1.0)
    for make in (make_tracker, make_scheduler):
        name = "locdreamer" if make is make_tracker else "actor"
        with pytest.raises(InputError, match="--dimensions 2"):
            make(name, site, model=path)
        with pytest.raises(InputError, match="needs a trained model"):
            make(name, site)


def test_without_torch_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr("locdreamer_ros.locdreamer.learning.find_spec", lambda name: None)
    site = Site(square_anchors(), 2, 1.0)
    with pytest.raises(InputError, match=r"needs torch: pip install 'locdreamer_ros\[learn\]'"):
        make_tracker("locdreamer", site, model=Path("x"))
    with pytest.raises(InputError, match="needs torch"):
        make_scheduler("actor", site, model=Path("x"))


def test_raw_form_tracks_too():
    tracker = begun(Site(square_anchors(), 2, 1.0), replace(trained(encoder="raw")))
    tracker.predict(0.5)
    estimate = tracker.update(Ranges.of(np.arange(4), [5.0, 4.4, 4.1, 4.6], 0.5))
    assert np.isfinite(estimate.mean).all()
