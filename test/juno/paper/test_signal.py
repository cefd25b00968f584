# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The waveform model by known answers, and the surrogate against it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("numba", reason="needs numba: pip install 'locdreamer_ros[juno]'")

from locdreamer_ros.juno.paper.signal import (
    DEFAULT,
    LIGHT_M_NS,
    draw_channel,
    draw_code,
    first_path,
    impulse_response,
    measure_arrival,
    pulse,
    received,
)
from locdreamer_ros.juno.paper.surrogate import RangingError, draw_arrivals

LINKS = 250
QUANTILES = (10, 25, 50, 75, 90)


def full(blocked: bool) -> np.ndarray:
    """Errors of arrival times of the waveform model, m; misses left out."""
    rng = np.random.default_rng(7)
    lengths = rng.uniform(1.0, 12.0, LINKS)
    errors = np.array([measure_arrival(d, blocked, rng) - d for d in lengths])
    assert np.isnan(errors).mean() < 0.02
    return errors[np.isfinite(errors)]


def fast(blocked: bool) -> np.ndarray:
    ones = np.ones((200_000, 1))
    rng = np.random.default_rng(8)
    return (draw_arrivals(ones, ones.astype(bool) & blocked, RangingError().array, rng) - 1.0)[:, 0]


def test_the_pulse_has_unit_energy_and_500_mhz() -> None:
    time = np.arange(-50.0, 50.0, 0.05)
    shape = pulse(time)
    assert np.sum(shape**2) * 0.05 == pytest.approx(1.0, rel=1e-6)
    power = np.abs(np.fft.rfft(shape)) ** 2
    frequency = np.fft.rfftfreq(time.size, 0.05e-3)  # MHz
    edge = np.interp(250.0, frequency, power / power[0])
    assert 10.0 * np.log10(edge) == pytest.approx(-10.0, abs=0.2)


@pytest.mark.parametrize("blocked", [False, True])
def test_fading_is_nakagami(blocked: bool) -> None:
    rng = np.random.default_rng(1)
    channels = [draw_channel(DEFAULT, blocked, rng) for _ in range(4000)]
    first = np.array([abs(gain[0]) ** 2 for _, gain in channels])
    delay = np.array([delay[0] for delay, _ in channels])
    if blocked:
        assert delay.min() >= DEFAULT.wall_delay
        assert delay.mean() == pytest.approx(DEFAULT.wall_delay + DEFAULT.gap, rel=0.1)
    else:
        assert (delay == 0.0).all()
        assert first.mean() == pytest.approx(1.0, rel=0.05)
        # m = E[P]^2 / Var[P]
        assert first.mean() ** 2 / first.var() == pytest.approx(DEFAULT.direct_m, rel=0.15)


def test_a_lone_path_without_others_arrives_when_it_should() -> None:
    signal = replace(DEFAULT, users=1, snr=80.0)
    rng = np.random.default_rng(2)
    for flight in (3.0, 17.3, 31.84):
        code = draw_code(signal, rng)
        channel = (np.array([flight]), np.array([1.0 + 0.0j]))
        time, response = impulse_response(signal, code, received(signal, code, channel, rng))
        assert first_path(signal, time, response) == pytest.approx(flight, abs=0.03)


def test_despreading_keeps_the_peak_and_lowers_the_other_users() -> None:
    peaks = []
    for users in (1, 6):
        signal = replace(DEFAULT, users=users, snr=60.0)
        rng = np.random.default_rng(3)
        code = draw_code(signal, rng)
        channel = (np.array([20.0]), np.array([1.0 + 0.0j]))
        time, response = impulse_response(signal, code, received(signal, code, channel, rng))
        peaks.append(response.max())
        assert response[time < 0.0].max() < 0.25 * response.max()
    assert peaks[0] == pytest.approx(1.0, abs=0.02)
    assert peaks[1] == pytest.approx(1.0, abs=0.2)


def test_nothing_is_detected_in_noise_below_the_threshold() -> None:
    assert np.isnan(first_path(DEFAULT, np.arange(-40.0, 40.0, 0.5), np.ones(160)))


def test_the_surrogate_has_the_statistics_of_the_waveforms_los() -> None:
    slow, quick = full(False), fast(False)
    # Now and then another user's pulse, or a faded direct path, gives a wild time: left out there.
    wild = np.abs(slow) > 1.0
    assert wild.mean() < 0.015
    slow = slow[~wild]
    assert quick.mean() == pytest.approx(slow.mean(), abs=0.02)
    assert quick.std() == pytest.approx(slow.std(), rel=0.35)
    for q in QUANTILES:
        assert np.percentile(quick, q) == pytest.approx(np.percentile(slow, q), abs=0.07)


def test_the_surrogate_has_the_statistics_of_the_waveforms_nlos() -> None:
    slow, quick = full(True), fast(True)
    assert quick.mean() == pytest.approx(slow.mean(), rel=0.15)
    assert quick.std() == pytest.approx(slow.std(), rel=0.2)
    for q in QUANTILES:
        assert np.percentile(quick, q) == pytest.approx(np.percentile(slow, q), rel=0.2, abs=0.1)


def test_light_is_as_fast_as_it_is() -> None:
    assert LIGHT_M_NS == 0.299792458
