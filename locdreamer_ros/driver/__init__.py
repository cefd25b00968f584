# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Real UWB modules over serial: bytes -> codec -> ranger -> ranges. No ROS in here."""
