# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Why a module that is the right one gives no ranges, in words that a user can act on."""

from __future__ import annotations

from collections.abc import Sequence


def no_ranges(
    ids: Sequence[str],
    *,
    strangers: Sequence[str],
    tags: Sequence[str],
    tag: str,
    lacks: str,
    unusable: str,
    late_s: float,
    quiet_s: float,
) -> str:
    """The likeliest reason, one line.

    ids: of the anchors file. strangers: anchors that are heard and not in it. tags: that are heard
    where `tag` was named. lacks: what the codec knows to be missing. unusable: what was wrong with
    the last answer, where all were. late_s: s after which all answers come, where they do; else 0.
    quiet_s: s without a range.
    """
    ours = ", ".join(ids)
    if tags:
        return (
            f"the module reports the tags {', '.join(tags)}, not {tag!r}, which `module_tag` names"
        )
    if strangers:
        return (
            f"the module hears the anchors {', '.join(strangers)}, none of which is in the "
            f"anchors file ({ours}): write its ids as the module prints them"
        )
    if lacks:
        return lacks
    if unusable:
        return (
            f"anchors answer, but with no range that can be used (the last: {unusable}): does "
            "the module measure, and in the unit of its manual?"
        )
    if late_s:
        return (
            f"all answers come later than after {late_s:g} s, and are not used: give "
            "`range_timeout` more"
        )
    return (
        f"no range for {quiet_s:g} s: are the anchors on, set up as this module is, and are "
        f"the ids of the anchors file ({ours}) theirs?"
    )
