# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes a rosbag2 folder that can be read at any time, whatever happens to the writer."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from itertools import count
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any

from locdreamer_ros.datasets.mcap_writer import McapWriter
from locdreamer_ros.datasets.rosbag2 import INFORMATION, METADATA, STORAGES, typestore
from locdreamer_ros.datasets.sqlite_bag import SqliteWriter
from locdreamer_ros.errors import InputError
from locdreamer_ros.files import check_folder, identity, read_yaml, write_atomically

FLUSH_S = 1.0
"""A live bag is readable up to what is older than this, s."""
VERSIONS = (5, 8, 9)
"""Of metadata.yaml: the one ROS 2 Humble reads, Iron's, and that of Jazzy and later."""
STORAGE = ("mcap", "sqlite3")
SUFFIXES = {"mcap": ".mcap", "sqlite3": ".db3"}
LEFT_BY_SQLITE = ("-journal", "-wal", "-shm")
ENDLESS_DURATION = {"sec": 9223372036, "nsec": 854775807}
"""How rosbag2 writes an infinite time."""


def check_name(path: Path) -> None:
    """Raises InputError for the name of a file: a rosbag2 is a folder."""
    if path.suffix in STORAGES:
        raise InputError(f"{path}: a rosbag2 is a folder; give its name without {path.suffix}")


def check_place(path: Path) -> None:
    """Raises InputError where no bag can be written."""
    check_name(path)
    check_folder(path)


class BagWriter:
    """Writes serialised messages to a rosbag2 folder; an older bag there is replaced.

    Used as a context manager: an exception inside leaves no trace, and the older bag in place.
    live: readable while it is written, with its metadata from the start, and kept whatever happens;
    an older bag is not replaced but kept as `<path>_1`, `<path>_2` and so on, since a node that
    died may be started again for the same run.

    Of an older bag only its own files are removed; a folder that is none raises InputError, as does
    a place that cannot be written, at any time.
    """

    def __init__(
        self, path: Path, *, storage: str = "mcap", version: int = VERSIONS[-1], live: bool = False
    ) -> None:
        check_name(path)
        if storage not in STORAGE:
            raise InputError(f"bag storage: expected one of {', '.join(STORAGE)}, got {storage!r}")
        if version not in VERSIONS:
            known = ", ".join(map(str, VERSIONS))
            raise InputError(f"bag version: expected one of {known}, got {version}")
        typestore()  # says what is missing before anything is touched
        self.path, self._storage, self._version, self._live = path, storage, version, live
        self._old = _files_of_bag(path)
        self._made = not path.exists()
        self._file = path / f"{path.name}{SUFFIXES[storage]}"
        self._final = self._file
        self._channels: dict[str, tuple[int, dict[str, Any]]] = {}
        self._counts: Counter[str] = Counter()
        self._span = [1 << 63, 0]
        self.broken = ""
        """Why nothing can be written any more."""
        try:
            path.mkdir(parents=True, exist_ok=True)
            if live:
                self._keep_aside()
            elif self._file.exists():
                self._file = path / f"{path.name}.new{SUFFIXES[storage]}"
            self._writer: Any = (
                McapWriter(self._file) if storage == "mcap" else SqliteWriter(self._file, version)
            )
            self._identity = identity(self._file)
            if live:
                self._save_metadata()
        except OSError as reason:
            if self._made:
                self._clear()
            raise self._complaint(reason) from None
        self._flushed = time.monotonic()

    def _keep_aside(self) -> None:
        """Move the older bag to a folder beside."""
        if not self._old:
            return
        places = (self.path.with_name(f"{self.path.name}_{n}") for n in count(1))
        place = next(place for place in places if not place.exists())
        place.mkdir()
        for file in self._old:
            for found in (file, *(file.with_name(file.name + end) for end in LEFT_BY_SQLITE)):
                if found.is_file():
                    found.rename(place / found.name)
        self._old = []

    def _complaint(self, reason: OSError) -> InputError:
        self.broken = f"{self.path}: cannot write: {reason.strerror or reason}"
        return InputError(self.broken)

    def write(
        self, topic: str, name: str, stamp: int, data: bytes | memoryview, *, latched: bool = False
    ) -> None:
        """Append one CDR message of type `name` (`package/msg/Type`), received at `stamp` ns.

        `latched`: replayed to late subscribers too (transient local).
        """
        if self.broken:
            raise InputError(self.broken)
        try:
            if topic not in self._channels:
                self._channels[topic] = self._add(topic, name, latched)
            self._writer.write(self._channels[topic][0], stamp, data)
        except OSError as reason:
            raise self._complaint(reason) from None
        self._counts[topic] += 1
        self._span = [min(self._span[0], stamp), max(self._span[1], stamp)]
        self.flush_when_due()

    def _add(self, topic: str, name: str, latched: bool) -> tuple[int, dict[str, Any]]:
        store = typestore()
        definition, _ = store.generate_msgdef(name, ros_version=2)
        digest = store.hash_rihs01(name)
        qos = _qos(latched, self._version)
        about = {
            "name": topic,
            "type": name,
            "serialization_format": "cdr",
            "offered_qos_profiles": qos if self._version >= 9 else _dumped(qos),
        }
        if self._version >= 7:
            about["type_description_hash"] = digest
        more = (digest,) if self._storage == "sqlite3" else ()
        return self._writer.add_channel(topic, name, definition, _dumped(qos), *more), about

    def flush_when_due(self) -> None:
        """Make a live bag readable up to now, where that was not done for FLUSH_S."""
        if self._live and not self.broken and time.monotonic() - self._flushed >= FLUSH_S:
            try:
                self._writer.flush()
                self._save_metadata()
            except OSError as reason:
                raise self._complaint(reason) from None
            self._flushed = time.monotonic()

    def close(self) -> None:
        """Finish the bag. Raises InputError where that fails; a live one stays readable."""
        if self.broken:
            self._writer.abort()
            return
        try:
            self._writer.close(_dumped(self._metadata()[INFORMATION]))
            if not self._live:
                _remove(self._old)
                if self._file != self._final:
                    self._file.replace(self._final)
            self._save_metadata()
        except OSError as reason:
            if not self._live:
                self.discard()
            raise self._complaint(reason) from None

    def discard(self) -> None:
        """Throw away what was written."""
        self._writer.abort()
        self._clear()

    def _clear(self) -> None:
        with suppress(OSError):
            _remove([self._file, *([self.path / METADATA] if self._live else [])])
        with suppress(OSError):
            if self._made:
                self.path.rmdir()

    def _save_metadata(self) -> None:
        """Raises OSError, also where the bag was moved or removed: no other takes its place."""
        if self._live and identity(self._file) != self._identity:
            raise OSError(0, "its folder was moved or removed")
        try:
            with write_atomically(self.path / METADATA) as stream:
                stream.write(_dumped(self._metadata()) + "\n")
        except InputError as reason:
            raise OSError(0, str(reason).rpartition(": ")[2]) from None

    def _metadata(self) -> dict[str, Any]:
        count = self._counts.total()
        start = self._span[0] if count else 0
        span = {
            "starting_time": {"nanoseconds_since_epoch": start},
            "duration": {"nanoseconds": self._span[1] - start if count else 0},
            "message_count": count,
        }
        body: dict[str, Any] = {
            "version": self._version,
            "storage_identifier": self._storage,
            **span,
            "topics_with_message_count": [
                {"topic_metadata": about, "message_count": self._counts[topic]}
                for topic, (_, about) in self._channels.items()
            ],
            "compression_format": "",
            "compression_mode": "",
            "relative_file_paths": [self._final.name],
            "files": [{"path": self._final.name, **span}],
        }
        if self._version >= 6:
            body["custom_data"] = None
        if self._version >= 8:
            body["ros_distro"] = "locdreamer_ros"
        return {INFORMATION: body}

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None or self._live:
            self.close()
        else:
            self.discard()


