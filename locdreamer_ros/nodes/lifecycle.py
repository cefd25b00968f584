# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every node is: a lifecycle node with checked parameters, counters and diagnostics."""

from __future__ import annotations

import dataclasses
import secrets
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any, ClassVar

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.exceptions import NameValidationException
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from locdreamer_ros.config import parameter
from locdreamer_ros.errors import InputError, not_installed, refused_name
from locdreamer_ros.nodes.parameters import Fields, declare, fields_of, read
from locdreamer_ros.nodes.saying import Sayer

LOSSLESS = QoSProfile(depth=5000, reliability=ReliabilityPolicy.RELIABLE)
"""Deep, because a replay at full speed is ahead of its listeners for a while."""
KEPT_QOS = QoSProfile(
    depth=5000,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""What must not be lost is published so: a recorder that is discovered late still gets it all."""
LATCHED = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
RECENT_S = 10.0
"""So long a dropped message, or what happened, is a warning."""
LONGEST_SAID = 1000
"""Letters of a sentence, whatever names others send: it comes each second."""
MOST_AT_ONCE = 1000
"""Messages of one topic taken in before others have their turn."""


@dataclass(frozen=True)
class NodeConfig:
    """Parameters of every node."""

    autostart: bool = parameter(True, "configure and activate at start, without a manager")

    def check_values(self) -> None:
        """Whether the values go together and what they name is there. Raises InputError: refused.

        By a node when it is configured, and by a launch file before a process starts.
        """


class UwbNode(LifecycleNode):
    """A lifecycle node; subclasses fill in `configure`, `activate`, `deactivate`, `health`.

    What is made through `advertise`, `listen` and `every` is destroyed by cleanup, and by
    deactivate already if it was made while active. A callback that raises InputError, a timer's
    too, has to do with a malformed message: it is dropped, counted in `/diagnostics`, and the node
    goes on.
    """

    live: ClassVar[frozenset[str]] = frozenset()
    """Parameters that may change while the node runs; the others are settled by configure."""

    def __init__(self, name: str, group: type[NodeConfig]) -> None:
        super().__init__(name)
        self.group = group
        self.config: Any = None
        """An instance of `group`, from configure on."""
        self.active = False
        self.counts: Counter[str] = Counter()
        self.problem = ""
        """Why the last message was dropped, or the last transition failed."""
        self.starting = False
        """Whether `run_node` starts it, and says itself what was refused."""
        self.other_tag: str | None = None
        """One that messages were of and that is not this node's."""
        self._configured = False
        self._dropped_at = -RECENT_S
        self._remark, self._remarked_at = "", -RECENT_S
        self._sayer = Sayer(self.get_logger())
        self._made: list[tuple[Callable[[Any], Any], Any]] = []
        self._made_inactive = 0
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)  # also under use_sim_time
        self.declare(fields_of(group))
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._looks: list[Callable[[], None]] = []
        self._second_timer = self.create_timer(1.0, self._each_second, clock=self._steady)

    # What a subclass fills in.

    def configure(self) -> None:
        """Make publishers and subscriptions from `config`. InputError: the transition fails."""

    def activate(self) -> None:
        """Begin."""

    def deactivate(self) -> None:
        """Pause."""

    def close(self) -> None:
        """Give back what is not a ROS entity."""

    def health(self) -> tuple[str, dict[str, object]]:
        """A warning ("" where all is well) and values for the diagnostics.

        The warning says what is waited for or wrong, and what mends it: it is logged too. The value
        `device`, where there is one, names the hardware.
        """
        return "", {}

    def change(self, config: Any) -> None:
        """Take in a new value of a parameter of `live`. Raises InputError: it is refused."""
        self.config = config

    # What a subclass makes its parts with.

    def declare(self, fields: Fields) -> None:
        """Declare parameters."""
        declare(self, fields, self._take_parameters)

    def _take_parameters(self, values: dict[str, object]) -> None:
        """Values for parameters, which are right. Raises InputError: it is too late for them."""
        if not self._configured:
            return
        new = {name: v for name, v in values.items() if v != self.get_parameter(name).value}
        late = sorted(set(new) - self.live)
        if late:
            raise InputError(
                f"{self.get_name()}: {', '.join(late)}: takes effect at configure; deactivate and "
                "clean up first"
            )
        if new:
            self.change(dataclasses.replace(self.config, **new))

    def advertise(self, kind: type, topic: str, qos: QoSProfile = KEPT_QOS) -> Any:
        """A publisher that is silent while the node is not active."""
        publisher = self.create_lifecycle_publisher(kind, topic, qos)
        if self.active:  # the transition that would let it speak is over
            publisher.on_activate(None)
        self._made.append((self.destroy_lifecycle_publisher, publisher))
        return publisher

    def settle(self, seconds: float) -> None:
        """Wait until all who listen have what was published, but no longer than so."""
        until = monotonic() + seconds
        for _, made in self._made:
            left = until - monotonic()
            if isinstance(made, Publisher) and left > 0.0:
                made.wait_for_all_acked(Duration(seconds=left))

    def withdraw(self, publisher: Any) -> None:
        """Take back a publisher of `advertise` before its time."""
        self._made = [made for made in self._made if made[1] is not publisher]
        self.destroy_lifecycle_publisher(publisher)

    def listen(
        self,
        kind: type,
        topic: str,
        callback: Callable[[Any], None],
        qos: QoSProfile = LOSSLESS,
        *,
        always: bool = False,
        raw: bool = False,
        instead_of: Any = None,
    ) -> Any:
        """A subscription heard while the node is active; `always`: while it is inactive too.

        instead_of: a subscription that this one replaces.
        """

        def heard(message: Any) -> None:
            self._attend(partial(callback, message), always)

        subscription = self.create_subscription(kind, topic, heard, qos, raw=raw)
        made = (self.destroy_subscription, subscription)
        if instead_of is None:
            self._keep(made, always)
        else:
            place = next(i for i, (_, old) in enumerate(self._made) if old is instead_of)
            self._made[place] = made
            self.destroy_subscription(instead_of)
        return subscription

    def catch_up(self, subscription: Any) -> int | None:
        """Hear now what has arrived and waits for its turn; not for ever, in a flood.

        When the first of it was published, ns of system time; None: nothing has arrived.
        """
        kind, raw = subscription.msg_type, subscription.raw
        first: int | None = None
        for _ in range(MOST_AT_ONCE):
            taken = subscription.handle.take_message(kind, raw)
            if taken is None:
                break
            first = int(taken[1]["source_timestamp"]) if first is None else first
            subscription.callback(taken[0])
        return first

    def every(
        self,
        period: float,
        callback: Callable[[], None],
        *,
        ros: bool = False,
        always: bool = False,
    ) -> Any:
        """A timer that runs while the node is active, by a steady clock.

        ros: by that of /clock under use_sim_time (else the steady clock will do: where the system's
        is set back, a timer on it stops for as long); always: while it is inactive too.
        """

        def due() -> None:
            self._attend(callback, always)

        simulated = ros and self.get_parameter("use_sim_time").value
        timer = self.create_timer(period, due, clock=None if simulated else self._steady)
        self._keep((self.destroy_timer, timer), always)
        return timer

    def _attend(self, work: Callable[[], None], always: bool) -> None:
        """Do what a message or a timer is there for; what is not right of it is dropped."""
        if self.active or always:
            try:
                work()
            except InputError as reason:
                self.drop(str(reason))

    def look_each_second(self, look: Callable[[], None], *, always: bool = False) -> None:
        """As `every` second, for what many topics want: rclpy warns of more than a few timers."""

        def due() -> None:
            self._attend(look, always)

        self._looks.append(due)
        self._keep((self._looks.remove, due), always)

    def _each_second(self) -> None:
        for look in tuple(self._looks):
            look()
        self.report()

    def _keep(self, made: tuple[Callable[[Any], Any], Any], always: bool) -> None:
        if always and self.active:  # outlives deactivation, as if made before
            self._made.insert(self._made_inactive, made)
            self._made_inactive += 1
        else:
            self._made.append(made)

    def drop(self, reason: str) -> None:
        """Count a message that is not used, and say why."""
        reason = reason[:LONGEST_SAID]
        self.counts["messages_dropped"] += 1
        self._dropped_at = monotonic()
        self.problem = reason
        self._sayer.dropped(reason)

    def remark(self, what: str) -> None:
        """Say what happened, which is over at once: in the log, and for a while in diagnostics."""
        self._remark, self._remarked_at = what, monotonic()
        self.get_logger().warning(what, throttle_duration_sec=1.0)

    def drops_now(self) -> bool:
        """Whether a message was dropped of late, for the reason `problem`."""
        return monotonic() - self._dropped_at < RECENT_S

    def awaiting(self, what: str, topic: str, remedy: str) -> str:
        """What is missing on a topic, and what mends it."""
        name = self.resolve_topic_name(topic)
        if self.other_tag is not None:
            other = self.other_tag[:20]
            return f"waiting for {what} on {name}: what comes is of tag {other!r}, not this node's"
        if self.count_publishers(topic):
            return f"waiting for {what} on {name}: nothing has come yet"
        return f"waiting for {what}: nobody publishes {name}; start its source, {remedy}"

    # Transitions. An exception in them would vanish inside rclpy, so it is reported here.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unconfigured -> inactive; fails on bad parameters."""
        result = self._attempt(self._read_and_configure)
        if result != TransitionCallbackReturn.SUCCESS:
            self._destroy_made(0)
            return result
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Inactive -> active."""
        super().on_activate(state)  # the publishers first: `activate` may publish
        self._made_inactive = len(self._made)
        self.active = True
        result = self._attempt(self.activate)
        if result != TransitionCallbackReturn.SUCCESS:
            self.active = False
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Active -> inactive."""
        self.deactivate()
        self.active = False
        self._destroy_made(self._made_inactive)
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Inactive -> unconfigured."""
        result = super().on_cleanup(state)
        self._configured = False
        self.close()
        self._destroy_made(0)
        return result

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Any -> finalized."""
        if self.active:
            self.deactivate()
        self.active = False
        return self.on_cleanup(state)

    def _read_and_configure(self) -> None:
        self.config = read(self, self.group)
        self.config.check_values()
        self.configure()
        self._configured = True
        self.problem = ""

    def _attempt(self, work: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            work()
        except InputError as reason:
            return self._refuse(str(reason))
        except ModuleNotFoundError as missing:
            return self._refuse(f"{self.get_name()}: {not_installed(missing)}")
        except NameValidationException as reason:  # of a topic, as a parameter makes it
            said = " ".join(line.strip() for line in str(reason).splitlines()[:2])
            return self._refuse(f"{self.get_name()}: {said}")
        except Exception as reason:
            if text := refused_name(reason):
                return self._refuse(f"{self.get_name()}: {text}")
            self.problem = traceback.format_exc()
            self.get_logger().error(self.problem)
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS

    def _refuse(self, problem: str) -> TransitionCallbackReturn:
        self.problem = problem
        if not self.starting:
            self.get_logger().error(problem)
        return TransitionCallbackReturn.FAILURE

    def _destroy_made(self, kept: int) -> None:
        while len(self._made) > kept:
            destroy, entity = self._made.pop()
            destroy(entity)

    def report(self) -> None:
        """Publish the diagnostics: once a second, and when something is over."""
        warning, values = self.health() if self.active else ("not active", {})
        warning = warning[:LONGEST_SAID]
        if self.active:
            self._sayer.state(warning)
        dropped = self.counts["messages_dropped"]
        if self.drops_now() and self.problem not in warning:
            why = f"{dropped} messages dropped: {self.problem}"
            warning = f"{warning}; {why}" if warning else why
        if monotonic() - self._remarked_at < RECENT_S:
            warning = f"{self._remark}; {warning}" if warning else self._remark
        values = {**self.counts, **values, "messages_dropped": dropped, "problem": self.problem}
        status = DiagnosticStatus(
            level=DiagnosticStatus.WARN if warning else DiagnosticStatus.OK,
            name=self.get_fully_qualified_name(),
            message=warning or "ok",
            hardware_id=str(values.get("device", "")),
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
        )
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)


def new_session() -> int:
    """A number, never 0, that tells one run from another."""
    return secrets.randbelow(2**32 - 1) + 1
