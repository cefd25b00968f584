# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`locdreamer train --preset zero-shot`: the model of the package, anew or for one site.

Without a recording it learns in dreams of random places; with one the shipped model goes on
learning in dreams of its site, and what it learned is kept where it helps on ranges kept aside.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from locdreamer_ros.errors import InputError

if TYPE_CHECKING:
    from locdreamer_ros.recording import Recording
    from locdreamer_ros.types import Anchors
    from locdreamer_ros.zero_shot.site_dreams import SiteDreams

PRESET = "zero-shot"
UPDATES, SITE_UPDATES = 1400, 192
SITE_RATE = 1e-3
"""The first learning rate at a site: a third of that from nothing."""
ASIDE = 0.2
"""Share of a recording, its end, that judges what was learned from the rest."""
SURE = 2.0
"""Standard errors by which a tuned model must be better to be kept."""
FOREIGN: dict[str, Any] = {
    "mode": "grounded",
    "noise": None,
    "guide": None,
    "epochs": None,
    "imagine_epochs": None,
    "budget": 3,
    "device": "auto",
    "curves": None,
}
"""Options of the other presets, with their defaults."""
OF_A_SITE: dict[str, Any] = {
    "anchors": None,
    "unheard": None,
    "bootstrap": None,
    "deploy": None,
    "rate": 1.0,
    "tag_height": None,
}
"""Options that mean nothing without --recording or --environment."""


def refuse_foreign(options: argparse.Namespace) -> None:
    """Raises InputError for an option that has no use."""
    site = options.recording is not None or options.environment is not None
    foreign = FOREIGN if site else {**FOREIGN, **OF_A_SITE}
    for name, default in foreign.items():
        if getattr(options, name, default) != default:
            option = f"--{name.replace('_', '-')}"
            without = " without --recording or --environment" if name in OF_A_SITE else ""
            raise InputError(f"train --preset {PRESET}: {option} does not belong{without}")


def named(ids: str | None) -> tuple[str, ...] | None:
    """Anchors named in an option, as A1,A2."""
    return None if ids is None else tuple(part.strip() for part in ids.split(",") if part.strip())


def load_site(options: argparse.Namespace) -> tuple[Recording, Anchors]:
    """The recording, and all anchors known by place, heard in it or not. Raises InputError."""
    import numpy as np

    from locdreamer_ros.datasets import load_recording
    from locdreamer_ros.datasets.range_table import load_anchors
    from locdreamer_ros.types import Anchors

    recording = load_recording(options.recording, options.anchors)
    anchors = recording.anchors
    if options.unheard is not None:
        more = load_anchors(options.unheard)
        anchors = Anchors(
            anchors.ids + more.ids, np.concatenate([anchors.positions, more.positions])
        )
    return recording, anchors


def read_site(options: argparse.Namespace) -> tuple[SiteDreams, list[Recording]]:
    """Dreams of the options' site, read off its ranges; and walks kept aside."""
    from locdreamer_ros.types import Site
    from locdreamer_ros.zero_shot.model_file import shipped
    from locdreamer_ros.zero_shot.reading import LEAST_EPOCHS, read
    from locdreamer_ros.zero_shot.site_dreams import SiteDreams

    bootstrap, deploy = named(options.bootstrap), named(options.deploy)
    if options.environment is not None:
        from locdreamer_ros.learning import tasks
        from locdreamer_ros.simulation import make_world

        world = make_world(options.environment, options.seed)
        anchors, height = world.anchors, world.tag_height
        recordings, aside = (
            tasks.walks_in(
                world,
                bootstrap or anchors.ids,
                seed=options.seed,
                first=first,
                count=count,
                rate=options.rate,
            )
            for first, count in (
                (tasks.TRAIN_STREAM, tasks.WALKS),
                (tasks.VALIDATION_STREAM, tasks.VALIDATION_WALKS),
            )
        )
    else:
        recording, anchors = load_site(options)
        height = Site.of(anchors, "2", options.tag_height).tag_height
        heard = recording.only(bootstrap or recording.anchors.ids)
        cut = round(len(heard) * (1.0 - ASIDE))
        if len(heard) - cut < LEAST_EPOCHS:
            raise InputError(
                f"{heard.name}: {len(heard)} epochs are too few: a fifth is kept aside, and it "
                f"needs {LEAST_EPOCHS}"
            )
        recordings, aside = [heard.rows(slice(0, cut))], [heard.rows(slice(cut, None))]
    reading = read(recordings, shipped(), tag_height=height)
    dreams = SiteDreams(reading, anchors.subset(deploy or anchors.ids), height, options.seed)
    return dreams, aside


