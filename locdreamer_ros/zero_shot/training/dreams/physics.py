# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Family `physics`: errors that come out of a channel instead of being assumed.

Walls reflect (image sources of first order, floor and ceiling too), let through with a loss and a
delay, and hide. Each path adds a pulse to the impulse response; the receiver takes the first edge
over a threshold below the peak and subtracts what it takes for the delay of a lone pulse. Biases,
their jumps and their correlation in place follow from that.

Shape legend: B dreams, T steps, A anchors, W walls, L links (T A), P paths, S samples.
"""

from __future__ import annotations

import numpy as np

from locdreamer_ros.zero_shot.training.dreams.rooms import Doubles, Room, log_uniform, meeting

WAVELENGTH_M = 0.0462
"""Of channel 5, 6.5 GHz."""
PULSE_M = 0.30
"""Sigma of a pulse's envelope: 500 MHz."""
SPACING_M = 0.06
SAMPLES_M = np.arange(-1.0, 6.0, SPACING_M)
"""Where the response is looked at, from the true distance on."""
FARTHER_M = 8.0
"""A path this much longer than the direct one does not matter."""
NOISE_FACTOR = 4.0


def errors(room: Room, rng: np.random.Generator) -> tuple[Doubles, Doubles]:
    """Errors (B, T, A) m, NaN where a range is lost; no device guesses."""
    found = np.empty(room.distance.shape)
    for index in range(len(found)):
        found[index] = _one_room(room.extent[index], room.anchor[index], room.truth[index], rng)
    offset = 0.05 * rng.standard_normal(room.site) + 0.03 * rng.standard_normal(room.link)
    fresh = log_uniform(rng, 0.015, 0.04, room.site) * rng.standard_normal(found.shape)
    lost = rng.random(found.shape) < rng.uniform(0.0, 0.05, room.site)
    return np.where(lost, np.nan, found + offset + fresh), np.full(found.shape, np.nan)


def _one_room(
    extent: Doubles, anchor: Doubles, truth: Doubles, rng: np.random.Generator
) -> Doubles:
    """Errors (T, A) m in a room of random walls and materials."""
    walls = _walls(extent, rng)
    loss = rng.uniform(3.0, 20.0, len(walls))  # dB for what goes through
    delay = rng.uniform(0.02, 0.3, len(walls))  # m that it is later
    reflected = rng.uniform(4.0, 12.0, len(walls) + 2)  # dB
    steps, count = len(truth), len(anchor)
    tag = np.repeat(truth, count, axis=0)  # (L, 3)
    source = np.tile(anchor, (steps, 1))
    direct = np.linalg.norm(tag - source, axis=1)
    through = _crossings(source[:, :2], tag[:, :2], walls)  # (L, W)
    lengths = [direct + through @ delay]
    losses = [_spreading(direct) + through @ loss]
    for number, wall in enumerate(walls):
        image = source.copy()
        image[:, :2] = _mirrored(source[:, :2], wall)
        at = _along(image[:, :2], tag[:, :2], wall)
        seen = np.isfinite(at)
        turn = image[:, :2] + np.where(seen, at, 0.5)[:, None] * (tag - image)[:, :2]
        crossed = _crossings(source[:, :2], turn, walls) + _crossings(turn, tag[:, :2], walls)
        crossed[:, number] = 0.0
        way = np.linalg.norm(tag - image, axis=1)
        lengths.append(np.where(seen, way + crossed @ delay, np.inf))
        losses.append(_spreading(way) + crossed @ loss + reflected[number])
    ceiling = max(rng.uniform(2.4, 5.0), float(anchor[:, 2].max()) + 0.1)
    for level, weak in zip((0.0, ceiling), reflected[-2:], strict=True):
        image = source.copy()
        image[:, 2] = 2.0 * level - image[:, 2]
        way = np.linalg.norm(tag - image, axis=1)
        lengths.append(way + through @ delay)
        losses.append(_spreading(way) + through @ loss + weak)
    # Antennas stand centimetres apart from one range to the next: phases are drawn anew.
    jitter = 0.01 * rng.standard_normal((len(lengths), len(tag)))
    edge = _first_edge(np.array(lengths), np.array(losses), jitter, direct, rng)
    return edge.reshape(steps, count)


