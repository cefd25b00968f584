# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong outside our code, said in one line that a user can act on."""

from __future__ import annotations

import errno
from importlib.util import find_spec

EXTRAS = {"torch": "learn", "numba": "juno", "rerun": "view", "distributed": "cluster"}
"""Which extra of setup.cfg brings a module."""

ON_PYPI_ONLY = ("rosbags", "numba", "torch", "rerun")
OTHERWISE_ON_PYPI = {"serial": "pyserial", "yaml": "pyyaml", "rerun": "rerun-sdk"}
"""Modules whose package has another name there: what is called `serial` is another's."""
LONGEST_COMPLAINT = 1000
"""Characters of a complaint."""


class InputError(ValueError):
    """Bad input: the message names the file, the row or key, and what was expected.

    The command line prints the message alone and exits with status 2. What it quotes of a file is
    cut where it is long.
    """

    def __str__(self) -> str:
        text = super().__str__()
        return text if len(text) <= LONGEST_COMPLAINT else f"{text[:LONGEST_COMPLAINT]}..."


def require(module: str, what: str) -> None:
    """Raises InputError, naming `what` asked for it, where an optional module is not installed."""
    if find_spec(module) is None:
        extra = EXTRAS[module]
        raise InputError(f"{what} needs {module}: pip install 'locdreamer_ros[{extra}]'")


REFUSED = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.ENOTDIR,
    errno.EISDIR,
)
"""What the system says of a name that is not for us to use, be it by a mere look whether it is."""


def refused_name(reason: BaseException) -> str:
    """One line on a file or folder that the system does not let us use; empty: it is not that."""
    if isinstance(reason, OSError) and reason.errno in REFUSED and reason.filename is not None:
        return str(InputError(f"{reason.filename}: {reason.strerror}"))
    return ""


def not_installed(missing: ModuleNotFoundError) -> str:
    """One line on a module that is not installed. Raises `missing` again where it is ours."""
    name = (missing.name or "").partition(".")[0]
    if name in ("", "locdreamer_ros"):
        raise missing
    # Debian and Ubuntu refuse pip outside a virtual environment (PEP 668).
    debian = "" if name in ON_PYPI_ONLY else f"apt install python3-{name}, or "
    pip = OTHERWISE_ON_PYPI.get(name, name)
    return f"this needs {name}: {debian}pip install {pip} (in a virtual environment)"
