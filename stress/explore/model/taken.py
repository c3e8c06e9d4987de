"""Which steps a search took, and which outcomes they had: read from the image of the search."""

from __future__ import annotations

from typing import Any

from stress.explore.model.image import CODE_TAKEN, P_CODE, P_ROW, TAKEN_WORDS
from stress.explore.model.model import Model
from stress.labels import outcomes


def taken_of(model: Model, p: Any) -> dict[str, set[tuple[int, int]]]:
    """By operation, the steps that were taken: place in the assembled program, and outcome. ``p``: the image.

    Only what schedules took is there: neither the setup nor the passes at rest are.
    """
    found: dict[str, set[tuple[int, int]]] = {}
    first: dict[str, int] = {}
    begin, size = p[P_CODE], p[P_ROW]
    for row, (name, _) in enumerate(model.rows):
        place = row - first.setdefault(name, row)
        at = begin + row * size + CODE_TAKEN
        words = [int(bits) for bits in p[at : at + TAKEN_WORDS]]
        had = (outcome for outcome in range(outcomes()) if words[outcome >> 6] >> (outcome & 63) & 1)
        found.setdefault(name, set()).update((place, outcome) for outcome in had)
    return found
