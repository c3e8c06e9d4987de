"""From a file to a test: which format it is in, its name, and what lies between that and the initial values."""

from __future__ import annotations

import re

from stress.litmus.c_reader import read_c
from stress.litmus.source import Source
from stress.litmus.test import Test
from stress.litmus.unsupported import Place, Unsupported
from stress.litmus.x86_reader import read_x86

_FIRST = re.compile(r"\s*(?P<arch>[A-Za-z0-9_]+)(?:[ \t]+(?P<name>[^\r\n]*))?")
_C = ("C", "LK")
_X86 = ("X86", "X86_64")


LONGEST = 1 << 20
"""Characters of a litmus file."""


def read_test(text: str, file: str) -> Test:
    """Read a litmus test, of the kernel's C or of x86. ``file``: its name, for messages. Raises `Unsupported`.

    Example: ``read_test(Path("SB.litmus").read_text(), "SB.litmus").name``
    """
    if len(text) > LONGEST:
        raise Unsupported(f"a file longer than {LONGEST} characters", Place(1, 1))
    try:
        return _read(text, file)
    except RecursionError:
        raise Unsupported("parts nested as deeply as here", Place(1, 1)) from None


def _read(text: str, file: str) -> Test:
    source = Source(text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff"))
    source.skip_leading_comments()
    match = _FIRST.match(source.text)
    if match is None:
        raise Unsupported("no line with the architecture and the name of the test", source.place(0), "not readable")
    arch = match["arch"]
    if arch not in _C + _X86:
        raise Unsupported(f"the architecture {arch[:30]!r}: C, X86 and X86_64 are", source.place(match.start("arch")))
    name = (match["name"] or "").split("(*")[0].strip()
    if not name:
        raise Unsupported("a test without a name", source.place(match.end()), "not readable")
    begin = source.header_end(match.end("name"))
    if arch in _C:
        return read_c(source, file, name, begin)
    return read_x86(source, file, name, arch, begin)


def name_of(text: str, file: str) -> str:
    """Return the name of a test, or of its file where it has none that can be read."""
    match = _FIRST.match(text)
    return (match["name"] or "").strip() or file if match else file
