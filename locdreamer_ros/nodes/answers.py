# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether what comes on `uwb/ranges` answers what this node asked; needs no running graph."""

from __future__ import annotations

from locdreamer_ros.errors import InputError
from locdreamer_ros.msg import RangeArray
from locdreamer_ros.nodes.clocks import unasked
from locdreamer_ros.nodes.conversions import MAX_OFFSET_NS, to_stamp
from locdreamer_ros.stamps import nanoseconds


def date_answer(message: RangeArray, ns: int) -> None:
    """Let an answer to the schedule of `ns`, of a source without a clock, have its stamp."""
    if not nanoseconds(message.header.stamp):
        message.header.stamp = to_stamp(ns)


def check_answer(message: RangeArray, ns: int) -> None:
    """Raises InputError for an answer whose stamp is far from its schedule's, `ns`."""
    offset = nanoseconds(message.header.stamp) - ns
    if abs(offset) > MAX_OFFSET_NS:
        raise InputError(f"uwb/ranges: stamp is {offset * 1e-9:.3f} s from the schedule's")


def check_session(message: RangeArray, session: int) -> None:
    """Raises InputError for an answer to somebody else's run than `session`."""
    if message.session not in (0, session):  # 0: a source that does not repeat it
        raise InputError(
            f"uwb/ranges: session {message.session} is not this run's: does another tracker ask "
            "here, too? It needs a namespace or a tag of its own"
        )


def is_forgotten(message: RangeArray, session: int, last: int) -> bool:
    """Whether it answers a schedule of this run up to the sequence `last`: too late, no fault.

    The node asked on other terms then: before it was activated again, of other anchors.
    """
    return message.session in (0, session) and 0 < message.sequence <= last


def not_asked(message: RangeArray) -> InputError:
    """The complaint about an answer that no schedule waits for."""
    if unasked(message):
        return InputError("uwb/ranges: they come unasked: set passive, which lives on such ranges")
    return InputError(
        f"uwb/ranges: sequence {message.sequence} was not asked, or is answered already: do two "
        "sources answer here?"
    )
