# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Source, tracker and evaluator on three hosts, joined by a network that loses packets."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from contract.hosts import ALONE, ROOT

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'locdreamer_ros[ros]'")
pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")

HERE = Path(__file__).parent
MAY = """
import sys
sys.path.insert(0, sys.argv[1])
import switch
switch.tap("uwb9")
"""
"""A TAP device in a namespace of one's own."""


def may_have_hosts() -> bool:
    try:
        command = [*ALONE, sys.executable, "-c", MAY, str(HERE)]
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not may_have_hosts(), reason="may not make network namespaces and TAP devices")
@pytest.mark.promise(
    "With config/lossy_network.xml, 5 % of packets lost between hosts cost at most 10 % of a "
    "recording's fixes, and no range on its way to the evaluator."
)
def test_a_recording_comes_through_where_packets_are_lost():
    command = [*ALONE, sys.executable, str(HERE / "hosts.py"), "recorded", "0.05"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    accounts = json.loads(done.stdout)
    assert accounts["epochs"] == 60
    assert accounts["unscheduled"] + accounts["unfinished"] <= 6
    assert accounts["unused_by_tracker_node"] <= 6
    assert accounts["lost"] == accounts["duplicated"] == accounts["not_as_asked"] == 0


@pytest.mark.skipif(not may_have_hosts(), reason="may not make network namespaces and TAP devices")
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler: a clock of its own")
@pytest.mark.promise(
    "A driver whose clock is .2 s to an hour off, is set, or stands still costs no wrong pose that "
    "does not say so; over half a second the difference is named; seconds later tracking is right."
)
def test_clocks_apart_cost_no_wrong_pose():
    apart = ("0.2", "-5", "3600")
    command = [*ALONE, sys.executable, str(HERE / "clocks.py"), "3", *apart]
    path = os.pathsep.join([str(ROOT), str(ROOT / "test"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert all(one["unsaid"] == 0 for one in found.values())
    assert found["together"]["kept"] > 0.7
    assert found["+0.2 s"]["kept"] > 0.7
    # A busy machine adds to what the clocks differ by.
    behind = re.compile(r"(4\.9|[5-7]\.\d) s behind the time of this node")
    assert any(map(behind.search, found["-5 s"]["said"])), found["-5 s"]
    agree = "do the clocks of driver and tracker agree?"
    assert any(agree in words for words in found["+3600 s"]["said"]), found["+3600 s"]
    # What does not heal within a minute is an error of the run.
    assert all("healed_s" in found[name] for name in ("+0.2 s", "-5 s", "+3600 s", "suspended"))
