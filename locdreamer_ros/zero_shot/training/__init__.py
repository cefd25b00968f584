# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the shipped model is made: dreams of random places, the filter in torch, its training."""
