# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The one reader and writer of tensor files: what is damaged is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from locdreamer_ros.errors import InputError
from locdreamer_ros.tensor_file import LARGEST_TEXT, check_arrays, load, save
from locdreamer_ros.zero_shot.model_file import KEY as ZERO_SHOT
from locdreamer_ros.zero_shot.model_file import SHIPPED

KEY, WHAT = "a_model", "a model of the tests"
ARRAYS = {
    "matrix": np.arange(6, dtype=np.float32).reshape(2, 3),
    "scalar": np.array(7, dtype=np.int64),
    "empty": np.empty((0, 4), dtype=np.float64),
    "mask": np.array([True, False, True]),
}


def raw(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    """A file as anybody might write it."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(**changes: object) -> dict[str, object]:
    return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}


def old(**tensors: object) -> dict[str, object]:
    """A header as files of before have it: without a SHA-256."""
    return {"__metadata__": {KEY: '{"format": 1}'}, **tensors}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save(path, KEY, {"format": 3, "name": "ä", "nothing": None}, ARRAYS)
    found = load(path, KEY, WHAT)
    assert found.header == {"format": 3, "name": "ä", "nothing": None}
    assert found.summed
    assert set(found.arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert found.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(found.arrays[name], array)
        found.arrays[name][...] = 0  # ours to write into
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_the_safetensors_package_reads_what_we_write_and_we_what_it_writes(tmp_path: Path) -> None:
    theirs = pytest.importorskip("safetensors.numpy", reason="only where safetensors is installed")
    path = tmp_path / "m.safetensors"
    save(path, KEY, {"format": 3}, ARRAYS)
    for name, array in theirs.load_file(path).items():
        np.testing.assert_array_equal(array, ARRAYS[name])
    theirs.save_file(ARRAYS, path, metadata={KEY: "{}", "format": "pt"})
    found = load(path, KEY, WHAT)
    assert not found.summed
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found.arrays[name], array)


def test_a_file_of_before_has_no_sum_and_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(raw(old(a=entry()), np.array([1.5, -2.0], dtype="<f4").tobytes()))
    found = load(path, KEY, WHAT)
    assert (found.header, found.summed) == ({"format": 1}, False)
    assert found.arrays["a"].tolist() == [1.5, -2.0]


def test_no_byte_with_a_flipped_bit_passes(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save(path, KEY, {"format": 3}, {"a": ARRAYS["matrix"]})
    whole = path.read_bytes()
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        with pytest.raises(InputError) as caught:
            load(path, KEY, WHAT)
        assert str(caught.value).startswith(f"{path}: expected {WHAT}: ")
        assert "\n" not in str(caught.value)


@given(keep=st.integers(0, 10_000), more=st.binary(max_size=20))
def test_no_file_cut_short_or_longer_passes(
    tmp_path_factory: pytest.TempPathFactory, keep: int, more: bytes
) -> None:
    path = tmp_path_factory.mktemp("cut") / "m.safetensors"
    save(path, KEY, {"format": 3}, ARRAYS)
    whole = path.read_bytes()
    changed = whole[: keep % len(whole)] + more
    path.write_bytes(whole + b"\0" if changed == whole else changed)
    with pytest.raises(InputError):
        load(path, KEY, WHAT)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "no safetensors header"),
        (b"\x80\x04K\x01.", "no safetensors header"),
        (raw({}, length=2**63), "no safetensors header"),
        (raw(b" " * (LARGEST_TEXT + 1)), "no safetensors header"),
        (raw(b"nonsense"), "safetensors header: not JSON"),
        (raw(b"\xff\xfe\x00{"), "safetensors header: not JSON"),
        (raw(b"[" * 100_000), "safetensors header: not JSON"),
        (raw(b"[1]"), "not a JSON object"),
        (raw(b'{"a": ' + b"9" * 5000 + b"}"), "safetensors header: "),
        (raw({"a": entry()}, b"12345678"), "has no 'a_model'"),
        (raw({"__metadata__": 3}), "has no 'a_model'"),
        (raw({"__metadata__": {"another": "{}"}}), "has no 'a_model'"),
        (raw({"__metadata__": {KEY: 3}}), "is not text"),
        (raw({"__metadata__": {KEY: "{"}}), "header 'a_model': not JSON"),
        (raw({"__metadata__": {KEY: "[]"}}), "header 'a_model': not a JSON object"),
        (raw({"__metadata__": {KEY: "{}", "sha257": "0"}}), "an unknown 'sha257'"),
        (raw({"__metadata__": {KEY: "{}", "sha256": "0" * 64}}), "SHA-256"),
        (raw(b'{"__metadata__": {"a_model": "{}", "a_model": "{}"}}'), "stands twice"),
        (raw(old(a=3)), "expected dtype, shape and data_offsets"),
        (raw(old(a={"dtype": "F32"})), "expected dtype, shape and data_offsets"),
        (raw(old(a=entry(dtype="BF16")), b"12345678"), "dtype: expected one of F64"),
        (raw(old(a=entry(dtype=[])), b"12345678"), "dtype: expected one of F64"),
        (raw(old(a=entry(shape=[-2])), b"12345678"), "shape: expected up to 8"),
        (raw(old(a=entry(shape=[True, 2])), b"12345678"), "shape: expected up to 8"),
        (raw(old(a=entry(shape=[1] * 9)), b"1234"), "shape: expected up to 8"),
        (raw(old(a=entry(shape=[10**9])), b"12345678"), "shape: expected up to 8"),
        (raw(old(a=entry(shape=[3])), b"12345678"), "does not fit its data_offsets"),
        (raw(old(a=entry(data_offsets=[8, 0])), b"12345678"), "does not fit its data_offsets"),
        (raw(old(a=entry(data_offsets=[0])), b"12345678"), "two whole numbers"),
        (raw(old(a=entry(data_offsets=[8, 16])), b"0" * 16), "overlap or leave gaps"),
        (raw(old(a=entry(), b=entry()), b"12345678"), "overlap or leave gaps"),
        (raw(old(a=entry()), b"1234567"), "take 8 bytes, the file has 7"),
        (raw(old(a=entry()), b"123456789"), "take 8 bytes, the file has 9"),
    ],
)
def test_what_is_refused_is_refused_in_one_line(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load(path, KEY, WHAT)
    assert complaint in str(caught.value)
    assert str(caught.value).startswith(f"{path}: expected {WHAT}: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 200


def test_what_cannot_be_read_or_is_far_too_large_is_refused_unread(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read: No such file"):
        load(tmp_path / "absent", KEY, WHAT)
    with pytest.raises(InputError, match="cannot read: Is a directory"):
        load(tmp_path, KEY, WHAT)
    path = tmp_path / "huge"
    path.touch()
    os.truncate(path, 10**12)  # sparse: takes no room, but must not be read
    with pytest.raises(InputError, match="are more than"):
        load(path, KEY, WHAT)


def test_what_has_no_name_in_the_format_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="complex128"):
        save(tmp_path / "m", KEY, {}, {"a": np.zeros(2, dtype=complex)})
    assert list(tmp_path.iterdir()) == []


def test_arrays_are_checked_by_name_shape_and_value() -> None:
    path, arrays = Path("m"), {"a": np.zeros((2, 3)), "b": np.array([np.nan])}
    check_arrays(path, arrays, {"a": (2, 3)})
    for wanted, complaint in (
        ({"c": (1,)}, "m: tensor 'c' is missing"),
        ({"a": (3, 2)}, r"m: tensor 'a': expected shape \(3, 2\), got \(2, 3\)"),
        ({"b": (1,)}, "m: tensor 'b' is not finite"),
    ):
        with pytest.raises(InputError, match=complaint):
            check_arrays(path, arrays, wanted)


def test_the_shipped_model_is_such_a_file() -> None:
    path = Path(__file__).parents[1] / "locdreamer_ros" / "zero_shot" / SHIPPED
    assert load(path, ZERO_SHOT, WHAT).arrays
