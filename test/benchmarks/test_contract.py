# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the attacks of test/contract have found, counted; and that such a program runs."""

from __future__ import annotations

from math import inf

import pytest
from fuzz.test_readers import READ

from locdreamer_ros.benchmarks import contract
from locdreamer_ros.benchmarks.result import Settings
from locdreamer_ros.errors import InputError


def strike(recovery: float, *, back: bool = True) -> dict[str, object]:
    return {"victim": "tracker_node", "signal": "SIGKILL", "recovery_s": recovery, "back": back}


def test_what_failed_is_counted_and_named():
    rampage = {
        "strikes": [strike(1.0), strike(5.0), strike(inf), strike(1.0, back=False)],
        "accounts_true": False,
        **dict.fromkeys(contract.LEFT_BEHIND, 0),
        "segments_left": 2,
    }
    weather = {"5 % lost": {"kept": 0.9, "gap_s": 1.0}, "source cut off": {"healed_s": 0.5}}
    parts = {
        "chaos": [rampage],
        "ticks": [weather, weather | {"5 % lost": {"kept": 0.8, "gap_s": 1.0}}],
        "driver": [],
        "inputs": [{"tried": 13, "bad": [{"reader": "juno", "seed": 7, "problem": "KeyError"}]}],
        "interrupts": [{"tried": 20, "bad": []}],
        "soak": [{"growth_mb": 0.5}],
    }
    result = contract.result_of(parts)
    claims = dict(result.claims)
    assert claims["kills"] == 4
    assert claims["kills_survived"] == 1
    assert claims["kills_recovered"] == 2
    assert claims["recovery_s_p95"] == inf
    assert claims["accounts_false"] == 1
    assert claims["left_behind"] == 2
    assert claims["fixes_kept_at_5pct_loss"] == 0.8
    assert (claims["inputs_tried"], claims["inputs_refused_badly"]) == (13, 1)
    assert (claims["interrupts"], claims["interrupts_clean"]) == (20, 20)
    assert claims["soak_growth_mb"] == 0.5
    assert "juno" in result.notes[0]


def test_an_attack_is_a_program_that_says_what_it_found():
    found = contract.attacked("inputs.py", len(READ), 0)
    assert found is not None
    assert found["tried"] == len(READ)
    assert found["bad"] == []
    with pytest.raises(RuntimeError, match="soak"):
        contract.attacked("soak.py", "long", 0)
    assert contract.attacked("soak.py", 1, 0, within=["false"]) is None


def test_it_needs_the_source_tree(tmp_path, monkeypatch):
    monkeypatch.setattr(contract, "ROOT", tmp_path)
    with pytest.raises(InputError, match="source tree"):
        contract.run(Settings((0,)))
