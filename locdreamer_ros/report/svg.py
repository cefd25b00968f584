# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SVG by hand: elements, axes with round ticks, lines. Colours are classes of the page's style."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from locdreamer_ros.types import FloatArray

WIDTH, HEIGHT = 420.0, 250.0
"""Of a chart, in its own units; a unit is about a pixel."""
LEFT, RIGHT, TOP, BOTTOM = 56.0, 10.0, 10.0, 36.0
DASHES = ("", "6 4", "2 3", "9 3 2 3")
"""Lines differ in dash as well as in colour: they are told apart in grey."""


def element(name: str, content: str = "", **attributes: object) -> str:
    """An element; `_` in names stands for `-`, `class_` for `class`; None: no such attribute."""
    words = [name]
    for key, value in attributes.items():
        if value is not None:
            text = f"{value:.5g}" if isinstance(value, float) else str(value)
            words.append(f'{key.rstrip("_").replace("_", "-")}="{escape(text)}"')
    return f"<{' '.join(words)}>{content}</{name}>"


def text(x: float, y: float, words: str, anchor: str = "start", class_: str | None = None) -> str:
    """Words at a place."""
    return element("text", escape(words), x=x, y=y, text_anchor=anchor, class_=class_)


def picture(name: str, label: str, content: str, width: float, height: float) -> str:
    """A whole drawing, with its words for screen readers."""
    return element(
        "svg", element("title", escape(label)) + content, id=name, role="img", class_=name,
        aria_label=label, viewBox=f"0 0 {width:g} {height:g}",
    )  # fmt: skip


def path(points: FloatArray, class_: str, dash: str = "") -> str:
    """A line through points (n, 2), broken where they are not finite."""
    words, down = [], False
    for x, y in points:
        if not (np.isfinite(x) and np.isfinite(y)):
            down = False
            continue
        words.append(f"{'L' if down else 'M'}{x:.1f} {y:.1f}")
        down = True
    return element("path", d="".join(words), class_=class_, stroke_dasharray=dash or None)


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from `low` to `high`."""
    raw = max(high - low, 1e-9) / most
    size = 10.0 ** np.floor(np.log10(raw))
    step = float(next(size * m for m in (1.0, 2.0, 2.5, 5.0, 10.0) if size * m >= raw * 0.999))
    return [k * step for k in range(int(np.ceil(low / step - 1e-9)), int(high / step + 1e-9) + 1)]


@dataclass(frozen=True)
class Axes:
    """A frame: x and y ranges in data, laid out in WIDTH x HEIGHT."""

    x: tuple[float, float]
    y: tuple[float, float]
    xlabel: str
    ylabel: str
    left: float = LEFT

    def at(self, x: FloatArray | float, y: FloatArray | float) -> FloatArray:
        """Data (n,), (n,) as points (n, 2) of the drawing."""
        across = (np.asarray(x) - self.x[0]) / (self.x[1] - self.x[0])
        up = (np.asarray(y) - self.y[0]) / (self.y[1] - self.y[0])
        return np.stack(
            [
                self.left + across * (WIDTH - RIGHT - self.left),
                HEIGHT - BOTTOM - up * (HEIGHT - BOTTOM - TOP),
            ],
            axis=-1,
        )

    def frame(self, *, xticks: bool = True, percent: bool = False) -> str:
        """Grid, numbers and labels."""
        parts = []
        for value in ticks(*self.y, most=5):
            y = float(self.at(self.x[0], value)[1])
            parts.append(element("line", x1=self.left, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid"))
            words = f"{100 * value:.0f} %" if percent else f"{value:g}"
            parts.append(text(self.left - 5, y + 4, words, "end", "tick"))
        for value in ticks(*self.x) if xticks else []:
            x = float(self.at(value, self.y[0])[0])
            parts.append(text(x, HEIGHT - BOTTOM + 15, f"{value:g}", "middle", "tick"))
        floor = HEIGHT - BOTTOM
        parts.append(
            element("line", x1=self.left, x2=WIDTH - RIGHT, y1=floor, y2=floor, class_="axis")
        )
        middle = 0.5 * (self.left + WIDTH - RIGHT)
        parts.append(text(middle, HEIGHT - 5, self.xlabel, "middle", "tick"))
        parts.append(
            element("text", escape(self.ylabel), class_="tick", text_anchor="middle",
                    transform=f"translate(12 {0.5 * (TOP + floor):.0f}) rotate(-90)")
        )  # fmt: skip
        return "".join(parts)


def cursor() -> str:
    """The line that follows the slider."""
    return element("line", x1=0.0, x2=0.0, y1=TOP, y2=HEIGHT - BOTTOM, class_="cursor")


def legend(names: Sequence[str], *, truth: bool = False) -> str:
    """Lines and their names, as HTML."""
    rows = []
    for order, name in enumerate(names):
        line = path(
            np.array([[0.0, 6.0], [28.0, 6.0]]), f"line c{order}", DASHES[order % len(DASHES)]
        )
        rows.append((line, name))
    if truth:
        rows.append((path(np.array([[2.0, 6.0], [26.0, 6.0]]), "truth"), "ground truth"))
    return "<p class='legend'>" + " ".join(
        f"<span><svg viewBox='0 0 28 12' aria-hidden='true'>{line}</svg>{escape(name)}</span>"
        for line, name in rows
    ) + "</p>"  # fmt: skip
