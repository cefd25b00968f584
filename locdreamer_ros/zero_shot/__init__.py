# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The zero-shot world model: trained once in dreams of random places, used in rooms never seen.

`dreams` draws places, walks and range errors; `hybrid` is the filter with learned parts, in torch;
`train` teaches it in dreams, `limits` says how far it may be trusted. `model_file` keeps and reads
the result, and is all that trackers and schedulers need, with numpy alone. For one site: `reading`
says what real ranges tell of it, `site_dreams` dreams of it, `judge` whether that helped.
"""
