# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading with a clear complaint, writing all or nothing."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from locdreamer_ros.errors import InputError


@contextmanager
def open_text(path: Path) -> Iterator[IO[str]]:
    """Open a UTF-8 text file. Raises InputError where it is absent, unreadable or not text."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            yield stream
    except OSError as reason:
        raise InputError(f"{path}: cannot read: {reason.strerror}") from None
    except UnicodeDecodeError as reason:
        raise InputError(f"{path}: byte {reason.start}: expected UTF-8 text") from None


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well, else vanishes.

    Raises InputError where the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix
        )
    except OSError as reason:
        raise InputError(f"{path}: cannot write: {reason.strerror}") from None
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp made it private
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def write_atomically(path: Path) -> Iterator[IO[str]]:
    """Open `path` for UTF-8 text; nothing of it is seen until the block ends well."""
    with replaced(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        yield stream
