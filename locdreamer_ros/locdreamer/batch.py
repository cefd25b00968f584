# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The model's steps of one tag, and of a fleet's tags in one batch, made before they are asked for.

A batch costs little more than one tag. What it gives waits in each tracker, which takes it where it
is asked for just that step from just that state, and else makes the step alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import thread_time
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from locdreamer_ros.captured import Captured, Step
from locdreamer_ros.locdreamer.world_model.model import WorldModel
from locdreamer_ros.locdreamer.world_model.step import Carried, Heard, predict, update
from locdreamer_ros.types import Ranges
from locdreamer_ros.unchanging import Unchanging

AXIS = Carried(0, 0, 1, 0)
"""Which axis of what is carried is that of the tags."""


@dataclass(frozen=True, eq=False)
class Precomputed:
    """A step made beforehand: from which state, by which request, and the state it led to.

    seconds: processor time of the whole batch, for which each of its tags waits.
    """

    state: Carried
    request: tuple[Any, ...]
    found: Carried
    seconds: float

    def answers(self, state: Carried | None, request: tuple[Any, ...]) -> bool:
        """Whether it is the step from this state by this request."""
        return state is self.state and all(map(np.array_equal, request, self.request))


class Member(Protocol):
    """A tracker whose steps can be made with others'."""

    carried: Carried | None
    """What the model carries of its tag; None while it does not answer."""
    precomputed: Precomputed | None
    """Its next step, where it was made with others'."""

    def would_predict(self, dt: float) -> bool:
        """Whether the model would answer `predict` of dt s from where it stands."""

    def would_update(self, ranges: Ranges) -> tuple[Any, ...] | None:
        """The request that `update` by ranges makes of the model; None: none."""


class Batch(Unchanging):
    """Steps of a model at anchors (A, 3), where the model is; on CUDA they are played from graphs.

    predict_step(mean, covariance, hidden, dt) -> mean, covariance is equation (9);
    update_step(*carried, rows, distance, ahead, since) -> carried is (11) with (7).
    A request is what either takes of a tag beside what is carried: (dt,), or rows and so on.
    """

    def __init__(self, model: WorldModel, anchor: Tensor) -> None:
        self._captured = anchor.is_cuda
        self.predict_step, self.update_step = steps(model, anchor, captured=self._captured)

    def alone(self, carried: Carried, request: tuple[Any, ...]) -> Carried:
        """The step of one tag, by a request as `predict` and `update` make them."""
        given = [tensor(np.stack([x])) for x in request]
        if len(given) > 1:
            return here(Carried(*self.update_step(*carried, *given)))
        mean, covariance = self.predict_step(*carried[:3], *given)
        return here(carried._replace(mean=mean, covariance=covariance))

    def predict(self, trackers: Sequence[Member], dts: Sequence[float]) -> None:
        """Make the prediction of dt s that each tracker will be asked for."""
        every = [(t, (dt,)) for t, dt in zip(trackers, dts, strict=True) if t.would_predict(dt)]
        if len(every) > 1:
            start = thread_time()
            carried, (dt,) = self._stacked(every)
            mean, covariance = self.predict_step(*carried[:3], dt)
            moved = carried._replace(mean=mean, covariance=covariance)
            _hand_out(every, moved, start)

    def update(self, trackers: Sequence[Member], ranges: Sequence[Ranges]) -> None:
        """Make the update by ranges that each tracker will be asked for."""
        alike: dict[int, list[tuple[Member, tuple[Any, ...]]]] = {}
        for tracker, each in zip(trackers, ranges, strict=True):
            request = tracker.would_update(each)
            if request is not None:
                alike.setdefault(len(request[0]), []).append((tracker, request))
        for every in alike.values():  # of as many ranges
            if len(every) > 1:
                start = thread_time()
                carried, heard = self._stacked(every)
                _hand_out(every, Carried(*self.update_step(*carried, *heard)), start)

    def _stacked(
        self, every: Sequence[tuple[Member, tuple[Any, ...]]]
    ) -> tuple[Carried, list[Tensor]]:
        """All tags' states and requests, as one batch.

        Of graphs there is one for each size, so sizes are powers of two: the first tag fills up.
        """
        size = 1 << (len(every) - 1).bit_length() if self._captured else len(every)
        filled = [*every, *[every[0]] * (size - len(every))]
        states = zip(*(t.carried for t, _ in filled), strict=True)
        carried = Carried(*(torch.cat(x, axis) for x, axis in zip(states, AXIS, strict=True)))
        return carried, [
            tensor(np.stack(x)) for x in zip(*(request for _, request in filled), strict=True)
        ]


def _hand_out(
    every: Sequence[tuple[Member, tuple[Any, ...]]], found: Carried, start: float
) -> None:
    """To each tracker its own."""
    apart = zip(*(x.split(1, axis) for x, axis in zip(here(found), AXIS, strict=True)), strict=True)
    seconds = thread_time() - start
    for (tracker, request), own in zip(every, apart, strict=False):  # the rest fills up
        assert tracker.carried is not None
        tracker.precomputed = Precomputed(tracker.carried, request, Carried(*own), seconds)


def here(carried: Carried) -> Carried:
    """Its mean and covariance on the processor, where they are looked at after each step."""
    return carried._replace(mean=carried.mean.cpu(), covariance=carried.covariance.cpu())


def tensor(values: NDArray[Any]) -> Tensor:
    """Rows of anchors as they are, other numbers as the model has them."""
    return torch.as_tensor(values, dtype=None if values.dtype.kind == "i" else torch.float32)


def steps(model: WorldModel, anchor: Tensor, *, captured: bool) -> tuple[Step, Step]:
    """`Batch.predict_step` and `Batch.update_step`; captured: played from graphs."""

    def predict_step(*given: Tensor) -> Sequence[Tensor]:
        mean, covariance, hidden, dt = (value.to(anchor.device) for value in given)
        return predict(model, Carried(mean, covariance, hidden, hidden), dt)[:2]

    def update_step(*given: Tensor) -> Sequence[Tensor]:
        *carried, rows, distance, ahead, since = (value.to(anchor.device) for value in given)
        asked = torch.ones_like(distance, dtype=torch.bool)
        heard = Heard(rows, distance, asked, ahead, since)
        return update(model, anchor, Carried(*carried), heard)

    steps_of_model = (predict_step, update_step)
    return (Captured(predict_step), Captured(update_step)) if captured else steps_of_model
