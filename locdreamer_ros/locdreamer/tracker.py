# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`locdreamer`: the trained world model as a tracker, with a robust EKF standing by.

predict is equation (9), update equation (11) and then (7). Where the model's output is not finite,
late, or far outside what it was trained on, the estimate is the robust EKF's and `fallback` says
why; the model starts again from there as soon as the reason is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import thread_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locdreamer_ros.errors import InputError
from locdreamer_ros.locdreamer.batch import Batch, Precomputed, here, tensor
from locdreamer_ros.locdreamer.device import device_of, quicker
from locdreamer_ros.locdreamer.learning.data import anchor_rows
from locdreamer_ros.locdreamer.model_file import Trained, load_model
from locdreamer_ros.locdreamer.world_model.model import Area, WorldModel
from locdreamer_ros.locdreamer.world_model.step import Carried, begin
from locdreamer_ros.roles import Tracker
from locdreamer_ros.trackers.ekf import RobustEkfConfig, robust_ekf
from locdreamer_ros.trackers.kalman import recent
from locdreamer_ros.types import Estimate, FloatArray, Motion, Ranges, Site

MARGIN_M = 3.0
"""The model was trained in worlds shifted by this much: it may be trusted as far outside."""
STEP_FACTOR = 2.0
"""Steps may be this much shorter or longer than in training."""
FORGET_SHARE = 0.7
"""Weight of an anchor that was heard one update earlier, in what lasting errors do."""
LEVEL = 0.1
"""Keeps lasting errors of a single anchor from moving the position without end."""
LATE_STEPS = 3
"""Steps in a row that took the model longer than the time between fixes before it is set aside ...

Its own processor time counts: what others take of the machine makes the stand-by late as well, and
a recording would be tracked differently on a busy machine."""
PAUSE = 50
"""... for this many."""


def outside(area: Area, places: NDArray[np.floating[Any]]) -> bool:
    """Whether any of the places (N, 2) m lies more than `MARGIN_M` outside the area."""
    low, high = np.array(area.low) - MARGIN_M, np.array(area.high) + MARGIN_M
    return bool(((places < low) | (places > high)).any())


def refuse_other_sites(site: Site, path: Path) -> None:
    """Raises InputError where no model of ours fits."""
    if site.dimensions != 2:
        raise InputError(
            f"{path}: the model tracks in 2 dimensions, the site has {site.dimensions}: "
            "use --dimensions 2"
        )


