# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The deep state space model of the LocDreamer paper: one module per part, no ROS and no files.

Shape legend of all modules here and in `learning`: B sequences of a batch, T steps, A anchors (a
row not asked is masked), S = 4 state (x, y, vx, vy), H hidden state, W width of a token. Metres,
seconds.
"""
