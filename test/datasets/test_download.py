# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Downloads, against a small server of this machine that can misbehave."""

from __future__ import annotations

import argparse
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from locdreamer_ros.cli import download as command
from locdreamer_ros.cli import main
from locdreamer_ros.datasets import zenodo
from locdreamer_ros.errors import InputError

CONTENT = np.random.default_rng(0).bytes(3_500_000)


class Zenodo(ThreadingHTTPServer):
    """A record with data_set.zip. It cuts each answer after `cut` bytes."""

    daemon_threads = True
    cut: int | None = None
    resumes = True
    shifted = False
    broken = False
    md5 = hashlib.md5(CONTENT).hexdigest()
    record: object = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.asked: list[int] = []
        self.base = f"http://127.0.0.1:{self.server_port}"

    def files(self) -> object:
        """What the record says."""
        link = f"{self.base}/content"
        entry = {"key": "data_set.zip", "size": len(CONTENT), "checksum": f"md5:{self.md5}"}
        return {"id": 7629141, "files": [{"key": "readme"}, entry | {"links": {"self": link}}]}


class Answer(BaseHTTPRequestHandler):
    server: Zenodo

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/api/records/7629141":
            record = self.server.record if self.server.record is not None else self.server.files()
            body = record if isinstance(record, bytes) else json.dumps(record).encode()
            self.answer(200, body)
        elif self.path == "/content" and not self.server.broken:
            asked = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            self.server.asked.append(asked)
            start = asked if self.server.resumes else 0
            end = len(CONTENT)
            place = f"bytes {start + self.server.shifted}-{end - 1}/{end}"
            self.answer(
                206 if self.server.resumes else 200,
                CONTENT[start:],
                {"Content-Range": place} if self.server.resumes else {},
            )
        else:
            self.answer(503, b"")

    def answer(self, code: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.end_headers()
        cut = self.server.cut if self.path == "/content" else None
        self.wfile.write(body[:cut])
        if cut is not None and cut < len(body):
            self.close_connection = True


@pytest.fixture
def server() -> Iterator[Zenodo]:
    with Zenodo() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def fetch(server: Zenodo, folder: Path, report: Path | None = None) -> int:
    options = argparse.Namespace(output=folder, json=report, seed=0)
    return command.run_bregar(options, base=server.base, pause=0.0)


def test_a_quiet_download(
    server: Zenodo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fetch(server, tmp_path / "new", tmp_path / "r.json") == 0
    assert (tmp_path / "new" / "data_set.zip").read_bytes() == CONTENT
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["data_set.zip"]
    assert json.loads((tmp_path / "r.json").read_text())["md5"] == server.md5
    assert "checksum correct" in capsys.readouterr().out
    assert server.asked == [0]
    assert fetch(server, tmp_path / "new") == 0  # already there: checked, not fetched again
    assert server.asked == [0]


def test_a_connection_that_keeps_breaking_is_resumed(server: Zenodo, tmp_path: Path) -> None:
    server.cut = 1_000_000
    assert fetch(server, tmp_path) == 0
    assert (tmp_path / "data_set.zip").read_bytes() == CONTENT
    assert server.asked == [0, 1_000_000, 2_000_000, 3_000_000]


def test_the_next_call_goes_on_where_the_last_gave_up(server: Zenodo, tmp_path: Path) -> None:
    part = tmp_path / "data_set.zip.part"
    part.write_bytes(CONTENT[:1_234_567])
    server.broken = True
    with pytest.raises(InputError, match=r"503 .* 1234567 of 3500000 bytes are kept in .*part"):
        fetch(server, tmp_path)
    assert part.stat().st_size == 1_234_567
    server.broken = False
    assert fetch(server, tmp_path) == 0
    assert server.asked == [1_234_567]
    assert (tmp_path / "data_set.zip").read_bytes() == CONTENT


def test_a_server_that_cannot_resume_starts_again(server: Zenodo, tmp_path: Path) -> None:
    (tmp_path / "data_set.zip.part").write_bytes(b"x" * 1000)
    server.resumes = False
    assert fetch(server, tmp_path) == 0
    assert (tmp_path / "data_set.zip").read_bytes() == CONTENT


def test_a_server_that_resumes_elsewhere_is_not_believed(server: Zenodo, tmp_path: Path) -> None:
    (tmp_path / "data_set.zip.part").write_bytes(CONTENT[:1000])
    server.shifted = True
    with pytest.raises(InputError, match="resumed at another place"):
        fetch(server, tmp_path)
    assert (tmp_path / "data_set.zip.part").read_bytes() == CONTENT[:1000]


@pytest.mark.parametrize("size", [1000, 3_500_000, 4_000_000])
def test_a_wrong_checksum_is_deleted(server: Zenodo, tmp_path: Path, size: int) -> None:
    (tmp_path / "data_set.zip.part").write_bytes(b"x" * size)
    with pytest.raises(InputError, match="wrong checksum"):
        fetch(server, tmp_path)
    assert not list(tmp_path.iterdir())


def test_another_file_is_not_overwritten(server: Zenodo, tmp_path: Path) -> None:
    (tmp_path / "data_set.zip").write_text("mine")
    with pytest.raises(InputError, match="exists and is another file"):
        fetch(server, tmp_path)
    assert (tmp_path / "data_set.zip").read_text() == "mine"


def test_a_full_disk_is_noticed_before(
    server: Zenodo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = argparse.Namespace(free=1_000_000)
    monkeypatch.setattr(zenodo.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(InputError, match=r"needs 0\.0 GB of free space, has 0\.0 GB"):
        fetch(server, tmp_path)
    (tmp_path / "data_set.zip.part").write_bytes(CONTENT[:2_600_000])  # what is there counts
    assert fetch(server, tmp_path) == 0


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (b"<html>", "expected a Zenodo record"),
        ({"message": "gone"}, "expected a Zenodo record"),
        ({"files": []}, "the record has no file data_set.zip"),
        ({"files": [{"key": "data_set.zip", "checksum": "sha1:0"}]}, "expected an md5 checksum"),
    ],
)
def test_a_strange_record_is_one_line(
    server: Zenodo, tmp_path: Path, record: object, words: str
) -> None:
    server.record = record
    with pytest.raises(InputError, match=words):
        fetch(server, tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_a_network_it_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(zenodo, "ZENODO", "http://127.0.0.1:9")  # discard: nobody listens
    assert main(["download", "bregar", "--output", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "no answer: Connection refused; is there a network?" in error
    assert error.count("\n") == 1
    (tmp_path / "file").touch()
    assert main(["download", "bregar", "--output", str(tmp_path / "file")]) == 2
    assert "is not a folder" in capsys.readouterr().err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["download", "bregar", "--help"])
    assert stop.value.code == 0
    assert "16.4 GB" in capsys.readouterr().out
