# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draws docs/images/track.svg: a tag in the simulated house, and whom the scheduler asks, moving.

PYTHONPATH=. .venv/bin/python docs/images/animate_track.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from locdreamer_ros.evaluation.run import evaluate
from locdreamer_ros.methods import Method
from locdreamer_ros.report.svg import element, path
from locdreamer_ros.simulation import make_world, simulate

SEED, SECONDS, SCALE, PAD = 0, 40.0, 46.0, 24.0
STYLE = (
    "text{font:600 14px system-ui,sans-serif;fill:#1a1a1a}.soft{font-weight:400;fill:#5c5c5c}"
    ".wall{stroke:#b9b4ab;stroke-width:4;stroke-linecap:round}"
    ".truth{fill:none;stroke:#1a1a1a;stroke-opacity:.16;stroke-width:7;stroke-linejoin:round}"
    ".asked{stroke:#c85a00;stroke-width:2;stroke-dasharray:1 5;stroke-linecap:round}"
    ".anchor{fill:#1a1a1a}.lit{fill:#c85a00}.tag{fill:#0064a4;stroke:#fff;stroke-width:2}"
    ".ellipse{fill:#0064a4;fill-opacity:.16;stroke:#0064a4}"
)


def moving(attribute: str, values: list[str], *, steps: bool = False) -> str:
    """An attribute that takes these values, over and over."""
    return element(
        "animate", attributeName=attribute, values=";".join(values), dur=f"{SECONDS / 2:g}s",
        repeatCount="indefinite", calcMode="discrete" if steps else "linear",
    )  # fmt: skip


def main() -> None:
    """Draw it."""
    recording = simulate("house", duration=SECONDS, seed=SEED)
    world = make_world("house", SEED)
    track, report = evaluate(recording, Method(tag_height=world.tag_height))
    walls, anchors = world.walls, recording.anchors
    low, high = walls.reshape(-1, 2).min(axis=0), walls.reshape(-1, 2).max(axis=0)
    width, height = (high - low) * SCALE + 2 * PAD

    def at(places: np.ndarray) -> np.ndarray:
        x = PAD + (places[..., 0] - low[0]) * SCALE
        return np.stack([x, height - PAD - (places[..., 1] - low[1]) * SCALE], axis=-1)

    rows = np.arange(10, len(track), 2)
    tag = at(track.mean[rows, :2])
    x, y = ([f"{value:.1f}" for value in column] for column in tag.T)
    assert track.asking is not None
    parts = [element("rect", width="100%", height="100%", fill="#fff", rx=8)]
    parts += [path(at(wall), "wall") for wall in walls]
    parts.append(path(at(recording.truth[rows, :2]), "truth"))
    # A circle of the ellipse's mean radius: an ellipse that turns cannot be animated as simply.
    squares = np.linalg.eigvalsh(track.covariance[rows, :2, :2])
    radius = [f"{SCALE * 2.4477 * np.sqrt(pair.mean()):.1f}" for pair in squares]
    for row, (name, (ax, ay)) in enumerate(
        zip(anchors.ids, at(anchors.positions[:, :2]), strict=True)
    ):
        asked = ["1" if one else "0" for one in track.asking.chosen[rows, row]]
        line = moving("x2", x) + moving("y2", y) + moving("opacity", asked, steps=True)
        parts.append(
            element("line", line, x1=float(ax), y1=float(ay), x2=x[0], y2=y[0], class_="asked")
        )
        shape = f"M{ax:.1f} {ay - 9:.1f}l8 15h-16z"
        parts.append(element("path", d=shape, class_="anchor"))
        lit = moving("opacity", asked, steps=True)
        parts.append(element("path", lit, d=shape, class_="lit", opacity=asked[0]))
        parts.append(element("text", name, x=float(ax + 11), y=float(ay + 5)))
    circle = moving("cx", x) + moving("cy", y)
    grown = circle + moving("r", radius)
    parts.append(element("circle", grown, cx=x[0], cy=y[0], r=radius[0], class_="ellipse"))
    parts.append(element("circle", circle, cx=x[0], cy=y[0], r=7, class_="tag"))
    words = (
        f"{report['ranges_per_fix']:.0f} of {len(anchors)} anchors asked per fix, "
        f"{report['mae']:.2f} m off in the mean"
    )
    parts.append(element("text", words, x=PAD, y=float(height + 8), class_="soft"))
    label = f"Moving picture of a tag in the simulated house; {words}"
    drawing = element(
        "svg", f"<title>{label}</title><style>{STYLE}</style>" + "".join(parts),
        xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width:.0f} {height + 24:.0f}",
        width=f"{0.8 * width:.0f}", role="img",
    )  # fmt: skip
    Path(__file__).with_name("track.svg").write_text(drawing + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
