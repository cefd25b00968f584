# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`locdreamer train`: Algorithm 1 of the LocDreamer paper, on a recording or a simulated place."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from locdreamer_ros.cli.options import (
    add_common,
    check_output,
    check_seed,
    count,
    finite,
    positive,
)
from locdreamer_ros.cli.train_zero_shot import PRESET as ZERO_SHOT
from locdreamer_ros.cli.train_zero_shot import run_zero_shot
from locdreamer_ros.config import names_in
from locdreamer_ros.errors import InputError

if TYPE_CHECKING:
    from locdreamer_ros.locdreamer.learning.hyperparameters import TrainConfig
    from locdreamer_ros.locdreamer.learning.train import Task
    from locdreamer_ros.locdreamer.world_model.model import ModelConfig
    from locdreamer_ros.recording import Recording
    from locdreamer_ros.types import Anchors

CHECKPOINT = ".checkpoint.safetensors"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `train`."""
    parser = commands.add_parser(
        "train",
        help="train the world model, its tracker and its scheduler (needs torch)",
        description="Learn from real ranges of the bootstrap anchors, then in imagination for the "
        "deployed ones, of which only the places are known. Ground truth is never looked at. With "
        "--preset zero-shot: the model of the package anew, in dreams of random places; --seed 1 "
        "is the shipped one.",
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--recording", type=Path, metavar="FILE", help="range table or rosbag2")
    source.add_argument("--environment", metavar="E", help="simulated place: house, ...")
    parser.add_argument(
        "--anchors", type=Path, metavar="FILE", help="the recording's: CSV id,x,y,z"
    )
    parser.add_argument(
        "--unheard", type=Path, metavar="FILE", help="further anchors, known only by place"
    )
    parser.add_argument("--bootstrap", metavar="IDS", help="anchors with real ranges, as A3,A6,A8")
    parser.add_argument("--deploy", metavar="IDS", help="anchors to imagine (all others)")
    parser.add_argument("--output", type=Path, required=True, metavar="MODEL", help="model file")
    parser.add_argument(
        "--preset",
        default="default",
        metavar="P",
        help="hyperparameters: default or paper; or zero-shot, the model of the package",
    )
    parser.add_argument("--updates", type=count, metavar="N", help="zero-shot: steps (1880)")
    parser.add_argument(
        "--held-out",
        metavar="FAMILY",
        help="zero-shot: errors not dreamt of: physics (default), patterns or walls",
    )
    parser.add_argument(
        "--mode", default="grounded", metavar="M", help="stage 2: grounded or literal (grounded)"
    )
    parser.add_argument(
        "--noise",
        metavar="N",
        help="range errors: gaussian, bias or asymmetric (asymmetric; --preset paper: gaussian)",
    )
    parser.add_argument("--epochs", type=count, metavar="N", help="of stage 1 (50)")
    parser.add_argument(
        "--minibatches",
        type=count,
        metavar="N",
        help="updates in an epoch of stage 1 (4; paper 20)",
    )
    parser.add_argument(
        "--imagine-epochs", type=int, metavar="N", help="of stage 2; 0: stage 1 only (300)"
    )
    parser.add_argument("--budget", type=count, default=3, metavar="K", help="anchors per fix (3)")
    parser.add_argument(
        "--rate", type=positive, default=1.0, metavar="HZ", help="simulated fixes per second (1)"
    )
    parser.add_argument("--tag-height", type=finite, metavar="Z", help="of a recording's tag, m")
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu or cuda (auto)")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--curves", type=Path, metavar="DIR", help="TensorBoard curves")
    add_common(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Train, save, print. Raises InputError."""
    check_seed(options.seed)
    check_output(options.output, (".safetensors",))
    check_output(options.json)
    from locdreamer_ros.errors import require

    require("torch", "locdreamer train")
    import torch

    torch.set_num_threads(1)  # tensors are tiny: a second thread only waits, on a busy machine long
    if options.preset == ZERO_SHOT:
        run_zero_shot(options, CHECKPOINT)
        return
    for option in ("updates", "held_out"):
        if getattr(options, option) is not None:
            name = option.replace("_", "-")
            raise InputError(f"train: --{name} belongs to --preset {ZERO_SHOT}")
    if options.recording is None and options.environment is None:
        raise InputError("train: one of --recording and --environment is required (see --help)")
    from time import perf_counter

    from locdreamer_ros.evaluation.tables import save_json
    from locdreamer_ros.locdreamer.device import device_of
    from locdreamer_ros.locdreamer.learning.train import train
    from locdreamer_ros.locdreamer.model_file import save_model, trained_of

    model_config, config = _configs(options)
    device = device_of(options.device)
    task = _task(options, config)
    checkpoint = options.output.with_suffix(CHECKPOINT)
    if not options.resume:
        checkpoint.unlink(missing_ok=True)
    history: dict[str, list[list[float]]] = {}
    begin = perf_counter()
    with _Curves(options.curves, history) as curve:
        learner = train(
            task,
            model_config,
            config,
            seed=options.seed,
            device=device,
            resume=checkpoint,
            curve=curve,
            progress=True,
        )
    trained = trained_of(learner, task, seed=options.seed)
    save_model(options.output, trained)
    checkpoint.unlink(missing_ok=True)
    seconds = perf_counter() - begin
    report: dict[str, Any] = {
        "model": str(options.output),
        "bootstrap": list(trained.bootstrap),
        "deploy": list(trained.deploy),
        "seed": options.seed,
        "duration_s": seconds,
        "validation": learner.best,
        "curves": history,
    }
    if options.json is not None:
        save_json(options.json, report)
    print(
        f"{options.output}: trained on {', '.join(trained.bootstrap)} for "
        f"{', '.join(trained.deploy)} in {seconds:.0f} s, validation loss {learner.best:.3f}"
    )


