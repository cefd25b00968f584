# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The policies over subsets against enumeration, masks, and what actor and critic minimise."""

from __future__ import annotations

from itertools import permutations

import pytest

torch = pytest.importorskip("torch")

from locdreamer_ros.locdreamer.learning.actor import (  # noqa: E402
    Actor,
    Categorical,
    PlackettLuce,
    State,
    all_subsets,
    expected_variance,
    head_for,
)
from locdreamer_ros.locdreamer.learning.critic import Critic  # noqa: E402
from locdreamer_ros.locdreamer.learning.losses import critic_loss, discounted  # noqa: E402
from locdreamer_ros.locdreamer.world_model.gaussian import Gaussian  # noqa: E402


def some_state(batch: int = 3, anchors: int = 5, seed: int = 0) -> State:
    generator = torch.Generator().manual_seed(seed)
    mean = torch.rand(batch, 4, generator=generator) * 6.0
    root = torch.randn(batch, 4, 4, generator=generator)
    return State(
        Gaussian(mean, root @ root.transpose(1, 2) + 0.1 * torch.eye(4)),
        torch.randn(batch, 50, generator=generator),
        torch.rand(batch, anchors, 3, generator=generator) * 9.0,
        torch.rand(batch, anchors, 3, generator=generator),
        0.2 + torch.rand(batch, anchors, generator=generator),
        torch.ones(batch, anchors, dtype=torch.bool),
    )


def some_actor(head: str) -> Actor:
    torch.manual_seed(0)
    actor = Actor(hidden=50, width=32, head=head)
    for parameter in actor.score.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return actor


@pytest.mark.parametrize(("anchors", "size"), [(4, 1), (4, 3), (5, 3), (3, 3)])
def test_plackett_luce_is_what_enumeration_says(anchors, size):
    scores = torch.randn(1, anchors, generator=torch.Generator().manual_seed(1), dtype=torch.double)
    policy = PlackettLuce(scores, size)
    weight = scores[0].exp()
    total = 0.0
    for order in permutations(range(anchors), size):
        left, probability = weight.clone(), 1.0
        for row in order:
            probability = probability * left[row] / left.sum()
            left[row] = 0.0
        log = policy.log_prob(torch.tensor([order]))
        assert float(log) == pytest.approx(float(probability.log()), abs=1e-6)
        total += float(log.exp())
    assert total == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("kind", ["plackett-luce", "categorical"])
def test_draws_follow_the_probabilities(kind):
    scores = torch.tensor([[0.5, -0.5, 1.0, 0.0]])
    subsets = all_subsets(4, 2)
    logits = torch.randn(1, 6, generator=torch.Generator().manual_seed(2))
    one = PlackettLuce(scores, 2) if kind == "plackett-luce" else Categorical(logits, subsets)
    many = 20000
    wide = (
        PlackettLuce(scores.expand(many, 4), 2)
        if kind == "plackett-luce"
        else Categorical(logits.expand(many, 6), subsets)
    )
    drawn = wide.sample(torch.Generator().manual_seed(3))
    assert (drawn[:, 0] != drawn[:, 1]).all()
    for subset in subsets:
        share = float((drawn.sort(dim=1).values == subset).all(dim=1).double().mean())
        if kind == "plackett-luce":
            chance = sum(
                float(one.log_prob(order[None]).exp()) for order in (subset, subset.flip(0))
            )
        else:
            chance = float(one.log_prob(subset[None]).exp())
        assert share == pytest.approx(chance, abs=0.015)


def test_categorical_does_not_care_for_the_order_of_rows():
    policy = some_actor("categorical").policy(some_state(), 3)
    rows = torch.tensor([[4, 0, 2]] * 3)
    torch.testing.assert_close(policy.log_prob(rows), policy.log_prob(rows.flip(1)))
    torch.testing.assert_close(policy.logits.softmax(1).sum(1), torch.ones(3))


@pytest.mark.parametrize("head", ["categorical", "plackett-luce"])
def test_masked_anchors_are_never_asked(head):
    state = some_state()
    state.offered[:, 1] = False
    policy = some_actor(head).policy(state, 3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        assert not (policy.sample(generator) == 1).any()
    assert not (policy.best() == 1).any()
    assert torch.isfinite(policy.entropy()).all()
    assert torch.isfinite(policy.log_prob(policy.best())).all()


@pytest.mark.parametrize("head", ["categorical", "plackett-luce"])
@pytest.mark.parametrize(("anchors", "budget"), [(3, 1), (5, 3), (9, 4)])
def test_one_policy_serves_any_number(head, anchors, budget):
    policy = some_actor(head).policy(some_state(anchors=anchors), budget)
    rows = policy.best()
    assert rows.shape == (3, budget)
    assert all(len(set(row.tolist())) == budget for row in rows)


@pytest.mark.parametrize("head", ["categorical", "plackett-luce"])
def test_policies_know_no_order_of_anchors(head):
    state, actor = some_state(), some_actor(head)
    order = torch.tensor([3, 0, 4, 1, 2])
    mixed = State(
        state.prior,
        state.hidden,
        *(x[:, order] for x in (state.anchor, state.memory, state.sigma, state.offered)),
    )
    rows = actor.policy(state, 2).best()
    there = order[actor.policy(mixed, 2).best()]
    torch.testing.assert_close(rows.sort(1).values, there.sort(1).values)


def test_expected_variance_prefers_crossing_lines():
    state = some_state(1, 3)
    state.prior.mean[:] = torch.tensor([0.0, 0.0, 0.0, 0.0])
    state.prior.covariance[:] = torch.eye(4)
    state.memory[:] = 0.0
    state.sigma[:] = 0.3
    state.anchor[:] = torch.tensor([[5.0, 0.0, 0.0], [5.0, 0.1, 0.0], [0.0, 5.0, 0.0]])
    variance = expected_variance(state, all_subsets(3, 2))[0]  # pairs 01, 02, 12
    assert float(variance[0]) > 3.0 * float(variance[1])


def test_head_by_the_number_of_subsets():
    assert head_for(5, 3) == "categorical"
    assert head_for(19, 4) == "plackett-luce"


def test_returns_are_discounted_sums():
    reward = torch.tensor([[1.0, 2.0, 4.0]])
    torch.testing.assert_close(discounted(reward, 0.5), torch.tensor([[3.0, 4.0, 4.0]]))


def test_critic_learns_its_target():
    torch.manual_seed(0)
    critic, state = Critic(hidden=50, width=32), some_state(64)
    target = state.sigma.mean(dim=1)
    optimiser = torch.optim.Adam(critic.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        loss = critic_loss(critic(state), target, torch.ones_like(target, dtype=torch.bool))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.1 * losses[0]
