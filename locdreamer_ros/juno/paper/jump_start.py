# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Section III-A: how long the guide leads in each epoch. For any learner; needs only Python."""

from __future__ import annotations


def jump_start_steps(epoch: int, epochs: int, horizon: int) -> int:
    """Steps h that the guide leads at the start of `epoch`: from `horizon` down to 0, linearly.

    epochs: those over which the guide withdraws; from there on h = 0. horizon 0 is no guide.
    """
    if epochs <= 0:
        return 0
    return max(0, round(horizon * (1.0 - epoch / epochs)))
