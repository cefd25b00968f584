# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The JUNO paper: jump-start reinforcement learning of which UWB beacons to locate a user with.

Equation numbers are the paper's; docs/juno.md says how they were reconstructed. Shape legend:
A beacons that can be chosen, Z zones, M actions (sets of K beacons), T steps. The reference beacon,
where there is one, is the last row of `beacons` (A + 1, 2) and of whatever is per beacon.

Compiled functions are cached in __pycache__. numba notices a change in a function's own file, not
in the files of those it calls: delete the cache after changing one that others call.
"""
