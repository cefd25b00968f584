# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The zero-shot world model: trained once in dreams of random places, used in rooms never seen.

`tracker` is the filter, with numpy alone: `layout` says what its state holds, `network` what is
learned, `odometry_frame` how wheels help, `foresight` what it expects of ranges not asked for;
`far_field` answers where the model cannot. `model_file` reads and keeps the weights. `training`,
with torch: `dreams` draws places, walks and errors, `hybrid` is the filter, `train` teaches it.
"""
