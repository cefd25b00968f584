# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The graph of the driver's tests; without ROS the tests that want it are skipped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from driver.driver_graph import Graph

    from locdreamer_ros.nodes.domain import own_domain

    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    monkeypatch.setenv("ROS_PYTHON_CHECK_FIELDS", "1")
    os.environ.setdefault("HOME", str(tmp_path))
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)
    with own_domain() as domain:
        graph = Graph(tmp_path, domain)
        yield graph
        graph.close()
