# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tracks on their way from the evaluator's process to whoever draws them: one .npz file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from locdreamer_ros.evaluation.metrics import Track
from locdreamer_ros.files import replaced
from locdreamer_ros.types import Anchors

PARTS = ("times", "mean", "covariance", "truth", "asked")


def save_tracks(path: Path, anchors: Anchors, tracks: Mapping[str, Track]) -> None:
    """Write the anchors and the tracks by name."""
    arrays = {
        f"{name}/{part}": getattr(track, part) for name, track in tracks.items() for part in PARTS
    }
    with replaced(path) as temporary, temporary.open("wb") as stream:
        np.savez(
            stream,
            names=np.array(list(tracks)),
            ids=np.array(anchors.ids),
            positions=anchors.positions,
            **arrays,
        )


def load_tracks(path: Path) -> tuple[Anchors, dict[str, Track]]:
    """What `save_tracks` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        anchors = Anchors(tuple(map(str, stored["ids"])), stored["positions"])
        tracks = {
            str(name): Track(*(stored[f"{name}/{part}"] for part in PARTS))
            for name in stored["names"]
        }
    return anchors, tracks
