# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parts of the world model: shapes, invariances, and bounds with known answers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from locdreamer_ros.locdreamer.world_model import layers  # noqa: E402
from locdreamer_ros.locdreamer.world_model.decoder import NOISES, RangeNoise  # noqa: E402
from locdreamer_ros.locdreamer.world_model.dynamics import physics, transition  # noqa: E402
from locdreamer_ros.locdreamer.world_model.elbo import elbo  # noqa: E402
from locdreamer_ros.locdreamer.world_model.encoder import (  # noqa: E402
    Linearised,
    kalman_update,
    leave_one_out,
    linearise,
)
from locdreamer_ros.locdreamer.world_model.gaussian import Gaussian, kl_divergence, stack  # noqa: E402
from locdreamer_ros.locdreamer.world_model.layers import at_least_one  # noqa: E402
from locdreamer_ros.locdreamer.world_model.memory import first_memory, remember_ranges  # noqa: E402
from locdreamer_ros.locdreamer.world_model.model import OFFSET_M, Area, ModelConfig, WorldModel  # noqa: E402
from locdreamer_ros.locdreamer.world_model.observation import Observation, expected_range  # noqa: E402

AREA = Area((0.0, 0.0), (9.0, 12.0))
FORMS = ("innovation", "raw")


def make(form: str, noise: str = "asymmetric") -> WorldModel:
    torch.manual_seed(0)
    model = WorldModel(ModelConfig(encoder=form, noise=noise), AREA)
    for parameter in model.parameters():  # heads that begin at zero would hide mistakes
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.3)
    return model


def some_gaussian(batch: int, seed: int) -> Gaussian:
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(batch, 4, 4, generator=generator)
    mean = torch.randn(batch, 4, generator=generator) + torch.tensor([4.0, 6.0, 0.0, 0.0])
    return Gaussian(mean, root @ root.transpose(1, 2) + 0.1 * torch.eye(4))


def some_observation(batch: int, anchors: int, seed: int) -> Observation:
    generator = torch.Generator().manual_seed(seed)
    anchor = torch.rand(batch, anchors, 3, generator=generator) * torch.tensor([9.0, 12.0, 1.0])
    distance = 1.0 + 8.0 * torch.rand(batch, anchors, generator=generator)
    asked = torch.rand(batch, anchors, generator=generator) < 0.7
    asked[:, 0] = True
    ahead = 0.1 * torch.randn(batch, anchors, generator=generator)
    memory = torch.rand(batch, anchors, 3, generator=generator)
    return Observation(distance, asked, anchor, memory, ahead)


def rows_of(seen: Observation, rows: torch.Tensor) -> Observation:
    parts = (seen.distance, seen.asked, seen.anchor, seen.memory, seen.ahead)
    return Observation(*(x[:, rows] for x in parts))


def infer(model: WorldModel, prior: Gaussian, seen: Observation) -> Gaussian:
    size = prior.mean.shape[0]
    return model.infer(prior, model.sequence.initial(size), seen, torch.ones(size))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("anchors", [1, 3, 8, 20])
