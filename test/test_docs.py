# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the pages name is there: links, files, commands and their options, examples."""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from xml.etree import ElementTree

import pytest

from locdreamer_ros.benchmarks import BENCHMARKS
from locdreamer_ros.cli import parser

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
ENDINGS = ("py", "md", "yaml", "rst", "cff", "txt", "cfg", "toml", "safetensors", "msg", "service")
MADE = ("walk.csv", "metrics.json")
"""What commands make is not there beforehand."""

every_page = pytest.mark.parametrize("name", NAMES)


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@cache
def files() -> tuple[str, ...]:
    """Files of the tree, and their folders with a slash."""
    ignored = {".git", ".venv", ".venv-colcon", "build", "__pycache__"}
    found = []
    for path in ROOT.rglob("*"):
        relative = path.relative_to(ROOT)
        if not ignored & set(relative.parts):
            found.append(f"/{relative}/" if path.is_dir() else f"/{relative}")
    return tuple(found)


def slugs(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {
        re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", text).lower()).strip().replace(" ", "-")
        for text in headings
    }


@every_page
def test_links_lead_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(name)):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        page = (ROOT / name).parent / path if path else ROOT / name
        assert page.exists(), f"{name}: {target}: no such file"
        if anchor:
            assert anchor in slugs(page), f"{name}: {target}: no such heading"


@every_page
def test_files_it_names_exist(name: str) -> None:
    for word in re.findall(r"`([\w./-]+/[\w./-]*)`", text_of(name)):
        if word.rpartition(".")[2] in ENDINGS or word.endswith("/"):
            if (
                word.endswith(MADE)
                or word.startswith(("~", "/", "DIR/", "share/"))
                or "NAME" in word
            ):
                continue
            known = any(file.endswith(f"/{word}") for file in files())
            made = word in ("bag/", "bin/", "log/", "shared/")
            assert known or made, f"{name}: {word}: no such file"


def commands(text: str) -> list[list[str]]:
    """`locdreamer ...` as words: in examples, whole; in a line of text, as far as it goes."""
    joined = re.sub(r"\\\n\s*", " ", text)
    found = re.findall(r"^(?:\.venv/bin/)?locdreamer (.*?)(?:\s+#.*)?$", joined, re.M)
    found += re.findall(r"`locdreamer ([^`]*)`", joined.replace("\n", " "))
    return [line.split() for line in found]


@cache
def options() -> dict[str, set[str]]:
    """Options of each command; of one that has commands of its own, theirs too."""

    def of(one: argparse.ArgumentParser) -> set[str]:
        known = set()
        for action in one._actions:
            known |= set(action.option_strings)
            if isinstance(action, argparse._SubParsersAction):
                for inner in action.choices.values():
                    known |= of(inner)
        return known

    (choices,) = (a.choices for a in parser()._actions if hasattr(a.choices, "items"))
    assert choices is not None
    return {command: of(one) for command, one in choices.items()}


@pytest.mark.promise("Every file, command and option that the pages name exists.")
@every_page
def test_commands_it_names_exist(name: str) -> None:
    for words in commands(text_of(name)):
        command = words[0]
        if command in ("COMMAND", "--help"):
            continue
        assert command in options(), f"{name}: locdreamer {command}"
        for word in words[1:]:
            if word.startswith("--"):
                option = word.partition("=")[0].rstrip(",.;:")
                assert option in options()[command], f"{name}: locdreamer {command} {option}"
        if command == "benchmark" and len(words) > 1 and words[1][0].islower():
            assert words[1] in BENCHMARKS, f"{name}: locdreamer benchmark {words[1]}"


@every_page
def test_targets_and_modules_it_names_exist(name: str) -> None:
    targets = set(re.findall(r"^([\w-]+):", text_of("Makefile"), re.M))
    for words in re.findall(r"(?:^|`)make ([a-z ]+?)(?:`|\s{2,}|$)", text_of(name), re.M):
        assert set(words.split()) <= targets, f"{name}: make {words}"
    for module in re.findall(r"python3? -m (locdreamer_ros[\w.]*)", text_of(name)):
        path = module.replace(".", "/")
        known = {f"/{path}.py", f"/{path}/__main__.py"} & set(files())
        assert known, f"{name}: python -m {module}"


