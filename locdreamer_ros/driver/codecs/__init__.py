# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The protocols by name, one module each; all pure, see `locdreamer_ros.driver.codec`."""

from __future__ import annotations

from collections.abc import Callable

from locdreamer_ros.driver.codec import Codec
from locdreamer_ros.driver.codecs.decar import DecarCodec
from locdreamer_ros.driver.codecs.dwm1001 import Dwm1001Codec
from locdreamer_ros.driver.codecs.dwm1001_shell import Dwm1001ShellCodec
from locdreamer_ros.driver.codecs.pozyx import PozyxCodec
from locdreamer_ros.driver.codecs.ryuw122 import Ryuw122Codec
from locdreamer_ros.driver.codecs.trek1000 import Trek1000Codec
from locdreamer_ros.errors import InputError

CODECS: dict[str, Callable[[], Codec]] = {
    "decar": DecarCodec,
    "pozyx": PozyxCodec,
    "dwm1001": Dwm1001Codec,
    "dwm1001-shell": Dwm1001ShellCodec,
    "trek1000": Trek1000Codec,
    "ryuw122": Ryuw122Codec,
}


def make_codec(name: str) -> Codec:
    """A new codec for a device. Raises InputError naming an unknown device."""
    if name not in CODECS:
        raise InputError(f"device: expected one of {', '.join(CODECS)}, got {name!r}")
    return CODECS[name]()
