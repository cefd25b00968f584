# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Many tags on one site in one process: a loop for each, their filters' steps made together.

Each tag has its own `Loop`, watch and all, and gets from it what it would get alone. Only the
arithmetic of `zero-shot` and the choice of `foresight` are done beforehand for all tags in one call
of the kernel (`zero_shot.together`); other trackers, and what is not ordinary, go their own way.
What one tag's numbers break begins anew for that tag alone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from locdreamer_ros.errors import InputError
from locdreamer_ros.loop import Loop, Plan
from locdreamer_ros.methods import Method
from locdreamer_ros.schedulers.foresight import ForesightScheduler
from locdreamer_ros.types import Estimate, Ranges, Site
from locdreamer_ros.zero_shot.far_field import FarFieldTracker
from locdreamer_ros.zero_shot.together import Choice, plan_together, update_together
from locdreamer_ros.zero_shot.tracker import ZeroShotTracker

Result = TypeVar("Result")
MOST_TAGS = 10_000


def _model(loop: Loop) -> ZeroShotTracker | None:
    """The filter of a loop, where it is one that can step together with others."""
    tracker = loop.tracker
    return tracker.near if isinstance(tracker, FarFieldTracker) else None


class Fleet:
    """Loops by tag. A tag comes with its first mention, and goes by `forget`.

    asking: whether the tags' ranges are asked for; else they come by themselves.
    """

    def __init__(self, site: Site, method: Method, *, asking: bool = True) -> None:
        self.site = site
        self.method = method
        self._budget = method.budget if asking else len(site.anchors)
        self._loops: dict[str, Loop] = {}
        self.restarts: Counter[str] = Counter()
        """New loops because the old one's numbers failed, by tag."""
        self.add("")  # a method that cannot be made is refused now
        self.forget("")

    @property
    def tags(self) -> tuple[str, ...]:
        """Those there are, in the order they came."""
        return tuple(self._loops)

    def add(self, tag: str) -> Loop:
        """The tag's loop, made where it is new. Raises InputError beyond `MOST_TAGS`."""
        loop = self._loops.get(tag)
        if loop is None:
            if len(self._loops) >= MOST_TAGS:
                raise InputError(f"tag {tag!r}: there are {MOST_TAGS} already")
            method, site = self.method, self.site
            scheduler = method.make_scheduler(site)
            loop = Loop(method.make_tracker(site), scheduler, site, budget=self._budget)
            self._loops[tag] = loop
        return loop

    def forget(self, tag: str) -> None:
        """The tag is gone; one that is not there, too."""
        loop = self._loops.pop(tag, None)
        if loop is not None:
            loop.close()
        self.restarts.pop(tag, None)

    def close(self) -> None:
        """All tags are gone."""
        for tag in self.tags:
            self.forget(tag)

    def plan(self, times: Mapping[str, float]) -> dict[str, Plan]:
        """`Loop.plan` of each tag at its time s."""
        self._predict(times, choose=True)
        return self._each(times, lambda tag, loop: loop.plan(times[tag]))

    def hear(self, times: Mapping[str, float]) -> dict[str, Plan]:
        """`Loop.hear` of each tag: for ranges that nobody asked for; without strange times."""
        self._predict(times, choose=False)
        found = self._each(times, lambda tag, loop: loop.hear(times[tag]))
        return {tag: plan for tag, plan in found.items() if plan is not None}

    def absorb(self, answers: Mapping[str, tuple[Plan, Ranges]]) -> dict[str, Estimate]:
        """`Loop.absorb` of each tag's answer to its plan; tags without a first fix are left out."""
        together = []
        for tag, (plan, ranges) in answers.items():
            loop = self.add(tag)
            model = _model(loop)
            if model is None or plan.prediction is None or ranges.free or loop.watch.seeking:
                continue
            together.append((model, ranges))
        update_together(together)
        found = self._each(answers, lambda tag, loop: _finite(loop.absorb(*answers[tag])))
        return {tag: estimate for tag, estimate in found.items() if estimate is not None}

    def _predict(self, times: Mapping[str, float], *, choose: bool) -> None:
        """Predict together whoever has a filter that can, as its loop is going to ask for it."""
        together = []
        for tag, time in times.items():
            loop = self.add(tag)
            model = _model(loop)
            now = None if model is None else model.estimate
            if model is None or now is None or loop.watch.seeking or not time > now.time:
                continue
            dt, choice = time - now.time, None
            if choose and isinstance(loop.scheduler, ForesightScheduler):
                choice = Choice(*loop.scheduler.choice(now.time + dt, loop.budget))
            together.append((model, dt, choice))
        plan_together(together)

    def _each(self, tags: Iterable[str], work: Callable[[str, Loop], Result]) -> dict[str, Result]:
        """What `work` gives for each tag; one whose numbers fail begins anew and is left out."""
        found = {}
        for tag in tags:
            try:
                found[tag] = work(tag, self.add(tag))
            except (ArithmeticError, ValueError, IndexError) as reason:
                if isinstance(reason, InputError):
                    raise
                self._loops.pop(tag).close()
                self.restarts[tag] += 1
                self.add(tag)
        return found


def _finite(estimate: Estimate | None) -> Estimate | None:
    """The estimate itself. Raises ArithmeticError where its numbers are none."""
    if estimate is None:
        return None
    numbers = estimate.mean.tolist() + estimate.covariance.ravel().tolist()
    if not math.isfinite(sum(numbers)):
        raise ArithmeticError("the estimate is not finite")
    return estimate
