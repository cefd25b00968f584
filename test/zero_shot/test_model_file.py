# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The model file: what comes with the package, and what is refused."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from worlds import square_anchors

from locdreamer_ros import tensor_file
from locdreamer_ros.errors import InputError
from locdreamer_ros.methods import make_tracker
from locdreamer_ros.types import Site
from locdreamer_ros.zero_shot.model_file import KEY, Weights, load_weights, save_weights, shipped


def test_the_shipped_model_is_small_and_whole():
    weights = shipped()
    assert sum(value.size for value in weights.arrays.values()) * 4 < 5_000_000
    assert set(weights.noise) == {
        "acceleration",
        "vertical",
        "common",
        "common_walk",
        "own",
        "own_time",
        "local",
        "local_time",
        "local_way",
    }


def test_written_and_read(tmp_path):
    path = tmp_path / "m.safetensors"
    save_weights(path, Weights(shipped().arrays, {"seed": 4}))
    again = load_weights(path)
    assert again.header["seed"] == 4
    assert set(again.arrays) == set(shipped().arrays)
    for name, array in shipped().arrays.items():
        np.testing.assert_array_equal(again[name], array)


def no_file(path):
    pass


def a_pickle(path):
    path.write_bytes(pickle.dumps({"a": 1}))


def of_locdreamer(path):
    tensor_file.save(path, "locdreamer_model", {}, {"a": np.zeros(2)})


def of_another_format(path):
    tensor_file.save(path, KEY, {"format": 99}, {"a": np.zeros(2)})


def changed(path, **arrays):
    """The shipped model with other arrays, None for none."""
    every = {**shipped().arrays, **arrays}
    save_weights(path, Weights({name: a for name, a in every.items() if a is not None}))


def with_nan(path):
    changed(path, **{"noise.own": np.array(np.nan)})


def without_a_part(path):
    changed(path, **{"noise.own": None})


def with_another_shape(path):
    changed(path, **{"noise.own": np.zeros(2)})


@pytest.mark.promise("A model file that is none, or damaged, is refused in one line.")
@pytest.mark.parametrize(
    ("write", "complaint"),
    [
        (no_file, "cannot read: No such file"),
        (a_pickle, "expected a zero-shot model: it has no safetensors header"),
        (of_locdreamer, "expected a zero-shot model: its header has no"),
        (of_another_format, "format 99, expected 1"),
        (with_nan, "'noise.own' is not finite"),
        (without_a_part, "'noise.own' is missing"),
        (with_another_shape, r"'noise.own': expected shape \(\), got \(2,\)"),
    ],
)
def test_what_is_refused_is_refused_in_one_line(tmp_path, write, complaint):
    path = tmp_path / "m.safetensors"
    write(path)
    with pytest.raises(InputError, match=complaint) as caught:
        make_tracker("zero-shot", Site(square_anchors()), model=str(path))
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
