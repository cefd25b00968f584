# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A driver on another host whose clock is wrong, is set, or stands still: what its tracker does.

`python test/contract/clocks.py SECONDS [APART ...]`, with the repository and its test folder on
PYTHONPATH and in a network namespace of its own (`hosts.ALONE`), prints JSON. The driver's system
clock alone is moved, by a library loaded before libc's; the monotonic one goes on, as it does.
"""

from __future__ import annotations

import json
import mmap
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from contract.hosts import HERE, Network, graph, until

APART_S = (0.2, -0.2, 5.0, -5.0, 3600.0, -3600.0)
SUSPENDED_S = 5.0
NAMED_S = 0.5
"""Clocks that are farther apart are named."""
NAMES_CLOCKS = re.compile("the time of this node|do the clocks of driver and tracker agree").search
WRONG_M = 1.0
"""So far from the truth, and over three of its sigmas, a fix is wrong and does not say so."""
SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
static const double none = 0.0, *apart = &none;
__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("APART_FILE");
    int file = name ? open(name, O_RDONLY) : -1;
    void *page = file < 0 ? MAP_FAILED : mmap(0, 8, PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) apart = page;
}
static struct timespec moved(struct timespec t, double by) {
    double whole = floor(by);
    t.tv_sec += (time_t)whole;
    t.tv_nsec += (long)((by - whole) * 1e9);
    if (t.tv_nsec >= 1000000000L) { t.tv_nsec -= 1000000000L; t.tv_sec += 1; }
    return t;
}
int clock_gettime(clockid_t which, struct timespec *t) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(which, t);
    if (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE) *t = moved(*t, *apart);
    return result;
}
int gettimeofday(struct timeval *restrict t, void *restrict zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    t->tv_sec = now.tv_sec;
    t->tv_usec = now.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
/* What the kernel is to wait for is told in its own time; steady times are small. */
static struct timespec kernels(const struct timespec *t) {
    return t->tv_sec > 1000000000L ? moved(*t, -*apart) : *t;
}
int pthread_cond_timedwait(pthread_cond_t *restrict c, pthread_mutex_t *restrict m,
                           const struct timespec *restrict t) {
    static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    if (!real) real = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    if (!real) real = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    struct timespec until = kernels(t);
    return real(c, m, &until);
}
int sem_timedwait(sem_t *restrict s, const struct timespec *restrict t) {
    static int (*real)(sem_t *, const struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "sem_timedwait");
    struct timespec until = kernels(t);
    return real(s, &until);
}
"""


class Clock:
    """What a process takes for the time, apart from the real one."""

    def __init__(self, folder: Path) -> None:
        source, self._library = folder / "clock.c", folder / "clock.so"
        source.write_text(SOURCE)
        compiler = shutil.which("cc") or "cc"
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-o", self._library, source, "-ldl", "-lm"],
            check=True,
        )
        self._file = folder / "apart"
        self._file.write_bytes(bytes(mmap.PAGESIZE))
        with self._file.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), 8)

    @property
    def environment(self) -> dict[str, str]:
        """For the process."""
        return {"LD_PRELOAD": str(self._library), "APART_FILE": str(self._file)}

    def move(self, apart: float) -> None:
        """From now on the process is so many s ahead."""
        self._page[:] = struct.pack("<d", apart)


def heard(path: Path) -> list[dict[str, Any]]:
    """What `listen` has written."""
    if not path.exists():
        return []
    whole = path.read_text(encoding="utf-8").rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines()]


def listen(path: Path) -> None:
    """Write a line for each fix, place of the tag and word of the tracker, until ended."""
    import rclpy
    from diagnostic_msgs.msg import DiagnosticArray
    from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
    from rclpy.executors import ExternalShutdownException
    from rclpy.node import Node

    from locdreamer_ros.nodes.lifecycle import LOSSLESS

    rclpy.init()
    node = Node("listener")
    with path.open("w", buffering=1, encoding="utf-8") as file:

        def write(kind: str, **fields: object) -> None:
            file.write(json.dumps({"kind": kind, "at": time.monotonic(), **fields}) + "\n")

        def place(kind: str, message: Any, point: Any) -> None:
            stamp = f"{message.header.stamp.sec}.{message.header.stamp.nanosec:09d}"
            covariance = message.pose.covariance if kind == "fix" else (0.0,) * 36
            sigma = (covariance[0] + covariance[7]) ** 0.5
            write(kind, stamp=stamp, x=point.x, y=point.y, sigma=sigma)

        def said(array: DiagnosticArray) -> None:
            for status in array.status:
                if "tracker_node" in status.name:
                    write("said", words=status.message)

        for kind, topic, message, reach in (
            ("fix", "tracker_node/pose", PoseWithCovarianceStamped, lambda m: m.pose.pose.position),
            ("truth", "ground_truth/pose", PoseStamped, lambda m: m.pose.position),
        ):
            node.create_subscription(
                message, topic, lambda m, k=kind, r=reach: place(k, m, r(m)), LOSSLESS
            )
        node.create_subscription(DiagnosticArray, "/diagnostics", said, 10)
        with suppress(ExternalShutdownException):  # ended
            rclpy.spin(node)


