# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""rosbag2 files and ROS 2 messages without a ROS installed.

The library `rosbags` does the formats; it is imported only where it is used. Stamps here are whole
nanoseconds, as in ROS.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from locdreamer_ros.errors import InputError

if TYPE_CHECKING:
    from rosbags.interfaces import Connection, Qos
    from rosbags.typesys.store import Typestore


def message_folder() -> Path:
    """The folder of our .msg files: of the source tree, or of the prefix we are installed in.

    Raises FileNotFoundError where an installation has lost them.
    """
    here = Path(__file__).resolve()
    prefixes = [*here.parents, *map(Path, os.environ.get("AMENT_PREFIX_PATH", "").split(":"))]
    source = here.parents[2] / "msg"
    for folder in (source, *(prefix / "share" / "locdreamer_ros" / "msg" for prefix in prefixes)):
        if (folder / "AnchorArray.msg").is_file():
            return folder
    raise FileNotFoundError("share/locdreamer_ros/msg/*.msg: not found; reinstall locdreamer_ros")


@lru_cache(maxsize=1)
def typestore() -> Typestore:
    """All standard ROS 2 message types and ours, to (de)serialise CDR without rclpy."""
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS2_KILTED)
    ours: Any = {}
    for path in sorted(message_folder().glob("*.msg")):
        text = path.read_text(encoding="utf-8")
        ours.update(get_types_from_msg(text, f"locdreamer_ros/msg/{path.stem}"))
    store.register(ours)
    return store


def message(name: str, **fields: Any) -> Any:
    """A message of type `name` (`package/msg/Type`) that `typestore()` can serialise."""
    return typestore().types[name](**fields)


class BagWriter:
    """Writes serialised messages to a rosbag2 folder (MCAP) that appears at `path` when closed.

    Used as a context manager: an exception inside leaves no trace. An older bag at `path` is
    replaced; anything else there is kept and raises InputError.
    """

    def __init__(self, path: Path) -> None:
        from rosbags.rosbag2 import StoragePlugin, Writer

        if path.suffix in (".mcap", ".db3"):
            raise InputError(f"{path}: a rosbag2 is a folder; give its name without {path.suffix}")
        empty = path.is_dir() and not any(path.iterdir())
        if path.exists() and not empty and not (path / "metadata.yaml").is_file():
            raise InputError(f"{path}: exists and is no rosbag2; choose another place")
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        except OSError as reason:
            raise InputError(f"{path}: cannot write: {reason.strerror}") from None
        # The bag has its final name from the start, because its files are named after it.
        self._writer = Writer(
            self._folder / path.name,
            version=Writer.VERSION_LATEST,
            storage_plugin=StoragePlugin.MCAP,
        )
        self._writer.open()
        self._connections: dict[str, Connection] = {}

    def write(
        self, topic: str, name: str, stamp: int, data: bytes | memoryview, *, latched: bool = False
    ) -> None:
        """Append one CDR message of type `name` (`package/msg/Type`), received at `stamp` ns.

        `latched`: replayed to late subscribers too (transient local).
        """
        connection = self._connections.get(topic)
        if connection is None:
            connection = self._connections[topic] = self._writer.add_connection(
                topic, name, typestore=typestore(), offered_qos_profiles=[_qos(latched)]
            )
        self._writer.write(connection, stamp, data)

    def close(self) -> None:
        """Finish the bag and move it to its place."""
        try:
            self._writer.close()
            if self.path.exists():
                self.path.rename(self._folder / ".replaced")
            (self._folder / self.path.name).rename(self.path)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def discard(self) -> None:
        """Throw away what was written."""
        self._writer.abort()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()


def _qos(latched: bool) -> Qos:
    from rosbags.interfaces import (
        Qos,
        QosDurability,
        QosHistory,
        QosLiveliness,
        QosReliability,
        QosTime,
    )

    forever = QosTime(sec=9223372036, nsec=854775807)  # how rosbag2 writes "infinite"
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=1 if latched else 100,
        reliability=QosReliability.RELIABLE,
        durability=QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        deadline=forever,
        lifespan=forever,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=forever,
        avoid_ros_namespace_conventions=False,
    )


def read_messages(path: Path, topic: str, name: str, *, beside: str = "") -> Iterator[Any]:
    """Messages of `topic` (in any namespace), of type `name`, in the bag's order; none if absent.

    beside: another topic; only the namespace that has it too counts, for names that are common.
    `path` is a bag's folder or its .mcap or .db3 file. Raises InputError where it is no bag or a
    damaged one, has the topic under several namespaces, or with another definition of the type.
    """
    from rosbags.rosbag2 import Reader
    from tqdm import tqdm

    store = typestore()
    # A damaged file makes the libraries below raise almost anything, so everything is caught here,
    # where nothing of ours runs.
    try:
        with Reader(path) as reader:
            spaces = {
                c.topic.removesuffix(beside) for c in reader.connections if c.topic.endswith(beside)
            }
            found = [
                c
                for c in reader.connections
                if c.topic.endswith(topic) and (not beside or c.topic.removesuffix(topic) in spaces)
            ]
            for connection in found:
                if connection.topic != found[0].topic:
                    raise InputError(f"holds both {found[0].topic} and {connection.topic}")
                if connection.msgtype != name:
                    raise InputError(f"{topic}: expected {name}, got {connection.msgtype}")
                if connection.digest and connection.digest != store.hash_rihs01(name):
                    raise InputError(f"{topic}: recorded with another version of {name}")
            if found:
                count = sum(c.msgcount for c in found)
                records = tqdm(
                    reader.messages(found), f"reading {topic}", count, leave=False, delay=3
                )
                for _, _, raw in records:
                    yield store.deserialize_cdr(raw, name)
    except InputError as reason:
        raise InputError(f"{path}: {reason}") from None
    except Exception as reason:
        problem = " ".join(str(reason).split()) or type(reason).__name__
        raise InputError(f"{path}: not a readable rosbag2: {problem}") from None
