"""Litmus files changed at random, as typing errors and worse would: bytes, words, lines, and parts of other files."""

from __future__ import annotations

import random
import re

_PIECES = re.compile(r"\w+|\s+|[^\w\s]")
_ODD = ("(*", "*)", "{", "}", "\\/", "/\\", "~", "9999999999999999999999", "-1", "&", "*x", "P7", "0:", "\x00", "é", "")


def mutated(rng: random.Random, text: str, other: str) -> str:
    """Return ``text`` with one to four changes, some of them parts of ``other``."""
    for _ in range(rng.randint(1, 4)):
        pieces = _PIECES.findall(text) or [""]
        at = rng.randrange(len(pieces))
        kind = rng.randrange(6)
        if kind == 0:
            pieces[at] = rng.choice(_ODD)
        elif kind == 1:
            del pieces[at : at + rng.randint(1, 5)]
        elif kind == 2:
            pieces.insert(at, rng.choice(pieces))
        elif kind == 3:
            pieces[at:at] = rng.choice(_PIECES.findall(other) or [""]) * rng.randint(1, 3)
        elif kind == 4:
            pieces[at : at + 1] = [rng.choice(_ODD) * rng.choice((1, 2, 200))]
        else:
            pieces = pieces[:at]
        text = "".join(pieces)
    return text
