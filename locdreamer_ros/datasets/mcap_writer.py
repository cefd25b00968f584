# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writing MCAP files safely: a killed writer leaves all but its last second.

What is written is a whole chunk with its checksum each time.
"""

from __future__ import annotations

import struct
from collections import Counter
from contextlib import suppress
from pathlib import Path
from zlib import crc32

from locdreamer_ros.datasets.mcap import (
    CHANNEL,
    CHUNK,
    CHUNK_INDEX,
    DATA_END,
    FOOTER,
    HEADER,
    MAGIC,
    MESSAGE,
    MESSAGE_HEAD,
    MESSAGE_INDEX,
    METADATA,
    METADATA_INDEX,
    RECORD,
    SCHEMA,
    STATISTICS,
    SUMMARY_OFFSET,
)

FULL_CHUNK = 1 << 20
"""Bytes of a chunk that is written at once."""


def _prefixed(text: str | bytes) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<I", len(raw)) + raw


class McapWriter:
    """Writes a file whose whole chunks can be read at any time. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stream = path.open("wb")
        self._checksum = 0
        self._put(MAGIC + self._packed(HEADER, _prefixed("ros2") + _prefixed("locdreamer_ros")))
        self._stream.flush()
        self._schemas: dict[str, tuple[int, bytes]] = {}
        self._channels: list[bytes] = []
        self._counts: Counter[int] = Counter()
        self._indexes: list[bytes] = []
        self._span = [1 << 63, 0]
        self._begin_chunk()

    def _begin_chunk(self) -> None:
        self._chunk = bytearray()
        self._messages: dict[int, list[tuple[int, int]]] = {}

    @staticmethod
    def _packed(op: int, body: bytes | bytearray) -> bytes:
        return RECORD.pack(op, len(body)) + body

    def _put(self, data: bytes) -> None:
        self._stream.write(data)
        self._checksum = crc32(data, self._checksum)

    def add_channel(self, topic: str, kind: str, definition: str, qos: str) -> int:
        """Declare a topic of type `kind`; its number."""
        if kind not in self._schemas:
            number = len(self._schemas) + 1
            body = struct.pack("<H", number) + _prefixed(kind) + _prefixed("ros2msg")
            schema = self._packed(SCHEMA, body + _prefixed(definition))
            self._schemas[kind] = (number, schema)
            self._chunk += schema
        number = len(self._channels) + 1
        properties = _prefixed("offered_qos_profiles") + _prefixed(qos)
        body = struct.pack("<HH", number, self._schemas[kind][0])
        body += _prefixed(topic) + _prefixed("cdr") + _prefixed(properties)
        self._channels.append(self._packed(CHANNEL, body))
        self._chunk += self._channels[-1]
        return number

    def write(self, channel: int, stamp: int, data: bytes | memoryview) -> None:
        """Append one message, received at `stamp` ns."""
        self._messages.setdefault(channel, []).append((stamp, len(self._chunk)))
        head = MESSAGE_HEAD.pack(channel, 0, stamp, stamp)
        self._chunk += RECORD.pack(MESSAGE, len(head) + len(data)) + head
        self._chunk += data
        self._counts[channel] += 1
        if len(self._chunk) >= FULL_CHUNK:
            self.flush()

    def flush(self) -> None:
        """Let everything so far be read by others, as a whole chunk.

        Where that fails (a full disk) the file ends with the chunk before.
        """
        if not self._chunk:
            return
        start, checksum = self._stream.tell(), self._checksum
        try:
            self._write_chunk(start)
            self._stream.flush()
        except OSError:
            self._checksum = checksum
            self._abandon(start)
            raise
        self._begin_chunk()

    def _write_chunk(self, start: int) -> None:
        stamps = [stamp for entries in self._messages.values() for stamp, _ in entries] or [0]
        span = struct.pack("<QQ", min(stamps), max(stamps))
        size = len(self._chunk)
        body = span + struct.pack("<QI", size, crc32(self._chunk)) + _prefixed("")
        self._put(self._packed(CHUNK, body + struct.pack("<Q", size) + self._chunk))
        length = self._stream.tell() - start
        offsets = b""
        for channel, entries in self._messages.items():
            offsets += struct.pack("<HQ", channel, self._stream.tell())
            packed = b"".join(struct.pack("<QQ", *entry) for entry in entries)
            self._put(self._packed(MESSAGE_INDEX, struct.pack("<H", channel) + _prefixed(packed)))
        after = self._stream.tell() - start - length
        self._indexes.append(
            span
            + struct.pack("<QQ", start, length)
            + _prefixed(offsets)
            + struct.pack("<Q", after)
            + _prefixed("")
            + struct.pack("<QQ", size, size)
        )
        if self._messages:
            self._span = [min(self._span[0], min(stamps)), max(self._span[1], max(stamps))]

    def _abandon(self, end: int) -> None:
        """Close the file as it was up to `end`."""
        with suppress(OSError):  # its buffer does not fit either
            self._stream.close()
        with self.path.open("r+b") as stream:
            stream.truncate(end)

    def close(self, metadata: str) -> None:
        """Write the end: the bag's metadata, the index and the checksums."""
        self.flush()
        at = self._stream.tell()
        entry = _prefixed("serialized_metadata") + _prefixed(metadata)
        record = self._packed(METADATA, _prefixed("rosbag2") + _prefixed(entry))
        self._put(record)
        where = struct.pack("<QQ", at, len(record)) + _prefixed("rosbag2")
        self._put(self._packed(DATA_END, struct.pack("<I", self._checksum)))
        start = self._stream.tell()
        counts = b"".join(struct.pack("<HQ", n, c) for n, c in sorted(self._counts.items()))
        statistics = struct.pack(
            "<QHIIIIQQ",
            self._counts.total(),
            len(self._schemas),
            len(self._channels),
            0,
            1,
            len(self._indexes),
            *(self._span if self._counts else (0, 0)),
        )
        summary = b""
        offsets = b""
        for op, records in (
            (SCHEMA, [schema for _, schema in self._schemas.values()]),
            (CHANNEL, self._channels),
            (CHUNK_INDEX, [self._packed(CHUNK_INDEX, index) for index in self._indexes]),
            (METADATA_INDEX, [self._packed(METADATA_INDEX, where)]),
            (STATISTICS, [self._packed(STATISTICS, statistics + _prefixed(counts))]),
        ):
            group = b"".join(records)
            if group:
                place = struct.pack("<BQQ", op, start + len(summary), len(group))
                offsets += self._packed(SUMMARY_OFFSET, place)
            summary += group
        tail = RECORD.pack(FOOTER, 20) + struct.pack("<QQ", start, start + len(summary))
        tail = summary + offsets + tail
        self._put(tail + struct.pack("<I", crc32(tail)) + MAGIC)
        self._stream.close()

    def abort(self) -> None:
        """Leave the file as it is."""
        with suppress(OSError):
            self._stream.close()
