# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Jobs of a benchmark side by side: in processes here, or on the workers of a Dask cluster."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from typing import TypeVar

import locdreamer_ros
from locdreamer_ros.benchmarks.result import Settings
from locdreamer_ros.errors import InputError, require

Job = TypeVar("Job")
Answer = TypeVar("Answer")

CONNECT_S = 10
"""How long a cluster has to answer."""


def spread(
    function: Callable[[Job], Answer],
    jobs: Sequence[Job],
    settings: Settings,
    *,
    label: str,
    processes: int = 0,
) -> list[Answer]:
    """`function` of each job, in order, with a progress bar; processes: 0 for the settings' jobs.

    Raises InputError where there is no cluster at the settings' address.
    """
    from tqdm import tqdm

    if settings.dask:
        return _on_cluster(function, jobs, settings.dask, label)
    processes = processes or settings.jobs
    if processes == 1:
        return [function(job) for job in tqdm(jobs, desc=label, delay=1.0, leave=False)]
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import active_children, get_context

    # More threads than processors only wait for each other; numpy reads this when imported.
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    context = get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_deaf) as pool:
        try:
            answers = pool.map(function, jobs)
            return list(tqdm(answers, desc=label, total=len(jobs), delay=1.0, leave=False))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in active_children():  # else it waits until they have done their job
                process.terminate()
            raise


def _deaf() -> None:
    """In a process of `spread`: a Ctrl-C reaches all, but only the first is to answer it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def check_cluster(address: str) -> None:
    """Raises InputError where no cluster answers, or its workers have another version of this."""
    require("distributed", "--dask")
    from distributed import Client

    try:
        with Client(address, timeout=CONNECT_S) as client:
            if not client.scheduler_info(n_workers=-1)["workers"]:
                raise InputError(f"--dask {address}: expected workers, this scheduler has none")
            found = set(client.run(_version).values())
    except (OSError, ValueError) as error:
        raise InputError(f"--dask {address}: expected a Dask scheduler: {error}") from error
    except ModuleNotFoundError as error:
        raise InputError(f"--dask {address}: its workers do not have {error.name}") from error
    if found != {locdreamer_ros.__version__}:
        raise InputError(
            f"--dask {address}: its workers have locdreamer_ros {', '.join(sorted(found))}, "
            f"expected {locdreamer_ros.__version__}"
        )


def _version() -> str:
    return locdreamer_ros.__version__


def _on_cluster(
    function: Callable[[Job], Answer], jobs: Sequence[Job], address: str, label: str
) -> list[Answer]:
    from distributed import Client, as_completed
    from tqdm import tqdm

    with Client(address, timeout=CONNECT_S) as client:
        futures = client.map(function, jobs, pure=False)
        try:
            done = as_completed(futures)
            for _ in tqdm(done, desc=label, total=len(jobs), delay=1.0, leave=False):
                pass
            answers: list[Answer] = client.gather(futures)
            return answers
        except BaseException:
            client.cancel(futures, force=True)
            raise
