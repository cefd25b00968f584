# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""rosbag2 and ROS 2 messages without a ROS installed: reading a folder, .mcap or .db3.

The library `rosbags` (de)serialises the messages; it is imported only where it is used. Stamps here
are whole nanoseconds, as in ROS.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePath
from types import ModuleType
from typing import TYPE_CHECKING, Any

from locdreamer_ros.datasets import mcap, sqlite_bag
from locdreamer_ros.datasets.columns import note
from locdreamer_ros.datasets.mcap import Channel, Contents, Message
from locdreamer_ros.errors import InputError
from locdreamer_ros.files import read_yaml

if TYPE_CHECKING:
    from rosbags.typesys.store import Typestore

METADATA = "metadata.yaml"
INFORMATION = "rosbag2_bagfile_information"
STORAGES: dict[str, ModuleType] = {".mcap": mcap, ".db3": sqlite_bag}
NEEDED = {
    "locdreamer_ros/msg/RangeArray": ("header", "ranges"),
    "locdreamer_ros/msg/AnchorRange": ("anchor", "stamp", "range", "status"),
    "locdreamer_ros/msg/RangeDifferenceArray": ("header", "tag", "reference", "differences"),
    "locdreamer_ros/msg/RangeDifference": ("anchor", "difference", "variance"),
    "locdreamer_ros/msg/AnchorArray": ("anchors",),
    "locdreamer_ros/msg/Anchor": ("id", "position"),
    "builtin_interfaces/msg/Time": ("sec", "nanosec"),
    "std_msgs/msg/Header": ("stamp",),
    "geometry_msgs/msg/Point": ("x", "y", "z"),
    "geometry_msgs/msg/Vector3": ("x", "y", "z"),
    "geometry_msgs/msg/Quaternion": ("x", "y", "z", "w"),
    "geometry_msgs/msg/Pose": ("position", "orientation"),
    "geometry_msgs/msg/PoseStamped": ("header", "pose"),
    "geometry_msgs/msg/PoseWithCovariance": ("pose",),
    "nav_msgs/msg/Odometry": ("header", "pose"),
    "sensor_msgs/msg/Imu": ("header", "angular_velocity", "angular_velocity_covariance"),
}
"""Fields that are read: bags of any version of a type must have them."""
UNDEFINED = " (or of another version of its type, of which the bag has no definition)"
LARGEST_MESSAGE = 1 << 26
"""Bytes of a message that is packed alone, at most."""
LARGEST_FILE = 1 << 34
"""Bytes of a file that is packed whole, at most."""


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
    """All standard ROS 2 message types and ours, to (de)serialise CDR without rclpy.

    Raises InputError where the library is not installed.
    """
    try:
        from rosbags.typesys import Stores, get_types_from_msg, get_typestore
    except ImportError:
        raise InputError(
            "bags need the package rosbags: pip install 'rosbags>=0.11,<0.12' "
            "(with ROS: rosdep install, key python3-rosbags-pip)"
        ) from None

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


