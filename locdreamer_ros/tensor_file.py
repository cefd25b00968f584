# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Named arrays and a JSON header in one file: the safetensors format, read and written by numpy.

The format (huggingface.co/docs/safetensors) is eight bytes with the length of a JSON text (little
endian), that text, and the raw arrays. The text gives each array its dtype, shape and place, and
under `__metadata__` strings of ours: a header by a key that says what the file is, and a SHA-256 of
the rest. Nothing in it can run code, and all of it is checked before any of it is used. Files of
before have no SHA-256; where there is one it must be right.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locdreamer_ros.errors import InputError
from locdreamer_ros.files import replaced

Array = NDArray[Any]
LARGEST_TEXT = 4_000_000
"""Bytes of the JSON text. Ours have some ten thousand; parsing takes many times as much memory."""
LARGEST_FILE = 512_000_000
DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "U8": "|u1",
    "BOOL": "|b1",
}
METADATA, SUM = "__metadata__", "sha256"
NO_SUM = "0" * 64
"""What stands for the SHA-256 while it is taken over header and arrays."""
FOREIGN = ("format",)
"""Metadata of other writers that says nothing to us."""


@dataclass(frozen=True, eq=False)
class TensorFile:
    """What a file holds: arrays by name, the header, and whether a SHA-256 vouches for both."""

    arrays: dict[str, Array]
    header: dict[str, Any]
    summed: bool


