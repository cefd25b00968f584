# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`locdreamer benchmark driver` on two devices and for moments; and that it would see a fault."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from locdreamer_ros.benchmarks import driver as module
from locdreamer_ros.cli import main
from locdreamer_ros.driver.devices import get_device


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BAD_WIRE_S", 1.5)
    monkeypatch.setattr(module, "START_S", 4.0)


def test_the_claims_are_those_of_the_devices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    devices = (get_device("decar"), get_device("trek1000"))
    monkeypatch.setattr(module, "all_devices", lambda: devices)
    monkeypatch.setattr(module, "overhead", lambda _: {"overhead_ms_p50": 0.4})
    assert main(["benchmark", "driver", "--seeds", "1", "--output", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "driver.json").read_text())
    claims = found["claims"]
    assert claims["families"] == 2
    assert claims["recovery_s_max"] < 2.0
    assert claims["epochs_kept_at_1e-3"] > 0.8
    assert claims["stale_accepted"] == 0
    assert claims["overhead_ms_p50"] == 0.4
    assert [row["device"] for row in found["rows"]] == ["decar", "trek1000"]
    assert "families: 2" in capsys.readouterr().out


def test_an_old_range_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that hands out what it measured a second before."""
    now = module.measured
    monkeypatch.setattr(
        module, "measured", lambda anchor: now(anchor) - 1.0 if anchor else now(anchor)
    )
    row = module.examine(get_device("decar"), tmp_path, 3)
    assert row["stale"] > 10
