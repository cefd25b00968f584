# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A fleet in one batch is its tags one by one, those with fewer answers too."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from rooms import trained  # noqa: E402

from locdreamer_ros.locdreamer.world_model.step import (  # noqa: E402
    Carried,
    Heard,
    begin,
    predict,
    update,
)


@pytest.mark.parametrize("encoder", ["innovation", "raw"])
def test_a_fleet_is_its_tags_one_by_one(encoder):
    generator = torch.Generator().manual_seed(0)
    tags, anchors, asked = 4, 6, 3
    model = trained(encoder=encoder).model
    anchor = 8.0 * torch.rand(anchors, 3, generator=generator)
    rows = torch.stack([torch.randperm(anchors, generator=generator)[:asked] for _ in range(tags)])
    came = torch.ones(tags, asked, dtype=torch.bool)
    came[1, 2] = came[2, 1] = came[2, 2] = False  # tag 1 has two answers, tag 2 one
    mean = 4.0 + torch.randn(tags, 4, generator=generator)
    fleet = begin(model, mean, torch.eye(4).expand(tags, 4, 4), anchors)
    single = [
        Carried(*(x[:, [i]] if x is fleet.hidden else x[[i]] for x in fleet)) for i in range(tags)
    ]
    for _ in range(3):
        distance = 5.0 * torch.rand(tags, asked, generator=generator)
        ahead = 0.1 * torch.randn(tags, asked, generator=generator)
        dt = 0.1 + torch.rand(tags, generator=generator)
        heard = Heard(rows, distance, came, ahead, dt)
        fleet = update(model, anchor, predict(model, fleet, dt), heard)
        for i, tag in enumerate(single):
            there = came[i]
            mine = Heard(
                rows[i][there][None],
                distance[i][there][None],
                torch.ones(1, int(there.sum()), dtype=torch.bool),
                ahead[i][there][None],
                dt[[i]],
            )
            single[i] = update(model, anchor, predict(model, tag, dt[[i]]), mine)
    for i, tag in enumerate(single):
        for name, value in tag._asdict().items():
            whole = getattr(fleet, name)
            torch.testing.assert_close(
                whole[:, [i]] if name == "hidden" else whole[[i]], value, atol=1e-4, rtol=1e-4
            )
