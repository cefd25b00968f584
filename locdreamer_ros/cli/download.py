# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`locdreamer download`: public data sets, for machines with a network."""

from __future__ import annotations

import argparse
from pathlib import Path

from locdreamer_ros.cli.options import add_common, check_output
from locdreamer_ros.files import check_folder

RECORD, FILE = 7629141, "data_set.zip"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`download bregar`."""
    parser = subparsers.add_parser("download", help="download a public data set")
    sets = parser.add_subparsers(title="data sets", metavar="DATASET", required=True)
    about = "Bregar 2023: four environments, 16.4 GB; run again to resume"
    bregar = sets.add_parser("bregar", help=about, description=about)
    bregar.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder for data_set.zip"
    )
    add_common(bregar)
    bregar.set_defaults(run=run_bregar)


def run_bregar(options: argparse.Namespace, base: str | None = None, pause: float = 1.0) -> int:
    """Download data_set.zip of the record at `base` (Zenodo) and check it."""
    from locdreamer_ros.datasets import zenodo
    from locdreamer_ros.evaluation.tables import save_json

    check_output(options.json)
    check_folder(options.output)
    remote = zenodo.find_file(RECORD, FILE, base or zenodo.ZENODO)
    path = options.output / FILE
    zenodo.download(remote, path, pause=pause)
    print(f"{path}: {remote.size / 1e9:.1f} GB, checksum correct. Next, for environment 0:")
    print(f"  unzip {path} 'data_set/environment0/*' -d {options.output}")
    print(f"  locdreamer convert bregar {options.output} --environment 0 --output house_bag")
    if options.json is not None:
        save_json(options.json, {"file": str(path), "bytes": remote.size, "md5": remote.md5})
    return 0
