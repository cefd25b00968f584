# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""MCAP files: cut anywhere, with any bit flipped, packed by others; and other readers read ours."""

from __future__ import annotations

import struct
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest

from locdreamer_ros.datasets import mcap
from locdreamer_ros.datasets.mcap import read, scan
from locdreamer_ros.datasets.mcap_writer import McapWriter
from locdreamer_ros.errors import InputError

DEFINITION = "float64 data\n"
KIND = "std_msgs/msg/Float64"


def payload(number: int) -> bytes:
    return b"\x00\x01\x00\x00" + struct.pack("<d", number)


def write(path: Path, chunks: int = 4, each: int = 5, *, finish: bool = True) -> None:
    writer = McapWriter(path)
    for chunk in range(chunks):
        topic = writer.add_channel("/x", KIND, DEFINITION, "") if chunk == 0 else 1
        if chunk == 1:
            writer.add_channel("/y", KIND, DEFINITION, "")
        for number in range(each):
            writer.write(topic, 1000 - chunk * each - number, payload(chunk * each + number))
        writer.flush()
    if finish:
        writer.close("rosbag2")
    else:
        writer.abort()


def numbers(path: Path) -> list[float]:
    return [struct.unpack("<d", m.data[4:])[0] for m in read(path, scan(path), {"/x"})]


def test_messages_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Whatever their stamps say: a clock that goes back is no reason to sort."""
    write(tmp_path / "x.mcap")
    contents = scan(tmp_path / "x.mcap")
    assert contents.finished
    assert contents.unread == 0
    assert {c.topic: c.total for c in contents.channels.values()} == {"/x": 20, "/y": 0}
    assert numbers(tmp_path / "x.mcap") == list(range(20))


def test_cut_anywhere_it_is_read_up_to_the_last_whole_chunk(tmp_path: Path) -> None:
    write(tmp_path / "x.mcap")
    whole = (tmp_path / "x.mcap").read_bytes()
    cut = tmp_path / "cut.mcap"
    found = set()
    for size in range(0, len(whole), 3):
        cut.write_bytes(whole[:size])
        try:
            contents = scan(cut)
        except InputError:
            assert size < 9
            continue
        assert not contents.finished
        got = numbers(cut)
        assert got == list(range(len(got)))
        assert len(got) % 5 == 0
        found.add(len(got))
    assert found == {0, 5, 10, 15, 20}


def test_room_that_was_never_written_is_no_damage(tmp_path: Path) -> None:
    write(tmp_path / "x.mcap", finish=False)
    with (tmp_path / "x.mcap").open("ab") as stream:
        stream.write(bytes(10_000))
    assert numbers(tmp_path / "x.mcap") == list(range(20))


def test_any_flipped_bit_is_noticed(tmp_path: Path) -> None:
    write(tmp_path / "x.mcap")
    whole = (tmp_path / "x.mcap").read_bytes()
    other = tmp_path / "y.mcap"
    rng = np.random.default_rng(0)
    for at in rng.permutation(8 * len(whole))[:600]:
        data = bytearray(whole)
        data[at // 8] ^= 1 << (at % 8)
        other.write_bytes(data)
        with pytest.raises(InputError) as reason:
            scan(other)
        assert "\n" not in str(reason.value), f"bit {at % 8} of byte {at // 8} of {len(whole)}"


@pytest.mark.parametrize("method", ["lz4", "zstd"])
def test_packed_chunks_are_read_and_bombs_are_not(tmp_path: Path, method: str) -> None:
    def packed(raw: bytes) -> bytes:
        if method == "lz4":
            lz4 = pytest.importorskip("lz4.frame")
            return bytes(lz4.compress(raw))
        return bytes(mcap.zstd().compress(raw))

    write(tmp_path / "x.mcap", chunks=1)
    whole = (tmp_path / "x.mcap").read_bytes()
    contents = scan(tmp_path / "x.mcap")
    start = contents.places[0].start
    length = struct.unpack_from("<Q", whole, start + 1)[0]
    head = 28 + 4 + 8
    raw = whole[start + 9 + head : start + 9 + length]

    def file(data: bytes, size: int, checksum: int) -> Path:
        body = struct.pack("<QQQI", 0, 0, size, checksum) + struct.pack("<I", len(method))
        body += method.encode() + struct.pack("<Q", len(data)) + data
        path = tmp_path / "packed.mcap"
        path.write_bytes(whole[:start] + mcap.RECORD.pack(mcap.CHUNK, len(body)) + body)
        return path

    path = file(packed(raw), len(raw), crc32(raw))
    assert numbers(path) == list(range(5))
    path = file(packed(bytes(3 << 28)), len(raw), 0)
    path.write_bytes(path.read_bytes() + mcap.RECORD.pack(mcap.STATISTICS, 0))
    with pytest.raises(InputError, match="checksum of a chunk is wrong"):
        scan(path)
    path = file(packed(raw), 1 << 40, 0)
    path.write_bytes(path.read_bytes() + mcap.RECORD.pack(mcap.STATISTICS, 0))
    with pytest.raises(InputError, match="expected at most"):
        scan(path)


def test_an_independent_reader_reads_it(tmp_path: Path) -> None:
    storage = pytest.importorskip("rosbags.rosbag2.storage_mcap")
    write(tmp_path / "x.mcap")
    reader = storage.McapReader(tmp_path / "x.mcap")
    reader.open()
    assert reader.metadata.message_count == 20
    assert {c.topic: c.msgcount for c in reader.connections} == {"/x": 20, "/y": 0}
    found = list(reader.messages(reader.connections))
    assert sorted(struct.unpack("<d", data[4:])[0] for _, _, data in found) == list(range(20))
    reader.close()
