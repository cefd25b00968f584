# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`python -m locdreamer_ros.cli`."""

import sys

from locdreamer_ros.cli import main

sys.exit(main())
