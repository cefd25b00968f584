# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of the nodes share: a domain of their own, node processes, and a probe."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any

import rclpy
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from locdreamer_ros.nodes.domain import own_domain
from locdreamer_ros.nodes.lifecycle import LOSSLESS
from locdreamer_ros.nodes.processes import NodeProcesses, node_environment

TIMEOUT_S = 60.0
"""So long a busy machine may take."""
TRANSITIONS = {
    "configure": Transition.TRANSITION_CONFIGURE,
    "activate": Transition.TRANSITION_ACTIVATE,
    "deactivate": Transition.TRANSITION_DEACTIVATE,
    "cleanup": Transition.TRANSITION_CLEANUP,
}


class Probe:
    """A node in the test's own process that listens, speaks and calls services."""

    def __init__(self, domain: int) -> None:
        self.context = Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = Node("probe", context=self.context, use_global_arguments=False)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.diagnostics: dict[str, dict[str, str]] = {}
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {pair.key: pair.value for pair in status.values}
            self.diagnostics[status.name] = {"message": status.message, **values}

    def hear(self, kind: type, topic: str, qos: Any = LOSSLESS) -> list[Any]:
        """A list that fills with what is published."""
        heard: list[Any] = []
        self.node.create_subscription(kind, topic, heard.append, qos)
        return heard

    def until(self, reached: Callable[[], Any], what: str, timeout: float = TIMEOUT_S) -> None:
        """Spin until something is so."""
        deadline = monotonic() + timeout
        while not reached():
            assert monotonic() < deadline, f"waited {timeout} s for: {what}"
            self.executor.spin_once(timeout_sec=0.02)

    def rest(self, seconds: float) -> None:
        """Spin for a while."""
        deadline = monotonic() + seconds
        while monotonic() < deadline:
            self.executor.spin_once(timeout_sec=0.02)

    def call(self, kind: Any, name: str, request: Any) -> Any:
        """The response of a service."""
        client = self.node.create_client(kind, name)
        self.until(client.service_is_ready, f"service {name}")
        answer = client.call_async(request)
        self.until(answer.done, f"answer of {name}")
        self.node.destroy_client(client)
        return answer.result()

    def transition(self, node: str, name: str) -> bool:
        """Drive a lifecycle transition; whether it succeeded."""
        request = ChangeState.Request(transition=Transition(id=TRANSITIONS[name]))
        return bool(self.call(ChangeState, f"/{node}/change_state", request).success)

    def state(self, node: str) -> str:
        """The label of the node's lifecycle state."""
        return str(
            self.call(GetState, f"/{node}/get_state", GetState.Request()).current_state.label
        )

    def publisher(self, kind: type, topic: str, qos: Any = LOSSLESS, *, listeners: int = 1) -> Any:
        """A publisher whose listeners are there."""
        publisher = self.node.create_publisher(kind, topic, qos)
        self.until(
            lambda: publisher.get_subscription_count() >= listeners, f"{listeners} on {topic}"
        )
        return publisher

    def __enter__(self) -> Probe:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.node.destroy_node()
        self.context.try_shutdown()


class Graph:
    """Node processes and a probe in one domain."""

    def __init__(self, probe: Probe, processes: NodeProcesses, folder: Path) -> None:
        self.probe = probe
        self.processes = processes
        self.folder = folder

    def start(self, name: str, **parameters: Any) -> None:
        """Start a node with these parameters."""
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump({name: {"ros__parameters": parameters}}), encoding="utf-8")
        self.processes.start(name, path)


@contextmanager
def graph(folder: Path) -> Iterator[Graph]:
    """An empty graph in a domain of its own, ended with the block."""
    os.environ.pop("ROS_DOMAIN_ID", None)
    os.environ.setdefault("FASTDDS_BUILTIN_TRANSPORTS", "UDPv4")
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    with own_domain() as domain:
        environment = {**node_environment(domain, folder), "ROS_PYTHON_CHECK_FIELDS": "1"}
        with NodeProcesses(environment, folder) as processes, Probe(domain) as probe:
            yield Graph(probe, processes, folder)
