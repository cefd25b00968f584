# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who may import whom: the table of docs/architecture.md against the imports in the code.

A room is a row of the table: a file, a folder, or a folder within a folder that has a row of its
own. Each may import only the rooms its row names, and those stand above it: so the arrows run one
way.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "locdreamer_ros"
PAGE = ROOT / "docs" / "architecture.md"
ROS = ("rclpy", "tf2_ros", "ament_index_python", "builtin_interfaces", "rosgraph_msgs")


def table(text: str) -> dict[str, set[str]]:
    """Rooms in their order, each with what it may import."""
    rows = {}
    for line in text.split("## Rooms")[1].split("\n## ")[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        rooms = re.findall(r"`([\w/.]+)`", cells[0])
        if len(cells) == 3 and rooms:
            allowed = set(re.findall(r"`([\w/]+)`", cells[2]))
            for room in rooms:
                everything = set(rows) if cells[2] == "everything above" else allowed
                rows[room.removesuffix(".py").rstrip("/")] = everything
    return rows


ROOMS = table(PAGE.read_text(encoding="utf-8"))


def modules() -> dict[str, Path]:
    """Dotted names of all modules, `locdreamer_ros.` left out, with their files."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    del found[""]  # the package itself holds its version
    return found


MODULES = modules()


def room_of(module: str) -> str:
    """The row of a module: the longest that fits."""
    path = module.replace(".", "/")
    return max((r for r in ROOMS if path == r or path.startswith(f"{r}/")), key=len, default="")


def imports(path: Path, *, typed: bool = True) -> Iterator[str]:
    """Whole names of what a file imports, wherever it does; typed: what only types need as well."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not typed:
            skipped |= set(ast.walk(node))
        elif isinstance(node, ast.Import) and node not in skipped:
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node not in skipped and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(path: Path, *, typed: bool = True) -> set[str]:
    """Modules of the package that a file imports."""
    found = set()
    for name in imports(path, typed=typed):
        if name.startswith(f"{PACKAGE}."):
            inner = name.removeprefix(f"{PACKAGE}.")
            while inner and inner not in MODULES:
                inner = inner.rpartition(".")[0]
            found.add(inner)
    return found - {"", "msg"}


def test_every_module_has_a_row_and_every_row_a_module() -> None:
    assert {name for name in MODULES if not room_of(name)} == set(), f"no row in {PAGE}"
    assert ROOMS.keys() - {room_of(name) for name in MODULES} == set(), "a row without a module"


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_what_its_row_allows(room: str) -> None:
    for module, path in MODULES.items():
        if room_of(module) == room:
            wanted = {room_of(other) for other in ours(path)} - {room, ""}
            more = wanted - ROOMS[room]
            assert not more, f"{module} imports {', '.join(sorted(more))}: not in the row {room}"


def test_the_arrows_run_one_way() -> None:
    above: list[str] = []
    for room, allowed in ROOMS.items():
        assert allowed <= set(above), f"{room}: names what does not stand above it"
        above.append(room)


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {name: ours(path, typed=False) - {name} for name, path in MODULES.items()}
    done: set[str] = set()

    def walk(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join((*way[way.index(name) :], name))
        if name not in done:
            for other in sorted(graph[name]):
                walk(other, (*way, name))
            done.add(name)

    for name in graph:
        walk(name, ())


def test_only_nodes_know_ros() -> None:
    for module, path in MODULES.items():
        if room_of(module) != "nodes":
            known = {name for name in imports(path) if name.split(".")[0] in ROS}
            assert not known, f"{module} imports {known}"


def test_no_object_is_written_behind_its_back() -> None:
    """No `__dict__`, no `object.__new__` or `__setattr__`, no private attribute of another."""
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                assert node.attr not in ("__dict__", "__new__", "__setattr__"), (
                    f"{module}, line {node.lineno}: {ast.unparse(node)}"
                )
            if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    if isinstance(target, ast.Attribute) and target.attr.startswith("_"):
                        own = ast.unparse(target.value) in ("self", "cls")
                        assert own, f"{module}, line {node.lineno}: {ast.unparse(target)}"


def test_the_table_is_read() -> None:
    assert len(ROOMS) > 20
    assert table("## Rooms\n| a | b | c |\n|---|---|---|\n| `x.py`, `y/z/` | w | `q`, numpy |") == {
        "x": {"q"},
        "y/z": {"q"},
    }
