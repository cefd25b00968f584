# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bregar's data.json, read as a stream: 2 GB, of which all but a few megabytes is skipped.

Two stages: the bytes lose their `cir` arrays (channel impulse responses, over 95 % of the file) by
a search; what is left is parsed one sample at a time.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from locdreamer_ros.datasets.point_survey import COLUMNS, PointSurvey
from locdreamer_ros.errors import InputError
from locdreamer_ros.types import Anchors

CHUNK = 1 << 20
LONGEST_VALUE = 1 << 25
"""Characters. A longer single value is not this format, and memory is to stay bounded."""
LARGEST_NUMBER = 1e9
"""No coordinate or power is beyond."""
LONGEST_NUMBER = 40
"""Digits. Reading a longer one takes time without end."""
CIR = re.compile(rb'"cir"\s*:\s*\[[^\]]*\]')
UNFINISHED_CIR = re.compile(rb'"cir"\s*(?::\s*(?:\[[^\]]*)?)?\Z')
NEAREST_M, FARTHEST_M = -1.0, 1000.0
"""A calibrated range may come out slightly negative; what lies outside is no range in metres."""
SPACE = re.compile(r"\s*")
SAME_PLACE_M = 0.1
"""An anchor whose place differs by more within one file was moved, or the file is damaged."""


def read_json(path: Path, name: str) -> PointSurvey:
    """Read the data.json of one environment, in bounded memory.

    Raises InputError naming the file, the key and what was expected.
    """
    from tqdm import tqdm

    reader = _Reader()
    try:
        size = path.stat().st_size
        with (
            path.open("rb") as stream,
            tqdm(None, path.name, size, leave=False, unit="B", unit_scale=True, delay=1) as bar,
        ):
            reader.read(_Scanner(_without_cir(stream, bar)))
        return reader.survey(name)
    except OSError as reason:
        raise InputError(f"{path}: cannot read: {reason.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: {reader.where}expected UTF-8 text") from None
    except InputError as reason:
        raise InputError(f"{path}: {reader.where}{reason}") from None


def _without_cir(stream: IO[bytes], progress: Any) -> Iterator[str]:
    """The text of the stream in pieces, each `"cir": [...]` replaced by `"cir":0`."""
    decode = codecs.getincrementaldecoder("utf-8")().decode
    rest = b""
    while chunk := stream.read(CHUNK):
        progress.update(len(chunk))
        text = CIR.sub(b'"cir":0', rest + chunk)
        unfinished = UNFINISHED_CIR.search(text)
        # Not yet passed on: an array still open, or what may be the beginning of its key.
        keep = unfinished.start() if unfinished else max(len(text) - len('"cir'), 0)
        rest = text[keep:]
        yield decode(text[:keep])
    yield decode(rest, True)


