# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Equations (1) and (2): from what users send to the arrival time a beacon measures.

Time-hopping pulses of several users, Nakagami-m multipath with or without a direct path, noise,
the channel impulse response (CIR) by despreading, and its first peak. Complex baseband.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from locdreamer_ros.types import FloatArray, IntArray

LIGHT_M_NS = 0.299792458
"""Metres light goes in a nanosecond."""
STEP_NS = 0.5
"""Sampling at 2 GHz."""

ComplexArray = NDArray[np.complex128]


@dataclass(frozen=True)
class Signal:
    """The air interface and the channel; ns, MHz. What the paper gives is in docs/juno.md."""

    bandwidth: float = 500.0
    """Between the -10 dB points of the pulse."""
    users: int = 4
    """N_u of equation (2): all but the first disturb."""
    symbols: int = 16
    frames: int = 8
    """Frames per symbol, each with one pulse: N_f."""
    frame: float = 160.0
    """T_f."""
    chip: float = 4.0
    """T_c; a pulse hops by c_{k,n} chips."""
    hops: int = 12
    """Values that c_{k,n} can take."""
    snr: float = 32.0
    """dB, of a path that arrives with unit power, in the CIR."""
    gap: float = 4.0
    """Mean time between paths, which arrive as a Poisson process."""
    decay: float = 12.0
    """Of the mean path power, by a factor e."""
    span: float = 60.0
    """Paths that come later than this after the first do not matter."""
    direct_m: float = 6.0
    """Nakagami m of the direct path: nearly constant, Rician-like."""
    scattered_m: float = 1.0
    """Nakagami m of every other: Rayleigh fading."""
    scattered_power: float = 0.25
    """Mean power of the first scattered path, beside 1 of the direct one."""
    wall_delay: float = 0.5
    """What an obstacle adds to whatever comes through or around it (15 cm)."""
    threshold: float = 5.0
    """A peak counts from this many noise sigmas of the CIR on ..."""
    dynamic: float = 0.2
    """... and this share of the highest peak."""


DEFAULT = Signal()


def _pulse_sigma(signal: Signal) -> float:
    """Sigma, ns, of the Gaussian pulse whose power spectrum is 10 dB down at the band's ends."""
    return float(np.sqrt(np.log(10.0)) / (np.pi * 1e-3 * signal.bandwidth))


def pulse(time: FloatArray, signal: Signal = DEFAULT) -> FloatArray:
    """w(t) of equation (1) at `time` ns: Gaussian, of unit energy."""
    sigma = _pulse_sigma(signal)
    norm = (np.pi * sigma**2) ** -0.25
    return np.asarray(norm * np.exp(-0.5 * (time / sigma) ** 2))


def draw_channel(
    signal: Signal, blocked: bool, rng: np.random.Generator
) -> tuple[FloatArray, ComplexArray]:
    """Paths of one link: delays (L,) ns after the direct line's, gains alpha e^{j phi} (L,).

    LoS: the direct path at delay 0. NLoS: none; the first that comes is a scattered one, and the
    obstacle delays all.
    """
    count = int(4.0 * signal.span / signal.gap)
    later = np.cumsum(rng.exponential(signal.gap, count))
    later = later[later <= signal.span + later[0]]
    power = signal.scattered_power * np.exp(-later / signal.decay)
    shape = np.full(later.size, signal.scattered_m)
    delay = later + (signal.wall_delay if blocked else 0.0)
    if not blocked:
        delay = np.concatenate([[0.0], delay])
        power = np.concatenate([[1.0], power])
        shape = np.concatenate([[signal.direct_m], shape])
    # The square of a Nakagami-m amplitude of mean power P is Gamma(m, P / m).
    gain = np.sqrt(rng.gamma(shape, power / shape))
    return delay, gain * np.exp(2j * np.pi * rng.random(delay.size))