def _walls(extent: Doubles, rng: np.random.Generator) -> Doubles:
    """Ends (W, 2, 2) m: the room's own four and some inside."""
    x, y = extent
    margin = 0.2
    low, high = np.array([-margin, -margin]), np.array([x + margin, y + margin])
    corners = np.array([low, [high[0], low[1]], high, [low[0], high[1]]])
    outer = np.stack([corners, np.roll(corners, -1, axis=0)], axis=1)
    number = int(rng.integers(0, 9))
    middle = rng.random((number, 2)) * extent
    upright = rng.integers(2, size=number)
    half = 0.5 * log_uniform(rng, 0.6, 6.0, (number,))  # cupboards to partitions
    along = half[:, None] * np.stack([1.0 - upright, upright], axis=1)
    return np.concatenate([outer, np.stack([middle - along, middle + along], axis=1)])


def _spreading(way: Doubles) -> Doubles:
    """Loss in free space, dB above that of 1 m."""
    return np.asarray(20.0 * np.log10(np.maximum(way, 0.3)))


def _mirrored(place: Doubles, wall: Doubles) -> Doubles:
    """Places (L, 2) on the other side of the line of a wall (2, 2)."""
    unit = (wall[1] - wall[0]) / np.linalg.norm(wall[1] - wall[0])
    offset = place - wall[0]
    return np.asarray(wall[0] + 2.0 * (offset @ unit)[:, None] * unit - offset)


def _along(start: Doubles, end: Doubles, wall: Doubles) -> Doubles:
    """Where from start to end (L, 2) a wall (2, 2) is met, 0 to 1; NaN where it is not."""
    t, u = meeting(start, end - start, wall[0], wall[1] - wall[0])
    return np.where((t > 1e-6) & (t < 1.0 - 1e-6) & (u > 0.0) & (u < 1.0), t, np.nan)


def _crossings(start: Doubles, end: Doubles, walls: Doubles) -> Doubles:
    """Which walls lie between start and end (L, 2): (L, W) 0 or 1."""
    return np.stack([np.isfinite(_along(start, end, wall)) for wall in walls], axis=1).astype(float)


def _first_edge(
    lengths: Doubles, losses: Doubles, jitter: Doubles, direct: Doubles, rng: np.random.Generator
) -> Doubles:
    """How much too long (L,) m a receiver finds the range; NaN where it hears nothing.

    lengths, losses, jitter (P, L): m, dB, m; direct (L,) m.
    """
    below_db = rng.uniform(14.0, 26.0)
    noise = 10.0 ** (-rng.uniform(55.0, 80.0) / 20.0)
    late = np.minimum(lengths - direct, FARTHER_M)
    amplitude = np.where(late < FARTHER_M, 10.0 ** (-losses / 20.0), 0.0)
    phase = 2.0 * np.pi * ((late + jitter) % WAVELENGTH_M) / WAVELENGTH_M
    response = np.zeros((len(SAMPLES_M), direct.size), dtype=np.complex64)
    for path in range(len(lengths)):
        envelope = np.exp(-0.5 * ((SAMPLES_M[:, None] - late[path]) / PULSE_M) ** 2)
        response += (amplitude[path] * np.exp(1j * phase[path])) * envelope
    size = np.abs(response)
    peak = size.max(axis=0)
    threshold = np.maximum(NOISE_FACTOR * noise, peak * 10.0 ** (-below_db / 20.0))
    over = size >= threshold
    first = over.argmax(axis=0)
    # The height of the first path: the next peak within a pulse of the edge.
    ahead = np.minimum(
        first[None] + np.arange(int(2.0 * PULSE_M / SPACING_M))[:, None], len(size) - 1
    )
    height = np.take_along_axis(size, ahead, axis=0).max(axis=0)
    lead = PULSE_M * np.sqrt(2.0 * np.log(np.maximum(height / threshold, 1.0001)))
    return np.where(over.any(axis=0), SAMPLES_M[first] + lead, np.nan)
