# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading MCAP files (https://mcap.dev/spec) with ROS 2 messages, with every check there is.

Lengths, checksums of chunks, of the data and of the summary; a file without an end is read up to
its last whole chunk. Messages keep the file's order. `mcap_writer` writes them.
"""

from __future__ import annotations

import importlib
import mmap
import struct
import sys
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple
from zlib import crc32

from locdreamer_ros.errors import InputError

MAGIC = b"\x89MCAP0\r\n"
HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, MESSAGE_INDEX, CHUNK_INDEX = range(1, 9)
STATISTICS, METADATA, METADATA_INDEX, SUMMARY_OFFSET, DATA_END = range(11, 16)
PRIVATE = 0x80
"""Record types from here on belong to others; they are passed over."""
RECORD = struct.Struct("<BQ")
MESSAGE_HEAD = struct.Struct("<HIQQ")
CHUNK_HEAD = struct.Struct("<QQQI")
LARGEST_CHUNK = 1 << 28
"""Bytes of a chunk, as it is in the file and unpacked, at most: memory is to stay bounded."""
MOST_CHANNELS = 10_000


class Channel(NamedTuple):
    """A topic of a bag: its type (`package/msg/Type`), the type's definition, messages in it."""

    topic: str
    type: str
    definition: str
    total: int


class _Place(NamedTuple):
    """A chunk, or a message outside of any: where its record begins, and the channels in it."""

    start: int
    channels: frozenset[int]


@dataclass(frozen=True)
class Contents:
    """What a file holds. unread: bytes after the last whole chunk of a file without an end."""

    channels: dict[int, Channel]
    places: tuple[_Place, ...]
    finished: bool
    unread: int


class _CutError(Exception):
    """The file ends in the middle of a record."""


def scan(path: Path) -> Contents:
    """Look through the whole file and check it. Raises InputError where it is damaged."""
    with _mapped(path) as data:
        return _Scan(data).contents()


class Message(NamedTuple):
    """A message as it came: its topic, when it was received (ns), and its CDR."""

    topic: str
    received: int
    data: bytes


def read(path: Path, contents: Contents, topics: Collection[str]) -> Iterator[Message]:
    """Messages of the topics, of a file that was scanned."""
    wanted = {number for number, channel in contents.channels.items() if channel.topic in topics}
    with _mapped(path) as data:
        for place in contents.places:
            if wanted.isdisjoint(place.channels):
                continue
            op, body = _record(data, place.start, len(data))
            for kind, part in _inner(body) if op == CHUNK else [(op, body)]:
                if kind == MESSAGE:
                    number, _, stamp, _ = MESSAGE_HEAD.unpack_from(part)
                    if number in wanted:
                        topic = contents.channels[number].topic
                        yield Message(topic, stamp, bytes(part[MESSAGE_HEAD.size :]))


class _mapped:  # noqa: N801
    """The bytes of a file, without reading them all."""

    def __init__(self, path: Path) -> None:
        try:
            self._stream: IO[bytes] = path.open("rb")
        except OSError as reason:
            raise InputError(f"cannot read: {reason.strerror}") from None

    def __enter__(self) -> memoryview:
        try:
            self._map: Any = mmap.mmap(self._stream.fileno(), 0, access=mmap.ACCESS_READ)
        except (ValueError, OSError):  # empty, or no regular file
            self._map = b""
        self._view = memoryview(self._map)
        return self._view

    def __exit__(self, *_: object) -> None:
        self._stream.close()  # the map goes with the last view of it


def _record(data: memoryview, start: int, end: int) -> tuple[int, memoryview]:
    """Type and content of the record at `start`. Raises _CutError: it is not whole by `end`."""
    if start + RECORD.size > end:
        raise _CutError
    op, length = RECORD.unpack_from(data, start)
    begin = start + RECORD.size
    if length > end - begin:
        raise _CutError
    return op, data[begin : begin + length]


