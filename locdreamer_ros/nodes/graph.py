# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The graph without `ros2 launch`: the same nodes, from the same YAML, in processes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from locdreamer_ros.config import load_parameters, parameters_of
from locdreamer_ros.datasets.bag_writer import remove_bag
from locdreamer_ros.datasets.range_table import save_anchors
from locdreamer_ros.driver.emulator import device_anchors
from locdreamer_ros.errors import InputError
from locdreamer_ros.files import write_atomically
from locdreamer_ros.methods import Method
from locdreamer_ros.nodes import catalogue
from locdreamer_ros.nodes.catalogue import shared_file
from locdreamer_ros.nodes.domain import own_domain
from locdreamer_ros.nodes.processes import QUIET, NodeProcesses, node_environment
from locdreamer_ros.simulation import make_world
from locdreamer_ros.start import SETTLES

LISTENERS = ("recorder_node", "evaluator_node", "ekf_node", "tracker_node")
STALLED_S = 60.0
"""Without progress for so long, the graph is given up."""
CLOSING_S = 20.0
SETTLING_S = 5.0
"""A node waits so long for who has not heard all: a lost packet is sent again within 3 s."""
FINDING_S = 10.0
"""The recorder may take so long to find a tracker that it has heard nothing of."""
SPIN_S = 0.05
RECORDER = "/recorder_node"

Parameters = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Job:
    """Where ranges come from, and where the results go.

    output: folder that gets metrics.json, tracks.npz (`tracks.load_tracks`), parameters.yaml, bag/
    and log/. source: simulator, replay, or serial, which is an emulated `device` on a
    pseudo-terminal and `driver_node`, in real time at `rate` schedules/s. measurement: twr, or
    tdoa, where nobody asks and the source blinks. speed: 0 is lockstep, or a blink in 5 ms.
    params: YAML that goes over config/*.yaml, for what method and job do not say. view: `view_node`
    shows it, for which a replay takes its time.
    """

    output: Path
    source: str = "simulator"
    environment: str = "house"
    device: str = "decar"
    measurement: str = "twr"
    recording: Path | None = None
    anchors: Path | None = None
    duration: float = 120.0
    rate: float = 10.0
    speed: float = 0.0
    params: Path | None = None
    view: bool = False


def _of_method(method: Method) -> dict[str, Any]:
    """The parameters of a tracking node that a method says."""
    values: dict[str, Any] = {name: getattr(method, name) for name in parameters_of(Method)}
    if method.model_file is not None:
        values["model"] = str(method.model_file.resolve())
    own = {f"{method.tracker}.{name}": value for name, value in method.parameters.items()}
    return {**values, **own, "anchors_file": ""}


def run_graph(
    job: Job, method: Method | None = None, *, beside: Method | None = None
) -> dict[str, Any]:
    """Run source, tracker, baseline, evaluator and recorder until the recording is over.

    Returns what metrics.json says. Raises InputError for bad input and a busy domain, RuntimeError
    where a node dies or nothing moves.
    """
    method = method or Method()
    baseline = beside or method.beside("ekf")
    live = job.source == "serial"
    listeners = (*LISTENERS, "view_node") if job.view else LISTENERS
    merged: Parameters = {name: _base(job, name) for name in listeners}
    if live:
        shared = {k: v for k, v in merged["tracker_node"].items() if k in ("tag", "frame")}
        epochs = round(job.duration * job.rate)
        world = {"environment": job.environment, "seed": method.seed, "epochs": epochs}
        world["listeners"] = 2 + job.view  # evaluator, recorder, view
        merged |= _emulated(job.output.resolve(), job.device, world, shared)
    else:
        merged["source_node"] = _base(job, "source_node") | {
            "source": job.source,
            "environment": job.environment,
            "duration": float(job.duration),
            "sample_rate": float(job.rate),
            "measurement": job.measurement,
            "seed": method.seed,
            "recording": "" if job.recording is None else str(job.recording),
            "anchors_file": "" if job.anchors is None else str(job.anchors),
            "speed": 1.0 if job.view else float(job.speed),
            "listeners": len(listeners),
            "answer_timeout": 5.0,  # the machine may be busy, and a lost epoch is lost for good
        }
    merged["tracker_node"] |= {**_of_method(method), "rate": float(job.rate) if live else 0.0}
    if job.measurement == "tdoa":
        merged["tracker_node"]["passive"] = True
    asks = ("scheduler", "budget", "accuracy", "price")
    listens = {key: value for key, value in _of_method(baseline).items() if key not in asks}
    merged["ekf_node"] |= listens
    paced_by = "emulator_node" if live else "source_node"
    merged["evaluator_node"] |= {
        "output": str(job.output),
        "budget": method.budget,
        "seed": method.seed,
        "source": paced_by,
        "kind": job.source,
    }
    if job.view and job.source != "replay":
        merged["view_node"] |= {"environment": job.environment, "seed": method.seed}
    merged["recorder_node"] |= {"output": str(job.output / "bag"), "use_sim_time": not live}
    for values in merged.values():
        values["autostart"] = True
    _prepare(job.output)
    if live:
        emulated, _ = device_anchors(job.device, make_world(job.environment, method.seed))
        save_anchors(Path(merged["driver_node"]["anchors_file"]), emulated)
    return _run(job.output, merged, paced_by)


def _base(job: Job, name: str) -> dict[str, Any]:
    """The node's parameters before method and job have their say."""
    shown = catalogue.load(shared_file(f"config/{catalogue.FILES[name]}"), name)
    return shown if job.params is None else shown | catalogue.load(job.params, name)


