# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is promised under faults: kills, lost packets, damaged files, interrupts, long runs.

The attacks are programs of `test/contract`, so this needs the source tree, ROS 2 and Linux. Each
seed is 20 kills, 2,000 damaged files, 20 interrupts, an hour of soak and two networks of hosts: ten
seeds are what docs/reliability.md speaks of, and take about an hour. A part that this machine may
not do is left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from locdreamer_ros.benchmarks.result import Result, Row, Settings
from locdreamer_ros.errors import InputError

ROOT = Path(__file__).parents[2]
KILLS, FILES, INTERRUPTS = 20, 2000, 20
"""For each seed."""
WEATHER_S = 10.0
SOON_S = 3.0
RIGHTS = [] if os.geteuid() == 0 else ["--map-root-user"]
OWN_NETWORK = ["unshare", "--net", *RIGHTS]
"""What it makes of networks is gone with it."""
OWN_MEMORY = [
    *("unshare", "--mount", *RIGHTS, "sh", "-c"),
    *('mount -t tmpfs none /dev/shm && exec "$@"', "sh"),
]
"""With shared memory of its own: what is left in it was left by this graph."""
Found = Mapping[str, Any]


def attacked(name: str, *arguments: object, within: Sequence[str] = ()) -> Found | None:
    """What a program of `test/contract` prints; None where `within` may not be done here."""
    if within and subprocess.run([*within, "true"], capture_output=True).returncode != 0:
        return None
    done = subprocess.run(
        [*within, sys.executable, str(ROOT / "test/contract" / name), *map(str, arguments)],
        env={
            **os.environ,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'test'}",
            "PYTHONDONTWRITEBYTECODE": "",  # an installed package is compiled, too
        },
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{name}: {done.stderr.strip()[-500:]}")
    found: Found = json.loads(done.stdout)
    return found


def attacks(seed: int) -> dict[str, Found | None]:
    """Everything for one seed."""
    return {
        "chaos": attacked("chaos.py", KILLS, seed, within=OWN_MEMORY),
        "ticks": attacked("hosts.py", "ticks", WEATHER_S, within=OWN_NETWORK),
        "driver": attacked("hosts.py", "driver", WEATHER_S, within=OWN_NETWORK),
        "inputs": attacked("inputs.py", FILES, seed * FILES),
        "interrupts": attacked("interrupts.py", INTERRUPTS, seed),
    }


def run(settings: Settings) -> Result:
    """Every attack for every seed, one after the other: they would load each other's machine."""
    if not (ROOT / "test/contract").is_dir():
        raise InputError("benchmark contract: needs the source tree: its attacks are in test/")
    found = [attacks(seed) for seed in tqdm(settings.seeds, desc="seeds", leave=False)]
    parts = {name: [one[name] for one in found if one[name] is not None] for name in found[0]}
    hours = len(settings.seeds)
    parts["soak"] = [attacked("soak.py", hours, settings.seeds[0])]
    return result_of(parts)  # type: ignore[arg-type]


def result_of(parts: Mapping[str, Sequence[Found]]) -> Result:
    """Rows and claims of what the attacks have found; a part may be empty."""
    strikes = [strike for one in parts["chaos"] for strike in one["strikes"]]
    rows = [*_of_victims(strikes), *_of_weathers(parts)]
    lost = [row["kept"] for row in rows if row["attack"] == "5 % lost"]
    files = [problem for one in parts["inputs"] for problem in one["bad"]]
    told = [problem for one in parts["interrupts"] for problem in one["bad"]]
    interrupts = sum(one["tried"] for one in parts["interrupts"])
    claims = {
        "kills": len(strikes),
        "kills_survived": sum(_survived(strike) for strike in strikes),
        "kills_recovered": sum(np.isfinite(s["recovery_s"]) and s["back"] for s in strikes),
        "recovery_s_p95": _percentile([strike["recovery_s"] for strike in strikes], 95.0),
        "accounts_false": sum(not one["accounts_true"] for one in parts["chaos"]),
        "left_behind": sum(one[key] for one in parts["chaos"] for key in LEFT_BEHIND),
        "fixes_kept_at_5pct_loss": min(lost, default=np.nan),
        "inputs_tried": sum(one["tried"] for one in parts["inputs"]),
        "inputs_refused_badly": len(files),
        "interrupts": interrupts,
        "interrupts_clean": interrupts - len(told),
        "soak_growth_mb": max((one["growth_mb"] for one in parts["soak"]), default=np.nan),
    }
    notes = [str(problem) for problem in (*files, *told)]
    notes += [f"load of the machine: {os.getloadavg()[2]:.1f} on {os.cpu_count()} processors"]
    return Result(
        rows=rows,
        claims=claims,
        columns={
            "attack": "attack",
            "on": "on",
            "times": "times",
            "survived": f"well within {SOON_S:g} s",
            "p50_s": "p50 s",
            "p95_s": "p95 s",
            "kept": "fixes kept, least",
        },
        draw=partial(_draw, rows=rows),
        notes=notes,
    )


LEFT_BEHIND = ("bags_unreadable", "tracebacks", "processes_left", "files_left", "segments_left")


def _survived(strike: Found) -> bool:
    return bool(strike["recovery_s"] <= SOON_S and strike["back"])


def _percentile(values: Sequence[float], which: float) -> float:
    """As numpy's, but one of the values, so that infinite ones do no harm."""
    return float(np.percentile(values, which, method="higher")) if values else np.nan


def _of_victims(strikes: Sequence[Found]) -> list[Row]:
    """A row for each way of striking each node."""
    rows: list[Row] = []
    for victim, signal in sorted({(strike["victim"], strike["signal"]) for strike in strikes}):
        group = [s for s in strikes if (s["victim"], s["signal"]) == (victim, signal)]
        took = [strike["recovery_s"] for strike in group]
        rows.append(
            {
                "attack": signal,
                "on": victim,
                "times": len(group),
                "survived": sum(map(_survived, group)),
                "p50_s": _percentile(took, 50.0),
                "p95_s": _percentile(took, 95.0),
            }
        )
    return rows


def _of_weathers(parts: Mapping[str, Sequence[Found]]) -> list[Row]:
    """A row for each weather between hosts, in both modes."""
    rows: list[Row] = []
    for mode in ("ticks", "driver"):
        for label in parts[mode][0] if parts[mode] else ():
            group = [one[label] for one in parts[mode]]
            row: Row = {"attack": label, "on": f"network, {mode}", "times": len(group)}
            if "kept" in group[0]:
                row["kept"] = min(one["kept"] for one in group)
            else:
                healed = [one["healed_s"] for one in group]
                row["p50_s"], row["p95_s"] = _percentile(healed, 50.0), _percentile(healed, 95.0)
            rows.append(row)
    return rows


def _draw(path: Path, *, rows: Sequence[Row]) -> None:
    """Bars of the time until all is well."""
    from locdreamer_ros.evaluation.plots import plot_bars

    shown = [row for row in rows if np.isfinite(row.get("p95_s", np.nan))]
    names = [f"{row['attack']}\n{row['on']}" for row in shown]
    series = {
        name: [(row[key], 0.0) for row in shown]
        for key, name in (("p50_s", "median"), ("p95_s", "95th percentile"))
    }
    plot_bars(path, names, series, ylabel="time until tracking is right [s]", title="Recovery")
