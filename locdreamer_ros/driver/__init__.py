# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Real UWB modules over serial: bytes -> codec -> ranger -> ranges. No ROS in here.

`devices/` has a folder for each radio: its codec, the firmware that the emulator plays, its record.
From the wire up: `links` and `transport` (a port that is lost and found again), `session` (keeps
the device answering), `ranger` (the RangeSource), `worker` (the thread it waits in). What codecs
share: `codec`, `lines`, `frames`. `detect` finds out what is plugged in, `emulator` stands for it.
"""
