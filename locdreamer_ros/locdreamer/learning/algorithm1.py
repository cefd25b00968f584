# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Algorithm 1 of the LocDreamer paper; the numbers in comments are the lines of its listing.

`real_loss` is stage 1's inner loop, `dream_loss` stage 2's; `train` runs both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from locdreamer_ros.locdreamer.learning.actor import Actor, State, all_subsets, membership
from locdreamer_ros.locdreamer.learning.critic import (
    Critic,
    actor_loss,
    critic_loss,
    discounted,
    expected_loss,
)
from locdreamer_ros.locdreamer.learning.data import Batch
from locdreamer_ros.locdreamer.learning.hyperparameters import TrainConfig
from locdreamer_ros.locdreamer.learning.imagination import Dream
from locdreamer_ros.locdreamer.world_model.elbo import elbo, reconstruction
from locdreamer_ros.locdreamer.world_model.gaussian import Gaussian, stack
from locdreamer_ros.locdreamer.world_model.layers import uniform
from locdreamer_ros.locdreamer.world_model.memory import first_memory, remember_ranges, residuals
from locdreamer_ros.locdreamer.world_model.model import WorldModel
from locdreamer_ros.locdreamer.world_model.observation import Observation

REPLAY_EVERY = 4
"""Steps of a dream between those at which every subset is tried."""
MOST_REPLAYED = 2048
"""Subsets tried in one go: few enough for the processor's cache."""
LARGEST_ERROR_M = 3.0
"""A lost track is one bad step to the policy, not a hundred."""


def real_loss(model: WorldModel, batch: Batch, generator: torch.Generator) -> Tensor:
    """Stage 1: -L^ELBO per step of the real ranges of the bootstrap anchors R, all asked."""
    size, rows = batch.anchor.shape[0], batch.anchor.shape[1]
    posterior, hidden = batch.start, model.sequence.initial(size)  # line 3
    memory = first_memory(size, rows, batch.dt.device)
    priors, posteriors, memories = [], [], []
    for t in range(batch.steps):  # line 4
        prior = model.predict(posterior, hidden, batch.dt[:, t])  # line 5
        seen = batch.at(t, memory)
        belief = model.infer(prior, hidden, seen, batch.dt[:, t])  # line 6
        posterior = model.passed_on(belief, generator)
        priors.append(prior)
        posteriors.append(belief)
        memories.append(hidden[-1])
        hidden = model.remember(posterior, hidden)  # line 8
        memory = remember_ranges(memory, residuals(belief.mean.detach(), seen), seen.asked)
    prior, belief, past = stack(priors), stack(posteriors), torch.stack(memories, dim=1)
    anchor = batch.anchor[:, None].expand(-1, batch.steps, -1, -1)
    state = belief.sample(generator)  # z~_t
    log_prob = model.reconstruct(state, past, anchor).log_prob(batch.distance)  # lines 7 and 10
    return -elbo(log_prob, batch.asked, belief, prior).mean() / batch.steps  # lines 9 and 10


@dataclass(frozen=True, eq=False)
class DreamLoss:
    """Losses of one dream: the tracker's, actor's (16), critic's (17).

    cost: minus the mean reward where the policy chooses (NaN: nowhere), guided steps left out.
    gain (B,): how much more reward the policy's best subsets bring than those of physics alone,
    where all subsets were tried.
    """

    tracker: Tensor
    actor: Tensor
    critic: Tensor
    cost: float
    gain: Tensor | None = None


