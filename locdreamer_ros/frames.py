# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A tree of frames as TF has it: what takes points from one to another. Live and in bags alike."""

from __future__ import annotations

from typing import Any

import numpy as np
from transforms3d.affines import compose
from transforms3d.quaternions import quat2mat

from locdreamer_ros.errors import InputError
from locdreamer_ros.motion import QUATERNION_SLACK
from locdreamer_ros.types import FloatArray

MAX_FRAMES = 10_000
NO_SCALING = np.ones(3)


def plain(frame: str) -> str:
    """A frame's name without the slash that ROS 1 wrote before it; tf2 takes it off, too."""
    return frame.lstrip("/")


def matrix(transform: Any) -> FloatArray:
    """(4, 4) of a geometry_msgs/Transform. Raises InputError: not finite, or no unit quaternion."""
    place, turn = transform.translation, transform.rotation
    offset = np.array([place.x, place.y, place.z])
    quaternion = np.array([turn.w, turn.x, turn.y, turn.z])
    if not (np.isfinite(offset).all() and abs(quaternion @ quaternion - 1.0) <= QUATERNION_SLACK):
        raise InputError("tf: expected finite numbers and a unit quaternion")
    return np.asarray(compose(offset, quat2mat(quaternion), NO_SCALING))


def moved(transform: FloatArray, points: FloatArray) -> FloatArray:
    """Points (N, 3) taken through a transform (4, 4)."""
    return np.asarray(points @ transform[:3, :3].T + transform[:3, 3])


class FrameTree:
    """The latest of what was said of each frame."""

    def __init__(self) -> None:
        self._above: dict[str, tuple[str, FloatArray]] = {}

    def add(self, message: Any) -> None:
        """Take in a tf2_msgs/TFMessage. Raises InputError, having taken in what is right of it."""
        wrong = ""
        for each in message.transforms:
            child, above = plain(each.child_frame_id), plain(each.header.frame_id)
            if child in self._above or len(self._above) < MAX_FRAMES:
                try:
                    self._above[child] = (above, matrix(each.transform))
                except InputError as reason:
                    wrong = f"{reason}; {above} -> {child} is not"
        if wrong:
            raise InputError(wrong)

    def above(self, child: str) -> str | None:
        """The frame that a frame hangs on; None: nobody said."""
        found = self._above.get(plain(child))
        return None if found is None else found[0]

    def between(self, target: str, source: str, *, below: str = "") -> FloatArray | None:
        """(4, 4) that takes points from `source` to `target`; None where nothing joins them.

        below: a frame that they are not to be joined by, nor by what is above it.
        """
        target, source = plain(target), plain(source)
        if target == source:
            return np.eye(4)
        up, down = self._chain(source, plain(below)), self._chain(target)
        common = next((frame for frame in up if frame in down), None)
        return None if common is None else np.asarray(np.linalg.solve(down[common], up[common]))

    def _chain(self, frame: str, below: str = "") -> dict[str, FloatArray]:
        """Each frame above, the frame itself first, with what takes points there.

        below: the frame where it ends, without it.
        """
        found = {frame: np.eye(4)}
        while frame in self._above:
            above, step = self._above[frame]
            if above in found or above == below:  # a loop is somebody's mistake
                break
            found[above] = step @ found[frame]
            frame = above
        return found
