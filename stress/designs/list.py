"""Counters split over the tasks, as v12_sound has them: under the name that the table of counters uses."""

from __future__ import annotations

from dataclasses import replace

from stress.designs.v12_sound import DESIGN as V12_SOUND

DESIGN = replace(
    V12_SOUND,
    name="list",
    base="v12_sound",
    edits=(),
    summary="v12_sound under the name of its counter: rss and anon_rss split over the tasks, summed by each read",
)
