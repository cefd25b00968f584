# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training in dreams: it learns, a killed run goes on as if nothing had happened, the command."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from functools import partial
from itertools import count, islice

import numpy as np
import pytest

from locdreamer_ros.cli import main
from locdreamer_ros.errors import InputError

torch = pytest.importorskip("torch")

from elsewhere import ELSEWHERE, Elsewhereness, Recording  # noqa: E402

from locdreamer_ros.zero_shot.model_file import load_weights  # noqa: E402
from locdreamer_ros.zero_shot.training import pools, trust, walks  # noqa: E402
from locdreamer_ros.zero_shot.training import train as module  # noqa: E402
from locdreamer_ros.zero_shot.training.chunk import chunk, learner, tamed  # noqa: E402
from locdreamer_ros.zero_shot.training.dreams import HELD_OUT, dream  # noqa: E402
from locdreamer_ros.zero_shot.training.hybrid import Hybrid  # noqa: E402
from locdreamer_ros.zero_shot.training.pools import Lesson, drawn, dreams_of, shortened  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def short(monkeypatch):
    """Dreams of 8 steps, in two chunks."""
    monkeypatch.setattr(pools, "STEPS", (8,))
    monkeypatch.setattr(module, "CHUNK", 4)


def begun(model: Hybrid, size: int, steps: int):
    """What `chunk` takes besides the model: dreams of the family held out, from first fixes."""
    generator = torch.Generator().manual_seed(0)
    found = dream(size, steps, 5, np.random.default_rng(5), families=(HELD_OUT,))
    walk = walks.walks(found, generator).to("cpu")
    fixes = walks.first_fixes(walk, 0, torch.ones(size, dtype=torch.bool), generator)
    order = walks.orders(walk, range(steps), generator)
    return walk, walks.nowhere(model, walk), fixes, order


@torch.no_grad()
def loss_on_held_out(model: Hybrid) -> float:
    """The training's own loss where it was not trained."""
    model = model.to(walks.PRECISION)
    return float(chunk(model, *begun(model, 24, 30))[0])


def test_the_loss_falls(monkeypatch):
    monkeypatch.setattr(pools, "STEPS", (16,))
    monkeypatch.setattr(module, "CHUNK", 8)
    torch.manual_seed(0)
    before = loss_on_held_out(Hybrid())
    found: list[float] = []
    model = Hybrid()
    module.train(
        [Lesson(24, 2e-2)],
        seed=0,
        pool=12,
        curve=lambda update, loss, error: found.append(loss),
        model=model,
    )
    assert len(found) == 24, "whole pools"
    assert loss_on_held_out(model) < before - 0.05


def test_the_ellipse_holds_its_share_of_errors_of_each_kind():
    """Errors three times as large where a number of the context says so, and with tails."""
    torch.manual_seed(0)
    model = Hybrid().to(walks.PRECISION)
    look = torch.zeros(20_000, model.trust.in_features, dtype=walks.PRECISION)
    look[::2, 3] = 1.0
    tails = torch.distributions.StudentT(3.0).sample((len(look), 2)).square().sum(dim=1)
    trust.fit(model, look, tails * (1.0 + 9.0 * look[:, 3]), seed=0)
    with torch.no_grad():
        held = tails * (1.0 + 9.0 * look[:, 3]) / model.scale(look) < trust.ELLIPSE
    for kind in (held[::2], held[1::2]):
        assert float(kind.double().mean()) == pytest.approx(trust.HELD, abs=0.02)


def test_trust_changes_only_what_it_says_of_its_errors(short):
    torch.manual_seed(0)
    model = Hybrid()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = trust.with_fitted_covariance(model, seed=1, pool=3, dreams=4).state_dict()
    changed = {name for name in before if not torch.equal(before[name], found[name])}
    assert {name.split(".")[0] for name in changed} == {"trust", "trust_head"}
    again = Hybrid()
    again.load_state_dict(before)
    for name, value in (
        trust.with_fitted_covariance(again, seed=1, pool=3, dreams=4).state_dict().items()
    ):
        assert torch.equal(value, found[name]), "the seed decides"


def test_no_track_outweighs_all_others():
    """A track that nearly gets lost has a gradient a thousand times that of the others."""
    model = Hybrid().to(walks.PRECISION)
    _, belief, *_ = begun(model, 3, 1)
    mean = torch.zeros_like(belief.mean, requires_grad=True)
    held = tamed(replace(belief, mean=mean + 0.0)).mean
    (held.sum(dim=1) * torch.tensor([1e-3, 1e3, torch.nan])).sum().backward()
    said = (mean.grad * (belief.covariance @ mean.grad[..., None])[..., 0]).sum(dim=1).sqrt()
    assert float(mean.grad[0].mean()) == pytest.approx(1e-3), "a small one is as it was"
    assert float(said[1]) == pytest.approx(2.0 / 3)
    assert float(said[2]) == 0.0


def test_a_chunk_could_be_recorded_as_a_graph():
    """On a device that only says it is elsewhere: nothing is made here, no number looked at."""
    torch.manual_seed(0)
    model = Hybrid().to(walks.PRECISION)
    walk, belief, fixes, order = begun(model, 3, 2)
    loss, *_ = learner(model, "cpu")(walk, belief, fixes, order)
    gradients = [parameter.grad for parameter in model.parameters()]

    def moved(part):
        return replace(part, **{f.name: getattr(part, f.name).to(ELSEWHERE) for f in fields(part)})

    with Elsewhereness():
        model.to(ELSEWHERE)
        there = [moved(part) for part in (walk, belief, fixes)]
        order = order.to(ELSEWHERE)
        with Recording():
            found, *_ = learner(model, ELSEWHERE)(*there, order)
        torch.testing.assert_close(found.cpu(), loss)
        for parameter, gradient in zip(model.parameters(), gradients, strict=True):
            torch.testing.assert_close(parameter.grad.cpu(), gradient)


