# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who hears whom: a ROS domain of one's own, and nodes that find each other soon."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from locdreamer_ros.errors import InputError
from locdreamer_ros.nodes.catalogue import shared_file

DOMAINS = range(1, 102)
"""To choose from: the ports of some above are those that Linux hands out to any program."""
LAST_DOMAIN, LAST_PORT = 232, 65535
PARTICIPANTS = 24
"""Nodes looked for in a domain: one that started early may be the only one left."""


PROFILE_OF = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
"""What names a profile to Fast DDS 3, and to 2 and, with a warning, to 3."""
FAST_DDS_2 = ("humble", "iron", "jazzy")
PROFILES_BESIDE = ("DEFAULT_FASTDDS_PROFILES.xml", "DEFAULT_FASTRTPS_PROFILES.xml")
"""Profiles that Fast DDS takes from the working directory."""


def find_soon() -> None:
    """Let this process announce itself as config/discovery.xml says, unless a profile is set.

    And speak by UDP, where nothing else is set: in shared memory a killed node leaves its port to
    the one that is started in its place, which is deaf for a while. To be called before the
    process's first node; other middleware than Fast DDS does not read it.
    """
    if any(os.environ.get(name) for name in PROFILE_OF) or any(
        map(os.path.exists, PROFILES_BESIDE)
    ):
        return
    old = os.environ.get("ROS_DISTRO") in FAST_DDS_2
    local = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE") == "LOCALHOST"
    profile = "discovery" if old else "discovery_localhost" if local else "discovery_fast_dds_3"
    os.environ[PROFILE_OF[old]] = str(shared_file(f"config/{profile}.xml"))
    os.environ.setdefault("FASTDDS_BUILTIN_TRANSPORTS", "UDPv4")


def _ports(domain: int) -> list[int]:
    """UDP ports of a domain: multicast, then one per participant (DDSI-RTPS 9.6.1.1)."""
    base = 7400 + 250 * domain
    return [base, *(base + 10 + 2 * participant for participant in range(PARTICIPANTS))]


def _bound(port: int) -> socket.socket | None:
    """A socket that holds the port, None where another program does."""
    holder = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        holder.bind(("", port))
    except OSError:
        holder.close()
        return None
    return holder


def is_busy(domain: int) -> bool:
    """Whether another program on this machine uses the domain."""
    for port in _ports(domain):
        holder = _bound(port)
        if holder is None:
            return True
        holder.close()
    return False


@contextmanager
def own_domain() -> Iterator[int]:
    """A domain that nobody else uses, held while the block runs.

    ROS_DOMAIN_ID where it is set, else a free one. Raises InputError where that one, or each, is
    busy.
    """
    wanted = os.environ.get("ROS_DOMAIN_ID", "")
    if wanted and not (wanted.isdecimal() and int(wanted) <= LAST_DOMAIN):
        raise InputError(
            f"ROS_DOMAIN_ID: expected a number from 0 to {LAST_DOMAIN}, got {wanted!r}"
        )
    # Not all from the same end, so that two graphs seldom try the same domain at the same time.
    first = os.getpid() % len(DOMAINS)
    candidates = [int(wanted)] if wanted else [*DOMAINS[first:], *DOMAINS[:first]]
    for domain in candidates:
        # The last port of a domain is no participant's: holding it keeps a second graph out.
        claim = _bound(min(7400 + 250 * domain + 249, LAST_PORT))
        if claim is None:
            continue
        with claim:
            if not is_busy(domain):
                yield domain
                return
    if wanted:
        raise InputError(
            f"ROS domain {wanted} is busy: other nodes run in it, or the daemon of `ros2` (ros2 "
            "daemon stop), or a program has one of its ports; unset ROS_DOMAIN_ID to have a free "
            "one chosen"
        )
    raise InputError(f"ROS domains {DOMAINS[0]} to {DOMAINS[-1]} are all busy on this machine")
