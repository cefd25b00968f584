# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a tracker is right, judged by the ranges alone; what to do where it is not.

`window` keeps the raw ranges of the last seconds, whatever the tracker made of them. `snapshot`
finds the places that explain them, robustly. `naming` counts which anchors do not fit. `watch` puts
a tracker under these: its first fix, ranges held back, restarts, mirrors, silence.
"""
