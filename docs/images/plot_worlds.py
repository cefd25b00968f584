# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draw docs/images/house.png: the simulated house, a walk in it, and one anchor's bias map.

python docs/images/plot_worlds.py [--seed 1] [--output docs/images/house.png]
"""

from __future__ import annotations

import argparse
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from PIL import Image

from locdreamer_ros.evaluation.plots import COLOURS, FAINT, TRUTH
from locdreamer_ros.files import replaced
from locdreamer_ros.simulation import (
    HOUSE_BOOTSTRAP,
    HOUSE_DEPLOY,
    RUN_STREAM,
    World,
    draw_walk,
    make_world,
    place_bias,
    stream,
)
from locdreamer_ros.types import FloatArray

WALK_S = 150.0
PIXEL_M = 0.06
WORST_M = 1.5
"""Biases beyond are drawn in the last colour: they are few and would hide the rest."""
MAPPED = "A4"
LABEL_SIDE = {"A1": (-1, -1), "A2": (-1, 1), "A4": (1, -1), "A7": (-1, 1), "A8": (1, -1)}
"""Where a label stands from its anchor (right and above elsewhere), clear of walls."""


def draw_plan(axes: Axes, world: World) -> None:
    """Walls, and room for the labels around them."""
    pieces = [[tuple(start), tuple(end)] for start, end in world.walls]
    axes.add_collection(
        LineCollection(pieces, colors=TRUTH, linewidths=2.2, capstyle="projecting", zorder=4)
    )
    (left, bottom), (right, top) = world.bounds
    axes.set(xlim=(left - 0.15, right + 0.15), ylim=(bottom - 0.15, top + 0.15))
    axes.set(aspect="equal", xlabel="x, m")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelcolor="#555555")


def draw_anchors(axes: Axes, world: World, ids: tuple[str, ...], colour: str, label: str) -> None:
    """Triangles with their ids."""
    anchors = world.anchors.subset(ids)
    x, y = anchors.positions[:, 0], anchors.positions[:, 1]
    axes.scatter(x, y, s=85, marker="^", c=colour, edgecolors="white", label=label, zorder=6)
    for name, px, py in zip(ids, x, y, strict=True):
        beside, above = LABEL_SIDE.get(name, (1, 1))
        axes.annotate(
            name,
            (px, py),
            xytext=(9 * beside, 8 * above),
            textcoords="offset points",
            ha="left" if beside > 0 else "right",
            va="center",
            fontsize=9,
            fontweight="bold",
            color=colour,
            bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "alpha": 0.8, "lw": 0},
            zorder=7,
        )


def bias_map(world: World, anchor: str) -> FloatArray:
    """Bias (Y, X) m of one anchor's ranges over the floor."""
    low, high = world.bounds
    x, y = (np.arange(a + PIXEL_M / 2, b, PIXEL_M) for a, b in zip(low, high, strict=True))
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    tag = np.column_stack([grid, np.full(len(grid), world.tag_height)])
    bias = place_bias(world, tag).bias[:, world.anchors.rows([anchor])[0]]
    return bias.reshape(y.size, x.size)


def draw(seed: int) -> Figure:
    """The whole picture."""
    world = make_world("house", seed)
    walk = draw_walk(world, duration=WALK_S, rate=10.0, rng=stream(seed, RUN_STREAM))
    figure = Figure(figsize=(9.4, 5.9), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)

    draw_plan(left, world)
    left.plot(walk[:, 0], walk[:, 1], color=FAINT, lw=1.5, label=f"a walk of {WALK_S:.0f} s")
    left.plot(walk[0, 0], walk[0, 1], "o", color=FAINT, ms=5)
    draw_anchors(left, world, HOUSE_DEPLOY, COLOURS[0], "deployed anchors")
    draw_anchors(left, world, HOUSE_BOOTSTRAP, COLOURS[1], "bootstrap anchors")
    left.set(ylabel="y, m")
    left.set_title("The house", loc="left", fontsize=11, pad=32)
    left.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=3, frameon=False, fontsize=8.5,
                columnspacing=1.1, handletextpad=0.4)  # fmt: skip

    image = right.imshow(
        bias_map(world, MAPPED),
        origin="lower",
        extent=(*world.bounds[:, 0], *world.bounds[:, 1]),
        cmap="magma_r",
        vmin=-0.1,
        vmax=WORST_M,
        zorder=1,
    )
    draw_plan(right, world)
    draw_anchors(right, world, (MAPPED,), COLOURS[0], "")
    right.set_title(f"How much too long {MAPPED}'s ranges are, place by place", loc="left",
                    fontsize=11, pad=32)  # fmt: skip
    bar = figure.colorbar(image, ax=right, shrink=0.7, pad=0.02, extend="max")
    bar.set_label("bias, m")
    bar.outline.set_visible(False)  # type: ignore[operator]
    return figure


def main() -> None:
    """Draw and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("docs/images/house.png"))
    options = parser.parse_args()
    picture = BytesIO()
    draw(options.seed).savefig(picture, dpi=100, facecolor="white")
    with replaced(options.output) as temporary:
        # A palette halves the file; dithering would undo that and speckle the map.
        Image.open(picture).convert("RGB").quantize(200, dither=Image.Dither.NONE).save(
            temporary, optimize=True
        )
    print(f"{options.output}: {options.output.stat().st_size / 1024:.0f} kB")


if __name__ == "__main__":
    main()
