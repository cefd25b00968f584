# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The sqlite3 storage of rosbag2 (.db3): the default of ROS 2 Humble. It has no checksums."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from locdreamer_ros.datasets.mcap import Channel, Contents, Message
from locdreamer_ros.errors import InputError

TABLES = """
CREATE TABLE schema(schema_version INTEGER PRIMARY KEY, ros_distro TEXT NOT NULL);
CREATE TABLE metadata(
  id INTEGER PRIMARY KEY, metadata_version INTEGER NOT NULL, metadata TEXT NOT NULL);
CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL,
  serialization_format TEXT NOT NULL, offered_qos_profiles TEXT NOT NULL{hash});
CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER NOT NULL,
  timestamp INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX timestamp_idx ON messages (timestamp ASC);
"""
DEFINITIONS = """
CREATE TABLE message_definitions(id INTEGER PRIMARY KEY, topic_type TEXT NOT NULL,
  encoding TEXT NOT NULL, encoded_message_definition TEXT NOT NULL,
  type_description_hash TEXT NOT NULL);
"""
HASHES_SINCE = 7
"""Version of the metadata from which on a topic's type has a hash."""


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Read-only, or with the right to undo what a killed writer had begun."""
    if not path.is_file() or path.stat().st_size == 0:
        raise InputError("expected a file, with something in it")
    begun = path.with_name(f"{path.name}-journal").exists()
    mode = "rw" if begun or path.with_name(f"{path.name}-wal").exists() else "ro"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True)) as base:
            yield base
    except InputError:
        raise
    except Exception as reason:  # sqlite3.Error, and what damaged text and numbers lead to
        problem = " ".join(str(reason).split())[:100]
        raise InputError(f"not a database of rosbag2: {problem}") from None


def scan(path: Path) -> Contents:
    """What the file holds. Raises InputError where it is no database or a damaged one.

    It is not finished where a writer had begun something: what that was is undone.
    """
    finished = not path.with_name(f"{path.name}-journal").exists()
    with _opened(path) as base:
        if (found := base.execute("PRAGMA quick_check(1)").fetchone()) != ("ok",):
            raise InputError(f"damaged: {' '.join(str(found[0]).split())}")
        known = {row[0] for row in base.execute("SELECT name FROM sqlite_master")}
        definitions: dict[str, str] = {}
        if "message_definitions" in known:
            definitions = dict(
                base.execute(
                    "SELECT topic_type, encoded_message_definition FROM message_definitions"
                )
            )
        counts = dict(base.execute("SELECT topic_id, count(*) FROM messages GROUP BY topic_id"))
        channels = {}
        for number, topic, kind, encoding in base.execute(
            "SELECT id, name, type, serialization_format FROM topics"
        ):
            if encoding != "cdr":
                raise InputError(f"{topic}: expected ROS 2 messages (cdr), got {encoding!r}")
            definition = definitions.get(kind, "")
            channels[number] = Channel(topic, kind, definition, counts.get(number, 0))
    return Contents(channels, (), finished, 0)


def read(path: Path, contents: Contents, topics: Collection[str]) -> Iterator[Message]:
    """Messages of the topics, of a file that was scanned, as they were received."""
    wanted = {n: channel.topic for n, channel in contents.channels.items()}
    with _opened(path) as base:
        query = "SELECT topic_id, timestamp, data FROM messages ORDER BY id"
        for number, stamp, data in base.execute(query):
            if wanted.get(number) in topics:
                yield Message(wanted[number], stamp, bytes(data))


class SqliteWriter:
    """Writes a database whose committed messages can be read at any time. Raises OSError."""

    def __init__(self, path: Path, version: int) -> None:
        self.path = path
        path.unlink(missing_ok=True)
        self._version = version
        self._hashes = version >= HASHES_SINCE
        self._known: set[str] = set()
        self._topics = 0
        with _as_oserror(path):
            self._base = sqlite3.connect(path, check_same_thread=False)
            hashes = ", type_description_hash TEXT NOT NULL" if self._hashes else ""
            self._base.executescript(TABLES.format(hash=hashes))
            if self._hashes:
                self._base.executescript(DEFINITIONS)
            schema = 4 if self._hashes else 3
            self._base.execute("INSERT INTO schema VALUES (?, '')", (schema,))
            self._base.commit()

    def add_channel(self, topic: str, kind: str, definition: str, qos: str, digest: str) -> int:
        """Declare a topic of type `kind`; its number."""
        self._topics += 1
        row: tuple[object, ...] = (self._topics, topic, kind, "cdr", qos)
        with _as_oserror(self.path):
            if self._hashes:
                row = (*row, digest)
                if kind not in self._known:
                    self._known.add(kind)
                    self._base.execute(
                        "INSERT INTO message_definitions(topic_type, encoding, "
                        "encoded_message_definition, type_description_hash) VALUES (?, ?, ?, ?)",
                        (kind, "ros2msg", definition, digest),
                    )
            self._base.execute(f"INSERT INTO topics VALUES ({', '.join('?' * len(row))})", row)
        return self._topics

    def write(self, channel: int, stamp: int, data: bytes | memoryview) -> None:
        """Append one message, received at `stamp` ns."""
        with _as_oserror(self.path):
            self._base.execute(
                "INSERT INTO messages(topic_id, timestamp, data) VALUES (?, ?, ?)",
                (channel, stamp, bytes(data)),
            )

    def flush(self) -> None:
        """Commit everything so far."""
        with _as_oserror(self.path):
            self._base.commit()

    def close(self, metadata: str) -> None:
        """Write the bag's metadata and close."""
        with _as_oserror(self.path):
            self._base.execute(
                "INSERT INTO metadata(metadata_version, metadata) VALUES (?, ?)",
                (self._version, metadata),
            )
            self._base.commit()
            self._base.close()

    def abort(self) -> None:
        """Leave the file as it was committed."""
        with suppress(sqlite3.Error):
            self._base.rollback()
            self._base.close()


@contextmanager
def _as_oserror(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as reason:
        raise OSError(0, str(reason), str(path)) from None
