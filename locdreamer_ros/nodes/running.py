# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A node as a process: from its first line to its exit status."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any

import rclpy
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.signals import SignalHandlerOptions

from locdreamer_ros.errors import InputError
from locdreamer_ros.nodes.catalogue import refuse_unknown
from locdreamer_ros.nodes.domain import find_soon
from locdreamer_ros.nodes.lifecycle import UwbNode
from locdreamer_ros.start import BAD_INPUT, ENDING_SIGNALS, SETTLES

HEED_S = 0.2
"""How long a node that has nothing to do takes to heed a signal."""
RCLError = rclpy_implementation.RCLError
InvalidHandle = rclpy_implementation.InvalidHandle


def run_node(make: Callable[[], UwbNode]) -> int:
    """Run one node until it is told to end (SIGINT, SIGTERM, SIGHUP); returns the exit status.

    Status 2 and one line on stderr: an argument or parameter is not valid or, with autostart, what
    it names.
    """
    if not os.environ.get("HOME"):  # rcl's log wants one
        os.environ["HOME"] = tempfile.gettempdir()
    find_soon()
    told = False

    def end(number: int, frame: object) -> None:
        nonlocal told
        told = True

    # Not rclpy's handlers: they shut the context down under a callback that is about to publish.
    _heed(end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
    node = None
    try:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        node = make()
        refuse_unknown(node)
        if node.get_parameter("autostart").value:
            _start(node)
        executor = make_executor()
        _heed(end)  # some versions of that executor take the signals to themselves
        executor.add_node(node)
        while not told:
            spin(executor, HEED_S)
    except (
        InputError,
        InvalidParameterTypeException,
        InvalidParameterValueException,
        RCLError,
    ) as reason:
        print(" ".join(str(reason).split()), file=sys.stderr)
        return BAD_INPUT
    finally:
        if node is not None:
            node.settle(float(os.environ.get(SETTLES, "0")))
            node.close()
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


def spin(executor: Any, seconds: float) -> None:
    """Let the executor do what is due, or wait so long for it.

    The events executor raises where an event is left of what a callback has just destroyed: that a
    publisher offers another quality of service, say, of the subscription that gave way to one that
    hears it. It ended the node now and then.
    """
    with suppress(InvalidHandle):
        executor.spin_once(timeout_sec=seconds)


def _heed(end: Callable[[int, Any], None]) -> None:
    for number in ENDING_SIGNALS:
        signal.signal(number, end)


def make_executor() -> Any:
    """What runs a node's callbacks one after the other.

    The events executor where rclpy has one: the other builds a wait set of all that the node has
    for each message, which takes longer than a fix.
    """
    try:
        events = import_module("rclpy.experimental.events_executor")
        return events.EventsExecutor()
    except (ModuleNotFoundError, RuntimeError):  # Humble has none, or stderr is closed
        return SingleThreadedExecutor()


def _start(node: UwbNode) -> None:
    """Configure and activate. Raises InputError for what parameters name, RuntimeError else."""
    node.starting = True
    for transition in (node.trigger_configure, node.trigger_activate):
        result = transition()
        if result == TransitionCallbackReturn.FAILURE:
            raise InputError(node.problem)
        if result == TransitionCallbackReturn.ERROR:
            raise RuntimeError(f"{node.get_name()}: could not start")
    node.starting = False
