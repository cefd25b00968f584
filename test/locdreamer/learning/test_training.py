# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Algorithm 1: gradients, both modes, curves that fall, runs that resume as if never killed."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rooms import IDS, recording, task, walks  # noqa: E402
from worlds import follow  # noqa: E402

from locdreamer_ros import tensor_file  # noqa: E402
from locdreamer_ros.checkpoint import KEY  # noqa: E402
from locdreamer_ros.errors import InputError  # noqa: E402
from locdreamer_ros.locdreamer.learning import checkpoint  # noqa: E402
from locdreamer_ros.locdreamer.learning.algorithm1 import dream_loss, real_loss  # noqa: E402
from locdreamer_ros.locdreamer.learning.data import Walks, anchor_rows, moved  # noqa: E402
from locdreamer_ros.locdreamer.learning.hyperparameters import TrainConfig  # noqa: E402
from locdreamer_ros.locdreamer.learning.imagination import (  # noqa: E402
    LEAST_LASTING_M,
    Ground,
    LiteralDream,
    correlated_scores,
    frozen,
    lasting_sigma,
    rank_correlation,
)
from locdreamer_ros.locdreamer.learning.losses import sleep_loss  # noqa: E402
from locdreamer_ros.locdreamer.learning.train import Task, begin, train  # noqa: E402
from locdreamer_ros.locdreamer.model_file import Trained  # noqa: E402
from locdreamer_ros.locdreamer.tracker import LocDreamerTracker  # noqa: E402
from locdreamer_ros.locdreamer.world_model.gaussian import Gaussian  # noqa: E402
from locdreamer_ros.locdreamer.world_model.model import Area, ModelConfig  # noqa: E402
from locdreamer_ros.locdreamer.world_model.observation import expected_range  # noqa: E402
from locdreamer_ros.methods import make_scheduler  # noqa: E402
from locdreamer_ros.recording import Recording  # noqa: E402
from locdreamer_ros.trackers.ekf import RobustEkfConfig, robust_ekf  # noqa: E402
from locdreamer_ros.types import Anchors, Site  # noqa: E402

torch.set_num_threads(1)
FORMS = (("innovation", "asymmetric"), ("innovation", "bias"), ("raw", "gaussian"))
SHORT = TrainConfig(epochs=3, imagine_epochs=3, batch=2, steps=6, minibatches=1)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("encoder", "noise"), FORMS)
def test_gradients_of_stage_one_are_finite_and_everywhere(encoder, noise):
    learner = begin(task(), ModelConfig(encoder=encoder, noise=noise), SHORT, 0)
    loss = real_loss(learner.model, walks(1).draw(4, generator()), generator())
    loss.backward()
    for name, parameter in learner.model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize("mode", ["grounded", "literal"])
def test_gradients_of_stage_two_reach_all_three(mode):
    job = task()
    encoder = "innovation" if mode == "grounded" else "raw"
    config = TrainConfig(mode=mode, batch=16, steps=6)
    learner = begin(job, ModelConfig(encoder=encoder), config, 0)
    anchor = anchor_rows(job.deploy, 1.0)
    real = job.train.draw(16, generator())
    if mode == "grounded":
        ground = Ground(frozen(learner.model), job.train, area=job.area, steps=6)
        dream = ground.draw(16, anchor, generator())
    else:
        dream = LiteralDream(
            learner.model, anchor.expand(16, *anchor.shape), real.dt, real.start, generator()
        )
    losses = dream_loss(
        learner.model, learner.actor, learner.critic, dream, config, generator(), real
    )
    (losses.tracker + losses.actor + losses.critic).backward()
    for module in (learner.model.encoder, learner.actor, learner.critic):
        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        assert gradients
        assert all(torch.isfinite(g).all() for g in gradients)
    assert any(float(p.grad.abs().sum()) > 0.0 for p in learner.actor.score.parameters())


def test_a_moved_world_has_the_same_ranges():
    batch = walks(1).draw(8, generator())
    other = moved(batch, task().area, generator(1))
    before, _ = expected_range(batch.start.mean[:, :2], batch.anchor)
    after, _ = expected_range(other.start.mean[:, :2], other.anchor)
    torch.testing.assert_close(before, after, atol=1e-3, rtol=1e-4)
    assert not torch.allclose(batch.anchor, other.anchor)


