# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LocDreamer: a world model that dreams ranges never measured, its tracker, its scheduler."""
