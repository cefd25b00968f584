# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes docs/reference.md: options, exit codes, topics, parameters, messages, claims.

make reference     # after a change of any of them
"""

from __future__ import annotations

import argparse
import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from locdreamer_ros.benchmarks import BENCHMARKS
from locdreamer_ros.cli import BAD_INPUT, parser
from locdreamer_ros.cli.ending import SIGNALS, Signalled
from locdreamer_ros.nodes import catalogue

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference.md"
NODES = ROOT / "locdreamer_ros" / "nodes"
SAYS, HEARS = ("advertise",), ("listen", "hear")
HEAD = """# Reference

Written from the code by `docs/make_reference.py`; a test holds that it is what the code says.
What it all means: [command line](command_line.md), [nodes](nodes.md), [formats](datasets.md).
"""
ENDS = """
`doctor` ends with 1 where it found no module that can be used, with a site file no pose, `demo`
where a node died or nothing moved for a minute. `emulate` goes on until it is told to end, and ends
with 0 then.

A node ends with 0 when it is told to, and with 2 and one line for bad input.
"""
BESIDES = """
The names are modules of `locdreamer_ros/nodes/`: those that are no nodes are parts of
`tracker_node` and `ekf_node`. Besides, each of these two hears `odometry` and `imu`, `fleet_node`
publishes `~/<tag>/pose`, every node `/diagnostics`, and `recorder_node` hears what
[its section](nodes.md#recorder_node) says.
"""


def cell(text: object) -> str:
    """Words for a cell of a table."""
    return " ".join(str(text).split()).replace("|", "\\|")


def table(header: str, rows: list[str]) -> str:
    """A table of rows that are written already."""
    return "\n".join([header, "|---" * (header.count("|") - 1) + "|", *rows]) + "\n"


def commands(of: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Commands by their words, those with commands of their own after these."""
    for action in of._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield name, inner
                yield from ((f"{name} {more}", deeper) for more, deeper in commands(inner))


def option_rows(of: argparse.ArgumentParser) -> list[str]:
    """A row for each option and argument."""
    rows = []
    for action in of._actions:
        if isinstance(action, (argparse._HelpAction, argparse._SubParsersAction)):
            continue
        names = ", ".join(action.option_strings) or str(action.metavar or action.dest)
        values = "" if action.nargs == 0 else str(action.metavar or "")
        if action.choices is not None:
            values = ", ".join(map(str, action.choices))
        shown = values if action.option_strings else ""
        about = (action.help or "").replace("%%", "%")  # argparse fills in what it says
        rows.append(f"| `{cell(names)}` | {cell(shown)} | {cell(about)} |")
    return rows


def topics() -> dict[str, dict[str, set[str]]]:
    """Topics and types in the nodes' code: who publishes (`out`) and who listens (`in`)."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for path in sorted(set(NODES.glob("*.py")) - set(NODES.glob("*_timing.py"))):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func).rpartition(".")[2]
            places = [i for i, each in enumerate(node.args[:3]) if text_of(each) is not None]
            if name not in SAYS + HEARS or not places or places[0] == 0:
                continue
            kind = ast.unparse(node.args[places[0] - 1])
            if not kind[0].isupper():
                continue
            topic = text_of(node.args[places[0]])
            way = "out" if name in SAYS else "in"
            found[f"| `{topic}` | {kind}"][way].add(path.stem)
    return found


def text_of(node: ast.expr) -> str | None:
    """A string in code; what it fills in is in angle brackets."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else "<tracker>"
            for part in node.values
        )
    return None


def parameter_rows(node: str) -> list[str]:
    """A row for each parameter of a node; a tracker's own once, at `tracker_node`."""
    rows = []
    for name, field in catalogue.fields_of(node).items():
        if "." in name and node != "tracker_node":
            continue
        about = field.metadata
        low, high, choices = about["low"], about["high"], about["choices"]
        values = ", ".join(f"`{c}`" if str(c) else "empty" for c in choices or ())
        if low is not None or high is not None:
            ends = ("" if end is None else f"{end:.10g}" for end in (low, high))
            values = " .. ".join(ends)
        default = str(field.default) if str(field.default) else "empty"
        rows.append(f"| `{name}` | {default} | {values} | {cell(about['description'])} |")
    return rows


def claims_of(benchmark: str) -> list[str]:
    """Names of claims written out in a benchmark's module."""
    path = ROOT / "locdreamer_ros" / "benchmarks" / f"{benchmark}.py"
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        value: ast.expr | None = None
        if isinstance(node, ast.keyword) and node.arg == "claims":
            value = node.value
        elif isinstance(node, (ast.Assign, ast.AugAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            value = node.value if ast.unparse(targets[0]) == "claims" else None
        elif isinstance(node, ast.FunctionDef) and node.name == "claims_of":
            value = next((r.value for r in ast.walk(node) if isinstance(r, ast.Return)), None)
        if isinstance(value, ast.Dict):
            found += [k.value for k in value.keys if isinstance(k, ast.Constant)]
    return list(dict.fromkeys(found))


def page() -> str:
    """The whole page."""
    parts = [HEAD, "\n## Exit codes\n\n"]
    ends = [f"| {Signalled(number).status} | {Signalled(number).word} |" for number in SIGNALS]
    wrong = f"| {BAD_INPUT} | bad input, or something not installed: one line on stderr says what |"
    parts.append(table("| code | of every command |", ["| 0 | done |", wrong, *ends]))
    parts.append(ENDS)
    parts.append("\n## Commands\n")
    for name, of in commands(parser()):
        rows = option_rows(of)
        if rows:
            about = cell(of.description or "")
            parts.append(f"\n### locdreamer {name}\n\n{about}\n\n")
            parts.append(table("| option | values | |", rows))
    parts.append("\n## Topics\n\nNames with `~` are below the node's own.\n\n")
    rows = [
        f"{key} | {', '.join(sorted(ways['out']))} | {', '.join(sorted(ways['in']))} |"
        for key, ways in sorted(topics().items())
    ]
    parts.append(table("| topic | type | published in | heard in |", rows))
    parts.append(BESIDES)
    parts.append("\n## Parameters\n")
    for node in catalogue.GROUPS:
        parts.append(f"\n### {node}\n\n")
        parts.append(table("| parameter | default | values | |", parameter_rows(node)))
    parts.append("\n## Messages\n")
    for path in sorted((ROOT / "msg").glob("*.msg")):
        text = path.read_text(encoding="utf-8").strip()
        parts.append(f"\n### {path.stem}\n\n```\n{text}\n```\n")
    parts.append("\n## Claims\n\nThose written out in the code of each benchmark.\n\n")
    rows = [
        f"| `locdreamer benchmark {name}` | {', '.join(f'`{c}`' for c in claims_of(module))} |"
        for name, module in benchmark_modules()
    ]
    parts.append(table("| benchmark | claims |", rows))
    return re.sub(r"[ \t]+$", "", "".join(parts), flags=re.M)


def benchmark_modules() -> list[tuple[str, str]]:
    """Benchmarks by name, with their modules."""
    return [(name, name.replace("-", "_")) for name in BENCHMARKS]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
