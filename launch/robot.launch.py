# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a robot carries, for its launch file to include: driver of the UWB module and tracker.

`device:=none` starts the tracker alone, for ranges of somebody else's driver.
"""

from locdreamer_ros.nodes.launching import describe


def generate_launch_description():
    """Driver and tracker, started again where they die."""
    return describe(robot=True)
