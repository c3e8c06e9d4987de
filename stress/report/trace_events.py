"""Events of the trace event format, a JSON object that ui.perfetto.dev and chrome://tracing open.

https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU says what the keys mean.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

PROCESS = 1
Event = dict[str, Any]


def named(name: str, tracks: Sequence[str]) -> list[Event]:
    """Name the whole, and its tracks, which are numbered from 1 in this order."""
    events = [_meta("process_name", 0, name=name)]
    for number, track in enumerate(tracks, 1):
        events += [_meta("thread_name", number, name=track), _meta("thread_sort_index", number, sort_index=number)]
    return events


def _meta(what: str, track: int, **values: Any) -> Event:
    return {"name": what, "ph": "M", "pid": PROCESS, "tid": track, "args": values}


def slice_of(track: int, name: str, kind: str, begin: float, end: float, **values: Any) -> Event:
    """Something that takes from ``begin`` to ``end``, microseconds.

    ``kind``: its category. ``values``: what is shown of it when it is chosen.
    """
    times = {"ph": "X", "ts": begin, "dur": end - begin}
    return {"name": name, "cat": kind, **times, "pid": PROCESS, "tid": track, "args": values}


def instant(track: int, name: str, at: float, **values: Any) -> Event:
    """Something that happens at a moment, shown over all tracks."""
    return {"name": name, "cat": "check", "ph": "i", "s": "g", "ts": at, "pid": PROCESS, "tid": track, "args": values}


def flow(number: int, name: str, begin: tuple[int, float], end: tuple[int, float]) -> list[Event]:
    """An arrow from a slice to another one, each given by its track and a moment within it."""
    common = {"name": name, "cat": "seen", "id": number, "pid": PROCESS}
    return [
        {**common, "ph": "s", "tid": begin[0], "ts": begin[1]},
        {**common, "ph": "f", "bp": "e", "tid": end[0], "ts": end[1]},
    ]


def trace_file(events: Sequence[Event], about: Mapping[str, str]) -> str:
    """The text of a file. ``about``: what is said of the whole."""
    return json.dumps({"traceEvents": list(events), "displayTimeUnit": "ns", "otherData": dict(about)}, indent=1) + "\n"
