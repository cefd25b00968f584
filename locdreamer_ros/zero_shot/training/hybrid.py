# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The zero-shot world model as it is trained: a Kalman filter with learned parts, in batches.

The state is `layout`'s: position and velocity in space, a bias c common to all ranges, and for each
anchor a slow offset o and a local bias l that is forgotten with time and with the way walked,
because blocked links belong to places. A small network looks at how the asked ranges disagree with
the prior and gives each a noise, a shift and a jump of its local bias, and the motion a jump of its
own; a second pass looks again from where the first one ended. `zero_shot/tracker.py` is the same in
numpy.

Shape legend: B sequences, A anchors, N = 7 + 2 A states, F features of a range, G of all.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from locdreamer_ros.zero_shot.layout import (
    COMMON,
    CONTEXT,
    FAST_WEIGHT,
    FIRST_BIAS,
    KINEMATIC,
    NEAR_AT_M,
    NEWS_WIDTH,
    RANGE_FEATURES,
    SEEN_CONTEXT,
    SIGMA_M,
    SILENT_S,
    SPACE,
    VX,
    WEIGHTS,
)
from locdreamer_ros.zero_shot.training.belief import (
    Belief,
    geometry,
    inverse,
    only,
    places,
    project,
    squash,
)

WIDTH, HIDDEN = 48, 24
FLOOR = 1e-7
"""Of what a step adds to a variance."""


