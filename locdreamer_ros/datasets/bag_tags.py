# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which tag's messages of a rosbag2 are read: a recording is of one."""

from __future__ import annotations

from locdreamer_ros.errors import InputError


class OneTag:
    """The tag that is `named`; None: the only one that there is."""

    def __init__(self, named: str | None) -> None:
        self._wanted, self._named = named, named is not None
        self.others: dict[str, None] = {}
        """Tags that are not read."""

    def takes(self, tag: str, where: str) -> bool:
        """Whether a message is its. Raises InputError: there are several, and none is named."""
        if self._wanted is None:
            self._wanted = tag
        if tag == self._wanted:
            return True
        if not self._named:
            raise InputError(
                f"{where}: expected one tag, got {self._wanted!r} and {tag!r}; --columns tag=ID "
                "reads one of them"
            )
        if len(self.others) < 10:
            self.others[tag] = None
        return False

    def missing(self) -> str:
        """What else there is where nothing is its; empty: nothing else either."""
        heard = ", ".join(self.others)
        return f" of tag {self._wanted!r}, but of {heard}" if self.others else ""
