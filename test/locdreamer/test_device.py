# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every tensor is made where the model is: training, tracker and actor on a device elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from elsewhere import ELSEWHERE, Elsewhere, Elsewhereness, Recording  # noqa: E402
from rooms import task, trained  # noqa: E402
from worlds import circle_recording, follow  # noqa: E402

from locdreamer_ros.errors import InputError  # noqa: E402
from locdreamer_ros.locdreamer import device as module  # noqa: E402
from locdreamer_ros.locdreamer import tracker as tracker_module  # noqa: E402
from locdreamer_ros.locdreamer.batch import steps  # noqa: E402
from locdreamer_ros.locdreamer.device import device_of, quicker  # noqa: E402
from locdreamer_ros.locdreamer.learning import checkpoint  # noqa: E402
from locdreamer_ros.locdreamer.learning.algorithm1 import real_loss  # noqa: E402
from locdreamer_ros.locdreamer.learning.data import Batch  # noqa: E402
from locdreamer_ros.locdreamer.learning.hyperparameters import TrainConfig  # noqa: E402
from locdreamer_ros.locdreamer.learning.imagination import frozen  # noqa: E402
from locdreamer_ros.locdreamer.learning.learner import IMAGINED, restart_optimisers  # noqa: E402
from locdreamer_ros.locdreamer.learning.train import Dreams, begin, train, train_together  # noqa: E402
from locdreamer_ros.locdreamer.model_file import load_model, save_model  # noqa: E402
from locdreamer_ros.locdreamer.scheduler import ActorScheduler  # noqa: E402
from locdreamer_ros.locdreamer.tracker import LocDreamerTracker, placed  # noqa: E402
from locdreamer_ros.locdreamer.world_model.chance import Slots  # noqa: E402
from locdreamer_ros.locdreamer.world_model.model import ModelConfig  # noqa: E402
from locdreamer_ros.methods import make_scheduler, make_tracker  # noqa: E402
from locdreamer_ros.types import Site  # noqa: E402

FORMS = (
    ("grounded", "innovation", "bias"),
    ("literal", "raw", "gaussian"),
)


@pytest.fixture
def elsewhere():
    with Elsewhereness():
        yield


@pytest.mark.usefixtures("elsewhere")
def test_the_device_of_these_tests_finds_what_is_made_here():
    there = torch.ones(2, 3, device=ELSEWHERE)
    assert there.device.type == ELSEWHERE
    assert float((there @ torch.ones(3, 1).to(there)).sum()) == 6.0
    with pytest.raises(RuntimeError, match="are here, the others elsewhere"):
        there + torch.ones(2, 3)


@pytest.mark.filterwarnings("ignore:.*to a meta parameter.*")  # it is not the real `meta`
@pytest.mark.parametrize(("mode", "encoder", "noise"), FORMS)
def test_training_elsewhere_is_training_here(mode, encoder, noise):
    config = TrainConfig(
        mode=mode, epochs=1, imagine_epochs=1, batch=2, steps=2, minibatches=1, budget=2
    )
    model = ModelConfig(encoder=encoder, noise=noise)
    job = task(steps=2, duration=7.0)
    here = train(job, model, config)
    with Elsewhereness():
        there = train(job, model, config, device=ELSEWHERE)
        for name, value in there.modules.state_dict().items():
            assert isinstance(value, Elsewhere), name
            # Adam makes a step of its rate, 1e-3, of a gradient that is almost nothing.
            expected = here.modules.state_dict()[name]
            torch.testing.assert_close(value.cpu(), expected, atol=3e-3, rtol=1e-3)


@pytest.mark.filterwarnings("ignore:.*to a meta parameter.*")
def test_seeds_side_by_side_elsewhere_are_those_here():
    config = TrainConfig(epochs=1, imagine_epochs=1, batch=2, steps=2, minibatches=1, budget=2)
    job = task(steps=2, duration=7.0)
    (here, _) = train_together([job, job], ModelConfig(), config, seeds=(1, 2))
    with Elsewhereness():
        given = {"seeds": (1, 2), "device": ELSEWHERE}
        (there, _) = train_together([job, job], ModelConfig(), config, **given)
        for name, value in there.modules.state_dict().items():
            assert isinstance(value, Elsewhere), name
            expected = here.modules.state_dict()[name]
            torch.testing.assert_close(value.cpu(), expected, atol=3e-3, rtol=1e-3)


@pytest.mark.parametrize(("mode", "encoder", "noise"), FORMS)
def test_an_update_could_be_recorded_as_a_graph(mode, encoder, noise):
    config = TrainConfig(mode=mode, batch=2, steps=3, budget=2)
    job = task(steps=3, duration=8.0)
    learner = begin(job, ModelConfig(encoder=encoder, noise=noise), config, 0)
    learner.dreamer = frozen(learner.model)
    generators = [torch.Generator().manual_seed(0)]
    here = Dreams(learner, job, config, "cpu")
    drawn = here.draw(generators[0])
    real = job.train.draw(2, generators[0]).tensors
    with Elsewhereness():
        learner.modules.to(ELSEWHERE)
        tensors, ranges = ([x.to(ELSEWHERE) for x in group] for group in (drawn, real))
        slots = Slots(ELSEWHERE)

        def losses() -> torch.Tensor:
            found = here.loss(learner, tensors, slots)
            first = real_loss(learner.model, Batch.of(ranges), slots)
            return (found.tracker + found.actor + found.critic + first).sum()

        losses().backward()
        slots.rewind()
        slots.fill(generators)
        with Recording():
            losses().backward()


