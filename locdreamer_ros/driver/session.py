# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A port and a protocol together: keeps the device answering, passes on what it measures."""

from __future__ import annotations

import heapq
import itertools
import time

from locdreamer_ros.driver.codec import (
    LATE,
    Codec,
    DroppedEvent,
    Event,
    ReadyEvent,
    SendEvent,
)
from locdreamer_ros.driver.links import sets_baud
from locdreamer_ros.driver.transport import Transport

READY_WINDOWS_S = (0.7, 1.5, 3.0)
"""How long to wait for the device after each opening of a session; then the port is tried anew.

The first is short because a device that is still booting loses what it is sent.
"""
SILENCE_S = 1.0
"""A device that was asked and says nothing for this long has forgotten the session."""
PASSIVE_SILENCE_S = 1.5
"""The same for one that speaks by itself."""
PROBE_S = 0.5
"""Silence after which such a device is asked, where it can be, whether it restarted."""
MAX_REASONS = 32


class Session:
    """Opens the port, opens the protocol's session, and opens both again whenever they break."""

    def __init__(self, transport: Transport, codec: Codec) -> None:
        self.transport = transport
        self.codec = codec
        self.ready = False
        self.identity = ""
        self.garbled = 0
        """Bytes that were no frame."""
        self.garbled_by_reason: dict[str, int] = {}
        self.late = 0
        """Answers that came when nobody waited for them any more."""
        self.sessions = 0
        """How often the protocol's session was opened."""
        self._pending: list[tuple[float, int, bytes]] = []
        self._order = itertools.count()
        self._port = 0  # which opening of the port the session belongs to
        self._attempt = 0
        self._give_up_at = 0.0
        self._owed_since: float | None = None
        self._asked_at: float | None = None  # the last write that was not answered yet
        self._heard_at = 0.0
        self._probed = False  # since it last spoke
        self._heard = 0  # bytes since the device last was what it should be
        self._passive = not codec.capabilities.schedulable
        self.silence = PASSIVE_SILENCE_S if self._passive else SILENCE_S
        """S after which a device that owes an answer has forgotten the session."""

    @property
    def problem(self) -> str:
        """Why nothing can be measured now, in words; empty where it can."""
        if self.transport.problem or self.ready:
            return self.transport.problem
        name, baud = self.transport.name, self.transport.baud
        ours = sets_baud(name)
        if not self._heard:
            if name.startswith("udp:"):
                return (
                    f"{name}: open, but nothing has come: does the module or its bridge send to "
                    "this port of this machine? Only then is there somebody to ask"
                )
            does = "does it speak" if ours else "does the bridge speak to it"
            return (
                f"{name}: open, but the device says nothing: is it this device, is it powered, "
                f"{does} at {baud} baud? `locdreamer doctor` finds out"
            )
        if self.codec.lacks:
            return f"{name}: {self.codec.lacks}"
        why = max(self.garbled_by_reason, key=self.garbled_by_reason.__getitem__, default="")
        wrong = "wrong `device` or `baud`" if ours else "wrong `device`, or baud rate of the bridge"
        return (
            f"{name}: bytes arrive that make no sense for this device at {baud} baud"
            f"{f' ({why})' if why else ''}: {wrong}? "
            "`locdreamer doctor` finds out"
        )

    def events(self, until: float) -> list[Event]:
        """The next events, waiting at most to monotonic `until`; empty on time-out or a `wake`.

        Keeps port and session going meanwhile. Only ranges, failures and cycles come out.
        """
        now = time.monotonic()
        self._keep_up(now)
        data = self.transport.read(min(until, self._next_due()) - now)
        if not data:
            return []
        self._heard_at = time.monotonic()
        self._heard += 0 if self.ready else len(data)
        events = self._sorted(self.codec.feed(data))
        self._write_pending(time.monotonic())
        return events

    def send(self, data: bytes) -> bool:
        """Write a request; False where it did not go out. From now on the device owes an answer."""
        if self._owed_since is None:
            self._owed_since = time.monotonic()
        return self._write(data)

    def _write(self, data: bytes) -> bool:
        self._asked_at = time.monotonic()
        return self.transport.write(data)

    def cancel(self) -> None:
        """Forget the exchange in flight and what was to be sent for it."""
        self.codec.cancel()
        self._pending.clear()
        self._asked_at = None

    def restart(self) -> None:
        """Open the protocol's session anew, as the codec now wants it."""
        if self.transport.up:
            self._attempt = 0
            self._start(time.monotonic())

    def close(self) -> None:
        """Close the port for good."""
        self.transport.close()
        self.ready = False

    def _keep_up(self, now: float) -> None:
        """Do what is due: open the port, open the session, write what the protocol wants."""
        if not self.transport.open():
            self.ready = False
            return
        if self._port != self.transport.counters.opened:
            self._port = self.transport.counters.opened
            self._attempt = 0
            self._start(now)
        self._write_pending(now)
        if self.ready:
            if self._owed_since is not None and now - self._owed_since > self.silence:
                self._attempt = 0
                self._start(now)
            elif now >= self._probe_at():
                self._probed = True
                self.transport.write(self.codec.capabilities.probe)
            elif now >= self._again_at():
                self._ask_again()
        elif now >= self._give_up_at and not self._pending:
            self._attempt += 1
            if self._attempt < len(READY_WINDOWS_S):
                self._start(now)
            else:
                self.transport.drop(self.problem)

    def _write_pending(self, now: float) -> None:
        while self._pending and self._pending[0][0] <= now:
            self._write(heapq.heappop(self._pending)[2])

    def _ask_again(self) -> None:
        """Bytes were lost: one exchange, not a session."""
        self._asked_at = None
        if question := self.codec.again():
            self._write(question)

    def _start(self, now: float) -> None:
        self.ready = False
        self.sessions += 1
        self._owed_since = None
        self._asked_at = None
        self._pending.clear()
        self._give_up_at = now + READY_WINDOWS_S[self._attempt]
        opening = self.codec.start()
        if opening:
            self.transport.write(opening)

    def _next_due(self) -> float:
        """Monotonic time at which `_keep_up` has something to do."""
        if not self.transport.up:
            return self.transport.retry_at
        due = [self._pending[0][0]] if self._pending else []
        if not self.ready:
            due.append(self._give_up_at)
        elif self._owed_since is not None:
            due += [self._owed_since + self.silence, self._probe_at()]
        if self.ready:
            due.append(self._again_at())
        return min(due, default=float("inf"))

    def _again_at(self) -> float:
        """Monotonic time at which to take the answer to the last question for lost."""
        limit = self.codec.capabilities.answer_time
        if self._asked_at is None or not limit:
            return float("inf")
        return max(self._asked_at, self._heard_at) + limit

    def _probe_at(self) -> float:
        """Monotonic time at which to ask whether a device that speaks by itself restarted."""
        if self._owed_since is None or self._probed or not self.codec.capabilities.probe:
            return float("inf")
        return self._owed_since + PROBE_S

    def _sorted(self, events: list[Event]) -> list[Event]:
        """Handle what concerns the session; return the rest."""
        passed: list[Event] = []
        now = time.monotonic()
        for event in events:
            if isinstance(event, DroppedEvent):
                self.garbled += event.count
                reasons = self.garbled_by_reason
                if event.reason in reasons or len(reasons) < MAX_REASONS:
                    reasons[event.reason] = reasons.get(event.reason, 0) + event.count
                if event.reason == LATE:  # no session is broken that answers, if late
                    self.late += 1
                    self._owed_since = None
                continue
            self._owed_since = now if self._passive else None
            self._asked_at = None
            self._probed = False
            if isinstance(event, SendEvent):
                due = now + event.delay
                self._give_up_at = max(self._give_up_at, due + READY_WINDOWS_S[0])
                heapq.heappush(self._pending, (due, next(self._order), event.data))
            elif isinstance(event, ReadyEvent):
                self.ready, self.identity, self._heard = True, event.identity, 0
                self.transport.settled()
            else:
                passed.append(event)
        return passed
