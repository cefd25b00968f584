# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Algorithm 1 where its answers can be written down: signs, masks, samples and the gate."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rooms import IDS, task  # noqa: E402
from worlds import circle_recording, square_anchors  # noqa: E402

from locdreamer_ros.locdreamer.learning.actor import Actor  # noqa: E402
from locdreamer_ros.locdreamer.learning.algorithm1 import (  # noqa: E402
    all_rewards,
    dream_loss,
    look,
    real_loss,
)
from locdreamer_ros.locdreamer.learning.data import Batch, Walks, anchor_rows  # noqa: E402
from locdreamer_ros.locdreamer.learning.hyperparameters import TrainConfig  # noqa: E402
from locdreamer_ros.locdreamer.learning.imagination import (  # noqa: E402
    Ground,
    GroundedDream,
    LiteralDream,
    ResidualNoise,
    residuals_along,
)
from locdreamer_ros.locdreamer.learning.losses import (  # noqa: E402
    ENTROPY,
    actor_loss,
    critic_loss,
    expected_actor_loss,
    sleep_loss,
)
from locdreamer_ros.locdreamer.learning.train import clearly_better  # noqa: E402
from locdreamer_ros.locdreamer.world_model.decoder import RangeNoise  # noqa: E402
from locdreamer_ros.locdreamer.world_model.gaussian import Gaussian  # noqa: E402
from locdreamer_ros.locdreamer.world_model.memory import first_memory  # noqa: E402
from locdreamer_ros.locdreamer.world_model.observation import expected_range  # noqa: E402

B, T, REAL, IMAGINED, BUDGET = 3, 4, 3, 5, 2
SIGMA = 0.1
AT_ITS_MEAN = -math.log(SIGMA) - 0.5 * math.log(2.0 * math.pi)
"""Log density of a range that is exactly as expected."""


EVERYTHING = torch.tensor([True, True])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class StandingStill:
    """A world model whose every answer is known: the tag stays, nothing is ever learned."""

    raw = True
    sequence = SimpleNamespace(initial=lambda size: torch.zeros(1, size, 50))

    def predict(self, posterior: Gaussian, hidden: object, dt: object) -> Gaussian:
        return posterior

    def infer(self, prior: Gaussian, hidden: object, seen: object, dt: object) -> Gaussian:
        return prior  # no divergence between posterior and prior

    def passed_on(self, posterior: Gaussian, generator: object) -> Gaussian:
        return posterior

    def remember(self, posterior: object, hidden: torch.Tensor) -> torch.Tensor:
        return hidden

    def reconstruct(self, state: torch.Tensor, hidden: object, anchor: torch.Tensor) -> RangeNoise:
        distance, _ = expected_range(state[..., :2], anchor)
        return RangeNoise(distance, torch.full_like(distance, SIGMA))


def belief(sigma: float = 1e-4, size: int = B) -> Gaussian:
    mean = torch.tensor([[4.0, 4.0, 0.0, 0.0]]).expand(size, 4)
    return Gaussian.diagonal(mean, torch.full((size, 4), sigma))


def anchors(count: int, size: int = B) -> torch.Tensor:
    return anchor_rows(square_anchors(8), 1.0)[:count].expand(size, count, 3)


def exact(anchor: torch.Tensor, *, off: float = 0.0) -> torch.Tensor:
    """Ranges (B, T, A) of a tag that stands at the belief's mean."""
    distance, _ = expected_range(belief(size=len(anchor)).mean[:, :2], anchor)
    return (distance + off)[:, None].expand(-1, T, -1)


def real(off: float = 0.0) -> Batch:
    anchor = anchors(REAL)
    asked = torch.ones(B, T, REAL, dtype=torch.bool)
    return Batch(exact(anchor, off=off), asked, anchor, torch.ones(B, T), belief())


def imagined(off: float = 0.0, truth: torch.Tensor | None = None) -> GroundedDream:
    """A dream of five anchors whose ranges are known; literal where it has no truth."""
    anchor = anchors(8)[:, REAL:]
    comes = torch.ones(B, T, IMAGINED, dtype=torch.bool)
    return GroundedDream(exact(anchor, off=off), comes, anchor, torch.ones(B, T), belief(), truth)


def literal(off_real: float = 0.0, off_imagined: float = 0.0) -> tuple[float, float]:
    """Loss of the tracker and cost of the policy by Algorithm 1 to the letter."""
    config = TrainConfig(mode="literal", steps=T, batch=B, budget=BUDGET)
    actor = Actor(hidden=50, width=32, head="categorical", literal=True)
    losses = dream_loss(
        StandingStill(), actor, None, imagined(off_imagined), config, generator(),
        real(off_real), judge=False,
    )  # fmt: skip
    return float(losses.tracker), float(losses.cost)


