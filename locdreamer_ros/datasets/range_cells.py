# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cells that hold ranges, and which of their values say that there was none.

Some values always do: 0, what lies below it, `inf`, 65535 and its like. Others do only where they
can be no range of their file: a counter that ran full, or nines, written again and again, with next
to nothing near it. What a module writes so is nobody's to guess beforehand, and may be a range.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from locdreamer_ros.datasets.cells import MISSING, plain_float, short
from locdreamer_ros.errors import InputError
from locdreamer_ros.types import FloatArray

MAX_RANGE_M = 1000.0
"""No UWB module ranges farther: a larger value is a unit mistake (millimetres), not a range."""
NO_ANSWER = (65.535, 65535.0, float("inf"))
"""What modules write where there is no range, besides 0 and what lies below it."""
NO_ANSWER_M = (655.35, 999.0, 9999.0, 99999.0)
"""And where a column is in metres."""
SAID = (
    *("timeout", "time out", "err", "error", "fail", "failed", "lost", "oor", "out of range"),
    *("x", "no", "false", "invalid", "1.#inf", "-1.#inf", "\u221e"),
)
"""The same in words, in lower case."""
LARGEST = 3.4e38
"""Numbers beyond are the largest that there are: the same as `inf`."""
FULL = [2**bits - short_of for bits in (13, 15, 16, 24, 31, 32, 63, 64) for short_of in (0, 1, 2)]
NINES = [10**digits - 1 for digits in range(3, 11)]
WRITTEN = np.array(
    [count / unit for count in FULL + NINES for unit in (1, 10, 100, 1000)] + [1e6, 1e9, 1e12],
    dtype=np.float32,
)
"""What may say so in a file where it is no range, also counted in tenths, hundredths, thousandths;
as float32, which may have been the module's."""
NEAR, FEW = 0.5, 0.1
"""It is none where so few others, by their number, are larger than this much of it."""
OFTEN, VARIED = 3, 10
"""A value within MAX_RANGE_M has to be there so often, beside so many different others."""


class RangeCells:
    """Reads ranges in units of `scale` m, and counts those that say that there was none.

    no_answer: the only values that say so, besides 0 and what lies below it; signed: they are
    differences of ranges, to which these are values like any other.
    """

    def __init__(
        self,
        scale: float = 1.0,
        *,
        no_answer: tuple[float, ...] | None = None,
        signed: bool = False,
    ) -> None:
        self.scale = scale
        self._signed = signed
        self._learns = no_answer is None
        if no_answer is None:
            no_answer = NO_ANSWER + (NO_ANSWER_M if scale == 1.0 else ())
        self._no_answer = {*no_answer, *(float(np.float32(value)) for value in no_answer)}
        self._too_far: dict[float, InputError] = {}
        """What is to be said of a value beyond MAX_RANGE_M, unless it says that there was none."""
        self.unanswered: Counter[str] = Counter()

    def metres(self, cell: str | float, where: str) -> float:
        """A range in m, NaN where there was none. Raises InputError where it is no range."""
        if isinstance(cell, str) and cell.lower() in MISSING:
            return float("nan")
        if isinstance(cell, str) and cell.lower() in SAID:
            self.unanswered[cell] += 1
            return float("nan")
        value = plain_float(cell, where) if isinstance(cell, str) else cell
        if value != value or (not self._signed and (value <= 0.0 or value in self._no_answer)):
            named = value == 0.0 or value != value or value in self._no_answer
            self.unanswered[f"{value:.10g}" if named else "< 0"] += 1
            return float("nan")
        if (metres := abs(value) * self.scale) > MAX_RANGE_M:
            if self._learns and abs(value) > LARGEST:
                self.unanswered[f"{value:.10g}"] += 1
                return float("nan")
            reason = InputError(
                f"{where}: expected a range of at most {MAX_RANGE_M:g} m, got {short(str(cell))}; "
                "is it in millimetres, centimetres or ticks (15.65 ps)? then call it r_<id>_mm, "
                "range_mm, ..._cm or ..._ticks"
            )
            if not (self._learns and abs(value) < LARGEST and np.float32(abs(value)) in WRITTEN):
                raise reason
            self._too_far.setdefault(metres, reason)
        return value * self.scale

    def settled(self, ranges: FloatArray) -> FloatArray:
        """All ranges of a file, m, NaN where a value turns out to say that there was none.

        Raises InputError for what is too far for a range and says nothing of the kind.
        """
        if not self._learns:
            return ranges
        size = np.abs(ranges)
        written = (size / self.scale).astype(np.float32)
        values, times = np.unique(written[np.isfinite(written)], return_counts=True)
        special = np.isin(values, WRITTEN)
        others, of_others = values[~special], times[~special]
        for value, count in zip(values[special].tolist(), times[special].tolist(), strict=True):
            same = written == np.float32(value)
            near = int(of_others[others > NEAR * value].sum())
            within = float(size[same].max()) <= MAX_RANGE_M
            sure = not (within and (self._signed or count < OFTEN or others.size < VARIED))
            if sure and near <= FEW * count:
                named = (size[same] / self.scale).max()
                self.unanswered[f"{named:.10g}"] += count
                ranges = np.where(same, np.nan, ranges)
        for metres, reason in self._too_far.items():
            if (np.abs(ranges) == metres).any():
                raise reason
        return ranges

    def note(self) -> str:
        """What was taken for no answer; empty where nothing was."""
        if not self.unanswered:
            return ""
        kinds = ", ".join(f"{value} ({times})" for value, times in self.unanswered.most_common())
        return f"{self.unanswered.total()} values are no range and count as no answer: {kinds}"