def _inner(chunk: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Records of a chunk, checked. Raises InputError where it is damaged."""
    try:
        *_, size, checksum = CHUNK_HEAD.unpack_from(chunk)
        method, at = _text(chunk, CHUNK_HEAD.size)
        (length,) = struct.unpack_from("<Q", chunk, at)
    except struct.error:
        raise InputError("chunk is too short") from None
    packed = chunk[at + 8 : at + 8 + length]
    if len(packed) != length or size > LARGEST_CHUNK:
        raise InputError(f"chunk of {size} bytes: expected at most {LARGEST_CHUNK}, whole")
    records = memoryview(unpacked(packed, method, size))
    if len(records) != size or (checksum and crc32(records) != checksum):
        raise InputError("checksum of a chunk is wrong: the file is damaged")
    at = 0
    while at < size:
        try:
            op, body = _record(records, at, size)
        except _CutError:
            raise InputError("a record does not fit into its chunk: the file is damaged") from None
        yield op, body
        at += RECORD.size + len(body)


def unpacked(data: bytes | memoryview, method: str, size: int) -> bytes | memoryview:
    """Data compressed by `method` ("", lz4 or zstd), at most one byte more than `size`.

    Raises InputError where it is damaged or the method is unknown.
    """
    if not method:
        return data
    try:
        if method == "lz4":
            lz4 = importlib.import_module("lz4.frame")
            return bytes(lz4.LZ4FrameDecompressor().decompress(bytes(data), max_length=size + 1))
        if method == "zstd":
            return bytes(zstd().ZstdDecompressor().decompress(bytes(data), max_length=size + 1))
    except ImportError as reason:
        raise InputError(f"{method} compression needs {reason.name}: pip install rosbags") from None
    except Exception as reason:  # whatever these libraries raise for damaged data
        raise InputError(f"damaged {method} data: {reason}") from None
    raise InputError(f"unknown compression {method!r}")


def zstd() -> Any:
    """The module of Zstandard, which came into Python with 3.14."""
    return importlib.import_module(
        "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    )


def _bytes(data: memoryview, at: int) -> tuple[memoryview, int]:
    (length,) = struct.unpack_from("<I", data, at)
    end = at + 4 + length
    if end > len(data):
        raise InputError("a string does not fit into its record: the file is damaged")
    return data[at + 4 : end], end


def _text(data: memoryview, at: int) -> tuple[str, int]:
    found, end = _bytes(data, at)
    try:
        return bytes(found).decode(), end
    except UnicodeDecodeError:
        raise InputError("expected UTF-8 text in a record: the file is damaged") from None


class _Scan:
    """One pass over a file."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._schemas: dict[int, tuple[str, str]] = {}
        self._channels: dict[int, tuple[str, str, str]] = {}
        self._counts: Counter[int] = Counter()
        self._places: list[_Place] = []

    def contents(self) -> Contents:
        """All of it, checked."""
        data = self._data
        if bytes(data[:8]) != MAGIC:
            raise InputError("does not begin like an MCAP file")
        ended = len(data) > 16 and bytes(data[-8:]) == MAGIC
        end = len(data) - 8 if ended else len(data)
        at, first = 8, True
        while True:
            try:
                op, body = _record(data, at, end)
                after = at + RECORD.size + len(body)
                if first and op != HEADER:
                    raise InputError("does not begin with a header")
                first = False
                if op == DATA_END:
                    finished = self._end(at, body, end, ended)
                    return self._found(finished, 0)
                self._take(op, body, at, last=after == end and not ended)
            except _CutError:
                if ended:
                    raise InputError("a record goes beyond the end: the file is damaged") from None
                return self._found(False, len(data) - at)
            except struct.error:
                raise InputError("a record is too short: the file is damaged") from None
            at = after

    def _found(self, finished: bool, unread: int) -> Contents:
        channels = {
            number: Channel(topic, kind, definition, self._counts[number])
            for number, (topic, kind, definition) in self._channels.items()
        }
        return Contents(channels, tuple(self._places), finished, unread)

    def _take(self, op: int, body: memoryview, at: int, *, last: bool) -> None:
        """A record of the data. last: the last of a file without an end, perhaps half written."""
        if op == CHUNK:
            before = self._counts.copy()
            try:
                for kind, part in _inner(body):
                    self._small(kind, part)
            except InputError:
                if last:
                    self._counts = before
                    raise _CutError from None
                raise
            heard = frozenset(n for n, count in self._counts.items() if count > before[n])
            self._places.append(_Place(at, heard))
        elif op == MESSAGE:
            self._small(op, body)
            self._places.append(_Place(at, frozenset({MESSAGE_HEAD.unpack_from(body)[0]})))
        elif op == 0 and last is False and not any(self._data[at : at + 4096]):
            raise _CutError  # the disk promised room that was never written
        elif not 0 < op <= DATA_END and op < PRIVATE:
            raise InputError(f"unknown record type {op}: the file is damaged")
        else:
            self._small(op, body)

    def _small(self, op: int, body: memoryview) -> None:
        """A schema, a channel or a message, in a chunk or outside."""
        if op == MESSAGE:
            number = MESSAGE_HEAD.unpack_from(body)[0]
            if number not in self._channels:
                raise InputError(f"message of unknown channel {number}: the file is damaged")
            self._counts[number] += 1
        elif op == SCHEMA:
            (number,) = struct.unpack_from("<H", body)
            name, at = _text(body, 2)
            _, at = _text(body, at)
            self._schemas[number] = (name, _text(body, at)[0])
        elif op == CHANNEL:
            number, schema = struct.unpack_from("<HH", body)
            topic, at = _text(body, 4)
            encoding, _ = _text(body, at)
            if encoding != "cdr":
                raise InputError(f"{topic}: expected ROS 2 messages (cdr), got {encoding!r}")
            name, definition = self._schemas.get(schema, ("", ""))
            self._channels[number] = (topic, name, definition)
            if len(self._channels) > MOST_CHANNELS:
                raise InputError(f"more than {MOST_CHANNELS} topics")

    def _end(self, at: int, body: memoryview, end: int, ended: bool) -> bool:
        """Check what follows the data; whether the file was finished."""
        data = self._data
        (checksum,) = struct.unpack_from("<I", body)
        # From the first byte on, as most writers do; some begin after the magic.
        if checksum and checksum not in (_checksum(data, 0, at), _checksum(data, 8, at)):
            raise InputError("checksum of the data is wrong: the file is damaged")
        at = start = at + RECORD.size + len(body)
        while True:
            try:
                op, body = _record(data, at, end)
            except _CutError:
                if ended:
                    raise InputError("the file has no footer: it is damaged") from None
                return False  # its end was being written; the data are whole
            if op == FOOTER:
                break
            at += RECORD.size + len(body)
        summary, _, checksum = struct.unpack_from("<QQI", body)
        if summary not in (0, start):
            raise InputError("the end of the file is damaged")
        if checksum and checksum != _checksum(data, start, at + RECORD.size + 16):
            raise InputError("checksum of the summary is wrong: the file is damaged")
        rest = bytes(data[at + RECORD.size + len(body) :])
        if rest != MAGIC and not (len(rest) < len(MAGIC) and MAGIC.startswith(rest)):
            raise InputError("does not end like an MCAP file")
        return rest == MAGIC


def _checksum(data: memoryview, start: int, end: int) -> int:
    return crc32(data[start:end])
