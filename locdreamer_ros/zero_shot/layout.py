# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where what is in the state of the zero-shot filter, in numpy and in torch alike.

Position (x, y, z), velocity (vx, vy, vz), a bias c that all ranges share, then of each slot a slow
offset o_k, then of each a local bias l_k, and with wheel odometry its scale's error and its
heading.
In the plane z and vz are known: their rows and columns of the covariance are zero.
In torch each anchor has a slot. In numpy slot 0 is a stranger, and an anchor gets a slot of its own
when it is first heard: until then its biases have the stranger's variances and nothing to do with
anything else, so the filter is the same and costs what the anchors heard cost.
"""

from __future__ import annotations

SPACE = 3
KINEMATIC = 2 * SPACE
VX, VZ = SPACE, KINEMATIC - 1
COMMON = KINEMATIC
FIRST_BIAS = COMMON + 1

SIGMA_M = 0.15
"""Noise of a range before anything is learned, and in the leave-one-out residual always."""
NEAR_M, NEAR_AT_M = 0.03, 4.0
"""Strong signals are stamped early: a range is too long by the first, m, times the logarithm of the
distance over the second. A DW1000 of 64 MHz has .04 to .06 m (from Decawave's APS011, free space),
and firmware that takes that off has 0: this is the mean of both."""
NEWS_WIDTH = 8
"""What each update says of how its ranges were off: `Hybrid.remember`."""
WEIGHTS = (0.2, 0.03, 0.005)
"""Of the newest update in the running means of the context, which holds each of the news thrice."""
FAST_WEIGHT = WEIGHTS[0]
CONTEXT = NEWS_WIDTH * len(WEIGHTS)
SEEN_CONTEXT = (0, 2, 3, 4, 8, 10, 12, 13, 14, 16, 18, 20, 21, 22)
"""Which of the running means each range is seen beside."""
RANGE_FEATURES = 23 + len(SEEN_CONTEXT)
SILENT_S = 30.0
"""An anchor not asked for longer is as good as never asked."""
VERTICAL_SPEED = 0.3
"""First sigma of the vertical velocity, m/s."""
FREE_M = 30.0
"""First sigma of the bias that the ranges of a blink share: so wide that it says nothing.

Around the median of what they are off by, a narrow one would use the prior twice: with 1 m the 95 %
ellipse held 78 % of the errors in the house, with this 89 %."""
