# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Track a UWB tag indoors and decide, before each fix, which few anchors to range with.

The core has no ROS in it; `locdreamer_ros.nodes` is the only subpackage that imports rclpy, and
only the learned parts import torch.
"""

import pkgutil

# The generated messages (locdreamer_ros.msg) live in the installed package; extending the path lets
# tests and tools run from the source tree and still find them.
__path__ = pkgutil.extend_path(__path__, __name__)

__version__ = "0.1.0"
