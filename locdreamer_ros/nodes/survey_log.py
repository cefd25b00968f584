# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `driver_node` writes in a survey, as `locdreamer survey` reads it.

A long table of the tag's ranges, `t_s,anchor,range`, whole rows at any time; beside it, where the
module ranges between anchors, `<name>_between.csv`: `anchor,other,range`, medians.
"""

from __future__ import annotations

import csv
import errno
import io
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from statistics import median

import numpy as np

from locdreamer_ros.errors import InputError
from locdreamer_ros.files import identity, write_atomically
from locdreamer_ros.survey.files import between_path
from locdreamer_ros.types import Anchors, Ranges, RangeStatus

ENOUGH_RANGES = 20
"""Ranges of an anchor that a survey needs."""


class SurveyLog:
    """The files of one survey; older ones are kept beside, as `<name>_1.csv` and so on.

    Raises InputError where they cannot be made. Later trouble is in `problem`; ranging goes on.
    """

    def __init__(self, path: Path, anchors: Anchors) -> None:
        if path.suffix != ".csv":
            raise InputError(f"survey: expected a name that ends in .csv, got {str(path)!r}")
        self.path, self.problem = path, ""
        self.counts = Counter(dict.fromkeys(anchors.ids, 0))
        """Ranges written of each anchor."""
        self._ids = anchors.ids
        self._known = 0
        try:
            _keep_aside(path)
            self._stream = path.open("xb", buffering=0)
            self._identity = identity(path)
        except OSError as reason:
            raise InputError(f"{path}: cannot write: {reason.strerror}") from None
        self._append([("t_s", "anchor", "range")])

    def add(self, ranges: Ranges) -> None:
        """Append what was measured, in order of time."""
        good = ranges[ranges.status == int(RangeStatus.OK)]
        good = good[np.argsort(good.stamp, kind="stable")]
        ids = [self._ids[row] for row in good.anchor]
        columns = (good.stamp.tolist(), ids, good.value.tolist())
        if ids and self._append([(f"{t:.6f}", a, f"{r:.4f}") for t, a, r in zip(*columns)]):  # noqa: B905
            self.counts.update(ids)

    def add_between(self, ranges: Mapping[tuple[str, str], Sequence[float]]) -> None:
        """Write the lengths between anchors anew, where there are more than before."""
        known = sum(map(len, ranges.values()))
        if known == self._known or self.problem:
            return
        self._known = known
        try:
            with write_atomically(between_path(self.path)) as stream:
                writer = csv.writer(stream, lineterminator="\n")
                writer.writerow(("anchor", "other", "range"))
                for (one, other), values in sorted(ranges.items()):
                    writer.writerow((one, other, f"{median(values):.4f}"))
        except InputError as reason:
            self.problem = str(reason)

    def lacking(self) -> str:
        """What a survey still lacks, in words; empty where every anchor was heard enough."""
        few = [f"{anchor} has {n}" for anchor, n in self.counts.items() if n < ENOUGH_RANGES]
        return f"survey: {', '.join(few)} of {ENOUGH_RANGES} ranges: walk on" if few else ""

    def close(self) -> None:
        """Nothing more will come."""
        self._stream.close()

    def _append(self, rows: Sequence[tuple[str, ...]]) -> bool:
        """Write rows, whole or not at all; whether that went well."""
        if self.problem:
            return False
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        data, size = text.getvalue().encode(), self._stream.tell()
        try:
            if identity(self.path) != self._identity:
                raise OSError(errno.ENOENT, "it was moved or removed")
            if self._stream.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as reason:
            self.problem = f"{self.path}: cannot write: {reason.strerror}; the survey ends here"
            with suppress(OSError):
                self._stream.truncate(size)
        return not self.problem


def _keep_aside(path: Path) -> None:
    """Give an older survey another name."""
    if not path.exists():
        return
    names = (path.with_name(f"{path.stem}_{n}.csv") for n in count(1))
    aside = next(name for name in names if not name.exists())
    path.rename(aside)
    if between_path(path).exists():
        between_path(path).rename(between_path(aside))