@dataclass(frozen=True)
class Bag:
    """An open rosbag2: its files in their order, checked, and how each message is packed."""

    path: Path
    files: tuple[tuple[Path, Contents], ...]
    packed: bool

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Every topic once, with all its messages counted."""
        found: dict[tuple[str, str], Channel] = {}
        for _, contents in self.files:
            for channel in contents.channels.values():
                key = channel.topic, channel.type
                before = found.get(key)
                count = channel.total + (before.total if before else 0)
                found[key] = channel._replace(total=count)
        return tuple(found.values())

    def messages(self, topics: Collection[str]) -> Iterator[Message]:
        """Messages of the topics, in the order in which they were received."""
        for file, contents in self.files:
            for found in STORAGES[file.suffix].read(file, contents, topics):
                if self.packed:
                    data = bytes(mcap.unpacked(found.data, "zstd", LARGEST_MESSAGE))
                    yield found._replace(data=data)
                else:
                    yield found

    def described(self) -> str:
        """Topics, types and numbers of messages, in one line."""
        return (
            ", ".join(f"{c.topic} ({c.type}, {c.total})" for c in sorted(self.channels))
            or "nothing"
        )


def open_bag(path: Path) -> Bag:
    """Open and check a bag's folder or its .mcap or .db3 file; says what a killed recorder left.

    Raises InputError where it is no bag, or a damaged one.
    """
    try:
        stamps = []
        for file in (path, *(sorted(path.iterdir()) if path.is_dir() else ())):
            state = file.stat()
            stamps.append((file.name, state.st_size, state.st_mtime_ns))
        return _open(path, tuple(stamps))
    except OSError as reason:
        raise InputError(f"{path}: not a readable rosbag2: {reason.strerror}") from None
    except InputError as reason:
        raise InputError(f"{path}: not a readable rosbag2: {reason}") from None


@lru_cache(maxsize=4)
def _open(path: Path, _: tuple[tuple[str, int, int], ...]) -> Bag:
    """The bag at `path`; looked through once, as long as its files stay the same."""
    mode = ""
    if path.is_dir():
        files, mode = _files_of(path)
    else:
        files = [path]
    found = []
    for file in files:
        if mode == "file":
            file = _unpacked_file(file)
        if file.suffix not in STORAGES:
            raise InputError(f"{file.name}: expected .mcap or .db3")
        contents = STORAGES[file.suffix].scan(file)
        if not contents.finished:
            total = sum(channel.total for channel in contents.channels.values())
            if not total:
                raise InputError(f"{file.name}: was cut off before its first whole chunk")
            left = f" ({contents.unread} bytes after it)" if contents.unread else ""
            note(
                path,
                f"{file.name} was not finished (its recorder was stopped at once): read up to what "
                f"was written whole last, {total} messages{left}",
            )
        found.append((file, contents))
    return Bag(path, tuple(found), mode == "message")


def _files_of(folder: Path) -> tuple[list[Path], str]:
    """The files of a bag's folder in their order, and how they are packed: file, message or ""."""
    if not (folder / METADATA).exists():
        return _all_files(folder, f"has no {METADATA}"), ""
    tree = read_yaml(folder / METADATA)
    if tree is None:  # what a power cut leaves
        return _all_files(folder, f"has an empty {METADATA}"), ""
    try:
        body = tree[INFORMATION]
        # Only names: a bag's files are beside its metadata, wherever it was recorded.
        files = [folder / PurePath(str(name)).name for name in body["relative_file_paths"]]
        mode = str(body.get("compression_mode") or "").lower()
    except (TypeError, KeyError, AttributeError):
        raise InputError(f"{METADATA}: expected that of a rosbag2") from None
    missing = [file.name for file in files if not file.is_file()]
    if missing or not files:
        raise InputError(f"files are missing: {', '.join(missing) or 'all'}")
    return files, "" if mode == "none" else mode


def _all_files(folder: Path, problem: str) -> list[Path]:
    """The files of a bag whose metadata say nothing, which is told. Raises InputError: none."""
    files = [file for file in folder.iterdir() if file.suffix in STORAGES]
    if not files:
        raise InputError(f"no {METADATA}, no .mcap and no .db3 file in it")
    note(folder, f"{problem}; read: {', '.join(sorted(file.name for file in files))}")
    return sorted(files, key=lambda file: _natural(file.name))