def save(path: Path, key: str, header: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Write arrays, and the header under `key`; all or nothing.

    Raises InputError where the folder cannot be written, ValueError for a dtype without a name.
    """
    names = {np.dtype(kind): name for name, kind in DTYPES.items()}
    entries: dict[str, dict[str, Any]] = {}
    parts: list[bytes] = []
    end = 0
    # Wide elements first: so all arrays are aligned.
    for name in sorted(arrays, key=lambda name: (-arrays[name].itemsize, name)):
        array = np.asarray(arrays[name])
        if array.dtype not in names:
            raise ValueError(f"{name}: no array of {array.dtype} can be written")
        parts.append(array.tobytes())
        begin, end = end, end + len(parts[-1])
        kind = names[array.dtype]
        entries[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [begin, end]}
    data = b"".join(parts)
    text = json.dumps(dict(header), sort_keys=True)
    whole = json.dumps({METADATA: {SUM: NO_SUM, key: text}, **entries}).encode()
    whole += b" " * (-len(whole) % 8)
    whole = whole.replace(NO_SUM.encode(), _sum(whole, data).encode(), 1)
    with replaced(path) as temporary:
        temporary.write_bytes(len(whole).to_bytes(8, "little") + whole + data)


def load(path: Path, key: str, what: str) -> TensorFile:
    """Read a file whose header stands under `key`.

    what: what the file should be, for the message. Raises InputError, one line, where it cannot be
    read, is damaged in any way, or is something else.
    """
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise _DamagedError(f"{size} bytes are more than {LARGEST_FILE}")
        raw = path.read_bytes()
    except OSError as reason:
        raise InputError(f"{path}: cannot read: {reason.strerror or reason}") from None
    except _DamagedError as reason:
        raise InputError(f"{path}: expected {what}: {reason}") from None
    try:
        return _parse(raw, key)
    except _DamagedError as reason:
        raise InputError(f"{path}: expected {what}: {' '.join(str(reason).split())}") from None


class _DamagedError(ValueError):
    """Why a file is not what it should be."""


def _parse(raw: bytes, key: str) -> TensorFile:
    length = int.from_bytes(raw[:8], "little")
    if len(raw) < 8 or not 2 <= length <= min(LARGEST_TEXT, len(raw) - 8):
        raise _DamagedError("it has no safetensors header")
    header, data = raw[8 : 8 + length], raw[8 + length :]
    entries = _json(header, "safetensors header")
    metadata = entries.pop(METADATA, {})
    if not isinstance(metadata, dict) or key not in metadata:
        raise _DamagedError(f"its header has no {key!r}")
    strange = [name for name in metadata if name not in (key, SUM, *FOREIGN)]
    if strange:
        raise _DamagedError(f"its header has an unknown {strange[0]!r:.40}")
    text = metadata[key]
    if not isinstance(text, str):
        raise _DamagedError(f"header {key!r} is not text")
    _check_places(entries, len(data))
    if SUM in metadata:
        total = str(metadata[SUM])
        if total != _sum(header.replace(total.encode(), NO_SUM.encode(), 1), data):
            raise _DamagedError("damaged: its SHA-256 is another")
    arrays = {name: _array(entry, data) for name, entry in entries.items()}
    return TensorFile(arrays, _json(text, f"header {key!r}"), SUM in metadata)


def _json(text: str | bytes, what: str) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise _DamagedError(f"{what}: a key stands twice")
        return found

    try:
        found = json.loads(text, object_pairs_hook=unique)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise _DamagedError(f"{what}: not JSON") from None
    except _DamagedError:
        raise
    except ValueError as reason:  # a whole number of more digits than Python converts
        raise _DamagedError(f"{what}: {reason}") from None
    if not isinstance(found, dict):
        raise _DamagedError(f"{what}: not a JSON object")
    return found


def _check_places(entries: Mapping[str, Any], size: int) -> None:
    """The arrays lie one after the other, without gaps, and fill `size` bytes."""
    places: list[tuple[int, int]] = []
    for name, entry in entries.items():
        shown = f"tensor {name!r:.60}"
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise _DamagedError(f"{shown}: expected dtype, shape and data_offsets")
        if not isinstance(entry["dtype"], str) or entry["dtype"] not in DTYPES:
            raise _DamagedError(f"{shown}: dtype: expected one of {', '.join(DTYPES)}")
        shape, offsets = entry["shape"], entry["data_offsets"]
        if not _whole_numbers(shape) or len(shape) > 8:
            raise _DamagedError(f"{shown}: shape: expected up to 8 whole numbers >= 0")
        if not _whole_numbers(offsets) or len(offsets) != 2:
            raise _DamagedError(f"{shown}: data_offsets: expected two whole numbers >= 0")
        begin, end = offsets
        if end - begin != math.prod(shape) * np.dtype(DTYPES[entry["dtype"]]).itemsize:
            raise _DamagedError(f"{shown}: its shape does not fit its data_offsets")
        places.append((begin, end))
    last = 0
    for begin, end in sorted(places):
        if begin != last:
            raise _DamagedError("its tensors overlap or leave gaps")
        last = end
    if last != size:
        raise _DamagedError(f"its tensors take {last} bytes, the file has {size} for them")


def _whole_numbers(values: Any) -> bool:
    return isinstance(values, list) and all(
        type(value) is int and 0 <= value <= LARGEST_FILE for value in values
    )


def _array(entry: Mapping[str, Any], data: bytes) -> Array:
    begin, end = entry["data_offsets"]
    kind = np.dtype(DTYPES[entry["dtype"]])
    found: Array = np.frombuffer(data[begin:end], dtype=kind).reshape(entry["shape"]).copy()
    return found


def _sum(header: bytes, data: bytes) -> str:
    return hashlib.sha256(header + data).hexdigest()


def check_arrays(
    path: Path, arrays: Mapping[str, Array], wanted: Mapping[str, tuple[int, ...]]
) -> None:
    """Raises InputError unless each of `wanted` (shapes by name) is there, and finite."""
    for name, shape in wanted.items():
        if name not in arrays:
            raise InputError(f"{path}: tensor {name!r} is missing")
        found = arrays[name]
        if found.shape != tuple(shape):
            raise InputError(
                f"{path}: tensor {name!r}: expected shape {tuple(shape)}, got {found.shape}"
            )
        if not np.isfinite(found).all():
            raise InputError(f"{path}: tensor {name!r} is not finite")


def shapes_of(arrays: Iterable[tuple[str, Any]]) -> dict[str, tuple[int, ...]]:
    """Shapes by name of pairs (name, array or tensor)."""
    return {name: tuple(array.shape) for name, array in arrays}
