# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Downloads a large file of a Zenodo record: resumed where it was cut, checked when complete."""

from __future__ import annotations

import hashlib
import http.client
import json
import shutil
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from locdreamer_ros.errors import InputError

ZENODO = "https://zenodo.org"
CHUNK = 1 << 20
LARGEST_RECORD = 1 << 24
"""Bytes of what describes a record, at most."""
TIMEOUT_S = 30.0
ATTEMPTS = 6
"""Attempts in a row that bring nothing before giving up, 1, 2, 4 .. s apart."""


@dataclass(frozen=True)
class RemoteFile:
    """A file of a record: where it is, its size in bytes and its MD5 (hexadecimal)."""

    url: str
    size: int
    md5: str


def find_file(record: int, name: str, base: str = ZENODO) -> RemoteFile:
    """Ask the record for the file. Raises InputError without a network or such a file."""
    url = f"{base}/api/records/{record}"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            files = json.loads(answer.read(LARGEST_RECORD))["files"]
        entry = next((f for f in files if f["key"] == name), None)
        if entry is None:
            raise InputError(f"{url}: the record has no file {name}")
        kind, _, digest = entry["checksum"].partition(":")
        if kind != "md5":
            raise InputError(f"{url}: expected an md5 checksum, got {kind}")
        return RemoteFile(entry["links"]["self"], int(entry["size"]), digest)
    except (OSError, http.client.HTTPException) as reason:
        raise InputError(f"{url}: no answer: {_reason(reason)}; is there a network?") from None
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise InputError(f"{url}: expected a Zenodo record, got something else") from None


def download(remote: RemoteFile, path: Path, *, pause: float = 1.0) -> None:
    """Download to `path`; what is there so far waits in `path` + `.part` for the next call.

    `pause` is the first wait in s after a failure; it doubles. Raises InputError where the disk is
    too small, the network stays away, or the checksum is wrong (then the part is deleted).
    """
    from tqdm import tqdm

    if path.is_file():
        if path.stat().st_size == remote.size and _md5(path) == remote.md5:
            return
        raise InputError(f"{path}: exists and is another file; move it away first")
    part = path.with_name(path.name + ".part")
    _make_room(part, remote.size)
    failures = 0
    bar = tqdm(
        None, path.name, remote.size, unit="B", unit_scale=True, initial=_size(part), leave=False
    )
    with bar:
        while _size(part) < remote.size:
            before = _size(part)
            problem = _continue(remote, part, bar)
            if problem is None:
                continue
            failures = failures + 1 if _size(part) <= before else 1
            if failures == ATTEMPTS:
                raise InputError(
                    f"{remote.url}: {problem}; {_size(part)} of {remote.size} bytes are kept in "
                    f"{part}, the same command goes on from there"
                )
            time.sleep(pause * 2.0 ** (failures - 1))
    if _size(part) != remote.size or _md5(part) != remote.md5:
        part.unlink()
        raise InputError(f"{remote.url}: wrong checksum, what was downloaded is deleted; try again")
    part.replace(path)


def _make_room(part: Path, size: int) -> None:
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(part.parent).free
    except OSError as reason:
        raise InputError(f"{part.parent}: cannot write: {reason.strerror}") from None
    missing = size - _size(part)
    if free < missing:
        raise InputError(
            f"{part.parent}: needs {missing / 1e9:.1f} GB of free space, has {free / 1e9:.1f} GB"
        )


def _continue(remote: RemoteFile, part: Path, bar: Any) -> str | None:
    """Append to `part` what the server sends; the problem where that is not the whole rest."""
    offset = _size(part)
    request = urllib.request.Request(remote.url, headers={"Range": f"bytes={offset}-"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            if offset and answer.status != 206:  # the server does not resume: from the beginning
                offset = 0
                bar.reset(remote.size)
            elif offset and not answer.headers.get("Content-Range", "").startswith(
                f"bytes {offset}-"
            ):
                return "the server resumed at another place"
            with part.open("ab" if offset else "wb") as stream:
                while chunk := answer.read(CHUNK):
                    _write(stream, chunk, part)
                    bar.update(len(chunk))
    except urllib.error.HTTPError as reason:
        return f"the server answered {reason.code} {reason.reason}"
    except (OSError, http.client.HTTPException) as reason:
        return _reason(reason)
    return None if _size(part) >= remote.size else "the connection was cut"


def _write(stream: Any, chunk: bytes, part: Path) -> None:
    try:
        stream.write(chunk)
        stream.flush()
    except OSError as reason:  # not the network's fault: no use trying again
        raise InputError(f"{part}: cannot write: {reason.strerror}") from None


def _reason(reason: BaseException) -> str:
    """What an exception of urllib says, in a few words."""
    inner = getattr(reason, "reason", None)
    return str(getattr(inner, "strerror", None) or inner or reason or type(reason).__name__)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _md5(path: Path) -> str:
    from tqdm import tqdm

    digest = hashlib.md5(usedforsecurity=False)  # what Zenodo offers; it guards against damage
    with (
        path.open("rb") as stream,
        tqdm(
            None, "checking", path.stat().st_size, unit="B", unit_scale=True, delay=1, leave=False
        ) as bar,
    ):
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
            bar.update(len(chunk))
    return digest.hexdigest()