def _configs(options: argparse.Namespace) -> tuple[ModelConfig, TrainConfig]:
    """Hyperparameters: the defaults, the preset over them, then the options. Raises InputError."""
    from locdreamer_ros.config import build
    from locdreamer_ros.locdreamer.learning.hyperparameters import PRESETS, TrainConfig
    from locdreamer_ros.locdreamer.world_model.model import ModelConfig

    if options.preset not in PRESETS:
        raise InputError(
            f"--preset: expected one of {', '.join([*PRESETS, ZERO_SHOT])}, got {options.preset!r}"
        )
    model_values, values = PRESETS[options.preset]
    given = {
        "mode": options.mode,
        "epochs": options.epochs,
        "minibatches": options.minibatches,
        "imagine_epochs": options.imagine_epochs,
        "budget": options.budget,
    }
    values = {**values, **{k: v for k, v in given.items() if v is not None}}
    if options.noise is not None:
        model_values = {**model_values, "noise": options.noise}
    config = build(TrainConfig, values, "train")
    return build(ModelConfig, model_values, "train"), config


def _task(options: argparse.Namespace, config: TrainConfig) -> Task:
    """What the options say to learn from. Raises InputError."""
    from locdreamer_ros.locdreamer.learning.tasks import recorded_task, simulated_task

    bootstrap, deploy = (
        None if ids is None else names_in(ids) for ids in (options.bootstrap, options.deploy)
    )
    if options.environment is not None:
        from locdreamer_ros.simulation import HOUSE_BOOTSTRAP, make_world

        world = make_world(options.environment, options.seed)
        if bootstrap is None:
            if options.environment != "house":
                raise InputError(f"train: {options.environment} needs --bootstrap IDS")
            bootstrap = HOUSE_BOOTSTRAP
        return simulated_task(
            options.environment,
            seed=options.seed,
            bootstrap=bootstrap,
            deploy=deploy or _others(world.anchors.ids, bootstrap),
            rate=options.rate,
            steps=config.steps,
        )
    if bootstrap is None:
        raise InputError("train: --recording needs --bootstrap IDS")
    recording, anchors = load_site(options)
    return recorded_task(
        recording,
        anchors,
        bootstrap=bootstrap,
        deploy=deploy or _others(anchors.ids, bootstrap),
        tag_height=options.tag_height,
        steps=config.steps,
    )


def _others(ids: tuple[str, ...], bootstrap: tuple[str, ...]) -> tuple[str, ...]:
    others = tuple(i for i in ids if i not in bootstrap)
    if len(others) < 3:
        raise InputError(
            f"train: only {len(others)} anchors are left to deploy; name them with --deploy"
        )
    return others


class _Curves:
    """Collects the curves, and writes them for TensorBoard where a folder is given."""

    def __init__(self, folder: Path | None, history: dict[str, list[list[float]]]) -> None:
        self._history = history
        self._writer: Any = None
        if folder is not None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                raise InputError("--curves needs tensorboard: pip install tensorboard") from None
            self._writer = SummaryWriter(str(folder))

    def __enter__(self) -> _Curves:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def __call__(self, name: str, value: float, epoch: int) -> None:
        self._history.setdefault(name, []).append([epoch, value])
        if self._writer is not None:
            self._writer.add_scalar(name, value, epoch)


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