def _whole(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise InputError(f"a number of {len(text)} digits")
    return int(text)


class _Scanner:
    """Pulls JSON values one by one out of text that arrives in pieces."""

    def __init__(self, pieces: Iterator[str]) -> None:
        self._pieces = pieces
        self._text = ""
        self._at = 0
        self._decode = json.JSONDecoder(parse_int=_whole).raw_decode

    def _more(self) -> bool:
        """Drop what was consumed and append the next piece; False at the end of the file."""
        piece = next(self._pieces, None)
        if piece is None:
            return False
        self._text = self._text[self._at :] + piece
        self._at = 0
        return True

    def _peek(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            blank = SPACE.match(self._text, self._at)
            self._at = blank.end() if blank else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def take(self, expected: str) -> str:
        """Consume one of the characters `expected`."""
        found = self._peek()
        if not found:
            raise InputError("JSON ends in the middle, the file is cut off")
        if found not in expected:
            raise InputError(
                f"not JSON of a point survey: expected one of {' '.join(expected)}, got {found!r}"
            )
        self._at += 1
        return found

    def value(self) -> Any:
        """Consume one whole value."""
        self._peek()
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except RecursionError:
                raise InputError("JSON is nested too deep") from None
            except json.JSONDecodeError as reason:
                # Most likely the rest has not arrived yet.
                if len(self._text) - self._at > LONGEST_VALUE or not self._more():
                    raise InputError(f"JSON is cut off or damaged: {reason.msg}") from None
                continue
            # A number that touches the end of the text may go on in the next piece.
            if end < len(self._text) or not self._more():
                self._at = end
                return value

    def members(self) -> Iterator[str]:
        """Consume an object; the caller consumes the value of each key."""
        self.take("{")
        while self._peek() != "}":
            key = self.value()
            if not isinstance(key, str):
                raise InputError(f"not JSON: expected a key, got {key!r}")
            self.take(":")
            yield key
            if self.take(",}") == "}":
                return
        self.take("}")

    def elements(self) -> Iterator[Any]:
        """Consume an array."""
        self.take("[")
        while self._peek() != "]":
            yield self.value()
            if self.take(",]") == "]":
                return
        self.take("]")

    def end(self) -> None:
        """Nothing but white space may follow."""
        if self._peek():
            raise InputError(f"expected the end of the file, got {self._peek()!r}")


class _Reader:
    """Collects the samples; `where` is the key being read, for complaints."""

    def __init__(self) -> None:
        self.where = ""
        self._head: dict[str, Any] = {}
        self._points: dict[str, int] = {}
        self._anchors: dict[str, int] = {}
        self._channels: dict[str, int] = {}
        self._places: dict[str, list[float]] = {}
        self._samples = array("d")

    def read(self, scanner: _Scanner) -> None:
        """Read the whole file, its keys in any order."""
        for key in scanner.members():
            self.where = f"{key}: "
            if key != "measurements":
                self._head[key] = scanner.value()
                continue
            for name in scanner.members():
                for anchor in scanner.members():
                    for channel in scanner.members():
                        self.where = where = f"{key}/{name}/{anchor}/{channel}: "
                        for number, sample in enumerate(scanner.elements()):
                            self.where = f"{where}sample {number}: "
                            self._add(name, anchor, channel, sample)
        self.where = ""
        scanner.end()

    def _add(self, name: str, anchor: str, channel: str, sample: Any) -> None:
        if not isinstance(sample, dict):
            raise InputError(f"expected an object, got {sample!r}")
        metres = _number(sample, "range")
        if not NEAREST_M <= metres <= FARTHEST_M:
            raise InputError(
                f"range: expected metres in [{NEAREST_M:g}, {FARTHEST_M:g}], got {metres:g}"
            )
        nlos = _number(sample, "nlos")
        if nlos not in (0.0, 1.0):
            raise InputError(f"nlos: expected 0 or 1, got {nlos:g}")
        place = [_number(sample, f"{axis}_anchor") for axis in "xyz"]
        known = self._places.setdefault(anchor, place)
        if math.dist(place, known) > SAME_PLACE_M:
            raise InputError(f"anchor {anchor} is at {place}, elsewhere in the file at {known}")
        self._samples.extend(
            (
                self._points.setdefault(name, len(self._points)),
                self._anchors.setdefault(anchor, len(self._anchors)),
                self._channels.setdefault(channel, len(self._channels)),
                metres,
                nlos,
                _power(sample, "rss"),
                _power(sample, "rss_fp"),
            )
        )

    def survey(self, name: str) -> PointSurvey:
        """What was read, points in walking order. Raises InputError where the parts do not fit."""
        path: dict[str, list[float]] = {}
        for number, point in enumerate(self._list("path")):
            self.where = f"path: point {number}: "
            if not isinstance(point, dict) or not isinstance(point.get("name"), str):
                raise InputError("expected an object with x, y, z and name")
            # Where the walk comes by again, the samples are the same: one visit is kept.
            path.setdefault(point["name"], [_number(point, axis) for axis in "xyz"])
        self.where = ""
        # An anchor nobody heard has no known place.
        ids = [anchor for anchor in self._list("anchors") if anchor in self._places]
        samples = np.array(self._samples).reshape(-1, len(COLUMNS))
        for column, (what, seen, listed) in enumerate(
            (
                ("path", self._points, list(path)),
                ("anchors", self._anchors, ids),
                ("channels", self._channels, self._list("channels")),
            )
        ):
            for key in seen:
                if key not in listed:
                    raise InputError(f"measurements: {key!r} is not among {what}")
            rows = np.array([listed.index(key) for key in seen], dtype=np.float64)
            if seen:
                samples[:, column] = rows[samples[:, column].astype(np.intp)]
        anchors = Anchors(tuple(ids), np.array([self._places[i] for i in ids]).reshape(-1, 3))
        channels = self._list("channels")
        return PointSurvey.of(name, np.array(list(path.values())), anchors, channels, samples)

    def _list(self, key: str) -> list[Any]:
        value = self._head.get(key)
        if not isinstance(value, list) or not value:
            raise InputError(f"expected a list under the key {key!r}")
        return value


def _number(values: dict[str, Any], key: str) -> float:
    try:
        value = float(values[key])
    except KeyError:
        raise InputError(f"missing key {key!r}") from None
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not abs(value) <= LARGEST_NUMBER:
        raise InputError(f"{key}: expected a finite number, got {repr(values[key])[:40]}")
    return value


def _power(values: dict[str, Any], key: str) -> float:
    """NaN where it was not computed: null, or the logarithm of nothing."""
    if values.get(key) in (None, math.inf, -math.inf) or values[key] != values[key]:
        return math.nan
    return _number(values, key)