@pytest.mark.parametrize("encoder", ["innovation", "raw"])
def test_a_step_of_the_tracker_could_be_recorded_as_a_graph(encoder):
    with Elsewhereness():
        model = trained(encoder=encoder).to(ELSEWHERE).model
        anchor = torch.rand(8, 3).to(ELSEWHERE)
        move, take = steps(model, anchor, captured=False)
        given = [torch.rand(2, 4), torch.eye(4).expand(2, 4, 4), torch.zeros(2, 2, 50)]
        given += [torch.zeros(2, 8, 3), torch.tensor([[0, 3, 5], [1, 2, 7]])]
        given += [torch.rand(2, 3), torch.rand(2, 3), torch.rand(2)]
        given = [x.to(ELSEWHERE) for x in given]
        for _ in range(2):
            move(*given[:3], given[-1])
            take(*given)
            with Recording():
                move(*given[:3], given[-1])
                take(*given)


@pytest.mark.filterwarnings("ignore:.*to a meta parameter.*")
def test_a_checkpoint_goes_on_elsewhere(tmp_path):
    path, config = tmp_path / "c.safetensors", TrainConfig()
    learner = begin(task(), ModelConfig(), config, 0)
    learner.dreamer, learner.stage, learner.epoch = frozen(learner.model), IMAGINED, 3
    learner.keep()
    restart_optimisers(learner)
    for optimiser in learner.optimisers:  # moments, of which there are none before a step
        for parameter in optimiser.param_groups[0]["params"]:
            parameter.grad = torch.ones_like(parameter)
        optimiser.step()
    checkpoint.save(path, learner, {})
    with Elsewhereness():
        other = begin(task(), ModelConfig(), config, 1)
        other.modules.to(ELSEWHERE)
        checkpoint.load(path, other, {})
        held = [*other.modules.state_dict().values(), *other.kept.values()]
        held += other.dreamer.state_dict().values()
        held += [s["exp_avg"] for o in other.optimisers for s in o.state.values()]
        assert all(isinstance(value, Elsewhere) for value in held)
        for name, value in learner.modules.state_dict().items():
            assert torch.equal(other.modules.state_dict()[name].cpu(), value), name


@pytest.mark.parametrize("encoder", ["innovation", "raw"])
def test_tracker_and_actor_elsewhere_are_those_here(encoder):
    recording = circle_recording(duration=3.0, rate=2.0)
    site = Site(recording.anchors, 2, 1.0)

    def tracked(model) -> list[np.ndarray]:
        tracker, scheduler = LocDreamerTracker(site, model), ActorScheduler(site, model)
        steps, _ = follow(recording, tracker, scheduler, site)
        assert (tracker.fallback, scheduler.fallback) == ("", "")
        return [step.estimate.mean for step in steps]

    here = tracked(trained(encoder=encoder))
    with Elsewhereness():
        model = trained(encoder=encoder).to(ELSEWHERE)
        assert model.device == ELSEWHERE
        there = tracked(model)
    np.testing.assert_allclose(there, here, atol=1e-4)


def test_a_model_from_elsewhere_is_saved(tmp_path):
    path = tmp_path / "m.safetensors"
    with Elsewhereness():
        save_model(path, trained().to(ELSEWHERE))
    assert load_model(path).device == "cpu"


def test_names_and_absent_devices_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_of("auto") == device_of("cpu") == "cpu"
    with pytest.raises(InputError, match="device: expected auto, cpu, cuda, got 'tpu'"):
        device_of("tpu")
    path = tmp_path / "m.safetensors"
    save_model(path, trained())
    site = Site(circle_recording().anchors, 2, 1.0)
    for make, name in ((make_tracker, "locdreamer"), (make_scheduler, "actor")):
        with pytest.raises(InputError, match="device cuda: torch sees no such device"):
            make(name, site, model=path, compute="cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device_of("auto") == device_of("cuda") == "cuda"
    assert device_of("cpu") == "cpu"


def test_auto_takes_the_device_with_the_quicker_step(monkeypatch):
    now = [0.0]
    cost = {"cpu": 1.0, ELSEWHERE: 3.0}
    monkeypatch.setattr(module, "perf_counter", lambda: now[0])
    monkeypatch.setattr(module, "TRIALS", 1)

    def step(device: str) -> None:
        now[0] += cost[device]

    assert quicker(step, ("cpu", ELSEWHERE)) == "cpu"
    cost["cpu"] = 5.0
    assert quicker(step, ("cpu", ELSEWHERE)) == ELSEWHERE
    # And so is a model placed, where there is a choice.
    site = Site(circle_recording().anchors, 2, 1.0)
    monkeypatch.setattr(tracker_module, "device_of", lambda name: ELSEWHERE)
    both = lambda step: quicker(step, ("cpu", ELSEWHERE))  # noqa: E731
    monkeypatch.setattr(tracker_module, "quicker", both)
    seen = []
    real = tracker_module.stepping

    def counted(model, site):
        where, step = model.device, real(model, site)
        seen.append(where)

        def counted_step():
            now[0] += cost[where]
            return step()

        return counted_step

    monkeypatch.setattr(tracker_module, "stepping", counted)
    with Elsewhereness():
        assert placed(trained(), site, "auto").device == ELSEWHERE
        cost[ELSEWHERE] = 9.0
        assert placed(trained(), site, "auto").device == "cpu"
        assert seen == 2 * ["cpu", ELSEWHERE], "made once each: graphs are recorded once"
        assert placed(trained(), site, "cuda").device == ELSEWHERE, "what was asked for"


def test_a_fork_shares_the_model():
    site = Site(circle_recording().anchors, 2, 1.0)
    tracker = LocDreamerTracker(site, trained())
    assert tracker.fork().model is tracker.model