def promises() -> set[str]:
    """What the tests promise, read from their marks."""
    found = set()
    for path in (ROOT / "test").rglob("test_*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = {
            node.targets[0].id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.promise":
                value = node.args[0]
                text = constants[value.id] if isinstance(value, ast.Name) else value
                found.add(str(ast.literal_eval(text)))
    return found


def test_the_page_of_promises_is_that_of_the_tests() -> None:
    rows = re.findall(r"^\| (.*?) \| `test/", text_of("docs/reliability.md"), re.M)
    assert set(rows) == promises(), "make reliability writes it anew"
    assert len(rows) > 10


def test_the_checks_can_fail() -> None:
    assert commands("locdreamer track a.csv \\\n  --nonsense 3   # why") == [
        ["track", "a.csv", "--nonsense", "3"]
    ]
    assert commands("see `locdreamer fly\n--high`.") == [["fly", "--high"]]
    assert "--nonsense" not in options()["track"]
    assert "where-to-read-on" in slugs(ROOT / "README.md")
    assert not any(file.endswith("/docs/nowhere.md") for file in files())


def test_the_example_of_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", text_of("README.md"), re.S)
    exec(compile(example, "README.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) > 100


def test_shell_examples_are_shell() -> None:
    for name in NAMES:
        for block in re.findall(r"```(?:sh|bash)\n(.*?)```", text_of(name), re.S):
            subprocess.run(["bash", "-n"], input=block, text=True, check=True)


def broken_lists(page: str) -> list[str]:
    """Lines that GitHub takes into a list and the site does not, or for text in a paragraph.

    The site wants an empty line before a list, and what belongs to an item by four spaces.
    """
    found, before, code, listed = [], "", False, False
    for line in page.splitlines():
        fence = line.lstrip().startswith("```")
        item = re.match(r"(?:[-*]|\d+\.) ", line) is not None
        indented = re.match(r" {1,3}\S", line) is not None
        if (item and before and not listed and not code) or (
            indented and (fence or (not before and not code))
        ):
            found.append(line)
        code ^= fence
        listed = item or (listed and (line.startswith(" ") or bool(before) or not line))
        before = line
    return found


def test_lists_are_lists_on_the_site() -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        assert broken_lists(page.read_text(encoding="utf-8")) == [], page
    assert broken_lists("Can\n- fly\n") == ["- fly"]
    assert broken_lists("1. Do\n   ```\n   x\n   ```\n2. Then\n") == ["   ```", "   ```"]
    assert broken_lists("1. Do\n\n   so\n\n    so\n- a\n  b\n- c\n") == ["   so"]


def test_the_site_has_every_page() -> None:
    """`make site` checks its links; here only that none is forgotten or gone."""
    named = re.findall(r"^\s+- (?:.*: )?([\w/]+\.md)$", text_of("mkdocs.yml"), re.M)
    pages = [str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")]
    assert sorted(named) == sorted(pages)


def test_the_reference_is_what_the_code_says() -> None:
    """After a change of an option, a parameter, a topic, a message or a claim: run its writer."""
    pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'locdreamer_ros[ros]'")
    pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")
    spec = spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    assert spec is not None
    assert spec.loader is not None
    writer = module_from_spec(spec)
    spec.loader.exec_module(writer)
    assert text_of("docs/reference.md") == writer.page(), "make reference"


def test_the_moving_picture_is_whole_and_small() -> None:
    text = text_of("docs/images/track.svg")
    assert len(text) < 100_000
    tree = ElementTree.fromstring(text)
    moved = [each for each in tree.iter() if each.tag.endswith("}animate")]
    assert len(moved) > 20
    assert len({each.get("values", "").count(";") for each in moved}) == 1
