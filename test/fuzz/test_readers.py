# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every reader of files against damaged ones: one line, soon, in bounded memory, or data.

Each reader gets whole files with seeded mutations for `LOCDREAMER_FUZZ_S` seconds (1 in CI; 3600
finds more), starting at seed `LOCDREAMER_FUZZ_SEED` (0). A failure names the seed that repeats it.
What such runs have found is kept below as inputs of its own.
"""

from __future__ import annotations

import json
import os
import re
import resource
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bregar_files import tree, write_json
from datasets.test_point_survey import survey as small_survey
from worlds import circle_recording

from locdreamer_ros.config import load_parameters
from locdreamer_ros.datasets import load_recording, mcap
from locdreamer_ros.datasets.bag import write_bag
from locdreamer_ros.datasets.bregar import load_survey
from locdreamer_ros.datasets.long_table import save_long_table
from locdreamer_ros.datasets.point_survey import draw_walk, load_survey_file, save_survey
from locdreamer_ros.datasets.published import READERS
from locdreamer_ros.datasets.range_table import load_anchors, save_anchors, save_range_table
from locdreamer_ros.datasets.truth import read_truth
from locdreamer_ros.errors import InputError
from locdreamer_ros.files import read_json
from locdreamer_ros.juno.policy import Policy
from locdreamer_ros.types import Anchors

SECONDS = float(os.environ.get("LOCDREAMER_FUZZ_S", "1"))
SEED = int(os.environ.get("LOCDREAMER_FUZZ_SEED", "0"))
SLOWEST_S = 20.0
"""One input, on a machine with other work."""
ROOT = Path(__file__).resolve().parents[2]
WORDS = (b"nan", b"inf", b"-1", b"0", b"1e300", b"-1e300", b"9" * 5000, b"65535", b"", b"null",
         b"[" * 200, b"{" * 200, b",", b"\n", b"\x00", b"\xff\xfe", b"&a [*a,*a]", b"true",
         b"2147483648", b"18446744073709551615", b"\"", b"\\", b"#", b": ", b"- ")  # fmt: skip
NUMBERS = (0, 1, 255, 65535, 2**31, 2**32 - 1, 2**63, 2**64 - 1)

Rng = np.random.Generator


def mutated(rng: Rng, data: bytes) -> bytes:
    """The bytes with one to four changes of all sizes."""
    for _ in range(int(rng.integers(1, 5))):
        at = int(rng.integers(len(data) + 1))
        size = int(min(2 ** rng.integers(0, 8), max(len(data) - at, 0)))
        other = int(rng.integers(len(data) + 1))
        kind = int(rng.integers(8))
        if kind == 0 and data:
            at = min(at, len(data) - 1)
            data = data[:at] + bytes([data[at] ^ 1 << int(rng.integers(8))]) + data[at + 1 :]
        elif kind == 1:
            data = data[:at] + rng.bytes(size) + data[at + size :]
        elif kind == 2:
            data = data[:at] + data[at + size :]
        elif kind == 3:
            data = data[:at] + data[other : other + size] + data[at:]
        elif kind == 4:
            data = data[:at]
        elif kind == 5:
            data = data[:at] + WORDS[int(rng.integers(len(WORDS)))] + data[at + size // 8 :]
        elif kind == 6 and len(data) > 8:
            at = min(at, len(data) - 8)
            number = NUMBERS[int(rng.integers(len(NUMBERS)))]
            data = data[:at] + struct.pack("<Q", number) + data[at + 8 :]
        else:
            data = data[:at] + data[at : at + size] * int(rng.integers(1, 50)) + data[at + size :]
    return data


def table(folder: Path) -> Path:
    save_anchors(folder / "x_anchors.csv", circle_recording().anchors)
    save_range_table(folder / "x.csv", circle_recording(duration=2.0))
    return folder / "x.csv"


def long(folder: Path) -> Path:
    save_anchors(folder / "x_anchors.csv", circle_recording().anchors)
    save_long_table(folder / "x.csv", circle_recording(duration=1.0))
    return folder / "x.csv"


def truth(folder: Path) -> Path:
    recording = circle_recording(duration=1.0)
    path = folder / "t.csv"
    assert recording.truth is not None
    rows = (f"{t},{x},{y}\n" for t, (x, y, _) in zip(recording.times, recording.truth, strict=True))
    path.write_text("# of a motion capture\n# t_s,x,y\n" + "".join(rows))
    return path


def anchors(folder: Path) -> Path:
    return table(folder).with_name("x_anchors.csv")


def anchor_tree(folder: Path) -> Path:
    anchors = circle_recording().anchors
    places = zip(anchors.ids, anchors.positions.tolist(), strict=True)
    path = folder / "anchors.yaml"
    path.write_text("anchors:\n" + "".join(f"  {name}: {place}\n" for name, place in places))
    return path


def bag(storage: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        write_bag(folder / "bag", circle_recording(duration=1.0), storage=storage)
        return next((folder / "bag").glob("bag.*"))

    return make


def unsummed(folder: Path) -> Path:
    """MCAP as writers without checksums make it: nothing but sense tells damage."""
    path = bag("mcap")(folder)
    data = bytearray(path.read_bytes())
    for place in mcap.scan(path).places:
        data[place.start + 33 : place.start + 37] = bytes(4)
    end = data.rfind(mcap.RECORD.pack(mcap.DATA_END, 4))
    data[end + 9 : end + 13] = bytes(4)
    data[-12:-8] = bytes(4)
    path.write_bytes(data)
    return path


def in_zip(rng: Rng, data: bytes) -> bytes:
    """An .npz with one of its arrays mutated, and checksums that fit."""
    new = BytesIO()
    with zipfile.ZipFile(BytesIO(data)) as old, zipfile.ZipFile(new, "w") as file:
        names = old.namelist()
        chosen = names[int(rng.integers(len(names)))]
        for name in names:
            inner = old.read(name)
            file.writestr(name, mutated(rng, inner) if name == chosen else inner)
    return new.getvalue()


def damaged(name: str, seed: int, whole: bytes) -> bytes:
    """The whole file with mutations; every other time behind the checksums of an .npz."""
    rng = np.random.default_rng(seed)
    if name in ("survey", "juno") and seed % 2:
        return in_zip(rng, whole)
    return mutated(rng, whole)


def metadata(folder: Path) -> Path:
    write_bag(folder / "bag", circle_recording(duration=1.0))
    return folder / "bag" / "metadata.yaml"


def parameters(folder: Path) -> Path:
    (folder / "p.yaml").write_bytes((ROOT / "config" / "tracker.yaml").read_bytes())
    return folder / "p.yaml"


def survey(folder: Path) -> Path:
    save_survey(folder / "s.npz", small_survey())
    return folder / "s.npz"


def walk_of_survey(path: Path) -> Any:
    return draw_walk(load_survey_file(path))


def bregar(folder: Path) -> Path:
    write_json(folder / "data.json", tree())
    return folder / "data.json"


def read_bregar(path: Path) -> Any:
    for cache in path.parent.glob("*.npz"):
        cache.unlink()
    return draw_walk(load_survey(path))


def policy(folder: Path) -> Path:
    site = Anchors(("a", "b", "c"), np.eye(3))
    made = Policy(site, np.zeros(2), 1.0, 2, np.array([[0, 1], [1, 2]]), np.ones((4, 2)))
    made.save(folder / "p.npz")
    return folder / "p.npz"


def json_file(folder: Path) -> Path:
    (folder / "x.json").write_text('{"a": [1, 2.5, {"b": "c"}], "d": null}')
    return folder / "x.json"


def librsf(folder: Path) -> Path:
    rows = [f"range2 {t / 10} {2 + t / 9} 0.01 {t % 4} {t % 3} {100 + t % 4} 0" for t in range(40)]
    (folder / "Indoor_UWB_Input.txt").write_text("\n".join(rows))
    (folder / "Indoor_UWB_GT.txt").write_text("point2 0 1 2\npoint2 4 1 2\n")
    return folder / "Indoor_UWB_Input.txt"


READ: dict[str, tuple[Callable[[Path], Path], Callable[[Path], Any]]] = {
    "range table": (table, load_recording),
    "long table": (long, load_recording),
    "anchors": (anchors, load_anchors),
    "anchor tree": (anchor_tree, load_anchors),
    "truth": (truth, lambda path: read_truth(path, np.arange(10) / 10)),
    "mcap": (bag("mcap"), load_recording),
    "mcap without sums": (unsummed, load_recording),
    "sqlite3": (bag("sqlite3"), load_recording),
    "metadata": (metadata, lambda path: load_recording(path.parent)),
    "parameters": (parameters, lambda path: load_parameters(path, "tracker_node")),
    "json": (json_file, read_json),
    "survey": (survey, walk_of_survey),
    "bregar": (bregar, read_bregar),
    "juno": (policy, Policy.load),
    "librsf": (librsf, lambda path: READERS["librsf"](path, None)),
}


def attempt(name: str, path: Path) -> str:
    """Read it; what was wrong with how it was refused, empty: nothing."""
    begin = time.process_time()  # of which others on a busy machine take nothing
    try:
        READ[name][1](path)
    except InputError as reason:
        if "\n" in str(reason) or len(str(reason)) > 2000:
            return f"not one line: {str(reason)[:300]!r}"
    except Exception as reason:
        return f"{type(reason).__name__}: {str(reason)[:300]}"
    spent = time.process_time() - begin
    return "" if spent < SLOWEST_S else f"took {spent:.1f} s"


@pytest.mark.promise(
    "A damaged file of any kind is one line within 20 s and 500 MB, or data; never a traceback."
)
@pytest.mark.parametrize("name", READ)
def test_damaged_files_are_refused_in_one_line(tmp_path: Path, name: str) -> None:
    path = READ[name][0](tmp_path)
    whole = path.read_bytes()
    assert attempt(name, path) == ""
    READ[name][1](path)  # the whole file is read
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    end, seed = time.monotonic() + SECONDS, SEED
    while time.monotonic() < end:
        path.write_bytes(damaged(name, seed, whole))
        problem = attempt(name, path)
        assert problem == "", f"{name}: seed {seed}: {problem}"
        seed += 1
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    assert grown < 500_000, f"{name}: memory grew by {grown} kB"


def claimed(shape: str) -> bytes:
    """An .npz whose array says that it has a shape, and holds nothing."""
    head = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode()
    data = BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr("values.npy", array)
    return data.getvalue()


def bomb() -> bytes:
    """2 MB of zeros, of which the directory says that they are 3 GB."""
    data = BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("values.npy", bytes(2 << 20))
    return data.getvalue().replace(struct.pack("<I", 2 << 20), struct.pack("<I", 3 << 30))


ALIASES = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 10)}]\n" for i in range(20)
)
KEPT: dict[str, tuple[str, bytes]] = {
    "aliases": ("parameters", ALIASES.encode()),
    "deep flow": ("parameters", b"a: " + b"[" * 5000 + b"]" * 5000),
    "deep block": ("parameters", b"".join(b" " * i + b"a:\n" for i in range(5000))),
    "a million digits": ("parameters", b"a: " + b"9" * 1_000_000),
    "aliases in a bag": ("metadata", ALIASES.encode()),
    "deep json": ("json", b"[" * 5000 + b"]" * 5000),
    "deep json, 100,000": ("json", b"[" * 100_000),
    "million digits in json": ("json", b"[" + b"9" * 1_000_000 + b"]"),
    "deep bregar": ("bregar", b'{"path": ' + b"[" * 100_000),
    "million digits in bregar": ("bregar", b'{"path": [' + b"9" * 1_000_000 + b"]}"),
    "a header of many digits": ("anchors", b"id,x,y,z" + b"9" * 5000 + b"\n1,2\n"),
    "anchors at 1e300": ("anchors", b"id,x,y,z\n1,1e300,0,0\n"),
    "stamps at 1e300": ("range table", b"t_s,r_A1\n1e300,1\n"),
    "a million digits of range": ("range table", b"t_s,r_A1\n0," + b"9" * 1_000_000),
    "a header of underscores": ("range table", b"t_s,r_" + b"_" * 500_000 + b"\n0,1\n"),
    "a header of seconds": ("range table", b"".join(b"%dsec," % i for i in range(50_000))),
    "digits above digits": ("range table", b"# t_s\n" + b"9" * 500_000 + b"x\n"),
    "digits in a header": ("range table", b"9" * 100_000 + b"x,1\n0,1\n"),
    "a row without end": ("range table", b"t_s,r_A1\n0," + b"1," * 3_000_000),
    "a terabyte claimed": ("survey", claimed("(1000000000000,)")),
    "a negative shape": ("juno", claimed("(-1,)")),
    "a shape of many digits": ("juno", claimed("(" + "9" * 60 + ",)")),
    "3 GB of zeros": ("survey", bomb()),
    "3 GB of zeros for juno": ("juno", bomb()),
}


EACH = """
import json, resource, sys
from pathlib import Path
from fuzz.test_readers import KEPT, READ, InputError
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
for case in KEPT:
    try:
        READ[KEPT[case][0]][1](Path(sys.argv[1]) / json.loads(sys.argv[2])[case])
        print(json.dumps("read"))
    except InputError as reason:
        print(json.dumps(str(reason)))
