# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Many tags on one site in one process: a loop for each, their filters' steps made together.

Each tag has its own `Loop`, watch and all, and gets from it what it would get alone. Ordinary turns
of `zero-shot` are made for all tags in one call of the kernel (`loop.plan_all`, `absorb_all`),
steps of `locdreamer` in one batch (`predict_together`, `update_together`); other trackers, and what
is not ordinary, go their own way. What one tag's numbers break begins anew for that tag alone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from typing import TypeVar

from locdreamer_ros.errors import InputError
from locdreamer_ros.integrity.status import Status
from locdreamer_ros.loop import Loop, Plan, absorb_all, plan_all, predict_together, update_together
from locdreamer_ros.methods import Method
from locdreamer_ros.types import Estimate, IntArray, Ranges, Site

Asked = TypeVar("Asked")
Result = TypeVar("Result")
MOST_TAGS = 10_000


class Fleet:
    """Loops by tag. A tag comes with its first mention, and goes by `forget`.

    asking: whether the tags' ranges are asked for; else they come by themselves.
    """

    def __init__(self, site: Site, method: Method, *, asking: bool = True) -> None:
        self.site = site
        self.method = method
        self._budget = method.budget if asking else len(site.anchors)
        # Each tag's are copies of these; a method that cannot be made is refused now.
        self._tracker, self._scheduler = method.make_tracker(site), method.make_scheduler(site)
        self._loops: dict[str, Loop] = {}
        self._given_up: Counter[str] = Counter()
        """Restarts of a tag's earlier loops, whose numbers failed, up to the present one's."""

    @property
    def tags(self) -> tuple[str, ...]:
        """Those there are, in the order they came."""
        return tuple(self._loops)

    def loop(self, tag: str) -> Loop:
        """The tag's loop, made where it is new. Raises InputError beyond `MOST_TAGS`."""
        loop = self._loops.get(tag)
        if loop is None:
            if len(self._loops) >= MOST_TAGS:
                raise InputError(f"tag {tag!r}: there are {MOST_TAGS} already")
            tracker, scheduler = self._tracker.fork(), deepcopy(self._scheduler)
            loop = Loop(tracker, scheduler, self.site, budget=self._budget)
            self._loops[tag] = loop
        return loop

    def _of(self, tags: Iterable[str]) -> list[Loop]:
        """Each tag's loop."""
        loops = self._loops
        return [loops.get(tag) or self.loop(tag) for tag in tags]

    def forget(self, tag: str) -> None:
        """The tag is gone; one that is not there, too."""
        loop = self._loops.pop(tag, None)
        if loop is not None:
            loop.close()
        self._given_up.pop(tag, None)

    def restarts(self, tag: str) -> int:
        """How often the tag began anew, for whatever reason."""
        return self._given_up[tag] + self._loops[tag].restarts

    def condition(self, tag: str, quiet: float = 0.0) -> tuple[Status, int, str]:
        """How far its estimate can be trusted, its restarts, and why a stand-by answers for it.

        quiet: s since its last turn.
        """
        loop = self.loop(tag)
        fallback = loop.tracker.fallback or loop.scheduler.fallback
        return loop.status(quiet), self.restarts(tag), fallback

    def answering(self, tag: str) -> IntArray:
        """Rows of the anchors that answer the tag."""
        return self.loop(tag).scheduler.answering(self.site.anchors)

    def close(self) -> None:
        """All tags are gone."""
        for tag in self.tags:
            self.forget(tag)
        self._tracker.close()

    def plan(self, times: Mapping[str, float]) -> dict[str, Plan]:
        """`Loop.plan` of each tag at its time s."""
        asked = list(zip(self._of(times), times.values(), strict=True))
        done = plan_all(asked)
        predict_together(_left(asked, done))
        return self._each(times, done, lambda tag, loop: loop.plan_by_parts(times[tag]))

    def hear(self, times: Mapping[str, float]) -> dict[str, Plan]:
        """`Loop.hear` of each tag: for ranges that nobody asked for; without strange times."""
        asked = list(zip(self._of(times), times.values(), strict=True))
        done = plan_all(asked, choose=False)
        predict_together(_left(asked, done))
        return self._each(times, done, lambda tag, loop: loop.hear_by_parts(times[tag]))

    def absorb(self, answers: Mapping[str, tuple[Plan, Ranges]]) -> dict[str, Estimate]:
        """`Loop.absorb` of each tag's answer to its plan; tags without a first fix are left out."""
        loops = self._of(answers)
        answered = [(loop, *answer) for loop, answer in zip(loops, answers.values(), strict=True)]
        done = absorb_all(answered)
        update_together(_left(answered, done))

        def by_parts(tag: str, loop: Loop) -> Estimate | None:
            return _finite(loop.absorb_by_parts(*answers[tag]))

        return self._each(answers, done, by_parts)

    def _each(
        self,
        tags: Iterable[str],
        done: Iterable[Result | None],
        work: Callable[[str, Loop], Result | None],
    ) -> dict[str, Result]:
        """What was done for each tag, or what `work` gives; without those for whom that is None.

        A tag whose numbers fail begins anew.
        """
        found = dict(zip(tags, done, strict=True))
        for tag in [tag for tag, result in found.items() if result is None]:
            loop = self._loops[tag]
            try:
                found[tag] = work(tag, loop)
            except (ArithmeticError, ValueError, IndexError) as reason:
                if isinstance(reason, InputError):
                    raise
                self._given_up[tag] += 1 + loop.restarts
                self._loops.pop(tag).close()
                self.loop(tag)
        return {tag: result for tag, result in found.items() if result is not None}


def _left(asked: Sequence[Asked], done: Sequence[object]) -> list[Asked]:
    """Of what was asked the part that was not done."""
    return [each for each, result in zip(asked, done, strict=True) if result is None]


def _finite(estimate: Estimate | None) -> Estimate | None:
    """The estimate itself. Raises ArithmeticError where its numbers are none."""
    if estimate is None:
        return None
    numbers = estimate.mean.tolist() + estimate.covariance.ravel().tolist()
    if not math.isfinite(sum(numbers)):
        raise ArithmeticError("the estimate is not finite")
    return estimate
