# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong outside our code, said in one line that a user can act on."""

from __future__ import annotations


class InputError(ValueError):
    """Bad input: the message names the file, the row or key, and what was expected.

    The command line prints the message alone and exits with status 2.
    """
