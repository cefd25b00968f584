# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the anchors of a rosbag2 are."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np

from locdreamer_ros.datasets.bag_messages import ANCHORS
from locdreamer_ros.datasets.columns import SIZE_OF_SITE, note
from locdreamer_ros.datasets.rosbag2 import Bag, decoded, read_messages
from locdreamer_ros.errors import InputError
from locdreamer_ros.frames import FrameTree, moved, plain
from locdreamer_ros.types import Anchors, FloatArray

MAP = "map"
"""The frame of positions (REP-105)."""


def read_anchors(bag: Bag, topic: str) -> Anchors:
    """The anchors as they were published last on a topic. Raises InputError: none, or bad ones.

    In MAP, where the bag's TF knows how their frame lies in it: as a tracker has them.
    """
    path = bag.path
    published = list(read_messages(path, topic, ANCHORS[1]))
    if not published or not published[-1].anchors:
        raise InputError(
            f"{path}: no anchors on {topic} ({ANCHORS[1]}): they come from --anchors FILE; "
            f"{holds(bag)}"
        )
    last = published[-1]
    if len(last.anchors) > SIZE_OF_SITE:
        raise InputError(f"{path}: {topic}: more than {SIZE_OF_SITE} anchors")
    rows = [(a.position.x, a.position.y, a.position.z) for a in last.anchors]
    places = np.array(rows, dtype=np.float64)
    there = _to_map(bag, getattr(last, "header", None))
    if there is not None:
        places = moved(there, places)
    try:
        return Anchors(tuple(a.id for a in last.anchors), places)
    except InputError as reason:
        raise InputError(f"{path}: {topic}: {reason}") from None


def _to_map(bag: Bag, header: Any) -> FloatArray | None:
    """(4, 4) from the frame of a header to MAP; None: it is in MAP, or nothing joins them."""
    frame = "" if header is None else plain(header.frame_id)
    if frame in ("", MAP):
        return None
    tree = FrameTree()
    for topic in ("/tf_static", "/tf"):
        for channel in bag.channels:
            if (channel.topic, channel.type) == (topic, "tf2_msgs/msg/TFMessage"):
                for _, body in decoded(bag, channel):
                    with suppress(InputError):  # the others are right
                        tree.add(body)
        found = tree.between(MAP, frame)
        if found is not None:
            note(bag.path, f"anchors in frame {frame}: taken to {MAP} by {topic}")
            return found
    return None


def holds(bag: Bag) -> str:
    """What is there instead, and how to name it."""
    how = "--columns ranges=TOPIC,... names them, or r_ID=TOPIC,... where each anchor has its own"
    return f"it holds {bag.described()}; {how}"
