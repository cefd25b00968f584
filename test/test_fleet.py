# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A fleet gives each tag what the tag would get alone, whatever the others send."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernels import KERNEL

from locdreamer_ros import compiled, fleet
from locdreamer_ros.errors import InputError
from locdreamer_ros.fleet import Fleet
from locdreamer_ros.loop import Loop
from locdreamer_ros.methods import Method
from locdreamer_ros.recording import Recording, RecordingSource
from locdreamer_ros.simulation import make_world, simulate
from locdreamer_ros.types import Estimate, Ranges, Site

WALKS = {"robin": 0, "wren": 1, "owl": 2}


def walk(seed: int) -> Recording:
    world = make_world("house", 0)
    return simulate("house", duration=4.0, rate=5.0, seed=seed, deploy=world.anchors.ids)


RECORDINGS = {tag: walk(seed) for tag, seed in WALKS.items()}
SITE = Site.of(RECORDINGS["robin"].anchors, "2", 1.0)


def alone(tag: str, method: Method) -> list[Estimate | None]:
    recording = RECORDINGS[tag]
    source = RecordingSource(recording)
    loop = Loop(method.make_tracker(SITE), method.make_scheduler(SITE), SITE, budget=method.budget)
    found = []
    for row, time in enumerate(recording.times.tolist()):
        plan = loop.plan(time)
        found.append(loop.absorb(plan, source.answer(row, plan.anchor)))
    return found


def garbage(time: float, row: int) -> Ranges:
    """Ranges of anchors that are none of the site's, not finite, of other times."""
    rows = [0, 1, 99 if row % 3 == 0 else 2]
    return Ranges.of(rows, [np.inf, 1e300, 5.0], time + (row % 2) * 1e9)


@pytest.mark.parametrize("method", [Method(), Method(tracker="ekf", scheduler="gdop")])
def test_each_tag_gets_what_it_would_get_alone(method: Method) -> None:
    together = Fleet(SITE, method)
    expected = {tag: alone(tag, method) for tag in WALKS}
    sources = {tag: RecordingSource(RECORDINGS[tag]) for tag in WALKS}
    times = RECORDINGS["robin"].times.tolist()
    for row, time in enumerate(times):
        here = [tag for tag in WALKS if tag != "owl" or row % 4]  # one comes late, and not always
        plans = together.plan(dict.fromkeys([*here, "rogue"], time))
        answers = {tag: (plans[tag], sources[tag].answer(row, plans[tag].anchor)) for tag in here}
        found = together.absorb({**answers, "rogue": (plans["rogue"], garbage(time, row))})
        for tag in ("robin", "wren"):
            wanted = expected[tag][row]
            assert (tag in found) == (wanted is not None)
            if wanted is not None:
                np.testing.assert_array_equal(found[tag].mean, wanted.mean)
                np.testing.assert_array_equal(found[tag].covariance, wanted.covariance)
    assert expected["robin"][-1] is not None
    assert together._given_up.keys() <= {"rogue"}


@pytest.mark.skipif(KERNEL is None, reason="the kernel is not built: make install")
def test_turns_are_made_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """All tags' in one call, and taken: not made once more one by one."""
    said: dict[str, list[Any]] = {"plan": [], "absorb": []}

    class Spy:
        def __getattr__(self, name: str) -> Any:
            def call(*given: Any) -> Any:
                answer = getattr(KERNEL, name)(*given)
                if name in said:
                    said[name].append(answer)
                return answer

            return call

    monkeypatch.setattr(compiled, "kernel", Spy())
    together = Fleet(SITE, Method())
    tags = [f"tag{number}" for number in range(5)]
    source = RecordingSource(RECORDINGS["robin"])
    for row, time in enumerate(RECORDINGS["robin"].times.tolist()):
        if row == 12:  # from here on nobody may step alone
            for tag in tags:
                monkeypatch.setattr(together.loop(tag).tracker, "predict", None)
                monkeypatch.setattr(together.loop(tag).tracker, "update", None)
            said["plan"].clear()
            said["absorb"].clear()
        plans = together.plan(dict.fromkeys(tags, time))
        together.absorb({tag: (plans[tag], source.answer(row, plans[tag].anchor)) for tag in tags})
        if row == 13:
            break
    for name in ("plan", "absorb"):
        assert [len(answers) for answers in said[name]] == [5, 5]
        assert None not in said[name][0] + said[name][1]
    assert all(rows is not None for *_, rows in said["plan"][0])
    assert not any(map(together.restarts, tags))


def test_every_new_beginning_counts_whatever_it_came_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    together = Fleet(SITE, Method(tracker="ekf"))
    together.plan({"robin": 5.0, "wren": 5.0})
    together.plan({"robin": 4.0, "wren": 5.1})  # a clock that went back
    assert (together.restarts("robin"), together.restarts("wren")) == (1, 0)
    loop = together.loop("robin")

    def fail(*_: Any) -> None:
        raise ArithmeticError

    monkeypatch.setattr(loop, "plan_by_parts", fail)
    together.plan({"robin": 4.1})
    assert together.loop("robin") is not loop
    assert together.restarts("robin") == 2  # the first one is not forgotten with the loop
    together.plan({"robin": 3.0})
    together.plan({"robin": 2.0})
    assert together.restarts("robin") == 3


def test_tags_come_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "MOST_TAGS", 2)
    together = Fleet(SITE, Method(tracker="ekf", scheduler="random"))
    assert together.tags == ()
    first = together.loop("a")
    assert together.loop("a") is first
    together.hear({"b": 1.0})
    with pytest.raises(InputError, match="tag 'c'"):
        together.loop("c")
    together.forget("a")
    together.forget("nobody")
    assert together.tags == ("b",)
    assert together.loop("c") is not first
    together.close()
    assert together.tags == ()