def dream_loss(
    model: WorldModel,
    actor: Actor,
    critic: Critic,
    dream: Dream,
    config: TrainConfig,
    generator: torch.Generator,
    real: Batch | None = None,
    judge: bool = True,
) -> DreamLoss:
    """Stage 2: imagine the anchors A and track with those that the policy asks.

    judge: whether what actor and critic make of it is wanted too.
    """
    size, steps = dream.dt.shape
    rows = dream.anchor.shape[1]
    budget = min(config.budget, rows)
    role = _roles(size, config, generator).to(dream.dt.device)
    posterior, hidden = dream.start, model.sequence.initial(size)  # line 13
    memory = first_memory(size, rows, dream.dt.device)
    exact = dream.truth is not None and actor.head == "categorical" and config.subsets != "all"
    priors, posteriors, memories, states, choices, distances, asks = [], [], [], [], [], [], []
    came: list[Tensor] = []
    replayed: list[int] = []
    for t in range(steps):  # line 14
        prior = model.predict(posterior, hidden, dream.dt[:, t])  # line 15
        distance, comes = dream.ranges(t, prior, hidden)  # line 16
        state = look(model, prior, hidden, dream.anchor, memory)
        chosen = choose(actor, state, role, budget, generator)  # line 17
        if exact and judge and t % REPLAY_EVERY == 0:
            replayed.append(t)
        asked = chosen_mask(chosen, rows, everybody=role == ALL) & comes
        seen = Observation(distance, asked, dream.anchor, memory)
        belief = model.infer(prior, hidden, seen, dream.dt[:, t])  # line 18
        posterior = model.passed_on(belief, generator)
        memory = remember_ranges(memory, residuals(belief.mean.detach(), seen), asked)
        priors.append(prior)
        posteriors.append(belief)
        memories.append(hidden[-1])
        states.append(state)
        choices.append(chosen)
        distances.append(distance)
        came.append(comes)
        asks.append(asked)
        hidden = model.remember(posterior, hidden)  # line 20
    prior, belief, past = stack(priors), stack(posteriors), torch.stack(memories, dim=1)
    distance, asked = torch.stack(distances, dim=1), torch.stack(asks, dim=1)
    if dream.truth is None:  # literal: lines 19, 21 and 22 explain R's real and A's imagined ranges
        assert real is not None
        distance = torch.cat([real.distance, distance], dim=2)
        asked = torch.cat([real.asked, asked], dim=2)
        anchor = torch.cat([real.anchor, dream.anchor], dim=1)[:, None].expand(-1, steps, -1, -1)
        sample = belief.sample(generator)
        log_prob = model.reconstruct(sample, past, anchor).log_prob(distance)
        loss = -elbo(log_prob, asked, belief, prior).mean() / steps
        reward = reconstruction(log_prob, asked).detach()  # R_t = L_t^recon
    else:  # grounded: the dream knows where its tag is
        loss = sleep_loss(belief, dream.truth)
        error = (belief.mean[..., :2] - dream.truth[..., :2]).norm(dim=-1)
        reward = -error.detach().clamp(max=LARGEST_ERROR_M)
    nothing = loss.new_zeros(())
    if config.subsets == "all":
        return DreamLoss(loss, nothing, nothing, math.nan)
    mine = (role == POLICY)[:, None].expand(-1, steps)
    mine = mine.flatten()
    cost = float(-reward.flatten()[mine].mean())
    if not judge:
        return DreamLoss(loss, nothing, nothing, cost)
    flat = _flat(states)
    policy = actor.policy(flat, budget)
    returns = discounted(reward, config.gamma).flatten()
    value = critic(flat)
    judged = critic_loss(value[mine], returns[mine]) if bool(mine.any()) else nothing
    acted, gain = nothing, None
    if replayed:  # line 23: the expectation of (16) as a sum over all subsets
        scores = policy.scores.view(size, steps, -1)[:, replayed]
        tried = all_rewards(model, states, dream, replayed, distance, torch.stack(came, 1), config)
        acted = expected_loss(scores.flatten(0, 1), tried.flatten(0, 1))
        physics = actor.physics(flat, all_subsets(rows, budget).to(tried.device))
        physics = physics.view(size, steps, -1)[:, replayed]
        best, plain = (tried.gather(2, s.argmax(2, keepdim=True)) for s in (scores, physics))
        gain = (best - plain).mean(dim=(1, 2)).detach()
    elif not exact and bool(mine.any()):  # line 23: as the mean over what the policy drew
        rows_drawn = torch.stack(choices, dim=1).flatten(0, 1)
        advantage = (returns - value).detach()
        log_prob, entropy = policy.log_prob(rows_drawn), policy.entropy()
        acted = actor_loss(log_prob[mine], advantage[mine], entropy[mine])
    return DreamLoss(loss, acted, judged, cost, gain)