"""


def test_what_was_found_stays_refused(tmp_path: Path) -> None:
    """In a process of its own with little memory to use."""
    places = {}
    for number, (case, (name, data)) in enumerate(KEPT.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = READ[name][0](folder)
        path.write_bytes(data)
        places[case] = str(path.relative_to(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", EACH, str(tmp_path), json.dumps(places)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'test'}", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=500,
    )
    said = dict(zip(KEPT, map(json.loads, done.stdout.splitlines()), strict=False))
    assert done.returncode == 0, f"after {list(said)[-1:]}: {done.stderr[-500:]}"
    for case, line in said.items():
        assert line != "read", case
        assert "\n" not in line, case
        assert len(line) < 1100, case


@pytest.mark.parametrize("order", "<>")
def test_a_name_of_what_is_no_letter_is_refused(tmp_path: Path, order: str) -> None:
    """One of 20,007 files ended in a SystemError."""
    path = READ["juno"][0](tmp_path)
    with np.load(path) as whole:
        arrays = dict(whole)
    codes = np.full(arrays["ids"].shape, sys.maxunicode + 1, dtype=f"{order}u4")
    np.savez(path, **{**arrays, "ids": codes.view(f"{order}U1")})
    with pytest.raises(InputError, match=r"expected a model .*: ids\.npy is damaged$"):
        READ["juno"][1](path)


@pytest.mark.parametrize("name", READ)
def test_the_fuzzer_reaches_what_lies_behind_the_first_check(tmp_path: Path, name: str) -> None:
    """Of 60 mutations some are read and some refused, else it would test nothing."""
    path = READ[name][0](tmp_path)
    whole = path.read_bytes()
    refused = set()
    for seed in range(60):
        path.write_bytes(damaged(name, seed, whole))
        try:
            READ[name][1](path)
        except InputError as reason:
            refused.add(re.sub(r"/\S+|\d+|'[^']*'", "", str(reason)))
    assert len(refused) >= 3, refused