def test_encoder_knows_no_order_of_anchors(form, anchors):
    model, prior, seen = make(form), some_gaussian(3, 1), some_observation(3, anchors, 2)
    order = torch.randperm(anchors, generator=torch.Generator().manual_seed(3))
    mixed = rows_of(seen, order)
    one, other = infer(model, prior, seen), infer(model, prior, mixed)
    torch.testing.assert_close(one.mean, other.mean, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(one.covariance, other.covariance, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_anchors_not_asked_do_nothing(form):
    model, prior, seen = make(form), some_gaussian(3, 1), some_observation(3, 6, 2)
    seen.asked[:] = torch.tensor([True, False, True, True, False, True])
    changed = torch.where(seen.asked, seen.distance, math.nan)
    rows = seen.asked[0]
    short = rows_of(seen, rows)
    with_nan = replace(seen, distance=changed)
    full, fewer = infer(model, prior, with_nan), infer(model, prior, short)
    torch.testing.assert_close(full.mean, fewer.mean, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(full.covariance, fewer.covariance, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_nothing_seen_leaves_the_prior(form):
    model, prior, seen = make(form), some_gaussian(2, 1), some_observation(2, 4, 2)
    seen.asked[1] = False
    posterior = infer(model, prior, seen)
    torch.testing.assert_close(posterior.mean[1], prior.mean[1])
    assert not torch.allclose(posterior.mean[0], prior.mean[0])


@pytest.mark.parametrize("angle", [0.3, 2.0])
@pytest.mark.parametrize("mirror", [1.0, -1.0])
def test_innovation_encoder_turns_with_the_world(angle, mirror):
    model, prior, seen = make("innovation"), some_gaussian(3, 1), some_observation(3, 5, 2)
    cos, sin = math.cos(angle), math.sin(angle)
    turn = torch.tensor([[cos, -sin * mirror], [sin, cos * mirror]])
    both = torch.block_diag(turn, turn)
    shift = torch.tensor([2.0, -3.0, 0.0, 0.0])
    moved = Gaussian(prior.mean @ both.T + shift, both @ prior.covariance @ both.T)
    anchor = torch.cat([seen.anchor[..., :2] @ turn.T + shift[:2], seen.anchor[..., 2:]], dim=-1)
    there = replace(seen, anchor=anchor)
    expected = infer(model, prior, seen)
    posterior = infer(model, moved, there)
    torch.testing.assert_close(posterior.mean, expected.mean @ both.T + shift, atol=2e-3, rtol=1e-3)
    torch.testing.assert_close(
        posterior.covariance, both @ expected.covariance @ both.T, atol=2e-3, rtol=1e-2
    )


def test_kl_is_that_of_torch_and_never_negative():
    one, other = some_gaussian(64, 1), some_gaussian(64, 2)
    normal = torch.distributions.MultivariateNormal
    expected = torch.distributions.kl_divergence(
        normal(one.mean, one.covariance), normal(other.mean, other.covariance)
    )
    torch.testing.assert_close(kl_divergence(one, other), expected, rtol=1e-3, atol=1e-3)
    assert float(expected.min()) > 0.0
    assert float(kl_divergence(one, one).abs().max()) < 1e-3


def test_log_prob_is_that_of_torch():
    one = some_gaussian(8, 1)
    value = some_gaussian(8, 2).mean
    expected = torch.distributions.MultivariateNormal(one.mean, one.covariance).log_prob(value)
    torch.testing.assert_close(one.log_prob(value), expected, rtol=1e-4, atol=1e-4)


def test_kalman_update_is_the_textbook_one():
    prior, seen = some_gaussian(4, 1), some_observation(4, 5, 2)
    ranges, _ = linearise(prior, seen)
    sigma = torch.full_like(ranges.innovation, 0.4)
    posterior = kalman_update(prior, ranges, ranges.innovation, sigma)
    distance, direction = expected_range(seen.positions(prior.mean), seen.anchor)
    jacobian = torch.cat([direction, seen.ahead[..., None] * direction], dim=-1)
    innovation = seen.distance - distance
    for b in range(4):
        rows = seen.asked[b]
        h = jacobian[b, rows].double().numpy()
        p = prior.covariance[b].double().numpy()
        s = h @ p @ h.T + 0.16 * np.eye(len(h))
        gain = p @ h.T @ np.linalg.inv(s)
        mean = prior.mean[b].numpy() + gain @ innovation[b, rows].numpy()
        np.testing.assert_allclose(posterior.mean[b].numpy(), mean, atol=1e-3)
        np.testing.assert_allclose(
            posterior.covariance[b].numpy(), (np.eye(4) - gain @ h) @ p, atol=1e-3
        )


def test_leave_one_out_leaves_one_out():
    prior, seen = some_gaussian(2, 1), replace(some_observation(2, 5, 2), ahead=None)
    everything = torch.ones_like(seen.asked)
    seen = replace(seen, asked=everything)
    ranges, _ = linearise(prior, seen)
    residual, variance = leave_one_out(ranges)
    sigma = torch.full_like(ranges.innovation, 0.3)
    for k in range(5):
        asked = seen.asked.clone()
        asked[:, k] = False
        rest, _ = linearise(prior, replace(seen, asked=asked))
        others = kalman_update(prior, rest, rest.innovation, sigma)
        _, direction = expected_range(prior.mean[:, :2], seen.anchor)
        left = ranges.innovation[:, k] - (direction[:, k] * (others.mean - prior.mean)[:, :2]).sum(
            -1
        )
        covariance = others.covariance[:, :2, :2]
        spread = (direction[:, k, None] @ covariance @ direction[:, k, :, None])[:, 0, 0]
        torch.testing.assert_close(residual[:, k], left, atol=2e-3, rtol=1e-2)
        torch.testing.assert_close(variance[:, k], spread, atol=2e-3, rtol=1e-2)


def test_expected_range_is_that_of_the_site():
    from worlds import square_anchors

    from locdreamer_ros.locdreamer.learning.data import anchor_rows
    from locdreamer_ros.types import Site

    site = Site(square_anchors(), 2, 1.2)
    place = np.array([[2.0, 3.0]])
    distance, _ = expected_range(
        torch.tensor(place, dtype=torch.float32), anchor_rows(site.anchors, 1.2)[None]
    )
    np.testing.assert_allclose(distance[0].numpy(), site.expected(place, np.arange(8)), atol=1e-5)


@pytest.mark.parametrize("noise", NOISES)
def test_noise_is_a_density_and_its_samples_follow_it(noise):
    sigma, tail = torch.tensor([0.2]), torch.tensor([0.5]) if noise == "asymmetric" else None
    law = RangeNoise(torch.tensor([4.0]), sigma, tail)
    grid = torch.linspace(-6.0, 14.0, 20001)[:, None]
    density = law.log_prob(grid).exp()[:, 0]
    step = 20.0 / 20000
    assert float(density.sum() * step) == pytest.approx(1.0, abs=0.002)
    generator = torch.Generator().manual_seed(0)
    score = torch.randn(200000, 1, generator=generator)
    drawn = law.sample(score, generator)[:, 0]
    below = float((drawn < 4.3).double().mean())
    assert below == pytest.approx(float(density[grid[:, 0] < 4.3].sum() * step), abs=0.005)


def test_noise_far_out_stays_finite():
    distance = torch.tensor([-50.0, -1.0, 4.0, 60.0], requires_grad=True)
    for ratio in (0.02, 1.0, 30.0):
        law = RangeNoise(torch.full((4,), 4.0), torch.full((4,), 0.1), torch.full((4,), ratio))
        value = law.log_prob(distance)
        (slope,) = torch.autograd.grad(value.sum(), distance)
        assert torch.isfinite(value).all()
        assert torch.isfinite(slope).all()


def test_an_offset_of_all_ranges_is_known_to_encoder_and_decoder_alike():
    model = make("innovation", "bias")
    assert model.offset is not None
    prior, seen = some_gaussian(4, 1), some_observation(4, 5, 2)
    hidden = torch.zeros(4, 50)
    with torch.no_grad():
        model.offset.fill_(0.0)
        plain = infer(model, prior, seen)
        expected = model.reconstruct(plain.mean, hidden, seen.anchor).mean
        model.offset.fill_(0.2 / OFFSET_M)
        shifted = infer(model, prior, replace(seen, distance=seen.distance + 0.2))
        longer = model.reconstruct(plain.mean, hidden, seen.anchor).mean
    torch.testing.assert_close(shifted.mean, plain.mean, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(longer, expected + 0.2)
    assert make("innovation").offset is None


def test_prior_begins_as_physics():
    model = WorldModel(ModelConfig(), AREA)
    before, dt = some_gaussian(3, 1), torch.tensor([0.1, 1.0, 2.0])
    prior = model.predict(before, model.sequence.initial(3), dt)
    expected = physics(before, dt)
    torch.testing.assert_close(prior.mean, expected.mean)
    torch.testing.assert_close(prior.covariance, expected.covariance)


def test_elbo_of_a_linear_model_is_the_exact_log_likelihood():
    """With Kalman's posterior the bound is tight: log p(d_{1:T}) of a linear system."""
    steps, sigma = 6, 0.5
    generator = torch.Generator().manual_seed(0)
    h = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.6, 0.8, 0.0, 0.0]])
    measured = 2.0 * torch.randn(1, steps, 2, generator=generator)
    belief = Gaussian(torch.zeros(1, 4), torch.eye(4)[None])
    priors, posteriors, exact, expected = [], [], 0.0, []
    for t in range(steps):
        prior = physics(belief, torch.ones(1))
        innovation = measured[:, t] - prior.mean @ h.T
        cov = h @ prior.covariance[0] @ h.T + sigma**2 * torch.eye(2)
        exact += float(
            torch.distributions.MultivariateNormal(torch.zeros(2), cov).log_prob(innovation[0])
        )
        everybody = torch.ones(1, 2, dtype=torch.bool)
        ranges = Linearised.of(prior, innovation, h[None], everybody)
        belief = kalman_update(prior, ranges, innovation, torch.full((1, 2), sigma))
        # E_q log g in closed form: the log density at the mean less the spread's share.
        error = measured[:, t] - belief.mean @ h.T
        spread = torch.diagonal(h @ belief.covariance[0] @ h.T)
        expected.append(
            -0.5 * (error**2 + spread) / sigma**2 - math.log(sigma) - 0.5 * math.log(2 * math.pi)
        )
        priors.append(prior)
        posteriors.append(belief)
    log_prob = torch.stack(expected, dim=1)
    asked = torch.ones_like(log_prob, dtype=torch.bool)
    bound = float(elbo(log_prob, asked, stack(posteriors), stack(priors)))
    assert bound == pytest.approx(exact, abs=2e-2)
    # Any other posterior explains less.
    wrong = [Gaussian(p.mean + 0.2, p.covariance) for p in posteriors]
    assert float(elbo(log_prob, asked, stack(wrong), stack(priors))) < bound


def test_memory_follows_what_was_asked():
    memory = first_memory(1, 2)
    asked = torch.tensor([[True, False]])
    for _ in range(20):
        memory = remember_ranges(memory, torch.tensor([[-0.5, 9.0]]), asked)
    torch.testing.assert_close(memory[0, 0], torch.tensor([-0.5, 0.5, 0.0]), atol=1e-4, rtol=0.0)
    torch.testing.assert_close(memory[0, 1], torch.tensor([0.0, 0.0, 20.0]))
    faded = remember_ranges(memory, torch.zeros(1, 2), ~asked)
    assert abs(float(faded[0, 0, 0])) < 0.5


def test_transition_moves_by_velocity():
    state = torch.tensor([1.0, 2.0, 0.5, -1.0])
    moved = transition(torch.tensor([2.0]))[0] @ state
    torch.testing.assert_close(moved, torch.tensor([2.0, 0.0, 0.5, -1.0]))


@pytest.mark.parametrize("queries", [1, 5])
def test_attention_is_the_same_however_it_is_laid_out(queries):
    """Values and gradients, of full and of thin sets."""
    torch.manual_seed(queries)
    present = at_least_one(torch.rand(40, 5) < 0.5)
    found = []
    for look in (layers._in_rows, layers._in_columns):
        torch.manual_seed(7)
        given = [torch.randn(40, n, 32, requires_grad=True) for n in (queries, 5, 5)]
        seen = look(*given, present, 4)
        gradients = torch.autograd.grad(seen.sin().sum(), given)
        assert not gradients[1][~present].any(), "who is absent is not looked at"
        found.append((seen, *gradients))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