def run_zero_shot(options: argparse.Namespace, checkpoint_suffix: str) -> None:
    """Train, save, print. Raises InputError."""
    refuse_foreign(options)
    from time import perf_counter

    import torch
    from tqdm import tqdm

    from locdreamer_ros import __version__
    from locdreamer_ros.evaluation.tables import save_json
    from locdreamer_ros.zero_shot.dreams import TRAINED
    from locdreamer_ros.zero_shot.hybrid import Hybrid
    from locdreamer_ros.zero_shot.judge import gain
    from locdreamer_ros.zero_shot.limits import limits
    from locdreamer_ros.zero_shot.model_file import Weights, save_weights, shipped
    from locdreamer_ros.zero_shot.train import train

    begin = perf_counter()
    changes: dict[str, Any] = {}
    aside: list[Recording] = []
    header: dict[str, Any] = {"version": __version__, "seed": options.seed}
    if options.recording is None and options.environment is None:
        updates = options.updates or UPDATES
    else:
        updates = options.updates or SITE_UPDATES
        dreams, aside = read_site(options)
        untuned = shipped()
        model = Hybrid()
        model.load_state_dict(
            {k: torch.tensor(v, dtype=torch.float32) for k, v in untuned.arrays.items()}
        )
        changes = {"model": model, "site": dreams, "rate": SITE_RATE}
        header["site"] = about = dict(dreams.about)
    checkpoint = options.output.with_suffix(checkpoint_suffix)
    if not options.resume:
        checkpoint.unlink(missing_ok=True)
    curve: list[list[float]] = []
    with tqdm(total=updates, desc="dreaming", unit="update", mininterval=1.0, leave=False) as bar:

        def shown(update: int, loss: float, error: float) -> None:
            curve.append([update, loss, error])
            bar.set_postfix(error_m=f"{error:.3f}", refresh=False)
            bar.update(update + 1 - bar.n)

        model = train(
            updates, seed=options.seed, curve=shown, checkpoint=checkpoint, ahead=True, **changes
        )
    header |= {
        "updates": updates,
        "families": list(TRAINED),
        "limits": [round(float(value), 4) for value in limits(model, seed=options.seed)],
    }
    seconds = perf_counter() - begin
    arrays = {name: value.numpy() for name, value in model.state_dict().items()}
    said = ""
    if aside:
        better, error = gain(aside, Weights(arrays), untuned, tag_height=dreams.tag_height)
        kept = better > SURE * error
        about |= {"kept": kept, "gain_m": round(better, 4), "error_m": round(error, 4)}
        said = f"; {1e3 * better:.1f} +- {1e3 * error:.1f} mm better on walks kept aside: "
        said += "kept" if kept else "not sure enough, so the shipped model stays"
        if not kept:
            arrays = dict(untuned.arrays)
            header["limits"] = untuned.header["limits"]
    save_weights(options.output, Weights(arrays, {**header, "duration_s": round(seconds, 1)}))
    checkpoint.unlink(missing_ok=True)
    error = curve[-1][2] if curve else float("nan")
    if options.json is not None:
        save_json(
            options.json,
            {**header, "model": str(options.output), "duration_s": seconds, "curve": curve},
        )
    print(f"{options.output}: {updates} updates in {seconds:.0f} s, last error {error:.3f} m{said}")
