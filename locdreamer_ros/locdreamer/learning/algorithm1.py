# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Algorithm 1 of the LocDreamer paper; the numbers in comments are the lines of its listing.

`real_loss` is stage 1's inner loop, `dream_loss` stage 2's; `train` runs both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from locdreamer_ros.locdreamer.learning.actor import Actor, State, all_subsets, membership
from locdreamer_ros.locdreamer.learning.critic import Critic
from locdreamer_ros.locdreamer.learning.data import Batch
from locdreamer_ros.locdreamer.learning.hyperparameters import TrainConfig
from locdreamer_ros.locdreamer.learning.imagination import Dream
from locdreamer_ros.locdreamer.learning.losses import (
    actor_loss,
    critic_loss,
    discounted,
    expected_actor_loss,
    mean_over,
    sleep_loss,
)
from locdreamer_ros.locdreamer.world_model.chance import Source, uniform
from locdreamer_ros.locdreamer.world_model.elbo import elbo, reconstruction
from locdreamer_ros.locdreamer.world_model.gaussian import Gaussian, stack
from locdreamer_ros.locdreamer.world_model.memory import first_memory, remember_ranges, residuals
from locdreamer_ros.locdreamer.world_model.model import WorldModel
from locdreamer_ros.locdreamer.world_model.observation import Observation

REPLAY_EVERY = 4
"""Steps of a dream between those at which every subset is tried."""
MOST_REPLAYED = 2048
"""Subsets tried in one go: few enough for the processor's cache."""
LARGEST_ERROR_M = 3.0
"""A lost track is one bad step to the policy, not a hundred."""


def real_loss(model: WorldModel, batch: Batch, source: Source, seeds: int = 1) -> Tensor:
    """Stage 1: -L^ELBO (E,) per step of the real ranges of the bootstrap anchors R, all asked.

    seeds: E models in one (`together`), each with its share of the batch.
    """
    size, rows = batch.anchor.shape[0], batch.anchor.shape[1]
    posterior, hidden = batch.start, model.sequence.initial(size)  # line 3
    memory = first_memory(size, rows, batch.dt.device)
    priors, posteriors, hiddens = [], [], []
    for t in range(batch.steps):  # line 4
        prior = model.predict(posterior, hidden, batch.dt[:, t])  # line 5
        seen = batch.at(t, memory)
        belief = model.infer(prior, hidden, seen, batch.dt[:, t])  # line 6
        posterior = model.passed_on(belief, source)
        priors.append(prior)
        posteriors.append(belief)
        hiddens.append(hidden[-1])
        hidden = model.remember(posterior, hidden)  # line 8
        memory = remember_ranges(memory, residuals(belief.mean.detach(), seen), seen.asked)
    prior, belief, past = stack(priors), stack(posteriors), torch.stack(hiddens, dim=1)
    anchor = batch.anchor[:, None].expand(-1, batch.steps, -1, -1)
    state = belief.sample(source)  # z~_t
    log_prob = model.reconstruct(state, past, anchor).log_prob(batch.distance)  # lines 7 and 10
    bound = elbo(log_prob, batch.asked, belief, prior)  # lines 9 and 10
    return -_by_seed(bound, seeds).mean(dim=1) / batch.steps


def _by_seed(value: Tensor, seeds: int) -> Tensor:
    """What belongs to each seed (E, M) of a batch (B, ...)."""
    return value.reshape(seeds, -1)


@dataclass(frozen=True, eq=False)
class DreamLoss:
    """Losses (E,) of one dream, for each seed: the tracker's, actor's (16), critic's (17).

    cost (E,): minus the mean reward where the policy chooses (NaN: nowhere).
    gain (B,): how much more reward the policy's best subsets bring than those of physics alone,
    where all subsets were tried and the policy begins at those.
    """

    tracker: Tensor
    actor: Tensor
    critic: Tensor
    cost: Tensor
    gain: Tensor | None = None


Reward = Callable[[Gaussian, Tensor, Tensor, float], Tensor]


def minus_error(belief: Gaussian, truth: Tensor, dt: Tensor, gamma: float) -> Tensor:
    """Minus the errors (M,) m of posteriors (M, S), and gamma times those of the next step.

    As far as this step decides those: the error carried on for dt (M,) s by the velocity's.
    """
    wrong = belief.mean - truth
    now = wrong[:, :2].norm(dim=-1).clamp(max=LARGEST_ERROR_M)
    then = (wrong[:, :2] + dt[:, None] * wrong[:, 2:]).norm(dim=-1)
    return -now - gamma * then.clamp(max=LARGEST_ERROR_M)


@dataclass(frozen=True, eq=False)
class Rollout:
    """A dream that was tracked from its first step to its last, before any loss.

    prior, posterior (B, T, S); hidden (B, T, H): h_t of the last layer; states: s_t of each step;
    chosen (B, T, K): rows; distance (B, T, A) m imagined, came, asked (B, T, A) bool.
    """

    prior: Gaussian
    posterior: Gaussian
    hidden: Tensor
    states: Sequence[State]
    chosen: Tensor
    distance: Tensor
    came: Tensor
    asked: Tensor


