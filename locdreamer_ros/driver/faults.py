# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What can go wrong on an emulated wire, by name."""

from __future__ import annotations

FAULTS = {
    "unplug": "unplugged every 10 s, back after 2 s under another name",
    "reboot": "switched off and on every 10 s",
    "deaf": "takes no bytes for 2 s every 10 s",
    "garbage": "random bytes before, inside or after one reply in ten",
    "split": "every reply in pieces of a few bytes",
    "duplicate": "one reply in ten comes twice",
    "late": "one reply in ten comes 0.2 s late",
    "wrong-id": "an older reply, to another request, before one in ten",
    "loss": "one byte in a thousand is lost, either way",
    "oversize": "5000 bytes without an end before one reply in ten",
}
"""Faults that can be switched on, with what they do."""