def all_rewards(
    model: WorldModel,
    states: Sequence[State],
    dream: Dream,
    steps: Sequence[int],
    distance: Tensor,
    comes: Tensor,
    config: TrainConfig,
) -> Tensor:
    """What asking each of N subsets would have brought at R steps of the dream (B, R, N).

    states, distance and comes (B, T, A): of all steps of the dream. The reward is minus the error
    after the step, and gamma times that of the next one as far as this step decides it: the error
    carried on by the velocity's.
    """
    assert dream.truth is not None
    size, rows = dream.anchor.shape[:2]
    subsets = all_subsets(rows, min(config.budget, rows)).to(comes.device)
    mask = membership(subsets, rows).bool()  # (N, A)
    state = _flat([states[t] for t in steps])  # (B R, ...), as the four below
    distance, comes, truth = (x[:, steps].flatten(0, 1) for x in (distance, comes, dream.truth))
    dt = dream.dt[:, steps].flatten()
    rewards = []
    for part in torch.arange(len(dt)).split(max(1, MOST_REPLAYED // len(subsets))):
        here = part.repeat_interleave(len(subsets)).to(comes.device)  # (M N,)
        seen = Observation(
            distance[here],
            mask.repeat(len(part), 1) & comes[here],
            state.anchor[here],
            state.memory[here],
        )
        prior = Gaussian(state.prior.mean[here], state.prior.covariance[here])
        with torch.no_grad():
            mean = model.infer(prior, state.hidden[None, here], seen, dt[here]).mean
        wrong = mean - truth[here]
        now = wrong[:, :2].norm(dim=-1).clamp(max=LARGEST_ERROR_M)
        then = (wrong[:, :2] + dt[here, None] * wrong[:, 2:]).norm(dim=-1)
        rewards.append(-now - config.gamma * then.clamp(max=LARGEST_ERROR_M))
    return torch.cat(rewards).view(size, len(steps), len(subsets))


POLICY, RANDOM, ALL = 0, 1, 2
"""Who chooses the anchors of a sequence in stage 2."""


def _roles(size: int, config: TrainConfig, generator: torch.Generator) -> Tensor:
    """(B,): the letter has the policy choose always; grounded, half of the time."""
    if config.subsets == "all":
        return torch.full((size,), ALL)
    if config.mode == "literal":
        return torch.full((size,), POLICY)
    table = torch.tensor([POLICY, POLICY, RANDOM, ALL])
    return table[torch.randint(4, (size,), generator=generator)]


def look(
    model: WorldModel, prior: Gaussian, hidden: Tensor, anchor: Tensor, memory: Tensor
) -> State:
    """s_t = (z_t^prior, h_t) of equation (14), with what is known of each anchor; no gradient."""
    with torch.no_grad():
        mean, past = prior.mean.detach(), hidden[-1].detach()
        noise = model.reconstruct(mean, past, anchor)
        variance = noise.sigma.square()
        if noise.tail is not None:
            variance = variance + noise.tail.square()
    return State(
        Gaussian(mean, prior.covariance.detach()),
        past,
        anchor,
        memory,
        variance.sqrt(),
        torch.ones(memory.shape[:2], dtype=torch.bool, device=memory.device),
    )


def choose(
    actor: Actor, state: State, role: Tensor, budget: int, generator: torch.Generator
) -> Tensor:
    """Rows (B, K): drawn by the policy, or at random where that is the sequence's role."""
    order = uniform(state.memory.shape[:2], generator).to(state.memory).argsort(dim=-1)
    at_random = order[:, :budget]
    if bool((role != POLICY).all()):
        return at_random
    with torch.no_grad():
        drawn = actor.policy(state, budget).sample(generator)
    return torch.where((role == POLICY)[:, None], drawn, at_random)


def chosen_mask(rows: Tensor, anchors: int, *, everybody: Tensor) -> Tensor:
    """alpha_t (B, A) bool from rows (B, K); all of them where `everybody` (B,)."""
    mask = torch.zeros(rows.shape[0], anchors, dtype=torch.bool, device=rows.device)
    return mask.scatter(1, rows, True) | everybody[:, None]


def sleep_loss(belief: Gaussian, truth: Tensor) -> Tensor:
    """How badly the posterior (B, T, S) recovers the dream's own state (B, T, S).

    The sleep phase of wake-sleep (Hinton et al. 1995): the recognition model learns from dreams
    whose cause is known. A Student-t score (4 dof) keeps the covariance honest, the distance
    itself the mean; a lost track does not outweigh the rest.
    """
    deviation = belief.mean - truth
    error = (deviation[..., :2].square().sum(-1) + 1e-4).sqrt()
    speed_error = (deviation[..., 2:].square().sum(-1) + 1e-4).sqrt()
    covariance = belief.covariance[..., :2, :2]
    a, b, c = covariance[..., 0, 0], covariance[..., 0, 1], covariance[..., 1, 1]
    determinant = (a * c - b * b).clamp(min=1e-9)
    dx, dy = deviation[..., 0], deviation[..., 1]
    square = (c * dx * dx - 2.0 * b * dx * dy + a * dy * dy) / determinant
    score = 0.5 * determinant.log() + 3.0 * (square / 4.0).log1p()
    return (error + 0.2 * speed_error + 0.3 * score).mean()


def _flat(states: list[State]) -> State:
    """T states of (B, ...) as one of (B T, ...)."""

    def join(values: list[Tensor]) -> Tensor:
        return torch.stack(values, dim=1).flatten(0, 1)

    return State(
        Gaussian(join([s.prior.mean for s in states]), join([s.prior.covariance for s in states])),
        join([s.hidden for s in states]),
        join([s.anchor for s in states]),
        join([s.memory for s in states]),
        join([s.sigma for s in states]),
        join([s.offered for s in states]),
    )
