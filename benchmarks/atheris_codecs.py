# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Coverage-guided fuzzing of the codecs; not part of the tests. Needs `pip install atheris`.

    python benchmarks/atheris_codecs.py [-max_total_time=60] [CORPUS_DIRECTORY]

The first byte chooses the codec, the second the pieces, the rest is what comes over the wire. The
same is held as in fuzz_codecs.py: no exception, no wrong range, one answer to one request.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["locdreamer_ros.driver"]):
    from benchmarks.fuzz_codecs import DEVICES
    from locdreamer_ros.driver.codec import DroppedEvent, FailEvent, RangeEvent
    from locdreamer_ros.driver.devices import make_codec

NAMES = sorted(DEVICES)


def one_input(data: bytes) -> None:
    """Feed one input and check every event."""
    if len(data) < 2:
        return
    name, size, stream = NAMES[data[0] % len(NAMES)], data[1] % 64 + 1, data[2:]
    _, carried, anchors = DEVICES[name]
    codec = make_codec(name)
    codec.start()
    anchor = anchors[0] if anchors else ""
    codec.request(anchor)
    events = [e for i in range(0, len(stream), size) for e in codec.feed(stream[i : i + size])]
    intact = carried(stream, anchors[:1])
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
