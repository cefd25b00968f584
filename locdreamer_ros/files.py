# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading with a clear complaint and within bounds, writing all or nothing."""

from __future__ import annotations

import codecs
import errno
import io
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from locdreamer_ros.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
PACKED = {
    b"\x1f\x8b": "packed: unpack it (gunzip)",
    b"PK\x03\x04": "a zip or an Excel file: unpack it, or save it as CSV",
}
"""What else a file may be, by its first bytes, and what to do."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
"""What a disk says that takes no more."""
LARGEST_TREE = 1 << 22
"""Bytes of a YAML or JSON file of ours, at most."""
LARGEST_ARRAYS = 1 << 30
"""Bytes of all arrays of an .npz unpacked, at most."""
DEEPEST_JSON = 50
"""Levels of such a file, at most."""
POWER_OF_TEN = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$")
"""What is a number in a parameter file of ROS, and none to PyYAML: 1e-3."""


def check_there(path: Path) -> None:
    """Raises InputError for a file that is not there, before it is opened."""
    if not path.exists():
        raise InputError(f"{path}: cannot read: No such file or directory")


def anchors_of(table: Path, named: Path | None = None) -> Path:
    """The anchors file that belongs to a range table: as named, else beside it."""
    return named or table.with_name(f"{table.stem}_anchors.csv")


def truth_of(table: Path) -> Path:
    """Where the truth of a range table may be that does not hold it itself."""
    return table.with_name(f"{table.stem}_truth.csv")


@contextmanager
def open_text(path: Path) -> Iterator[IO[str]]:
    """Open a UTF-8 text file, or a UTF-16 one that says so, as Windows writes them.

    Raises InputError where it is absent, unreadable or not text.
    """
    head = b""
    try:
        with path.open("rb") as raw:
            head = raw.peek(4)[:4]
            coding = "utf-16" if head[:2] in UTF_16 else "utf-8-sig"
            with io.TextIOWrapper(raw, encoding=coding, newline="") as stream:
                yield stream
    except OSError as reason:
        raise InputError(f"{path}: cannot read: {reason.strerror}") from None
    except UnicodeError as reason:
        kind = next(
            (f"; it is {what}" for magic, what in PACKED.items() if head.startswith(magic)), ""
        )
        at = f"byte {reason.start}: " if isinstance(reason, UnicodeDecodeError) else ""
        raise InputError(f"{path}: {at}expected UTF-8 text{kind or '; save it as UTF-8'}") from None


def _bounded(path: Path) -> str:
    """The text of a small file. Raises InputError where it is none or not small."""
    with open_text(path) as stream:
        text = stream.read(LARGEST_TREE + 1)
    if len(text) > LARGEST_TREE:
        raise InputError(f"{path}: expected a file of at most {LARGEST_TREE} characters")
    return text


def read_yaml(path: Path, *, plain: bool = False) -> Any:
    """What a YAML file holds. Raises InputError: unreadable, no YAML, too large, deep or aliased.

    plain: whatever is no list or mapping as text, as it is written. Aliases are refused: a few
    lines of them unpack to gigabytes, and ROS does not read them either.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        depth = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise InputError(f"{path}: YAML aliases (*name) are not read")
            self.depth += 1
            if self.depth > DEEPEST_JSON:
                raise InputError(f"{path}: nested more than {DEEPEST_JSON} levels deep")
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

    text = _bounded(path)
    if plain:
        Loader.yaml_implicit_resolvers = {}
    else:  # as rcl has it: a number without a point, too
        Loader.add_implicit_resolver("tag:yaml.org,2002:float", POWER_OF_TEN, [*"+-.0123456789"])
    try:
        return yaml.load(text, Loader)
    except yaml.YAMLError as reason:
        problem = " ".join(str(reason).split())
        raise InputError(f"{path}: not YAML: {problem[:300]}") from None
    except InputError:
        raise
    except (ValueError, RecursionError, OverflowError) as reason:
        # Numbers of thousands of digits, dates that are none.
        raise InputError(f"{path}: not YAML: {str(reason)[:100] or 'too deep'}") from None


