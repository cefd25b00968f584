# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Records that nobody writes into once they are made: shared by copies, and quick to make."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform

Kept = TypeVar("Kept", bound="Unchanging")
Made = TypeVar("Made")


class Unchanging:
    """What nobody writes into once it is made: copies share it (`roles.Tracker.fork`)."""

    def __deepcopy__(self: Kept, memo: dict[int, Any]) -> Kept:
        return self


if TYPE_CHECKING:

    @dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(field,))
    def unchanging(cls: type[Made]) -> type[Made]:
        """A frozen dataclass of which several are made in every step.

        mypy sees to it that nobody writes into one. At run time that is not watched: it would take
        five times as long to make one.
        """

else:
    unchanging = dataclass(eq=False)