def _files_of_bag(path: Path) -> list[Path]:
    """The files of an older bag at `path`, none where there is nothing. Else raises InputError."""
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return []
    try:
        names = read_yaml(path / METADATA)[INFORMATION]["relative_file_paths"]
        files = [path / PurePath(str(name)).name for name in names]
    except (InputError, KeyError, TypeError):
        raise InputError(f"{path}: exists and is no rosbag2; choose another place") from None
    return [path / METADATA, *(file for file in files if file.name.endswith(tuple(STORAGES)))]


def remove_bag(path: Path) -> None:
    """Remove a bag's own files. Raises InputError where the folder is none, or may not be."""
    try:
        _remove(_files_of_bag(path))
    except OSError as reason:
        raise InputError(f"{path}: cannot write: {reason.strerror}") from None


def _remove(files: list[Path]) -> None:
    for file in files:
        for name in (file.name, *(file.name + more for more in LEFT_BY_SQLITE)):
            file.with_name(name).unlink(missing_ok=True)


def _dumped(tree: Any) -> str:
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True  # ROS does not read them

    text: str = yaml.dump(tree, Dumper=Dumper, sort_keys=False, default_flow_style=False)
    return text.strip()


def _qos(latched: bool, version: int) -> list[dict[str, Any]]:
    """The quality of service offered; by numbers before version 9."""
    words = version >= 9
    durability = ("transient_local", 1) if latched else ("volatile", 2)
    return [
        {
            "history": "keep_last" if words else 1,
            "depth": 100,
            "reliability": "reliable" if words else 1,
            "durability": durability[0 if words else 1],
            "deadline": dict(ENDLESS_DURATION),
            "lifespan": dict(ENDLESS_DURATION),
            "liveliness": "automatic" if words else 1,
            "liveliness_lease_duration": dict(ENDLESS_DURATION),
            "avoid_ros_namespace_conventions": False,
        }
    ]
