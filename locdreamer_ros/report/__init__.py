# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A run as one HTML page that needs nothing else: `page.write_report`."""
