# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The thread in which ranging waits, so that a node's executor never does."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from locdreamer_ros.driver.ranger import Ranger
from locdreamer_ros.types import IntArray, Ranges

Ticket = TypeVar("Ticket")
IDLE_S = 0.5
AFTER_FAULT_S = 0.5

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Request(Generic[Ticket]):
    ticket: Ticket
    anchor: IntArray
    deadline: float
    again: bool


class Worker(Generic[Ticket]):
    """Answers one schedule after the other; the newest replaces one that was not begun yet.

    `answer(ticket, ranges)` is called in the thread with what was measured; `superseded(ticket)` in
    the asking thread for a schedule that will not be answered.
    """

    def __init__(
        self,
        ranger: Ranger,
        answer: Callable[[Ticket, Ranges], None],
        superseded: Callable[[Ticket], None],
    ) -> None:
        self.ranger = ranger
        self.faults = 0
        """Exceptions of our own in the thread: a bug, survived."""
        self._answer = answer
        self._superseded = superseded
        self._lock = threading.Lock()
        self._next: _Request[Ticket] | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="uwb-ranger", daemon=True)
        self._thread.start()

    def ask(
        self, ticket: Ticket, anchor: IntArray, deadline: float, *, again: bool = False
    ) -> None:
        """Range with anchors (rows) by `deadline` s as soon as the thread is free.

        again: more of the fix that was asked for before.
        """
        with self._lock:
            before, self._next = self._next, _Request(ticket, anchor, deadline, again)
        self.ranger.session.transport.wake()
        if before is not None:
            self._superseded(before.ticket)

    def stop(self) -> None:
        """End the thread and close the port."""
        self._stopping = True
        self.ranger.session.transport.wake()
        self._thread.join(timeout=10.0)
        self.ranger.session.close()

    def _run(self) -> None:
        while not self._stopping:
            with self._lock:
                request, self._next = self._next, None
            try:
                if request is None:
                    self.ranger.idle(IDLE_S)
                else:
                    ranges = self.ranger.measure(
                        request.anchor, request.deadline, again=request.again
                    )
                    self._answer(request.ticket, ranges)
            except Exception:
                if self._stopping:
                    return
                # The robot needs its position more than we need a clean end: start over.
                self.faults += 1
                log.exception("fault in the ranging thread; starting over with the port")
                self.ranger.session.transport.drop("fault in the driver; see its log")
                time.sleep(AFTER_FAULT_S)
