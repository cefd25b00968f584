# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of `fleet_node`, and what does not go together."""

from __future__ import annotations

from dataclasses import dataclass

from locdreamer_ros.config import names_in, parameter
from locdreamer_ros.driver.devices import NAMES
from locdreamer_ros.errors import InputError
from locdreamer_ros.methods import Method
from locdreamer_ros.nodes.sited import SitedConfig
from locdreamer_ros.types import LONGEST_ID


@dataclass(frozen=True)
class FleetConfig(SitedConfig, Method):
    """Parameters of `fleet_node`."""

    passive: bool = parameter(True, "ask nobody, live on what comes; false: ask the tags of `tags`")
    tags: str = parameter(
        "", "ids of tags, separated by commas: whom to ask; passive: nobody else; empty: everybody"
    )
    rate: float = parameter(
        10.0, "not passive: schedules a second for each tag", low=0.1, high=1000.0
    )
    air_time: float = parameter(
        0.0,
        "not passive: ms of each second that all tags together may range, those first whose "
        "ranges are worth most; 0: each is asked at its rate",
        low=0.0,
        high=1000.0,
    )
    radio: str = parameter(
        "decar", "air_time: the tags' module, which says how long a range takes", choices=NAMES
    )
    most_tags: int = parameter(1000, "tags at the same time", low=1, high=10_000)
    forget_after: float = parameter(
        60.0, "a tag that was not heard for so long is gone, s", low=0.1, high=1e6
    )
    max_silence: float = parameter(
        10.0, "no pose once no range was used for so long, s; 0: always one", low=0.0, high=1e6
    )
    display_period: float = parameter(
        0.5, "least time between two ~/markers, s", low=0.0, high=60.0
    )

    def check_values(self) -> None:
        """Whom to ask and how, too."""
        super().check_values()
        named(self)


def named(config: FleetConfig) -> dict[str, None]:
    """The tags of the parameter, in order. Raises InputError for what does not go together."""
    found = dict.fromkeys(names_in(config.tags))
    if not found and not config.passive:
        raise InputError("fleet_node: passive is false, so tags must say whom to ask")
    if not config.passive and len(found) > config.most_tags:
        raise InputError(f"fleet_node: tags: {len(found)}, and most_tags is {config.most_tags}")
    if any(len(tag) > LONGEST_ID for tag in found):
        raise InputError(f"fleet_node: tags: expected ids of at most {LONGEST_ID} letters")
    if config.air_time and config.passive:
        raise InputError("fleet_node: air_time is of tags that are asked: passive must be false")
    if config.air_time and config.tracker != "zero-shot":
        raise InputError("fleet_node: air_time needs zero-shot, which knows what a range is worth")
    if config.scheduler == "sequential":
        raise InputError("fleet_node: scheduler sequential asks on within a fix: not here")
    return found