def during(path: Path, seconds: float, *, warned: bool = False) -> dict[str, Any]:
    """What came of the fixes asked for in the next seconds: a busy machine asks less often.

    The share that was made, how many were wrong unsaid, what the tracker said. warned: until it has
    said that clocks differ, too.
    """
    begin = time.monotonic()
    time.sleep(seconds)
    if warned:
        until(lambda: any(map(NAMES_CLOCKS, words_since(path, begin))), "a word on the clocks")
    lines = heard(path)
    truth = {line["stamp"]: line for line in lines if line["kind"] == "truth"}
    mine = [line for line in lines if line["at"] >= begin]
    fixes = [line for line in mine if line["kind"] == "fix"]
    asked = [line["stamp"] for line in mine if line["kind"] == "truth"]
    made = {fix["stamp"] for fix in fixes}
    last = max((n for n, stamp in enumerate(asked) if stamp in made), default=len(asked) - 1)
    off = [
        (((fix["x"] - there["x"]) ** 2 + (fix["y"] - there["y"]) ** 2) ** 0.5, fix["sigma"])
        for fix in fixes
        if (there := truth.get(fix["stamp"]))
    ]
    kept = [stamp in made for stamp in asked[: last + 1]]  # what comes after may be on its way
    return {
        "kept": sum(kept) / max(len(kept), 1),
        "unsaid": sum(error > max(WRONG_M, 3.0 * sigma) for error, sigma in off),
        "scored": len(off),
        "worst_m": max((error for error, _ in off), default=None),
        "said": words_since(path, begin),
    }


def words_since(path: Path, begin: float) -> list[str]:
    """What the tracker has said since then, each once."""
    said = [line for line in heard(path) if line["kind"] == "said" and line["at"] >= begin]
    return list(dict.fromkeys(line["words"] for line in said))


def healed(path: Path, since: float) -> float:
    """Seconds from then to the next fix."""
    until(lambda: any(x["kind"] == "fix" and x["at"] > since for x in heard(path)), "a fix")
    return next(x["at"] for x in heard(path) if x["kind"] == "fix" and x["at"] > since) - since


def measured(seconds: float, apart: tuple[float, ...]) -> dict[str, Any]:
    """What each error of the driver's clock leaves of the fixes, and how soon they are back."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name, Network(Path(name)) as network:
        folder = Path(name)
        clock = Clock(folder)
        network.environments["driver_node"] = clock.environment
        processes = graph(network, folder, mode="driver", seconds=86_000.0, speed=1.0)
        path = folder / "heard"
        network.start("tracker", "listener", [str(HERE / "clocks.py"), "listen", str(path)])
        until(lambda: any(line["kind"] == "fix" for line in heard(path)), "a first fix")
        time.sleep(3.0)
        found["together"] = during(path, seconds)
        for each in apart:
            clock.move(each)  # as when NTP sets it
            found[f"{each:+g} s"] = during(path, seconds, warned=abs(each) > NAMED_S)
            clock.move(0.0)
            found[f"{each:+g} s"]["healed_s"] = healed(path, time.monotonic())
            time.sleep(2.0)
        processes["driver_node"].send_signal(signal.SIGSTOP)
        time.sleep(SUSPENDED_S)
        processes["driver_node"].send_signal(signal.SIGCONT)
        begin = time.monotonic()
        back = healed(path, begin)
        found["suspended"] = {**during(path, seconds), "healed_s": back}
    return found


if __name__ == "__main__":
    if sys.argv[1] == "listen":
        listen(Path(sys.argv[2]))
    else:
        print(json.dumps(measured(float(sys.argv[1]), tuple(map(float, sys.argv[2:])) or APART_S)))
