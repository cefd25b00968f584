# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the anchors hang, from ranges that a tag took while it was walked around.

`solve.survey` is the whole of it: a start (`start`), robust least squares (`fit`) in the frame of
what is known (`frame`), and what the geometry does not tell (`advice`).
"""