def roll_out(
    model: WorldModel, actor: Actor, dream: Dream, role: Tensor, config: TrainConfig, source: Source
) -> Rollout:
    """Track through a dream (lines 13 to 20); role (B,): who chooses in each sequence."""
    size, steps = dream.dt.shape
    rows = dream.anchor.shape[1]
    posterior, hidden = dream.start, model.sequence.initial(size)  # line 13
    memory = first_memory(size, rows, dream.dt.device)
    priors, posteriors, hiddens, states, choices, distances, asks = [], [], [], [], [], [], []
    came: list[Tensor] = []
    for t in range(steps):  # line 14
        prior = model.predict(posterior, hidden, dream.dt[:, t])  # line 15
        distance, comes = dream.ranges(t, prior, hidden)  # line 16
        state = look(model, prior, hidden, dream.anchor, memory)
        chosen = choose(actor, state, role, min(config.budget, rows), source, config)  # line 17
        asked = chosen_mask(chosen, rows, everybody=role == ALL) & comes
        seen = Observation(distance, asked, dream.anchor, memory)
        belief = model.infer(prior, hidden, seen, dream.dt[:, t])  # line 18
        posterior = model.passed_on(belief, source)
        memory = remember_ranges(memory, residuals(belief.mean.detach(), seen), asked)
        priors.append(prior)
        posteriors.append(belief)
        hiddens.append(hidden[-1])
        states.append(state)
        choices.append(chosen)
        distances.append(distance)
        came.append(comes)
        asks.append(asked)
        hidden = model.remember(posterior, hidden)  # line 20
    tables = (torch.stack(each, dim=1) for each in (choices, distances, came, asks))
    return Rollout(stack(priors), stack(posteriors), torch.stack(hiddens, dim=1), states, *tables)


def dream_loss(
    model: WorldModel,
    actor: Actor,
    critic: Critic,
    dream: Dream,
    config: TrainConfig,
    source: Source,
    real: Batch | None = None,
    judge: bool = True,
    seeds: int = 1,
    reward_of: Reward = minus_error,
) -> DreamLoss:
    """Stage 2: imagine the anchors A and track with those that the policy asks.

    judge: whether what actor and critic make of it is wanted too. seeds: as in `real_loss`.
    reward_of: as in `all_rewards`.
    """
    size, steps = dream.dt.shape
    role = _roles(size, config, source).to(dream.dt.device)
    rollout = roll_out(model, actor, dream, role, config, source)
    tracker, reward = _tracker_loss(model, dream, rollout, real, source, seeds)
    nothing = torch.zeros_like(tracker)
    if config.subsets == "all":
        return DreamLoss(tracker, nothing, nothing, torch.full_like(nothing, math.nan))
    on_policy = _by_seed((role == POLICY)[:, None].expand(-1, steps), seeds)  # (E, M)
    cost = -mean_over(_by_seed(reward, seeds), on_policy)
    if not judge:
        return DreamLoss(tracker, nothing, nothing, cost)
    states = _flat(rollout.states)
    policy = actor.policy(states, rollout.chosen.shape[2])
    returns = _by_seed(discounted(reward, config.gamma), seeds)
    value = _by_seed(critic(states), seeds)
    judged = critic_loss(value, returns, on_policy)
    if dream.truth is not None and actor.head == "categorical":
        scores = policy.scores.view(size, steps, -1)
        acted, gain = _actor_loss_by_all(
            model, actor, dream, rollout, scores, config, seeds, reward_of
        )
        return DreamLoss(tracker, acted, judged, cost, gain)
    log_prob = policy.log_prob(rollout.chosen.flatten(0, 1))
    log_prob, entropy = (_by_seed(x, seeds) for x in (log_prob, policy.entropy()))
    acted = actor_loss(log_prob, (returns - value).detach(), entropy, on_policy)  # line 23
    return DreamLoss(tracker, acted, judged, cost)


def _tracker_loss(
    model: WorldModel,
    dream: Dream,
    rollout: Rollout,
    real: Batch | None,
    source: Source,
    seeds: int,
) -> tuple[Tensor, Tensor]:
    """The tracker's loss (E,), and what the policy is rewarded with at each step (B, T).

    Grounded, the dream knows where its tag is. Literal (lines 19, 21 and 22): the ELBO of R's real
    and A's imagined ranges, R_t = L_t^recon.
    """
    belief = rollout.posterior
    if dream.truth is not None:
        loss = _by_seed(sleep_loss(belief, dream.truth), seeds).mean(dim=1)
        error = (belief.mean[..., :2] - dream.truth[..., :2]).norm(dim=-1)
        return loss, -error.detach().clamp(max=LARGEST_ERROR_M)
    assert real is not None
    steps = dream.dt.shape[1]
    distance = torch.cat([real.distance, rollout.distance], dim=2)
    asked = torch.cat([real.asked, rollout.asked], dim=2)
    anchor = torch.cat([real.anchor, dream.anchor], dim=1)[:, None].expand(-1, steps, -1, -1)
    sample = belief.sample(source)
    log_prob = model.reconstruct(sample, rollout.hidden, anchor).log_prob(distance)
    bound = elbo(log_prob, asked, belief, rollout.prior)
    loss = -_by_seed(bound, seeds).mean(dim=1) / steps
    return loss, reconstruction(log_prob, asked).detach()


