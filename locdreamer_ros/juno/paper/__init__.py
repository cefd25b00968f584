# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The JUNO paper by itself: signals, time differences, a room, a walk, and the learning in it."""
