# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Coverage-guided fuzzing of the codecs; not part of the tests. Needs `pip install atheris`.

    PYTHONPATH=.:test python test/fuzz/atheris_codecs.py [-max_total_time=60] [CORPUS_DIRECTORY]

The first byte chooses the codec, the second the pieces, the rest is what comes over the wire. The
same is held as in codecs.py: no exception, no wrong range, one answer to one request.
"""

from __future__ import annotations

import sys

import atheris
from fuzz.oracles import ORACLES

with atheris.instrument_imports(include=["locdreamer_ros.driver"]):
    from locdreamer_ros.driver.codec import DroppedEvent, FailEvent, RangeEvent
    from locdreamer_ros.driver.devices import get_device

NAMES = sorted(ORACLES)


def one_input(data: bytes) -> None:
    """Feed one input and check every event."""
    if len(data) < 2:
        return
    name, size, stream = NAMES[data[0] % len(NAMES)], data[1] % 64 + 1, data[2:]
    device = get_device(name)
    codec = device.codec()
    codec.start()
    anchor = device.ids(1)[0] if device.capabilities.schedulable else ""
    codec.request(anchor)
    events = [e for i in range(0, len(stream), size) for e in codec.feed(stream[i : i + size])]
    intact = ORACLES[name](stream, [anchor])
    for event in events:
        if isinstance(event, RangeEvent):
            assert 0.0 < event.range <= 300.0, event
            assert (event.anchor, event.range) in intact, event
    answers = [event for event in events if isinstance(event, RangeEvent | FailEvent)]
    assert not anchor or len(answers) <= 1, answers
    assert sum(e.count for e in events if isinstance(e, DroppedEvent)) <= len(stream)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
