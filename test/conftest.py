# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page of promises: what tests marked `promise` hold, written down by the run itself.

`--promises FILE` writes docs/reliability.md; `--dist` of pytest-xdist changes nothing.
"""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import settings

# Hypothesis fails an example that takes .2 s, which on a busy machine any does now and then.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

HEAD = """# Reliability: what this package promises

Each promise is held by a test; this page is written by the test run itself (`make reliability`).

| promise | held by | last run |
|---|---|---|
"""
FOOT = """
## Not promised

- Real time: it is Python on an ordinary kernel. On a machine with more work than cores fixes come
  late.
- Trust in the network: ROS 2 without SROS2 lets anybody in the same domain publish, listen and
  switch nodes. Every field of a message is checked and bounded, but who sent it is not known.
- Anything about real radios: the drivers are tested against emulated firmware and recorded bytes.
- A bias that looks like a shift of the position: with one anchor too few, or all on a line, ranges
  alone cannot tell, and no tracker can.
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--promises", type=Path, metavar="FILE", help="write the page of promises")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """Hand the promise's text on with the report, also from a process of xdist."""
    outcome = yield
    for marker in item.iter_markers("promise"):
        outcome.get_result().user_properties.append(("promise", marker.args[0]))


class Promises:
    """Collects outcomes, and writes the page at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.held: dict[str, dict[str, str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, text in report.user_properties:
            if name == "promise" and (report.when == "call" or report.skipped or report.failed):
                test = report.nodeid.partition("[")[0]
                outcomes = self.held.setdefault(text, {})
                both = {outcomes.get(test, report.outcome), report.outcome}
                if "failed" in both:
                    outcomes[test] = "failed"
                else:  # a test of several cases may be skipped in some
                    outcomes[test] = both.pop() if len(both) == 1 else "passed, in part skipped"

    def pytest_sessionfinish(self) -> None:
        day = datetime.now(timezone.utc).strftime("%d %B %Y").lstrip("0")
        lines = [
            f"| {text} | {', '.join(f'`{test}`' for test in tests)} | "
            f"{', '.join(sorted(set(tests.values())))}, {day} |\n"
            for text, tests in sorted(self.held.items())
        ]
        self.path.write_text(HEAD + "".join(lines) + FOOT, encoding="utf-8")


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("--promises")
    if path is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Promises(path))
