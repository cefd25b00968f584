# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The `ryuw122` device: its protocol and a simulation of its firmware."""