def test_training_approaches_the_kalman_filter():
    """A slow tag and far anchors: nearly linear, so that Kalman's filter is the best there is.

    The model starts by trusting ranges and motion far too much; what it learns is their noise.
    """
    sigma, psd = 1.0, 1e-3
    places = np.array([[22.0, 4.0, 1.0], [-14.0, 19.0, 1.0], [-12.0, -15.0, 1.0]])
    anchors = Anchors(IDS, places)

    def walk(seed: int) -> Recording:
        rng = np.random.default_rng(seed)
        speed = np.cumsum(psd**0.5 * rng.standard_normal((60, 2)), axis=0)
        truth = np.concatenate([4.0 + np.cumsum(speed, axis=0), np.ones((60, 1))], axis=1)
        distance = np.linalg.norm(truth[:, None] - places, axis=-1)
        noisy = distance + sigma * rng.standard_normal(distance.shape)
        return Recording("linear", anchors, np.arange(60.0), noisy, truth)

    def some(*seeds: int) -> Walks:
        return Walks([walk(s) for s in seeds], tag_height=1.0, steps=8)

    job = Task(some(1, 2, 3), some(4), anchors, 1.0, Area((-14.0, -15.0), (22.0, 19.0)))
    config = TrainConfig(
        epochs=45, imagine_epochs=0, batch=16, steps=8, minibatches=2, learning_rate=1e-2
    )
    tests = [walk(s) for s in range(9, 14)]
    site = Site(anchors, 2, 1.0)

    def error(make) -> float:
        asked = make_scheduler("all", site)
        errors = [follow(test, make(), asked, site, budget=3)[1][20:] for test in tests]
        return float(np.mean(errors))

    def learned(learner) -> float:
        trained = Trained(learner.model, learner.actor, config, {}, {}, (1.0, 1.0), 1.0, "", 0)
        return error(lambda: LocDreamerTracker(site, trained))

    before = learned(begin(job, ModelConfig(noise="gaussian"), config, 0))
    taught = train(job, ModelConfig(noise="gaussian"), config)
    after = learned(taught)
    kalman = RobustEkfConfig(sigma_n=sigma, huber=50.0, acc_psd=psd)
    best = error(lambda: robust_ekf(site, kalman))
    assert after < 0.8 * before
    assert after < 1.6 * best
    assert taught.lasting_m >= LEAST_LASTING_M, "known without a stage 2 too"


def test_validation_falls_in_both_stages():
    curves: dict[str, list[float]] = {}
    config = TrainConfig(
        epochs=6, imagine_epochs=15, batch=8, steps=6, minibatches=2, learning_rate=4e-3
    )
    train(
        task(sigma=0.05),
        ModelConfig(),
        config,
        curve=lambda name, value, epoch: curves.setdefault(name, []).append(value),
    )
    for name in ("real/validation", "dream/validation"):
        assert all(map(math.isfinite, curves[name]))
        assert min(curves[name]) < curves[name][0]


def same(one, other) -> None:
    for (name, a), b in zip(
        one.modules.state_dict().items(), other.modules.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), name


@pytest.mark.parametrize("mode", ["grounded", "literal"])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, monkeypatch, mode):
    monkeypatch.setattr("locdreamer_ros.locdreamer.learning.train.CHECKPOINT_EVERY", 2)
    config = TrainConfig(**{**SHORT.__dict__, "mode": mode, "steps": 3})
    model = ModelConfig(encoder="innovation" if mode == "grounded" else "raw")
    job = task(steps=3)
    whole = train(job, model, config, seed=3)

    class Killed(Exception):  # noqa: N818
        pass

    for name, last in (("real/loss", 2), ("dream/loss", 2)):

        def kill(curve: str, value: float, epoch: int, name=name, last=last) -> None:
            if curve == name and epoch == last:
                raise Killed

        path = tmp_path / f"{name.replace('/', '_')}.safetensors"
        with pytest.raises(Killed):
            train(job, model, config, seed=3, resume=path, curve=kill)
        assert path.exists()
        same(train(job, model, config, seed=3, resume=path), whole)