def test_a_subset_is_worth_its_error_and_what_it_does_to_the_next() -> None:
    """Nothing is learned, so all subsets alike: .5 m off, and 1.3 m a second later (line 23)."""
    truth = belief().mean[:, None].expand(-1, T, -1) - torch.tensor([0.5, 0.0, 0.0, 1.2])
    dream = imagined(truth=truth)
    model, hidden = StandingStill(), torch.zeros(1, B, 50)
    states = [look(model, belief(), hidden, dream.anchor, first_memory(B, IMAGINED))] * T
    config = TrainConfig(steps=T, batch=B, budget=BUDGET, gamma=0.5)
    given = (model, states, dream, dream.distance, dream.comes, config)
    worth = all_rewards(*given)
    assert worth.shape == (B, 1, 10)
    torch.testing.assert_close(worth, torch.full_like(worth, -0.5 - 0.5 * 1.3))
    other = all_rewards(*given, reward_of=lambda belief, truth, dt, gamma: truth[:, 0] + gamma)
    torch.testing.assert_close(other, torch.full_like(other, 3.5 + 0.5))


def test_the_elbo_of_stage_one_counts_each_real_range_once() -> None:
    assert float(real_loss(StandingStill(), real(), generator())) == pytest.approx(
        -REAL * AT_ITS_MEAN, rel=1e-3
    )
    worse = 0.5 * (0.2 / SIGMA) ** 2
    assert float(real_loss(StandingStill(), real(0.2), generator())) == pytest.approx(
        -REAL * (AT_ITS_MEAN - worse), rel=1e-2
    )


def test_lines_19_and_22_explain_the_real_ranges_and_those_imagined() -> None:
    """A step explains R's three ranges and the two of A that were asked, no more, no fewer."""
    loss, _ = literal()
    assert loss == pytest.approx(-(REAL + BUDGET) * AT_ITS_MEAN, rel=1e-3)
    worse = 0.5 * (0.2 / SIGMA) ** 2
    of_real, cost = literal(off_real=0.2)
    assert of_real - loss == pytest.approx(REAL * worse, rel=0.02)
    assert cost - literal()[1] == pytest.approx(REAL * worse, rel=0.02)
    of_imagined, _ = literal(off_imagined=0.2)
    assert of_imagined - loss == pytest.approx(BUDGET * worse, rel=0.02)


def test_the_literal_reward_is_the_reconstruction() -> None:
    """R_t = L_t^recon: the better ranges are explained, the more reward, the less cost."""
    _, cost = literal()
    assert cost == pytest.approx(-(REAL + BUDGET) * AT_ITS_MEAN, rel=1e-3)
    assert literal(off_imagined=0.3)[1] > cost


def test_the_grounded_reward_is_minus_the_error() -> None:
    truth = belief().mean[:, None].expand(B, T, 4).clone()
    truth[..., 0] += 0.3
    truth[..., 1] -= 0.4
    config = TrainConfig(steps=T, batch=B, budget=BUDGET)
    actor = Actor(hidden=50, width=32, head="categorical")
    losses = dream_loss(
        StandingStill(), actor, None, imagined(truth=truth), config, generator(1), judge=False
    )
    assert float(losses.cost) == pytest.approx(0.5, abs=1e-3)


def test_line_16_imagines_around_a_sample_of_the_prior() -> None:
    """Of a prior 1 m wide, ranges of almost no noise are about 1 m apart; of its mean, 0."""
    many = 4000
    place = anchors(1, many)
    dream = LiteralDream(StandingStill(), place, torch.ones(many, 1), belief(), generator())
    wide = belief(1.0, many)
    drawn, comes = dream.ranges(0, wide, torch.zeros(1, many, 50))
    assert comes.all()
    distance, direction = expected_range(wide.mean[:, :2], place)
    assert float((drawn - distance).std()) == pytest.approx(float(direction[0, 0].norm()), rel=0.05)
    still, _ = dream.ranges(0, belief(size=many), torch.zeros(1, many, 50))
    assert float((still - distance).std()) == pytest.approx(SIGMA, rel=0.05)


