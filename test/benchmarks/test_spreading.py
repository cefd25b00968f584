# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Jobs in processes and on a cluster of two workers give what they give one after the other."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from spread_jobs import error_of, failing, worker

import locdreamer_ros
from locdreamer_ros import cli
from locdreamer_ros.benchmarks import spreading
from locdreamer_ros.benchmarks.result import Settings
from locdreamer_ros.benchmarks.spreading import check_cluster, spread
from locdreamer_ros.errors import InputError

distributed = pytest.importorskip("distributed", reason="no distributed here")


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    own = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(processes=True, host="127.0.0.1", **own) as found:
        yield found.scheduler_address


def test_the_cluster_answers_in_order_and_elsewhere(cluster: str) -> None:
    answers = spread(worker, range(8), Settings(seeds=(0,), dask=cluster), label="jobs")
    assert [number for number, _ in answers] == list(range(8))
    assert os.getpid() not in {process for _, process in answers}


def test_what_is_computed_there_is_the_same(cluster: str) -> None:
    there = spread(error_of, range(3), Settings(seeds=(0,), dask=cluster), label="walks")
    here = spread(error_of, range(3), Settings(seeds=(0,)), label="walks")
    beside = spread(error_of, range(3), Settings(seeds=(0,), jobs=2), label="walks")
    assert there == here == beside


def test_what_a_job_raises_is_raised_here(cluster: str) -> None:
    with pytest.raises(InputError, match=r"job \d: no"):
        spread(failing, range(2), Settings(seeds=(0,), dask=cluster), label="jobs")


def test_nobody_there_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spreading, "CONNECT_S", 0.5)
    assert cli.main(["benchmark", "house", "--dask", "tcp://127.0.0.1:9"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("locdreamer: --dask tcp://127.0.0.1:9: expected a Dask scheduler")
    assert said.count("\n") == 1


def test_no_address_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["benchmark", "house", "--dask", "nothing at all"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("locdreamer: --dask nothing at all: expected")
    assert said.count("\n") == 1


def test_a_benchmark_that_measures_time_has_no_cluster(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["benchmark", "latency", "--dask", "tcp://127.0.0.1:9"]) == 2
    assert "--dask is read by house" in capsys.readouterr().err


def test_workers_of_another_version_are_refused(
    cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_cluster(cluster)
    monkeypatch.setattr(locdreamer_ros, "__version__", "9.9.9")
    with pytest.raises(InputError, match=r"workers have locdreamer_ros .*, expected 9\.9\.9"):
        check_cluster(cluster)
