# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The table that `track` and `demo` print, and what is to be said of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from locdreamer_ros.evaluation.metrics import Track
from locdreamer_ros.evaluation.run import answered_by
from locdreamer_ros.evaluation.tables import plain

HEADINGS = {
    "tracker": "tracker",
    "scheduler": "scheduler",
    "steps": "steps",
    "mae": "MAE m",
    "rmse": "RMSE m",
    "p50": "p50 m",
    "p90": "p90 m",
    "max": "max m",
    "mae_3d": "MAE 3-D m",
    "ranges_per_fix": "ranges/fix",
    "nees": "NEES",
    "nees_z": "NEES z",
    "coverage95": "in 95 %",
    "step_us_p50": "step us",
}


def show_reports(reports: Sequence[dict[str, Any]]) -> None:
    """Print one line per report, with the measures that any of them has."""
    known = {key for report in reports for key in report}
    named = [{**report, "tracker": answered_by(report)} for report in reports]
    print(plain(named, {key: text for key, text in HEADINGS.items() if key in known}))
    if "mae" not in known:
        print("no ground truth in the recording: nothing to score")


def show_remarks(
    reports: Sequence[dict[str, Any]], tracks: Sequence[Track], notes: Sequence[str]
) -> None:
    """Print, on stderr, who else answered, what does not fit, and where the first fix came late."""
    for report, track in zip(reports, tracks, strict=False):
        for reason, updates in report["fallback"].items():
            print(
                f"{report['tracker']}: fallback for {updates} of {len(track)} updates: {reason}",
                file=sys.stderr,
            )
    for sentence in notes:
        print(f"note: {sentence}", file=sys.stderr)
    if tracks and tracks[0].unfixed:
        first, epochs = tracks[0].unfixed + 1, len(tracks[0])
        print(f"first fix only at epoch {first} of {epochs}", file=sys.stderr)
