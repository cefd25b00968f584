# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The model file: what comes with the package, and what is refused."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from safetensors.numpy import save_file
from worlds import square_anchors

from locdreamer_ros.errors import InputError
from locdreamer_ros.files import replaced
from locdreamer_ros.methods import make_tracker
from locdreamer_ros.types import Site
from locdreamer_ros.zero_shot.model_file import KEY, Weights, load_weights, save_weights, shipped


def test_the_shipped_model_is_small_and_whole():
    weights = shipped()
    assert sum(value.size for value in weights.arrays.values()) * 4 < 5_000_000
    assert set(weights.noise) == {
        "acceleration",
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
    weights = Weights({"a": np.arange(3.0)}, {"seed": 4})
    save_weights(path, weights)
    again = load_weights(path)
    np.testing.assert_array_equal(again["a"], [0.0, 1.0, 2.0])
    assert again.header["seed"] == 4


def no_file(path):
    pass


def a_pickle(path):
    path.write_bytes(pickle.dumps({"a": 1}))


def of_locdreamer(path):
    with replaced(path) as temporary:
        save_file({"a": np.zeros(2)}, temporary, metadata={"locdreamer_model": "{}"})


def of_another_format(path):
    with replaced(path) as temporary:
        save_file({"a": np.zeros(2)}, temporary, metadata={KEY: '{"format": 99}'})


def with_nan(path):
    save_weights(path, Weights({"a": np.array([0.0, np.nan])}))


@pytest.mark.parametrize(
    ("write", "complaint"),
    [
        (no_file, "cannot read"),
        (a_pickle, "not a model file"),
        (of_locdreamer, "not a zero-shot model"),
        (of_another_format, "format 99, expected 1"),
        (with_nan, "a: not finite"),
    ],
)
def test_what_is_refused_is_refused_in_one_line(tmp_path, write, complaint):
    path = tmp_path / "m.safetensors"
    write(path)
    with pytest.raises(InputError, match=complaint) as caught:
        make_tracker("zero-shot", Site(square_anchors()), model=str(path))
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
