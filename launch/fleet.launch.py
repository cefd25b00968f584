# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Track many tags in one process: `--show-args` lists the arguments; see docs/fleet.md.

Parameters come from config/fleet.yaml, then `params_file`, then the arguments.
"""

from locdreamer_ros.nodes.fleet_launching import describe


def generate_launch_description():
    """The fleet; simulated tags and a recorder on request."""
    return describe()
