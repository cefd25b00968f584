# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The classical schedulers; `locdreamer_ros.methods` knows them all by name."""