class LocDreamerTracker(Tracker):
    """Tracker over a `Trained` model; works with any anchors, any subset of them, any order.

    It computes where the model is.
    """

    def __init__(self, site: Site, trained: Trained) -> None:
        super().__init__()
        self.site = site
        self._trained = trained  # unchanging: forks share it
        self._device = trained.device
        self.fallback = ""
        """Why the robust EKF answers in the model's place; empty while the model does."""
        self._standby = robust_ekf(site, RobustEkfConfig())
        self._anchor = anchor_rows(site.anchors, site.tag_height).to(self._device)  # (A, 3)
        self._shortest = trained.step_s[0] / STEP_FACTOR
        self._longest = trained.step_s[1] * STEP_FACTOR
        self._nowhere = outside(self.model.area, site.anchors.positions[:, :2])
        self.batch = self._steps = Batch(self.model, self._anchor)
        self.carried: Carried | None = None
        """What the model carries of the tag; None while it does not answer."""
        self.precomputed: Precomputed | None = None
        """The next step, where it was made with others'."""
        self._step = 1.0
        self._since_update = 0.0
        self._heard = np.zeros(len(site.anchors))
        self._late = 0
        self._pause = 0

    @classmethod
    def load(cls, site: Site, path: Path, device: str = "auto") -> LocDreamerTracker:
        """From a model file.

        Raises InputError where it is not one, does not fit the site, or the device is not there.
        """
        refuse_other_sites(site, path)
        return cls(site, placed(load_model(path), site, device))

    @property
    def model(self) -> WorldModel:
        """The world model."""
        return self._trained.model

    def start(self, fix: Estimate) -> None:
        """(Re)start from a first fix."""
        self._standby.start(fix)
        self._since_update = 0.0
        self._begin(fix)
        self._estimate = fix

    def _begin(self, fix: Estimate) -> None:
        """z_0^posterior and h_1."""
        mean, covariance = (tensor(x[None]).to(self._device) for x in (fix.mean, fix.covariance))
        self.carried = here(begin(self.model, mean, covariance, len(self.site.anchors)))
        self._heard = np.zeros(len(self.site.anchors))

    def would_predict(self, dt: float) -> bool:
        """Whether the model would answer `predict` of dt s from where it stands."""
        fits = self._shortest <= self._since_update + dt <= self._longest
        return self.carried is not None and fits and self._pause == 0

    def would_update(self, ranges: Ranges) -> tuple[Any, ...] | None:
        """The request that `update` by ranges makes of the model; None: none.

        Rows (K,), distances (K,) m, stamps ahead of now (K,) s, s since the last ranges.
        """
        if self.carried is None or ranges.differences:
            return None
        used = recent(ranges, self.now.time)
        return self._request(used) if len(used) else None

    def _request(self, used: Ranges) -> tuple[Any, ...]:
        ahead = used.stamp - self.now.time
        return used.anchor, used.value, ahead, self._step

    def _step_model(self, request: tuple[Any, ...]) -> float:
        """Make the step, if it was not made with others'; the processor seconds that it took."""
        assert self.carried is not None
        precomputed, self.precomputed = self.precomputed, None
        if precomputed is not None and precomputed.answers(self.carried, request):
            self.carried = precomputed.found
            return precomputed.seconds
        start = thread_time()
        self.carried = self._steps.alone(self.carried, request)
        return thread_time() - start

    def predict(self, dt: float, motion: Motion | None = None) -> Estimate:
        """Move dt >= 0 s ahead by equation (9); returns the prior."""
        now = self.now
        if dt == 0.0:
            return now
        standby = self._standby.predict(dt)
        self._since_update += dt
        self._step = self._since_update
        reason = self._unfit(self._since_update)
        if not reason:
            if self.carried is None:
                self._begin(Estimate(now.time, now.mean, now.covariance))
            reason = self._settle(self._step_model((dt,)), dt)
        return self._answer(standby, reason)

    def update(self, ranges: Ranges) -> Estimate:
        """Take ranges in by equation (11), and remember by (7); returns the posterior.

        Raises InputError for the differences of a blink: the model is one of ranges.
        """
        if ranges.differences:
            raise InputError("tracker locdreamer takes ranges, no time differences (TDoA)")
        now = self.now
        used = recent(ranges, now.time)
        if len(used) == 0:
            return now
        standby = self._standby.update(used)
        self._heard *= FORGET_SHARE
        self._heard[used.anchor] = 1.0
        reason = self.fallback
        if not reason and self.carried is not None:
            reason = self._settle(self._step_model(self._request(used)), self._since_update)
        if reason:
            self.fallbacks[reason] += 1
        self._since_update = 0.0
        return self._answer(standby, reason)

    def _unfit(self, dt: float) -> str:
        """Why the model cannot make this step, before it tries."""
        if self._nowhere:
            return "anchors outside the area of training"
        if not self._shortest <= dt <= self._longest:
            usual = f"{self._shortest:.3g} to {self._longest:.3g} s"
            return f"step too short or too long: trained for {usual}"  # one reason, to be counted
        if self._pause > 0:
            self._pause -= 1
            return "model late"
        return ""

    def _settle(self, seconds: float, dt: float) -> str:
        """Why what the model said just now cannot be used."""
        assert self.carried is not None
        mean = self.carried.mean.numpy()
        if not (np.isfinite(mean).all() and np.isfinite(self.carried.covariance.numpy()).all()):
            return "model not finite"
        if outside(self.model.area, mean[:, :2]):
            return "outside the area of training"
        self._late = self._late + 1 if seconds > dt else 0
        if self._late >= LATE_STEPS:
            self._late, self._pause = 0, PAUSE
            return "model late"
        return ""

    def _answer(self, standby: Estimate, reason: str) -> Estimate:
        """The model's estimate, or the EKF's and why."""
        self.fallback = reason
        if reason:
            self.carried = None
            self._estimate = standby
        else:
            assert self.carried is not None
            mean = self.carried.mean[0].numpy().astype(np.float64)
            covariance = self.carried.covariance[0].numpy().astype(np.float64)
            covariance[:2, :2] += self._lasting(mean[:2])
            self._estimate = Estimate(standby.time, mean, covariance)
        return self._estimate

    def _lasting(self, position: FloatArray) -> FloatArray:
        """Covariance (2, 2) m^2 that errors which last leave in a position.

        A filter takes errors for fresh and averages them away; those that last move the position by
        G b, with G of least squares over the anchors heard lately, and b of `Trained.lasting_m`.
        """
        if self._trained.lasting_m == 0.0 or not self._heard.any():
            return np.zeros((2, 2))
        delta = self.site.offsets(position, np.arange(len(self._heard)))
        length = np.maximum(np.linalg.norm(delta, axis=1, keepdims=True), 1e-6)
        direction = delta[:, :2] / length
        weighted = self._heard[:, None] * direction  # (A, 2)
        solve = np.linalg.inv(direction.T @ weighted + LEVEL * np.eye(2))
        moved = self._trained.lasting_m * weighted @ solve
        return np.asarray(moved.T @ moved)


def placed(trained: Trained, site: Site, device: str) -> Trained:
    """The model on the device named; on that with the quicker step where it may choose.

    Raises InputError for a device that is not there.
    """
    where = device_of(device)
    if device == "auto" and where != "cpu":
        steps: dict[str, Callable[[], Estimate]] = {}

        def step(each: str) -> Estimate:
            if each not in steps:  # graphs are recorded once
                steps[each] = stepping(trained.to(each), site)
            return steps[each]()

        where = quicker(step)
    return trained.to(where)


def stepping(trained: Trained, site: Site) -> Callable[[], Estimate]:
    """What makes a fix from ranges of all anchors in the middle of them: a step, to be timed."""
    tracker = LocDreamerTracker(site, trained)
    middle = np.concatenate([site.anchors.positions[:, :2].mean(axis=0), np.zeros(2)])
    dt, rows = trained.step_s[0], np.arange(len(site.anchors))
    ranges = Ranges.of(rows, site.expected(middle[None, :2], rows), dt)

    def step() -> Estimate:
        tracker.start(Estimate(0.0, middle, np.eye(4)))
        tracker.predict(dt)
        return tracker.update(ranges)

    return step


def make(
    site: Site, config: object, seed: int, model: Path | None, device: str
) -> LocDreamerTracker:
    """The tracker, as `methods` makes it."""
    assert model is not None  # `Method.check` saw to it
    return LocDreamerTracker.load(site, model, device)
