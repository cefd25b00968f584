# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Running trackers on recordings offline, scoring them, and showing the result."""
