# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""On a machine with a GPU: it computes what the processor does, from graphs too."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    pytest.skip("no CUDA device here", allow_module_level=True)

from rooms import task, trained  # noqa: E402
from worlds import circle_recording, follow  # noqa: E402

from locdreamer_ros.benchmarks import gpu  # noqa: E402
from locdreamer_ros.locdreamer.batch import steps  # noqa: E402
from locdreamer_ros.locdreamer.learning.hyperparameters import TrainConfig  # noqa: E402
from locdreamer_ros.locdreamer.learning.train import train, train_together  # noqa: E402
from locdreamer_ros.locdreamer.model_file import load_model, save_model  # noqa: E402
from locdreamer_ros.locdreamer.scheduler import ActorScheduler  # noqa: E402
from locdreamer_ros.locdreamer.tracker import LocDreamerTracker, placed  # noqa: E402
from locdreamer_ros.locdreamer.world_model.model import ModelConfig  # noqa: E402
from locdreamer_ros.types import Site  # noqa: E402


@pytest.mark.parametrize(
    ("mode", "encoder", "noise"),
    [("grounded", "innovation", "asymmetric"), ("literal", "raw", "gaussian")],
)
def test_training_on_cuda_is_training_here(mode, encoder, noise):
    config = TrainConfig(
        mode=mode, epochs=1, imagine_epochs=1, batch=2, steps=2, minibatches=1, budget=2
    )
    model = ModelConfig(encoder=encoder, noise=noise)
    job = task(steps=2, duration=7.0)
    here, there = train(job, model, config), train(job, model, config, device="cuda")
    for name, value in there.modules.state_dict().items():
        assert value.is_cuda, name
        expected = here.modules.state_dict()[name]
        # Adam makes a step of its rate, 1e-3, of a gradient that is almost nothing.
        torch.testing.assert_close(value.cpu(), expected, atol=3e-3, rtol=1e-3)


@pytest.mark.parametrize("encoder", ["innovation", "raw"])
def test_tracker_and_actor_on_cuda_are_those_here(encoder):
    recording = circle_recording(duration=3.0, rate=2.0)
    site = Site(recording.anchors, 2, 1.0)
    found = []
    for device in ("cpu", "cuda"):
        model = trained(encoder=encoder).to(device)
        tracker, scheduler = LocDreamerTracker(site, model), ActorScheduler(site, model)
        walked, _ = follow(recording, tracker, scheduler, site)
        assert (tracker.fallback, scheduler.fallback) == ("", "")
        found.append([step.estimate.mean for step in walked])
    np.testing.assert_allclose(found[1], found[0], atol=1e-4)


def test_a_fork_on_cuda_leaves_no_trace():
    recording = circle_recording(duration=3.0, rate=2.0)
    site = Site(recording.anchors, 2, 1.0)
    tracker = LocDreamerTracker(site, trained().to("cuda"))
    follow(recording, tracker, ActorScheduler(site, trained().to("cuda")), site)
    before = tracker.estimate
    other = tracker.fork()
    other.predict(0.5)
    assert tracker.predict(0.5).mean == pytest.approx(other.estimate.mean)
    assert before is not None


def test_a_graph_gives_what_its_step_gives():
    site, model = gpu._model("cuda")
    anchor = torch.tensor(site.anchors.positions, dtype=torch.float32, device="cuda")
    plain, played = (steps(model.model, anchor, captured=c)[0] for c in (False, True))
    for size in (1, 5, 1):
        given = (
            torch.randn(size, 4),
            torch.eye(4).expand(size, 4, 4),
            torch.randn(2, size, 50),
            torch.rand(size) + 0.1,
        )
        for one, other in zip(played(*given), plain(*given), strict=True):
            torch.testing.assert_close(one, other)


def test_auto_takes_either_and_files_go_between(tmp_path):
    path = tmp_path / "m.safetensors"
    save_model(path, trained().to("cuda"))
    site = Site(circle_recording().anchors, 2, 1.0)
    assert placed(load_model(path), site, "auto").device in ("cpu", "cuda:0")


def test_several_seeds_on_cuda_are_those_here():
    config = TrainConfig(epochs=2, imagine_epochs=2, batch=2, steps=3, minibatches=2, budget=2)
    job = task(steps=3, duration=9.0)
    here = train_together([job, job], ModelConfig(), config, seeds=(1, 2))
    there = train_together([job, job], ModelConfig(), config, seeds=(1, 2), device="cuda")
    for one, other in zip(here, there, strict=True):
        for name, value in other.modules.state_dict().items():
            expected = one.modules.state_dict()[name]
            torch.testing.assert_close(value.cpu(), expected, atol=8e-3, rtol=1e-2)