def read_json(path: Path) -> Any:
    """What a JSON file holds. Raises InputError: unreadable, no JSON, too large or too deep."""
    import json

    text = _bounded(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as reason:
        raise InputError(f"{path}: line {reason.lineno}: not JSON: {reason.msg}") from None
    except RecursionError:
        raise InputError(f"{path}: nested too deep") from None
    except ValueError as reason:  # a number of thousands of digits
        raise InputError(f"{path}: not JSON: {str(reason)[:100]}") from None


def read_arrays(path: Path, what: str) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz, without pickles. Raises InputError: not `what`, damaged or too large.

    Sizes are checked before anything is unpacked: a few kilobytes can claim terabytes.
    """
    import zipfile

    import numpy as np

    try:
        with zipfile.ZipFile(path) as file:
            entries = [entry for entry in file.infolist() if entry.filename.endswith(".npy")]
            if sum(entry.file_size for entry in entries) > LARGEST_ARRAYS:
                raise InputError(f"{path}: unpacks to more than {LARGEST_ARRAYS} bytes")
            arrays = {}
            for entry in entries:
                damaged = InputError(f"{path}: expected {what}: {entry.filename} is damaged")
                with file.open(entry) as stream:
                    head = getattr(np.lib.format, "read_array_header_{}_{}".format(
                        *np.lib.format.read_magic(stream)
                    ))  # fmt: skip
                    shape, fortran, kind = head(stream)
                    size = int(np.prod(shape, dtype=object)) * kind.itemsize
                    if kind.hasobject or size != entry.file_size - stream.tell():
                        raise damaged
                    flat = np.frombuffer(bytearray(stream.read()), dtype=kind)
                    if kind.kind == "U":  # what is no letter ends in a SystemError when it is read
                        codes = flat.view(np.dtype(np.uint32).newbyteorder(kind.byteorder))
                        if (codes > sys.maxunicode).any():
                            raise damaged
                    array = flat.reshape(shape, order="F" if fortran else "C")
                    arrays[entry.filename.removesuffix(".npy")] = array
            return arrays
    except InputError:
        raise
    except OSError as reason:
        raise InputError(f"{path}: cannot read: {reason.strerror or reason}") from None
    except Exception as reason:  # damaged files make these libraries raise almost anything
        problem = " ".join(str(reason).split())[:100] or type(reason).__name__
        raise InputError(f"{path}: expected {what}: {problem}") from None


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well, else vanishes.

    A link and what is no plain file (`/dev/stdout`) stay what they are: it is copied into them.
    Raises InputError where the folder cannot be written, or the disk is full.
    """
    through = is_passage(path)
    try:
        if not through:
            path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=None if through else path.parent, prefix=f".{path.stem[:40]}.", suffix=path.suffix
        )
    except OSError as reason:
        raise InputError(f"{path}: cannot write: {reason.strerror}") from None
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        if through:
            _copy_into(path, temporary)
            return
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp made it private
        temporary.replace(path)
    except OSError as reason:
        if reason.errno not in NO_ROOM:
            raise
        raise InputError(f"{path}: cannot write: {reason.strerror}") from None
    finally:
        temporary.unlink(missing_ok=True)


def identity(path: Path) -> tuple[int, int] | None:
    """Which file of the disk this is; None where there is none.

    What a long-running writer holds open may be moved or removed meanwhile, which no write tells.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def check_folder(path: Path) -> None:
    """Complain about a folder that cannot be written before the work; it need not exist."""
    existing = path
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise InputError(f"{path}: cannot write: {existing} is not a folder")
    try:  # what root may do it can still not do everywhere: /proc, /sys, a full disk
        tempfile.TemporaryFile(dir=existing).close()
    except OSError as reason:
        raise InputError(f"{path}: cannot write in {existing}: {reason.strerror}") from None


def is_passage(path: Path) -> bool:
    """Whether what is written to `path` ends elsewhere: a link, a device, a pipe."""
    return path.is_symlink() or (path.exists() and not path.is_file() and not path.is_dir())


def _copy_into(path: Path, whole: Path) -> None:
    try:
        with whole.open("rb") as source, path.open("wb") as target:
            shutil.copyfileobj(source, target)
    except OSError as reason:
        raise InputError(f"{path}: cannot write: {reason.strerror}") from None


@contextmanager
def write_atomically(path: Path) -> Iterator[IO[str]]:
    """Open `path` for UTF-8 text; nothing of it is seen until the block ends well."""
    with replaced(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        yield stream