def _actor_loss_by_all(
    model: WorldModel,
    actor: Actor,
    dream: Dream,
    rollout: Rollout,
    scores: Tensor,
    config: TrainConfig,
    seeds: int,
    reward_of: Reward,
) -> tuple[Tensor, Tensor | None]:
    """Line 23 with the expectation of (16) as a sum over all subsets: (E,); and `DreamLoss.gain`.

    scores (B, T, N) of the policy.
    """
    rewards = all_rewards(
        model, rollout.states, dream, rollout.distance, rollout.came, config, seeds, reward_of
    )
    scores = scores[:, ::REPLAY_EVERY]
    loss = expected_actor_loss(*(x.reshape(seeds, -1, x.shape[-1]) for x in (scores, rewards)))
    if actor.literal:
        return loss, None
    subsets = all_subsets(dream.anchor.shape[1], rollout.chosen.shape[2], rewards.device)
    physics = actor.physics(_flat(rollout.states[::REPLAY_EVERY]), subsets).view(scores.shape)
    best, plain = (rewards.gather(2, s.argmax(2, keepdim=True)) for s in (scores, physics))
    return loss, (best - plain).mean(dim=(1, 2)).detach()


def all_rewards(
    model: WorldModel,
    states: Sequence[State],
    dream: Dream,
    distance: Tensor,
    comes: Tensor,
    config: TrainConfig,
    seeds: int = 1,
    reward_of: Reward = minus_error,
) -> Tensor:
    """What asking each of N subsets would have brought at every fourth step (B, R, N).

    states, distance and comes (B, T, A): of all steps of the dream. reward_of: `minus_error`, or
    another that takes the same.
    """
    assert dream.truth is not None
    size, rows = dream.anchor.shape[:2]
    subsets = all_subsets(rows, min(config.budget, rows), comes.device)
    mask = membership(subsets, rows).bool()  # (N, A)
    every = slice(None, None, REPLAY_EVERY)
    state = _flat(states[every])  # (B R, ...), as the four below
    distance, comes, truth = (x[:, every].flatten(0, 1) for x in (distance, comes, dream.truth))
    dt = dream.dt[:, every].flatten()
    rewards = []
    number = torch.arange(len(dt), device=comes.device).view(seeds, -1)  # each seed's own
    most = MOST_REPLAYED if comes.device.type == "cpu" else number.numel() * len(subsets)
    for part in number.split(max(1, most // (len(subsets) * seeds)), dim=1):
        here = part.flatten().repeat_interleave(len(subsets))  # (E M N,)
        seen = Observation(
            distance[here],
            mask.repeat(part.numel(), 1) & comes[here],
            state.anchor[here],
            state.memory[here],
        )
        prior = Gaussian(state.prior.mean[here], state.prior.covariance[here])
        with torch.no_grad():
            belief = model.infer(prior, state.hidden[None, here], seen, dt[here])
        reward = reward_of(belief, truth[here], dt[here], config.gamma)
        rewards.append(reward.view(seeds, -1, len(subsets)))
    return torch.cat(rewards, dim=1).view(size, -1, len(subsets))


POLICY, RANDOM, ALL = 0.0, 1.0, 2.0
"""Who chooses the anchors of a sequence in stage 2."""


def _roles(size: int, config: TrainConfig, source: Source) -> Tensor:
    """(B,): the letter has the policy choose always; grounded, half of the time."""
    drawn = uniform((size,), source)
    if config.subsets == "all":
        return torch.full_like(drawn, ALL)
    if config.mode == "literal":
        return torch.full_like(drawn, POLICY)
    return (drawn > 0.5).to(drawn) + (drawn > 0.75).to(drawn)


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
    actor: Actor, state: State, role: Tensor, budget: int, source: Source, config: TrainConfig
) -> Tensor:
    """Rows (B, K): drawn by the policy, or at random where that is the sequence's role."""
    order = uniform(state.memory.shape[:2], source).to(state.memory).argsort(dim=-1)
    at_random = order[:, :budget]
    if config.subsets == "all":
        return at_random
    with torch.no_grad():
        drawn = actor.policy(state, budget).sample(source)
    return torch.where((role == POLICY)[:, None], drawn, at_random)


def chosen_mask(rows: Tensor, anchors: int, *, everybody: Tensor) -> Tensor:
    """alpha_t (B, A) bool from rows (B, K); all of them where `everybody` (B,)."""
    mask = torch.zeros(rows.shape[0], anchors, dtype=torch.bool, device=rows.device)
    return mask.scatter(1, rows, True) | everybody[:, None]


def _flat(states: Sequence[State]) -> State:
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