class Hybrid(nn.Module):
    """The filter. All its noises are learned; what a network adds starts at nothing.

    near m: `layout.NEAR_M`, which receivers have and dreams do not.
    """

    def __init__(self) -> None:
        super().__init__()
        self.near = 0.0
        self.token = nn.Linear(RANGE_FEATURES, WIDTH)
        self.pool = nn.Linear(2 * WIDTH, WIDTH)
        self.mix = nn.Linear(2 * WIDTH, WIDTH)
        self.range_head = nn.Linear(WIDTH, 3)
        self.motion_head = nn.Linear(WIDTH, 2)
        self.climate = nn.Linear(CONTEXT + 2, HIDDEN)
        self.climate_head = nn.Linear(HIDDEN, 4)
        self.trust = nn.Linear(CONTEXT + 1, HIDDEN)
        self.trust_head = nn.Linear(HIDDEN, 1)
        heads = (self.range_head, self.motion_head, self.climate_head)
        for head in (*heads, self.trust_head):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
        floor = FLOOR * torch.tensor([1.0, 1.0, 0.0, 1.0, 1.0, 0.0])
        self.register_buffer("floor", floor, persistent=False)
        weights = torch.tensor(WEIGHTS).repeat_interleave(NEWS_WIDTH)
        self.register_buffer("weights", weights, persistent=False)
        # Logarithms: acceleration density, walks and sigmas of the biases, forgetting.
        self.noise = nn.ParameterDict(
            {
                "acceleration": nn.Parameter(torch.tensor(-1.0)),  # m/s^1.5
                "vertical": nn.Parameter(torch.tensor(-1.5)),  # m/s^1.5
                "common": nn.Parameter(torch.tensor(-1.5)),  # m, at the start
                "common_walk": nn.Parameter(torch.tensor(-4.5)),  # m/sqrt(s)
                "own": nn.Parameter(torch.tensor(-2.5)),  # m
                "own_time": nn.Parameter(torch.tensor(5.0)),  # s
                "local": nn.Parameter(torch.tensor(-2.5)),  # m
                "local_time": nn.Parameter(torch.tensor(2.0)),  # s
                "local_way": nn.Parameter(torch.tensor(0.0)),  # m
            }
        )

    def start(self, anchor: Tensor, mean: Tensor, covariance: Tensor) -> Belief:
        """From a first fix: mean (B, 6), covariance (B, 6, 6); the biases unknown.

        Where the variance of z is 0 the height is known, and stays so.
        """
        size, count = anchor.shape[:2]
        n = FIRST_BIAS + 2 * count
        context = mean.new_zeros(size, CONTEXT)
        variance = torch.cat(
            [
                mean.new_zeros(size, KINEMATIC),
                torch.exp(2 * self.noise["common"]).expand(size, 1),
                torch.exp(2 * self.noise["own"]).expand(size, count),
                torch.exp(2 * self.noise["local"]).expand(size, count),
            ],
            dim=1,
        )
        full = nn.functional.pad(mean, (0, n - KINEMATIC))
        pad = nn.functional.pad(covariance, (0, n - KINEMATIC, 0, n - KINEMATIC))
        return Belief(
            anchor,
            (covariance[:, SPACE - 1, SPACE - 1] > 0.0).to(mean.dtype),
            full,
            torch.diag_embed(variance) + pad,
            mean.new_full((size, count), SILENT_S),
            mean.new_full((size, count), 0.1),
            context,
            mean.new_zeros(size),
            mean.new_zeros(size),
        )

    def predict(self, belief: Belief, dt: Tensor) -> Belief:
        """The prior dt (B,) s later."""
        mean, count = belief.mean, belief.anchor.shape[1]
        velocity = mean[:, SPACE:KINEMATIC]
        way = (velocity[:, :2].square().sum(-1) + 1e-4).sqrt() * dt
        look = torch.cat([belief.context, (dt + 1e-3).log()[:, None], way[:, None]], dim=-1)
        climate = self.climate_head(nn.functional.silu(self.climate(look)))  # (B, 4)
        climate = 2.0 * torch.tanh(climate / 2.0)
        noise = self.noise
        own = torch.exp(-dt / torch.exp(noise["own_time"]))  # (B,)
        local = torch.exp(
            -dt / torch.exp(noise["local_time"])
            - way * torch.exp(-noise["local_way"] - climate[:, 1])
        )
        scale = torch.cat(
            [
                mean.new_ones(len(mean), FIRST_BIAS),
                own[:, None].expand(-1, count),
                local[:, None].expand(-1, count),
            ],
            dim=-1,
        )
        step = dt[:, None]
        moved = torch.cat([mean[:, :SPACE] + step * velocity, mean[:, SPACE:]], dim=-1) * scale
        covariance = belief.covariance * scale[:, :, None] * scale[:, None, :]
        rows = covariance[:, :SPACE] + step[..., None] * covariance[:, SPACE:KINEMATIC]
        covariance = torch.cat([rows, covariance[:, SPACE:]], dim=1)
        columns = covariance[:, :, :SPACE] + step[..., None] * covariance[:, :, SPACE:KINEMATIC]
        covariance = torch.cat([columns, covariance[:, :, SPACE:]], dim=2)
        density = torch.exp(2 * noise["acceleration"] + 2 * climate[:, 0])
        own_noise = torch.exp(2 * noise["own"]) * (1 - own.square())
        local_noise = torch.exp(2 * noise["local"]) * (1 - local.square())
        walk = torch.exp(2 * noise["common_walk"] + 2 * climate[:, 2]) * dt
        climb = torch.exp(2 * noise["vertical"] + 2 * climate[:, 3]) * belief.climbs
        densities = torch.stack([density, density, climb], dim=-1)  # (B, 3)
        diagonal = torch.cat(
            [
                densities * step**3 / 3.0,
                densities * step,
                walk[:, None],
                own_noise[:, None].expand(-1, count),
                local_noise[:, None].expand(-1, count),
            ],
            dim=-1,
        )
        cross = torch.diag_embed(densities * step**2 / 2.0, offset=SPACE)
        cross = cross + cross.transpose(1, 2)  # (B, 6, 6)
        rest = mean.shape[1] - KINEMATIC
        # A floor for all but z and its velocity, which may be known.
        floor = nn.functional.pad(self.floor, (0, rest), value=FLOOR)
        covariance = covariance + torch.diag_embed(diagonal + floor)
        covariance = covariance + nn.functional.pad(cross, (0, rest, 0, rest))
        return replace(
            belief,
            mean=moved,
            covariance=covariance,
            age=(belief.age + step).clamp(max=SILENT_S),
            since=belief.since + dt,
        )

    def update(
        self, belief: Belief, measured: Tensor, ahead: Tensor, asked: Tensor, blocked: Tensor
    ) -> Belief:
        """The posterior after the ranges measured (B, A) m, where asked (B, A).

        ahead (B, A) s: stamps from the belief's time on; blocked (B, A): a device's guess that the
        link is, NaN where it makes none.
        """
        count = belief.anchor.shape[1]
        prior, covariance = belief.mean, belief.covariance
        measured = only(asked, measured)
        own, local = prior[:, FIRST_BIAS : FIRST_BIAS + count], prior[:, FIRST_BIAS + count :]
        distance, direction = geometry(belief, prior, ahead)
        near = self.near * (distance / NEAR_AT_M).log()
        bias = prior[:, COMMON : COMMON + 1] + own + local + near
        first = innovation = only(asked, measured - distance - bias)
        features = self.features(
            belief, innovation, distance, direction, ahead, asked, blocked
        )  # (B, A, F - 1)
        residual = innovation
        point = prior
        for number in (0, 1):
            again = torch.zeros_like(innovation) if number == 0 else residual
            seen = torch.cat(
                [features, squash(again)[..., None], torch.full_like(again, number)[..., None]], -1
            )
            sigma, shift, jump, motion = self.look(seen, asked)
            if number == 1:
                distance, direction = geometry(belief, point, ahead)
                moved = places(point - prior, ahead)
                innovation = measured - distance - bias + (direction * moved).sum(-1)
                innovation = only(asked, innovation)
            diagonal = torch.cat(
                [
                    motion[:, :1].expand(-1, 2),
                    torch.zeros_like(prior[:, :1]),
                    motion[:, 1:].expand(-1, 2),
                    torch.zeros_like(prior[:, : 2 + count]),
                    only(asked, jump),
                ],
                dim=-1,
            )
            inflated = covariance + torch.diag_embed(diagonal)
            direction = only(asked[..., None], direction)
            cross, innovation_covariance = project(inflated, direction, ahead)
            cross = only(asked[..., None], cross)
            both = asked[:, :, None] & asked[:, None, :]
            noise = torch.diag_embed(only(asked, sigma.square(), 1.0))
            innovation_covariance = only(both, innovation_covariance) + noise
            gain = cross.transpose(1, 2) @ inverse(innovation_covariance)  # (B, N, A)
            off = only(asked, innovation - shift)
            point = prior + (gain @ off[..., None])[..., 0]
            residual = only(
                asked,
                measured
                - geometry(belief, point, ahead)[0]
                - point[:, COMMON : COMMON + 1]
                - point[:, FIRST_BIAS : FIRST_BIAS + count]
                - point[:, FIRST_BIAS + count :]
                - near,
            )
        posterior = inflated - gain @ cross
        posterior = 0.5 * (posterior + posterior.transpose(1, 2))
        return self.remember(belief, point, posterior, first, features[..., 1], residual, asked)

    def features(
        self,
        belief: Belief,
        innovation: Tensor,
        distance: Tensor,
        direction: Tensor,
        ahead: Tensor,
        asked: Tensor,
        blocked: Tensor,
    ) -> Tensor:
        """What the network sees of each range (B, A, F - 2): relative geometry only."""
        count = belief.anchor.shape[1]
        covariance = belief.covariance
        _, projected = project(covariance, direction, ahead)
        both = asked[:, :, None] & asked[:, None, :]
        noise = only(asked, torch.full_like(innovation, SIGMA_M**2), 1.0)
        innovation_covariance = only(both, projected) + torch.diag_embed(noise)
        information = inverse(innovation_covariance)
        sigma = innovation_covariance.diagonal(dim1=1, dim2=2).sqrt()
        precision = information.diagonal(dim1=1, dim2=2).clamp(min=1e-6)
        # The leave-one-out residual.
        left_out = (information @ innovation[..., None])[..., 0] / precision
        number = asked.sum(dim=1, keepdim=True).clamp(min=1)
        middle = innovation - innovation.sum(dim=1, keepdim=True) / number
        level = direction[..., :2]
        velocity = belief.mean[:, None, VX : VX + 2]
        variance = covariance.diagonal(dim1=1, dim2=2).clamp(min=1e-8)
        along = ((level @ covariance[:, :2, :2]) * level).sum(-1).clamp(min=1e-6)
        known = ~torch.isnan(blocked)
        row = [
            squash(innovation),
            torch.asinh(innovation / sigma),
            squash(middle),
            squash(left_out),
            torch.asinh(left_out * precision.sqrt()),
            squash(belief.mean[:, FIRST_BIAS : FIRST_BIAS + count]),
            squash(belief.mean[:, FIRST_BIAS + count :]),
            0.5 * variance[:, FIRST_BIAS : FIRST_BIAS + count].log() + 2.0,
            0.5 * variance[:, FIRST_BIAS + count :].log() + 2.0,
            torch.asinh(distance / 10.0),
            -direction[..., 2],
            (level * velocity).sum(-1),
            0.5 * (belief.age + 0.05).log(),
            (belief.surprise + 0.02).log() + 2.0,
            0.5 * along.log() + 1.0,
            only(known, blocked - 0.3),
            known.to(innovation.dtype),
        ]
        all_ranges = [
            0.5 * variance[:, COMMON].log() + 2.0,
            0.5 * (variance[:, 0] + variance[:, 1]).log() + 1.0,
            (belief.since + 0.05).log(),
            number[:, 0].to(innovation.dtype).log(),
            *(belief.context[:, i] for i in SEEN_CONTEXT),
        ]
        row += [value[:, None].expand(-1, count) for value in all_ranges]
        return torch.stack(row, dim=-1)

    def look(self, seen: Tensor, asked: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Noise, shift (B, A) m and jump (B, A) m^2 of each range; jumps of the motion (B, 2)."""
        token = nn.functional.silu(self.token(seen))  # (B, A, W)
        mask = asked[..., None]
        number = asked.sum(dim=1, keepdim=True).clamp(min=1)
        mean = only(mask, token).sum(dim=1) / number
        most = only(mask, token, -1.0).amax(dim=1)
        pooled = nn.functional.silu(self.pool(torch.cat([mean, most], dim=-1)))  # (B, W)
        both = torch.cat([token, pooled[:, None].expand_as(token)], dim=-1)
        head = self.range_head(nn.functional.silu(self.mix(both)))
        head = 4.0 * torch.tanh(head / 4.0)
        sigma = 0.02 + SIGMA_M * torch.exp(head[..., 0])
        jump = (0.02 * torch.exp(head[..., 2])).square()
        motion = 4.0 * torch.tanh(self.motion_head(pooled) / 4.0)
        return sigma, 0.3 * head[..., 1], jump, (0.01 * torch.exp(motion)).square()

    def remember(
        self,
        belief: Belief,
        mean: Tensor,
        covariance: Tensor,
        innovation: Tensor,
        whitened: Tensor,
        residual: Tensor,
        asked: Tensor,
    ) -> Belief:
        """The belief with its running means; unchanged where nobody answered."""
        some = asked.any(dim=1, keepdim=True)
        number = asked.sum(dim=1).clamp(min=1)
        count = asked.shape[1]
        off = innovation.abs()
        # E[o^2] and E[l^2] of the anchors asked: how large biases turn out to be.
        second = mean[:, FIRST_BIAS:].square() + covariance.diagonal(dim1=1, dim2=2)[:, FIRST_BIAS:]
        second = only(asked[:, None], second.unflatten(1, (2, count)))
        size = (second.sum(dim=-1) / number[:, None] + 1e-6).sqrt()  # (B, 2)
        news = torch.stack(
            [
                squash(off).sum(dim=1) / number,
                squash(innovation).sum(dim=1) / number,
                squash(residual.abs()).sum(dim=1) / number,
                squash(off).amax(dim=1),
                whitened.abs().sum(dim=1) / number,
                squash(size[:, 0]),
                squash(size[:, 1]),
                number.to(off.dtype).log(),
            ],
            dim=-1,
        )  # (B, NEWS_WIDTH)
        # The first updates weigh more, so that the slow means are of use soon.
        weight = torch.maximum(self.weights, 1.0 / (belief.count[:, None] + 1.0))
        context = belief.context + weight * (news.repeat(1, len(WEIGHTS)) - belief.context)
        context = torch.where(some, context, belief.context)
        surprise = belief.surprise + only(asked, FAST_WEIGHT * (off - belief.surprise))
        return replace(
            belief,
            mean=torch.where(some, mean, belief.mean),
            covariance=torch.where(some[..., None], covariance, belief.covariance),
            age=only(~asked, belief.age),
            surprise=surprise,
            context=context,
            since=only(~some[:, 0], belief.since),
            count=belief.count + some[:, 0],
        )

    def reported(self, belief: Belief) -> Tensor:
        """Covariance (B, 3, 3) m^2 of the position as it is told to others.

        A filter that takes errors of places for fresh noise is too sure of itself, more so in some
        rooms than in others: a scale is learned, from how ranges were off so far.
        """
        covariance = belief.covariance[:, :SPACE, :SPACE]
        return covariance * self.scale(self.scale_features(belief))[:, None, None]

    def scale_features(self, belief: Belief) -> Tensor:
        """What the scale of the covariance is read off, (B, CONTEXT + 1)."""
        covariance = belief.covariance
        log_sigma = 0.5 * (covariance[:, 0, 0] + covariance[:, 1, 1]).log() + 1.0
        return torch.cat([belief.context, log_sigma[:, None]], dim=-1)

    def scale(self, scale_features: Tensor) -> Tensor:
        """(B,): what the covariance is multiplied by before it is told."""
        log_scale = self.trust_head(nn.functional.silu(self.trust(scale_features)))[:, 0]
        return torch.exp(4.0 * torch.tanh(log_scale / 4.0))