def test_another_seed_is_another_run():
    one, other = (begin(task(), ModelConfig(), SHORT, seed).modules for seed in (1, 2))
    assert not torch.equal(one.model.encoder.token.weight, other.model.encoder.token.weight)


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    learner = begin(task(), ModelConfig(), SHORT, 0)
    checkpoint.save(path, learner, {"seed": "0"})
    with pytest.raises(InputError, match="another run"):
        checkpoint.load(path, learner, {"seed": "1"})
    path.write_bytes(b"nonsense")
    with pytest.raises(InputError, match="expected a checkpoint"):
        checkpoint.load(path, learner, {"seed": "0"})


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"stage": 3}, "stage: expected 1 or 2, got 3"),
        ({"stage": "1"}, "stage: expected 1 or 2, got '1'"),
        ({"stage": 2}, "tensors 'dreamer' are not those"),
        ({"epoch": "many"}, "epoch, best_epoch, best: expected"),
        ({"best": None}, "epoch, best_epoch, best: expected"),
    ],
)
def test_progress_that_makes_no_sense_is_refused_and_changes_nothing(tmp_path, changes, complaint):
    path = tmp_path / "x.safetensors"
    learner = begin(task(), ModelConfig(), SHORT, 0)
    checkpoint.save(path, learner, {})
    file = tensor_file.load(path, KEY, "a checkpoint")
    progress = {**file.header["progress"], **changes}
    tensor_file.save(path, KEY, {**file.header, "progress": progress}, file.arrays)
    other = begin(task(), ModelConfig(), SHORT, 1)
    before = {k: v.clone() for k, v in other.modules.state_dict().items()}
    with pytest.raises(InputError, match=complaint) as caught:
        checkpoint.load(path, other, {})
    assert str(caught.value).startswith(str(path))
    assert (other.stage, other.epoch) == (1, 0)
    for name, value in other.modules.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_dreams_stay_in_the_area_and_know_their_truth():
    job = task()
    learner = begin(job, ModelConfig(), SHORT, 0)
    ground = Ground(frozen(learner.model), job.train, area=job.area, steps=6)
    dream = ground.draw(32, anchor_rows(job.deploy, 1.0), generator())
    low, high = torch.tensor(job.area.low), torch.tensor(job.area.high)
    assert ((dream.truth[..., :2] >= low) & (dream.truth[..., :2] <= high)).all()
    expected, _ = expected_range(dream.truth[:, 0, :2], dream.anchor)
    assert float((dream.distance[:, 0] - expected).abs().median()) < 1.0
    assert dream.distance.shape == (32, 6, 5)


def test_scores_have_the_correlation_asked_for():
    scores = correlated_scores((200, 50, 4), 0.6, generator())
    assert float(scores.var()) == pytest.approx(1.0, abs=0.05)
    rows = [s.reshape(50, 4) for s in scores]
    assert rank_correlation(rows, 1) == pytest.approx(0.6, abs=0.03)


def test_what_lasts_is_told_from_what_is_fresh():
    """Four anchors: offsets of .3 m, of which a trajectory inferred from them leaves a half."""
    lasting = 0.3 * torch.randn(60, 1, 4, generator=generator()) * math.sqrt(0.5)
    fresh = 0.1 * torch.randn(60, 40, 4, generator=generator(1))
    assert lasting_sigma(list(lasting + fresh)) == pytest.approx(0.3, rel=0.12)
    assert lasting_sigma(list(fresh)) < 0.05
    assert lasting_sigma(list(lasting[:, :, :2] + fresh[:, :, :2])) == 0.0, "of two nobody knows"
    assert lasting_sigma([fresh[0, :3]]) == 0.0, "too short to say"


def test_sleep_loss_is_least_at_the_truth():
    truth = torch.zeros(1, 3, 4)
    at = Gaussian(truth.clone(), 0.04 * torch.eye(4).expand(1, 3, 4, 4))
    off = Gaussian(truth + 0.3, at.covariance)
    boast = Gaussian(off.mean, 0.0001 * torch.eye(4).expand(1, 3, 4, 4))
    assert sleep_loss(at, truth).sum() < sleep_loss(off, truth).sum()
    assert sleep_loss(off, truth).sum() < sleep_loss(boast, truth).sum()


def test_walks_refuse_what_is_too_short():
    with pytest.raises(InputError, match="no stretch of 33 fixes"):
        Walks([recording(1, duration=20.0).only(IDS)], tag_height=1.0, steps=32)
