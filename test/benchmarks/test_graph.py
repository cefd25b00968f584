# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`locdreamer benchmark graph`: what it makes of a run, and a run of moments."""

from __future__ import annotations

import pytest

from locdreamer_ros.benchmarks import graph
from locdreamer_ros.benchmarks.result import Settings

RUN = {
    "fix_ms_p50": 2.0,
    "fix_ms_p99": 9.0,
    "echo_ms_p50": 1.5,
    "echo_ms_p99": 8.0,
    "closed_per_s": 400.0,
    "ticked_per_s": 300.0,
    "timed_per_s": 380.0,
    "offered_per_s": 500.0,
    "rss_mb": 95.0,
    "load": 1.0,
}


def test_the_claims_are_those_of_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rclpy", reason="the benchmark refuses to run without")
    runs = iter([RUN, {**RUN, "closed_per_s": 800.0, "rss_mb": 97.0}])
    monkeypatch.setattr(graph, "timed", lambda folder, seconds: next(runs))
    claims = graph.run(Settings(seeds=(0, 1))).claims
    assert claims["over_echo_ms_p50"] == pytest.approx(0.5)
    assert claims["fixes_per_s"] == 600.0
    assert claims["overload_share"] == pytest.approx(300.0 / 500.0), "of what was offered"
    assert claims["rss_mb"] == 96.0


def test_a_run_of_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'locdreamer_ros[ros]'")
    pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")
    monkeypatch.setattr(graph, "SECONDS", 0.5)
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)
    found = graph.run(Settings(seeds=(0,)))
    values = [row.get("ms") or row.get("per_s") or row.get("mb") for row in found.rows]
    assert all(value > 0.0 for value in values)
    assert found.claims["rss_mb"] < 120.0
