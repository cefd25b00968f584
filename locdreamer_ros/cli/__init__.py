# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `locdreamer`. Each command is a module with `add_parser`; to add one, list it here.

Command modules import what they run only when they run it, so that `--help` is quick and a command
needs only its own dependencies.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from locdreamer_ros import __version__
from locdreamer_ros.cli.ending import Signalled, heeding_signals
from locdreamer_ros.errors import InputError, not_installed, refused_name
from locdreamer_ros.files import NO_ROOM

COMMANDS = (
    "demo",
    "track",
    "simulate",
    "convert",
    "download",
    "benchmark",
    "train",
    "juno",
    "init",
    "doctor",
    "emulate",
    "calibrate",
    "survey",
    "plan",
)
BAD_INPUT = 2


class _Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line, like any other about bad input.

    Options are not guessed from their beginnings: `--mode offline` once meant `--model offline`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **options})

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{' '.join(self.prog.split()[1:])}: {message} (see --help)".lstrip(": "))


def parser() -> argparse.ArgumentParser:
    """The parser of all commands; what it parses has `run`, the command's function."""
    root = _Parser(
        prog="locdreamer",
        description="Track a UWB tag, and decide before each fix which few anchors to range with.",
    )
    root.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = root.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        importlib.import_module(f"locdreamer_ros.cli.{name}").add_parser(commands)
    return root


def _named(options: argparse.Namespace) -> argparse.Namespace:
    """`.` and `..` by their names: results are called after them. Raises InputError for `/`."""
    for name, value in vars(options).items():
        if isinstance(value, Path) and value.name in ("", ".."):
            setattr(options, name, value.resolve())
            if not value.resolve().name:
                raise InputError(f"{value}: expected a file or folder with a name")
    return options


def _open_streams() -> None:
    """Read and write nothing where a stream is closed; write of a name what the terminal can."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # so Python says it
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, stream)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def main(argv: Sequence[str] | None = None) -> int:
    """Run `locdreamer`; returns the exit code. Bad input is one line on stderr and code 2.

    A signal to end is one line too, and 128 + its number. argv None: this is the whole program.
    """
    _open_streams()
    try:
        with heeding_signals(last=argv is None):
            options = _named(parser().parse_args(argv))
            code: int | None = options.run(options)
            # Written here, so that a reader who left is noticed while it can still be handled.
            sys.stdout.flush()
    except InputError as reason:
        print(f"locdreamer: {reason}", file=sys.stderr)
        return BAD_INPUT
    except ModuleNotFoundError as missing:
        print(f"locdreamer: {not_installed(missing)}", file=sys.stderr)
        return BAD_INPUT
    except Signalled as reason:
        print(f"locdreamer: {reason.word}", file=sys.stderr)
        return reason.status
    except BrokenPipeError:
        # `locdreamer ... | head`: nobody reads on. Python would complain again at exit, so it gets
        # a place to write to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except UnicodeEncodeError as reason:
        print(f"locdreamer: expected UTF-8 text, got {reason.object[:100]!a}", file=sys.stderr)
        return BAD_INPUT
    except OSError as reason:
        if text := refused_name(reason):
            print(f"locdreamer: {text}", file=sys.stderr)
            return BAD_INPUT
        if reason.errno not in NO_ROOM:
            raise
        # The report could not be written: stdout is a file on a full disk.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"locdreamer: cannot write: {reason.strerror}", file=sys.stderr)
        return BAD_INPUT
    return code or 0