def test_blinks_are_heard_by_all():
    dreams = dream(40, 4, 6, np.random.default_rng(0))
    walk = walks.walks(dreams, torch.Generator().manual_seed(0))
    assert walk.free.any()
    assert (walk.budget[walk.free] == 6).all()
    assert (walk.budget[~walk.free] < 6).any()


def same(a: Hybrid, b: Hybrid) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def test_a_killed_run_goes_on_as_if_nothing_had_happened(tmp_path, short):
    tiny = {"lessons": [Lesson(2, 2e-3, plain=True), Lesson(6, 1e-3)], "seed": 3, "pool": 4}
    path = tmp_path / "c.safetensors"
    whole = module.train(**tiny)

    class KilledError(Exception):
        pass

    def kill(update, loss, error):
        if update == 5:
            raise KilledError

    with pytest.raises(KilledError):
        module.train(**tiny, checkpoint=path, curve=kill)
    seen: list[int] = []
    resumed = module.train(
        **tiny, checkpoint=path, curve=lambda update, loss, error: seen.append(update)
    )
    assert seen == [4, 5, 6, 7]
    assert same(whole, resumed)
    again = module.train(**tiny, checkpoint=path)
    assert same(whole, again), "a finished run has nothing left to do"


def test_both_lessons_shrink_alike():
    plain, last = shortened(None)
    tenths = [plain.updates // 10, last.updates // 10]
    assert [lesson.updates for lesson in shortened(188)] == tenths
    assert [lesson.updates for lesson in shortened(1)] == [0, 1]
    assert shortened(188)[0].rate == plain.rate


def test_dreams_drawn_ahead_are_the_same():
    imagine = partial(dreams_of, seed=1, size=2)
    near = list(islice(drawn(imagine, count(), workers=0), 3))
    ahead = list(islice(drawn(imagine, count(), workers=2), 3))
    for (i, a), (j, b) in zip(near, ahead, strict=True):
        assert i == j
        np.testing.assert_array_equal(a.distance, b.distance)
    assert not np.array_equal(near[0][1].truth[0, 0], near[1][1].truth[0, 0])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [({"seed": 4}, "seed differs"), ({"lessons": [Lesson(2, 3e-3)]}, "lessons differs")],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path, short, change, complaint):
    path = tmp_path / "c.safetensors"
    run = {"lessons": [Lesson(2, 2e-3)], "seed": 3}
    module.train(**run, pool=2, checkpoint=path)
    with pytest.raises(InputError, match=complaint):
        module.train(**run | change, pool=2, checkpoint=path)
    path.write_bytes(b"\x80\x04K\x01.")  # a pickle
    with pytest.raises(InputError, match="expected a checkpoint"):
        module.train(**run, pool=2, checkpoint=path)


@pytest.mark.parametrize(
    ("options", "families"),
    [([], ["walls", "patterns"]), (["--held-out", "walls"], ["patterns", "physics"])],
)
def test_the_command_writes_a_model_with_its_story(
    tmp_path, monkeypatch, capsys, options, families
):
    given = {}

    def quick(lessons, **options):
        given.update(options, updates=[lesson.updates for lesson in lessons])
        options["curve"](sum(given["updates"]) - 1, 1.0, 0.5)
        return Hybrid()

    def with_fitted_covariance(model, **options):
        trusted.update(options)
        return model

    trusted = {}
    monkeypatch.setattr(module, "train", quick)
    monkeypatch.setattr(trust, "with_fitted_covariance", with_fitted_covariance)
    model = tmp_path / "m.safetensors"
    command = ["train", "--preset", "zero-shot", "--output", str(model), "--seed", "7"]
    assert main([*command, *options, "--updates", "3", "--json", str(tmp_path / "r.json")]) == 0
    assert (given["updates"], given["seed"], given["workers"] > 0) == ([2, 1], 7, True)
    header = load_weights(model).header
    assert (header["seed"], header["updates"], header["lessons"]) == (7, 3, [2, 1])
    assert header["families"] == families
    assert given["held_out"] == trusted["held_out"] not in families
    assert (trusted["seed"], trusted["dreams"]) == (7, 8), "as few as there are updates"
    assert {"version", "seed", "updates", "families"} <= set(header)
    assert json.loads((tmp_path / "r.json").read_text())["curve"] == [[2, 1.0, 0.5]]
    assert "3 updates" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--preset", "zero-shot", "--recording", "x.csv"], "--recording does not belong"),
        (["--preset", "zero-shot", "--environment", "moon"], "--environment does not belong"),
        (["--preset", "zero-shot", "--bootstrap", "A1"], "--bootstrap does not belong"),
        (["--preset", "zero-shot", "--budget", "4"], "--budget does not belong"),
        (["--preset", "zero-shot", "--imagine-epochs", "4"], "--imagine-epochs does not belong"),
        (["--environment", "house", "--updates", "3"], "--updates belongs to --preset zero-shot"),
        (["--environment", "house", "--held-out", "walls"], "--held-out belongs to --preset"),
        (["--preset", "zero-shot", "--held-out", "moon"], "expected one of walls, patterns"),
        ([], "one of --recording and --environment is required"),
    ],
)
def test_options_that_do_not_belong_are_refused(tmp_path, capsys, options, complaint):
    assert main(["train", *options, "--output", str(tmp_path / "m.safetensors")]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1