def _natural(name: str) -> list[tuple[int, str]]:
    """bag_2 before bag_10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


def _unpacked_file(file: Path) -> Path:
    """A file that is packed whole, unpacked where it is deleted with the process."""
    try:
        zstd = mcap.zstd()
    except ImportError as reason:
        raise InputError(f"zstd compression needs {reason.name}: pip install rosbags") from None
    folder = Path(_temporary().name)
    target = folder / file.stem
    left = LARGEST_FILE
    try:
        with zstd.open(file, "rb") as packed, target.open("wb") as stream:
            while piece := packed.read(1 << 20):
                left -= len(piece)
                if left < 0:
                    raise InputError(f"{file.name}: unpacks to more than {LARGEST_FILE} bytes")
                stream.write(piece)
    except (OSError, EOFError, zstd.ZstdError) as reason:
        raise InputError(f"{file.name}: cannot unpack: {reason}") from None
    return target


@lru_cache(maxsize=1)
def _temporary() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


def find_topic(bag: Bag, topic: str, beside: str = "") -> Channel | None:
    """The channel of `topic`, in any namespace; None: there is none.

    beside: another topic; only the namespace that has it too counts, for names that are common.
    Raises InputError where several namespaces have it.
    """
    spaces = {c.topic.removesuffix(beside) for c in bag.channels if c.topic.endswith(beside)}
    found = [
        c
        for c in bag.channels
        if c.topic.endswith(topic) and (not beside or c.topic.removesuffix(topic) in spaces)
    ]
    for channel in found:
        if channel.topic != found[0].topic:
            raise InputError(f"{bag.path}: holds both {found[0].topic} and {channel.topic}")
    return found[0] if found else None


def read_messages(path: Path, topic: str, name: str, *, beside: str = "") -> Iterator[Any]:
    """Messages of `topic`, of type `name`, in the bag's order; none if absent. See `find_topic`.

    `path` is a bag's folder or its .mcap or .db3 file. Raises InputError where it is no bag or a
    damaged one, has the topic under several namespaces, or with another definition of the type.
    """
    yield from (body for _, body in received_messages(path, topic, name, beside=beside))


def received_messages(
    path: Path, topic: str, name: str, *, beside: str = ""
) -> Iterator[tuple[int, Any]]:
    """As `read_messages`, each with the time ns at which it was received."""
    bag = open_bag(path)
    channel = find_topic(bag, topic, beside)
    if channel is None:
        return
    if channel.type != name:
        raise InputError(f"{path}: {channel.topic}: expected {name}, got {channel.type}")
    yield from decoded(bag, channel)


def decoded(bag: Bag, channel: Channel) -> Iterator[tuple[int, Any]]:
    """The messages of a topic, each with the time ns at which it was received.

    By the definition that the bag has of their type, so a bag of an older version of it is read as
    far as its fields go. Raises InputError.
    """
    from tqdm import tqdm

    where = f"{bag.path}: {channel.topic}"
    store = _store_of(channel, where)
    title = f"reading {channel.topic}"
    try:
        for number, found in enumerate(
            tqdm(bag.messages({channel.topic}), title, channel.total, leave=False, delay=3), start=1
        ):
            try:  # a damaged message makes the library raise almost anything
                body = store.deserialize_cdr(found.data, channel.type)
            except Exception as reason:
                problem = " ".join(str(reason).split()) or type(reason).__name__
                other = "" if channel.definition else UNDEFINED
                raise InputError(
                    f"{channel.topic}: message {number}: damaged: {problem}{other}"
                ) from None
            yield found.received, body
    except InputError as reason:
        raise InputError(f"{bag.path}: {reason}") from None


def _store_of(channel: Channel, where: str) -> Typestore:
    """A store that knows the channel's type."""
    ours = typestore()
    if channel.definition:
        from rosbags.typesys import Stores, get_types_from_msg, get_typestore

        try:
            types = get_types_from_msg(channel.definition, channel.type)
            if all(ours.fielddefs.get(name) == fields for name, fields in types.items()):
                return ours
            store = get_typestore(Stores.EMPTY)
            store.register(types)
            _check_version(store, where)
            return store
        except InputError:
            raise
        except Exception as reason:
            problem = " ".join(str(reason).split()) or type(reason).__name__
            raise InputError(
                f"{where}: unreadable definition of {channel.type}: {problem[:100]}"
            ) from None
    if channel.type not in ours.fielddefs:
        raise InputError(f"{where}: the bag has no definition of {channel.type}")
    return ours


def _check_version(theirs: Typestore, where: str) -> None:
    """Raises InputError where a type lacks a field that nothing can stand in for."""
    ours = typestore()
    for name, fields in NEEDED.items():
        if name in theirs.fielddefs:
            has, wanted = (dict(store.fielddefs[name][1]) for store in (theirs, ours))
            for field in fields:
                if has.get(field) != wanted[field]:
                    raise InputError(
                        f"{where}: recorded with another version of {name}: field {field}"
                    )
