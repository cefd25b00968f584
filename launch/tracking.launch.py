# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Track a tag, with a baseline and, but with a real module, an evaluator beside it.

`--show-args` lists the arguments.

Parameters come from config/*.yaml, then `params_file`, then the arguments.
"""

from locdreamer_ros.nodes.launching import describe


def generate_launch_description():
    """Source or driver, tracker, baseline, evaluator; recorder and RViz on request."""
    return describe()
