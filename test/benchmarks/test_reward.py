# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`benchmark reward`: its rewards, its dreams, that a policy learns from them, and the command."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")

from worlds import square_anchors  # noqa: E402

from locdreamer_ros.benchmarks import gpu, learned, reward  # noqa: E402
from locdreamer_ros.cli import main  # noqa: E402
from locdreamer_ros.locdreamer.learning import tasks  # noqa: E402
from locdreamer_ros.locdreamer.learning.algorithm1 import minus_error  # noqa: E402
from locdreamer_ros.locdreamer.learning.imagination import GroundedDream  # noqa: E402
from locdreamer_ros.locdreamer.world_model.gaussian import Gaussian  # noqa: E402


def test_errors_belong_to_places():
    """Alike where the tag comes back to, new elsewhere, standard normal, and each anchor's own."""
    there = torch.tensor([[2.0, 3.0]])
    states = torch.zeros(4000, 4, 4)
    states[:, 0, :2] = states[:, 3, :2] = there
    states[:, 1, :2] = there + 0.3
    states[:, 2, :2] = there + 30.0
    score = reward.place_scores(states, 2, torch.Generator().manual_seed(0))
    first, near, far, again = score[..., 0].unbind(dim=1)

    def alike(one, other):
        return float(torch.corrcoef(torch.stack([one, other]))[0, 1])

    assert float(score.mean()) == pytest.approx(0.0, abs=0.03)
    assert float(score.std()) == pytest.approx(1.0, abs=0.03)
    assert alike(first, again) == pytest.approx(reward.OF_PLACES, abs=0.04)
    assert 0.6 < alike(first, near) < alike(first, again)
    assert abs(alike(first, far)) < 0.06
    assert abs(alike(first, score[:, 0, 1])) < 0.06


def test_rewards_are_minus_the_error_and_minus_what_is_expected_of_it():
    belief = Gaussian(torch.tensor([[3.0, 4.0, 1.0, 0.0]]), torch.diag_embed(torch.ones(1, 4)))
    truth, dt = torch.tensor([[3.0, 2.5, 0.0, 0.0]]), torch.tensor([2.0])
    found = minus_error(belief, truth, dt, 0.5)
    assert float(found) == pytest.approx(-1.5 - 0.5 * 2.5)  # then (2, 1.5) off
    expected = reward.minus_expected_error(belief, truth, dt, 0.5)
    assert float(expected) == pytest.approx(-(2.0**0.5) - 0.5 * 10.0**0.5)  # 1 + 4 a direction


@pytest.mark.parametrize("scratch", [True, False])
def test_a_policy_learns_whom_to_trust(scratch, monkeypatch):
    """Three of five anchors are right in all dreams, the others 2 m off: so it asks those three."""
    monkeypatch.setattr(reward, "UPDATES", 12)
    monkeypatch.setattr(reward, "SEQUENCES", 8)
    anchors = square_anchors(5)
    model = gpu.untrained(anchors, 3, 1.0)
    wrong = torch.tensor([0.0, 2.0, 0.0, 2.0, 0.0])

    class Ground:
        def draw(self, size, anchor, generator):
            truth = torch.zeros(size, 5, 4)
            truth[..., :2] = 4.0 + torch.randn(size, 1, 2, generator=generator)
            away = torch.linalg.vector_norm(
                torch.cat([truth[..., :2], torch.ones(size, 5, 1)], -1)[:, :, None] - anchor, dim=-1
            )
            start = Gaussian(truth[:, 0], 0.2 * torch.eye(4).expand(size, 4, 4))
            every = torch.ones_like(away, dtype=torch.bool)
            spots = anchor.expand(size, 5, 3)
            return GroundedDream(away + wrong, every, spots, torch.ones(size, 5), start, truth)

    task = SimpleNamespace(deploy=anchors, tag_height=1.0)
    where = SimpleNamespace(task=task, seed=0)
    asked = []
    real = torch.optim.Adam

    class Watched(real):
        def __init__(self, parameters, **given):
            super().__init__(parameters, lr=50 * given["lr"])  # few updates

    monkeypatch.setattr(torch.optim, "Adam", Watched)
    actor = reward.taught(Ground(), where, model, expected=False, scratch=scratch)
    from locdreamer_ros.locdreamer.learning.algorithm1 import look
    from locdreamer_ros.locdreamer.learning.data import anchor_rows
    from locdreamer_ros.locdreamer.world_model.memory import first_memory, remember_ranges

    anchor = anchor_rows(anchors, 1.0).expand(1, 5, 3)
    every = torch.ones(1, 5, dtype=torch.bool)
    memory = first_memory(1, 5, "cpu")
    for _ in range(3):
        memory = remember_ranges(memory, wrong[None], every)
    for at in ([4.0, 4.0], [3.5, 4.5]):
        prior = Gaussian(torch.tensor([[*at, 0.0, 0.0]]), 0.2 * torch.eye(4)[None])
        state = look(model.model, prior, model.model.sequence.initial(1), anchor, memory)
        asked.append(sorted(actor.policy(state, 3).best()[0].tolist()))
    assert asked == [[0, 2, 4]] * 2


def test_the_command_writes_rows_and_claims(tmp_path, capsys, monkeypatch):
    small = {"epochs": 1, "imagine_epochs": 1, "minibatches": 1, "batch": 4, "steps": 4}
    monkeypatch.setattr(learned, "EPOCHS", small)
    monkeypatch.setattr(learned, "DURATION_S", 16.0)
    for name, value in (("WALKS", 1), ("VALIDATION_WALKS", 1), ("WALK_S", 40.0)):
        monkeypatch.setattr(tasks, name, value)
    monkeypatch.setattr(reward, "UPDATES", 1)
    monkeypatch.setattr(reward, "SEQUENCES", 2)
    used = []
    for name in ("place_scores", "minus_expected_error"):
        real = getattr(reward, name)
        noted = lambda *given, name=name, real=real: (used.append(name), real(*given))[1]  # noqa: E731
        monkeypatch.setattr(reward, name, noted)
    command = ["benchmark", "reward", "--environment", "house", "--seeds", "2"]
    assert main([*command, "--output", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "reward.json").read_text())
    names = [row["name"] for row in found["rows"]]
    assert names == [*reward.RIVALS, *reward.POLICIES]
    of = {row["name"]: row for row in found["rows"]}
    claim = found["claims"]["below_foresight_expected_error_from_scratch"]
    assert claim == pytest.approx(of["expected error, from scratch"]["below_foresight"] / 100.0)
    assert "below_random_error_beginning_at_gdop_ci" in found["claims"]
    assert set(used) == {"place_scores", "minus_expected_error"}
    capsys.readouterr()