def _emulated(
    output: Path, device: str, world: dict[str, Any], shared: dict[str, Any]
) -> Parameters:
    """Parameters of a module on a pseudo-terminal and of the driver that is to find it there."""
    port, presets = str(output / "uwb"), ("driver.yaml", f"driver/{device}.yaml")
    files = [load_parameters(shared_file(f"config/{name}"), "driver_node") for name in presets]
    found_at = {"port": port, "anchors_file": str(output / "anchors.csv")}
    return {
        "emulator_node": {"device": device, "link": port, **world, **shared},
        "driver_node": {**files[0], **files[1], **found_at, **shared},
    }


def _prepare(output: Path) -> None:
    """Make the folders; an older result is taken away."""
    try:
        (output / "log").mkdir(parents=True, exist_ok=True)
        for name in ("metrics.json", "report.html", "track.png", "tracks.npz"):
            (output / name).unlink(missing_ok=True)
        remove_bag(output / "bag")
    except OSError as reason:
        raise InputError(f"{output}: cannot write: {reason.strerror}") from None


def _save(path: Path, merged: Parameters) -> None:
    """The parameters of this run."""
    import yaml

    with write_atomically(path) as stream:
        tree = {name: {"ros__parameters": values} for name, values in merged.items()}
        yaml.safe_dump(tree, stream, sort_keys=False)


def _run(output: Path, merged: Parameters, paced_by: str) -> dict[str, Any]:
    output = output.resolve()
    path = output / "parameters.yaml"
    _save(path, merged)
    result = output / "metrics.json"
    with own_domain() as domain:
        environment = node_environment(domain, output / "log")
        environment[SETTLES] = f"{SETTLING_S:g}"
        with (
            NodeProcesses(environment, output / "log") as nodes,
            _observer(domain, environment, paced_by) as observer,
        ):
            for name in merged:
                nodes.start(name, path)
            observer.wait_for(result, nodes)
            observer.wait_for_recorder(nodes)
            nodes.end(but="recorder_node")  # each once the recorder has what it published
            observer.complete_bag(nodes)
    metrics: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    if metrics["problem"]:
        raise InputError(metrics["problem"])
    return metrics


@contextmanager
def _observer(domain: int, environment: Mapping[str, str], paced_by: str) -> Iterator[_Observer]:
    """A node of our own in the graph's domain."""
    names = ("FASTDDS_BUILTIN_TRANSPORTS", "HOME", "ROS_AUTOMATIC_DISCOVERY_RANGE")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update({name: environment[name] for name in names})
    context = Context()
    try:
        # Ctrl-C stays Python's: it unwinds to the block that ends the nodes.
        rclpy.init(
            args=["--ros-args", *QUIET],
            context=context,
            domain_id=domain,
            signal_handler_options=SignalHandlerOptions.NO,
        )
        observer = _Observer(context, paced_by)
        try:
            yield observer
        finally:
            observer.destroy_node()
            context.try_shutdown()
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class _Observer(Node):
    """Sees how far the node `paced_by` is, and tells the recorder when it is over."""

    def __init__(self, context: Context, paced_by: str) -> None:
        super().__init__("locdreamer_graph", context=context, use_global_arguments=False)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self)
        self._paced_by = f"/{paced_by}"
        self._epochs = self._total = 0
        self._unheard = "everybody"
        """Trackers that the recorder has heard nothing of."""
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 100)
        # From the beginning: one made when needed asks before the recorder knows whom to answer.
        self._recorder = self.create_client(ChangeState, f"{RECORDER}/change_state")

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {pair.key: pair.value for pair in status.values}
            if status.name == RECORDER:
                self._unheard = values.get("unheard", self._unheard)
            if status.name == self._paced_by:
                self._epochs = int(values.get("epochs", 0))
                self._total = int(values.get("epochs_total", 0))

    def wait_for(self, result: Path, nodes: NodeProcesses) -> None:
        """Show progress until the evaluator has written the result."""
        from tqdm import tqdm

        moved = monotonic()
        with tqdm(desc="starting nodes", unit="epoch", disable=not sys.stderr.isatty()) as bar:
            while not result.exists():
                nodes.check()
                self._executor.spin_once(timeout_sec=SPIN_S)
                if self._total and not bar.total:
                    bar.reset(self._total)
                    bar.set_description("tracking")
                if self._epochs > bar.n:
                    moved = monotonic()
                    bar.update(self._epochs - bar.n)
                elif monotonic() - moved > STALLED_S:
                    raise RuntimeError(
                        f"no progress for {STALLED_S:.0f} s after epoch {self._epochs}; "
                        f"see {result.parent / 'log'}"
                    )

    def wait_for_recorder(self, nodes: NodeProcesses) -> None:
        """Until it has heard every tracker: on a busy machine it may find one late.

        Then it gets all that was said; of a tracker that has ended it would get nothing.
        """
        deadline = monotonic() + FINDING_S
        while self._unheard and monotonic() < deadline:
            nodes.check()
            self._executor.spin_once(timeout_sec=SPIN_S)

    def complete_bag(self, nodes: NodeProcesses) -> None:
        """Deactivate the recorder: it writes what it still has and completes the bag."""
        deadline = monotonic() + CLOSING_S
        while not self._recorder.service_is_ready() and monotonic() < deadline:
            self._executor.spin_once(timeout_sec=SPIN_S)
        request = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_DEACTIVATE))
        answer = self._recorder.call_async(request)
        while not answer.done() and monotonic() < deadline:
            nodes.check()
            self._executor.spin_once(timeout_sec=SPIN_S)
        if not answer.done() or not answer.result().success:
            raise RuntimeError("the recorder did not complete its bag")
