"""Colour verdicts in what is printed. Where stdout is no terminal, click takes the colours out again."""

from __future__ import annotations

import re

from stress.report import markup

_RED, _GREEN, _END = "\x1b[31m", "\x1b[32m", "\x1b[0m"
_BAD = re.compile(r"\b(BROKEN|FAILED|NO)\b|(?<=; )broken in \d+ steps")
_GOOD = re.compile(r"(?<=\s)(holds|yes)(?=\s|$)|^complete(?=:)", re.MULTILINE)


def painted(text: str) -> str:
    """Colour the words of verdicts in a text that is laid out: what is broken red, what holds green.

    >>> painted("rss_exact  BROKEN")
    'rss_exact  \\x1b[31mBROKEN\\x1b[0m'
    """
    if markup.active():
        return text
    text = _BAD.sub(lambda found: f"{_RED}{found[0]}{_END}", text)
    return _GOOD.sub(lambda found: f"{_GREEN}{found[0]}{_END}", text)
