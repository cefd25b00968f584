# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Algorithm 1 of the LocDreamer paper: learning the world model, then tracker and scheduler in it.

Shape legend: see `world_model`; besides, K anchors asked for a fix, N subsets of K of A.
"""
