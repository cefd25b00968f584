# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How a command ends when it is told to: each signal unwinds it, as Ctrl-C does."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AGAIN_S = 0.01
"""How soon a command is told again that could not unwind just then."""


class Signalled(KeyboardInterrupt):
    """A signal of `SIGNALS` came. Unwinds to `main`, and ends whatever a block of code holds."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    @property
    def status(self) -> int:
        """The exit status that shells and service managers know: 130, 143, 129."""
        return 128 + self.number

    @property
    def word(self) -> str:
        """Why it ends, for people."""
        if self.number == signal.SIGINT:
            return "interrupted"
        return f"ended by {signal.Signals(self.number).name}"


@contextmanager
def heeding_signals(*, last: bool) -> Iterator[None]:
    """`Signalled` is raised in the block when a signal comes; what is ignored stays so (`nohup`).

    last: the program ends with the block, so signals are not heard any more after it: Python would
    answer one that comes while it cleans up with a traceback.
    """
    received = 0

    def tell(number: int, frame: FrameType | None) -> None:
        nonlocal received
        received = number
        raise Signalled(number)

    def unraisable(what: sys.UnraisableHookArgs) -> None:
        if not isinstance(what.exc_value, Signalled):
            hook(what)
            return
        # It came in a destructor, which cannot unwind.
        from threading import Timer

        Timer(AGAIN_S, os.kill, (os.getpid(), what.exc_value.number)).start()

    hook = sys.unraisablehook
    heard = [each for each in SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]
    before = {each: signal.getsignal(each) for each in heard}
    try:
        sys.unraisablehook = unraisable
        for each in heard:
            signal.signal(each, tell)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, heard)  # a parent may hand them down blocked
        try:
            yield
        except Exception:
            if received:  # somebody made another exception of it, as an import in C does
                raise Signalled(received) from None
            raise
        if received:  # somebody caught it who should not have
            raise Signalled(received)
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, heard)
        sys.unraisablehook = hook
        for each in heard:
            signal.signal(each, signal.SIG_IGN if last else before[each])
        signal.pthread_sigmask(signal.SIG_UNBLOCK, heard)