def draw_code(signal: Signal, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
    """Samples (N,) at which a user's pulses start, and their signs b (N,), one per symbol."""
    total = signal.symbols * signal.frames
    hop = rng.integers(signal.hops, size=total) * signal.chip
    start = np.rint((np.arange(total) * signal.frame + hop) / STEP_NS).astype(np.intp)
    sign = np.repeat(rng.choice([-1.0, 1.0], signal.symbols), signal.frames)
    return start, sign


def received(
    signal: Signal,
    code: tuple[IntArray, FloatArray],
    channel: tuple[FloatArray, ComplexArray],
    rng: np.random.Generator,
) -> ComplexArray:
    """r(t) of equation (2), sampled: the user with `code` over `channel`, the others, and noise.

    The other users' codes, channels and asynchronism delta_k ~ U(0, T_s) are drawn here.
    """
    symbol = signal.frames * signal.frame
    length = round((signal.symbols * symbol + 2.0 * signal.frame) / STEP_NS)
    total = np.zeros(length, dtype=np.complex128)
    _send(total, code, channel, signal)
    for _ in range(signal.users - 1):
        delay, gain = draw_channel(signal, bool(rng.integers(2)), rng)
        other = draw_code(signal, rng)
        late = rng.uniform(0.0, symbol)
        whole = int(late / STEP_NS)
        start = (other[0] + whole) % (length - round(signal.frame / STEP_NS))
        _send(total, (start, other[1]), (delay + late - whole * STEP_NS, gain), signal)
    sigma = 10.0 ** (-signal.snr / 20.0) * np.sqrt(code[0].size / STEP_NS)
    noise = rng.standard_normal((2, length)) * sigma / np.sqrt(2.0)
    return np.asarray(total + noise[0] + 1j * noise[1])


def _send(
    total: ComplexArray,
    code: tuple[IntArray, FloatArray],
    channel: tuple[FloatArray, ComplexArray],
    signal: Signal,
) -> None:
    """Add every pulse of a code, through the channel, to `total`."""
    delay, gain = channel
    time = STEP_NS * np.arange(round((float(delay.max()) + 10.0) / STEP_NS))
    shape = pulse(time[:, None] - delay, signal) @ gain
    where = (code[0][:, None] + np.arange(time.size)) % total.size
    np.add.at(total, where, code[1][:, None] * shape)


def impulse_response(
    signal: Signal, code: tuple[IntArray, FloatArray], wave: ComplexArray
) -> tuple[FloatArray, FloatArray]:
    """Estimated |CIR| (W,) over time (W,) ns: despread by the code, then matched to the pulse.

    Time 0 is when the pulse of a user at no distance would come; the window begins before.
    """
    before = round(0.25 * signal.frame / STEP_NS)
    window = np.arange(-before, round(0.75 * signal.frame / STEP_NS))
    frames = wave[(code[0][:, None] + window) % wave.size]
    despread = code[1] @ frames / code[0].size
    reach = np.arange(-5.0, 5.0 + STEP_NS / 2.0, STEP_NS)
    matched = np.convolve(despread, pulse(reach, signal), mode="same") * STEP_NS
    return np.asarray(STEP_NS * window, dtype=np.float64), np.asarray(
        np.abs(matched), dtype=np.float64
    )


def first_path(signal: Signal, time: FloatArray, response: FloatArray) -> float:
    """Time, ns, of the first peak above the threshold, between samples by a parabola.

    time (W,) ns, response (W,): of `impulse_response`. The noise is judged by the part before
    time 0. NaN where nothing stands out.
    """
    quiet = response[time < -5.0]
    sigma = float(np.sqrt(np.mean(quiet**2)))
    level = max(signal.threshold * sigma, signal.dynamic * float(response.max()))
    inner = response[1:-1]
    peak = (inner >= response[:-2]) & (inner > response[2:]) & (inner >= level)
    peak &= time[1:-1] > -5.0
    if not peak.any():
        return float("nan")
    at = int(np.argmax(peak)) + 1
    left, top, right = response[at - 1 : at + 2]
    return float(time[at] + STEP_NS * 0.5 * (left - right) / (left - 2.0 * top + right))


def measure_arrival(
    distance: float, blocked: bool, rng: np.random.Generator, signal: Signal = DEFAULT
) -> float:
    """Arrival time tau_i in metres of light over a link of `distance` m; NaN if not detected."""
    code = draw_code(signal, rng)
    delay, gain = draw_channel(signal, blocked, rng)
    flight = distance / LIGHT_M_NS
    wave = received(signal, code, (delay + flight, gain), rng)
    return LIGHT_M_NS * first_path(signal, *impulse_response(signal, code, wave))
