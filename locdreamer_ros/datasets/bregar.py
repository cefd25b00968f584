# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bregar's indoor UWB data set (Scientific Data 10, 744, 2023; Zenodo record 7629141).

Four environments, eight anchors (seven in environment 2) and six radio channels; the tag stood
still at each point of a walking path. Read from data.json, from the raw tree, or from the cache
that reading data.json leaves.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import re
from pathlib import Path

from locdreamer_ros.datasets.point_survey import PointSurvey, load_survey_file, save_survey
from locdreamer_ros.errors import InputError

ENVIRONMENTS = (0, 1, 2, 3)
NAMED = re.compile(r"(?:environment|location)([0-3])")


def load_survey(source: Path, environment: int | None = None) -> PointSurvey:
    """Load one environment from a data.json, a cached .npz, or a folder of the unpacked data set.

    `environment` (0 to 3) may be left out where `source` is a file or the folder of one. The
    cleaned data.json is preferred to the raw tree. Raises InputError naming what is not there.
    """
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    if source.suffix == ".npz":
        return load_survey_file(source)
    found = source if source.is_file() else _find(source, environment)
    named = NAMED.fullmatch((found.parent if found.is_file() else found).name)
    if environment is None and named:
        environment = int(named[1])
    if found.is_file():
        name = found.stem if environment is None else f"environment{environment}"
        return _load_json(found, name)
    if environment is None:
        raise InputError(f"{found}: which environment is it? expected 0, 1, 2 or 3")
    from locdreamer_ros.datasets.bregar_raw import read_raw

    return read_raw(found, f"environment{environment}", environment)


def _find(source: Path, environment: int | None) -> Path:
    """The data.json, else the raw folder, of the environment somewhere in the unpacked data set."""
    named = NAMED.fullmatch(source.name)
    if named and environment not in (None, int(named[1])):
        raise InputError(f"{source}: is not of environment {environment}")
    # The first release of the data set called the environments locations.
    names = [""]
    if environment is not None:
        names += [f"environment{environment}", f"location{environment}"]
    roots = ("", "data_set", "raw_data", "data_set/raw_data")
    folders = [source / root / name for root in roots for name in names]
    for folder in folders:
        if (folder / "data.json").is_file():
            return folder / "data.json"
    for folder in folders:
        if (folder / "walking_path.csv").is_file() and (folder / "data").is_dir():
            return folder
    which = "; say which environment" if environment is None else f" of environment {environment}"
    raise InputError(f"{source}: found no data.json and no raw data{which}")


def _load_json(path: Path, name: str) -> PointSurvey:
    """From the cache if there is one of this very file, else from the file, leaving a cache."""
    stat = path.stat()
    source = (stat.st_size, stat.st_mtime_ns)
    caches = (path.with_suffix(".cache.npz"), _user_cache(path))
    for cache in caches:
        with contextlib.suppress(InputError):  # none, an old one, a damaged one: read the file
            return dataclasses.replace(load_survey_file(cache, source), name=name)
    from locdreamer_ros.datasets.bregar_json import read_json

    survey = read_json(path, name)
    for cache in caches:
        with contextlib.suppress(InputError, OSError):  # read-only, full: works without, slower
            save_survey(cache, survey, source)
            break
    return survey


def _user_cache(path: Path) -> Path:
    """Where the cache goes if the data set's folder is read-only."""
    folder = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    digest = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:16]
    return Path(folder).expanduser() / "locdreamer_ros" / f"{path.stem}-{digest}.npz"
