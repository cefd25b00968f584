# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the paper compares with: nets that turn the time differences of all beacons into a place.

A small CNN over beacons and time (the family of the paper's reference 21) and a small LSTM over
time (reference 22); both see a window of steps, need labelled places, and measure every beacon.
Needs torch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from locdreamer_ros.juno.paper.room import Room
from locdreamer_ros.juno.paper.walk import Walk
from locdreamer_ros.types import FloatArray

WINDOW = 5
BATCH = 256
PASSES = 8
RATE = 2e-3


def _windows(walk: Walk) -> FloatArray:
    """Inputs (T, WINDOW, A): differences to the reference, m / 5 m; the first step is repeated."""
    differences = (walk.times[:, :-1] - walk.times[:, -1:]) / 5.0
    index = np.arange(len(differences))[:, None] - np.arange(WINDOW - 1, -1, -1)
    return np.asarray(differences[np.maximum(index, 0)])


def _net(kind: str, beacons: int) -> Any:
    from torch import nn

    class Cnn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(
                # The beacons stand in a ring, so the first convolution goes round it.
                nn.Conv1d(WINDOW, 32, 3, padding=1, padding_mode="circular"),
                nn.ReLU(),
                nn.Conv1d(32, 32, 3, padding=1, padding_mode="circular"),
                nn.ReLU(),
                nn.Flatten(),
                nn.Linear(32 * beacons, 64),
                nn.ReLU(),
                nn.Linear(64, 2),
            )

        def forward(self, x: Any) -> Any:
            return self.layers(x)

    class Lstm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.memory = nn.LSTM(beacons, 64, batch_first=True)
            self.head = nn.Linear(64, 2)

        def forward(self, x: Any) -> Any:
            return self.head(self.memory(x)[0][:, -1])

    return {"cnn": Cnn, "lstm": Lstm}[kind]()


def locate_by_net(kind: str, room: Room, training: Walk, walk: Walk, *, seed: int) -> FloatArray:
    """Train a `cnn` or `lstm` on one labelled walk, locate on another: fixes (T, 2) m."""
    import torch

    torch.manual_seed(seed)
    net = _net(kind, len(room.beacons) - 1)
    x = torch.tensor(_windows(training), dtype=torch.float32)
    y = torch.tensor(room.centres[training.zones] / room.size - 0.5, dtype=torch.float32)
    steps = PASSES * (len(x) // BATCH)
    optimiser = torch.optim.Adam(net.parameters(), lr=RATE)
    fall = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    for _ in range(steps):
        pick = torch.randint(len(x), (BATCH,))
        loss = torch.nn.functional.huber_loss(net(x[pick]), y[pick], delta=0.05)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        fall.step()
    with torch.inference_mode():
        answer = net(torch.tensor(_windows(walk), dtype=torch.float32)).numpy()
    return np.asarray((answer + 0.5) * room.size, dtype=np.float64)