def test_imagined_ranges_are_wrong_as_the_real_ones_were() -> None:
    """Real ranges 0.4 m too long make imagined ones 0.4 m too long, not too short."""
    job = task()
    recording = circle_recording(rate=1.0, sigma=0.0, bias=0.4)
    walks = Walks([recording.only(IDS)], tag_height=1.0, steps=6)
    (whole,) = walks.whole()
    truth = torch.tensor(recording.truth[1:, :2], dtype=torch.float32)
    state = torch.cat([truth, torch.zeros_like(truth)], dim=1)[None]
    expected, residual = residuals_along(whole, state)
    torch.testing.assert_close(residual, torch.full_like(residual, 0.4), atol=1e-3, rtol=0.0)
    noise = ResidualNoise(expected.flatten(), residual.flatten())
    ground = Ground(StandingStill(), job.train, area=job.area, steps=6, noise=noise)
    dream = ground.draw(8, anchor_rows(job.deploy, 1.0), generator())
    exactly, _ = expected_range(dream.truth[..., :2], dream.anchor[:, None].expand(-1, 6, -1, -1))
    torch.testing.assert_close(
        dream.distance - exactly, torch.full_like(exactly, 0.4), atol=1e-2, rtol=0.0
    )


def test_drawn_errors_have_the_quantiles_of_the_residuals() -> None:
    residual = torch.rand(4000, generator=generator()) ** 2
    noise = ResidualNoise(5.0 + 0.01 * torch.arange(4000) / 4000, residual)
    score = torch.tensor([-1.2816, 0.0, 1.2816])  # the 10th, 50th and 90th percentile
    expected = torch.quantile(residual, torch.tensor([0.1, 0.5, 0.9]))
    torch.testing.assert_close(
        noise.errors(torch.full((3,), 5.0), score), expected, atol=0.05, rtol=0.0
    )


def test_the_actors_loss_makes_what_was_better_more_probable() -> None:
    log_prob = torch.tensor([-1.0, -2.0], requires_grad=True)
    loss = actor_loss(log_prob, torch.tensor([3.0, 1.0]), torch.tensor([0.5, 0.7]), EVERYTHING)
    scaled = 1.0 / math.sqrt(2.0)  # the advantage at mean 0, variance 1
    assert float(loss.detach()) == pytest.approx(
        -0.5 * (-1.0 * scaled + 2.0 * scaled) - ENTROPY * 0.6, 1e-4
    )
    (slope,) = torch.autograd.grad(loss, log_prob)
    assert slope[0] < 0.0 < slope[1], "down the slope the better one becomes more probable"


def test_the_expected_loss_is_the_mean_reward_turned_round() -> None:
    logits = torch.tensor([[0.0, 0.0, math.log(2.0)]], requires_grad=True)
    reward = torch.tensor([[1.0, 0.0, -1.0]])
    loss = expected_actor_loss(logits, reward)
    assert float(loss.detach()) == pytest.approx(-(0.25 - 0.5), rel=1e-4)
    (slope,) = torch.autograd.grad(loss, logits)
    assert slope[0, 0] < 0.0 < slope[0, 2]


def test_the_critics_loss_is_the_squared_miss() -> None:
    value = torch.tensor([1.0, 2.0], requires_grad=True)
    loss = critic_loss(value, torch.tensor([0.0, 4.0]), EVERYTHING)
    assert float(loss.detach()) == pytest.approx(2.5)
    (slope,) = torch.autograd.grad(loss, value)
    assert slope[0] > 0.0 > slope[1]


def test_sleep_loss_by_hand() -> None:
    """Error .5 m, speed's .2 m/s, and a Student-t score with an x-x, an x-y and a y-y term."""
    truth = torch.zeros(1, 1, 4)
    covariance = torch.eye(4)[None, None].clone()
    covariance[..., 0, 0], covariance[..., 1, 1] = 0.09, 0.04
    covariance[..., 0, 1] = covariance[..., 1, 0] = 0.02
    off = torch.tensor([[[0.3, -0.4, 0.2, 0.0]]])
    error, block = np.array([0.3, -0.4]), np.array([[0.09, 0.02], [0.02, 0.04]])
    square = error @ np.linalg.inv(block) @ error
    score = 0.5 * math.log(np.linalg.det(block)) + 3.0 * math.log1p(square / 4.0)
    assert float(sleep_loss(Gaussian(off, covariance), truth)) == pytest.approx(
        0.5 + 0.2 * 0.2 + 0.3 * score, rel=1e-3
    )


@pytest.mark.parametrize(
    ("mean", "kept"), [(2.2, True), (1.8, False), (0.0, False), (-1.0, False), (-2.2, False)]
)
def test_a_policy_is_kept_where_it_is_two_standard_errors_better(mean: float, kept: bool) -> None:
    """mean: the gain in standard errors."""
    gain = torch.randn(100, generator=generator())
    gain = (gain - gain.mean()) / gain.std()  # standard error .1
    assert clearly_better(gain + 0.1 * mean) is kept
