# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The world model where its answers can be written down: Q, the tail, and the frame it works in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import exponnorm, norm

torch = pytest.importorskip("torch")

from locdreamer_ros.locdreamer.world_model.decoder import (  # noqa: E402
    OUTLIER_SPAN_M,
    OUTLIERS,
    RangeNoise,
)
from locdreamer_ros.locdreamer.world_model.dynamics import (  # noqa: E402
    ACCELERATION_PSD,
    DIFFUSION,
    process_noise,
    transition,
)
from locdreamer_ros.locdreamer.world_model.gaussian import Gaussian  # noqa: E402
from locdreamer_ros.locdreamer.world_model.model import Area, ModelConfig, WorldModel  # noqa: E402
from locdreamer_ros.locdreamer.world_model.observation import Observation  # noqa: E402

STILL = torch.zeros(1, 4)


@pytest.mark.parametrize(("first", "second"), [(0.1, 0.4), (1.0, 1.0), (2.0, 0.5)])
def test_two_steps_of_noise_are_one_of_both(first: float, second: float) -> None:
    """White acceleration and diffusion know no rate: Q(a + b) = F_b Q(a) F_b^T + Q(b)."""
    a, b = torch.tensor([first]), torch.tensor([second])
    ahead = transition(b)
    both = ahead @ process_noise(a, STILL) @ ahead.transpose(1, 2) + process_noise(b, STILL)
    torch.testing.assert_close(both, process_noise(a + b, STILL), atol=1e-5, rtol=1e-5)


def test_q_by_hand() -> None:
    dt = 2.0
    found = process_noise(torch.tensor([dt]), STILL)[0].numpy()
    for axis in (0, 1):
        block = found[np.ix_([axis, axis + 2], [axis, axis + 2])]
        position = DIFFUSION**2 * dt + ACCELERATION_PSD * dt**3 / 3.0
        cross = ACCELERATION_PSD * dt**2 / 2.0
        np.testing.assert_allclose(
            block, [[position, cross], [cross, ACCELERATION_PSD * dt]], atol=2e-6
        )
    louder = process_noise(torch.tensor([dt]), torch.tensor([[0.0, 0.0, 0.5, 0.0]]))[0]
    assert float(louder[2, 2]) == pytest.approx(np.e * ACCELERATION_PSD * dt, rel=1e-4)


@pytest.mark.parametrize("tail", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("sigma", [0.05, 0.3, 1.0, 3.0])
def test_the_asymmetric_noise_is_a_gaussian_plus_an_exponential(sigma: float, tail: float) -> None:
    """Against scipy, over a floor of outliers, also where a tiny tail leaves the Gaussian alone."""
    z = np.array([-6.0, -2.0, -0.5, 0.0, 0.5, 2.0, 6.0])
    value = 4.0 + z * (sigma + tail)
    law = RangeNoise(*(torch.full((7,), x) for x in (4.0, sigma, tail)))
    with np.errstate(all="ignore"):
        density = exponnorm.pdf(value, tail / sigma, loc=4.0, scale=sigma)
    if sigma > 20.0 * tail:  # scipy itself gives up there: nearly a Gaussian shifted by the tail
        density = norm.pdf(value, 4.0 + tail, np.hypot(sigma, tail))
    expected = np.log((1.0 - OUTLIERS) * density + OUTLIERS / OUTLIER_SPAN_M)
    found = law.log_prob(torch.tensor(value, dtype=torch.float32)).numpy()
    np.testing.assert_allclose(found, expected, atol=0.05)


FORMS = (("innovation", "asymmetric"), ("innovation", "bias"), ("raw", "gaussian"))


@pytest.mark.parametrize(("encoder", "noise"), FORMS)
def test_a_world_far_from_the_origin_is_the_same_world(encoder: str, noise: str) -> None:
    """All parts work relative to the middle of their area: nothing changes but the frame."""
    shift = torch.tensor([200.0, -100.0, 0.0, 0.0])
    here, there = Area((0.0, 0.0), (9.0, 12.0)), Area((200.0, -100.0), (209.0, -88.0))
    torch.manual_seed(0)
    near = WorldModel(ModelConfig(encoder=encoder, noise=noise), here)
    for parameter in near.parameters():  # heads that begin at zero would hide mistakes
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.3)
    far = WorldModel(ModelConfig(encoder=encoder, noise=noise), there)
    far.load_state_dict(near.state_dict())
    generator = torch.Generator().manual_seed(1)
    mean = torch.tensor([4.0, 6.0, 0.0, 0.0]) + torch.randn(3, 4, generator=generator)
    anchor = torch.rand(3, 5, 3, generator=generator) * torch.tensor([9.0, 12.0, 1.0])
    distance = 1.0 + 8.0 * torch.rand(3, 5, generator=generator)
    seen = Observation(distance, torch.ones(3, 5, dtype=torch.bool), anchor, torch.zeros(3, 5, 3))
    moved = replace(seen, anchor=anchor + torch.cat([shift[:2], torch.zeros(1)]))
    found = []
    for model, begin, what in ((near, mean, seen), (far, mean + shift, moved)):
        before = Gaussian.diagonal(begin, torch.full((3, 4), 0.5))
        hidden = model.remember(before, model.sequence.initial(3))
        prior = model.predict(before, hidden, torch.ones(3))
        belief = model.infer(prior, hidden, what, torch.ones(3))
        ranges = model.reconstruct(belief.mean, hidden[-1], what.anchor)
        found.append((hidden, prior, belief, ranges))
    for near_part, far_part in zip(*found, strict=True):
        if isinstance(near_part, Gaussian):
            torch.testing.assert_close(far_part.mean - shift, near_part.mean, atol=2e-3, rtol=0.0)
            torch.testing.assert_close(
                far_part.covariance, near_part.covariance, atol=2e-3, rtol=1e-3
            )
        elif isinstance(near_part, RangeNoise):
            torch.testing.assert_close(far_part.mean, near_part.mean, atol=2e-3, rtol=0.0)
            torch.testing.assert_close(far_part.sigma, near_part.sigma, atol=2e-3, rtol=1e-3)
        else:
            torch.testing.assert_close(far_part, near_part, atol=2e-4, rtol=0.0)
