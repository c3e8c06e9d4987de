"""What an operation is: its name and number, what it is given, how it is written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from shm_layout.errors import UsageError

OPERATIONS: tuple[str, ...] = (
    "fault",
    "zap",
    "fork",
    "clone",
    "exit",
    "exec",
    "swap_out",
    "truncate",
    "access_process_vm",
    "use_mm",
    "statm",
    "status",
    "stat",
    "tick",
    "precise",
)
"""The operations that a design may have, in the order of their numbers, which begin with 1 (register R_OP).

``get_rss``, the single pass over the counters that is held against the page table at rest, is what
``statm`` reads, or ``precise`` where a design has it. A user's design may have operations of other names.
"""

READS = ("statm", "status", "stat")
"""Operations whose R_RESIDENT and R_SHARED check `read_regular` and `read_pair` look at."""

_PAGE, _RANGE, _ALL, _WRITE, _MM, _FRAME = "page", "range", "all", "w", "mm", "frame"
_TAKES: dict[str, frozenset[str]] = {
    "fault": frozenset((_PAGE, _WRITE)),
    "zap": frozenset((_PAGE, _RANGE)),
    "fork": frozenset((_ALL, _RANGE)),
    "clone": frozenset((_ALL,)),
    "exit": frozenset((_ALL,)),
    "exec": frozenset((_ALL,)),
    "swap_out": frozenset((_ALL, _FRAME)),
    "truncate": frozenset((_PAGE,)),
    "access_process_vm": frozenset((_PAGE, _WRITE, _MM)),
    "use_mm": frozenset((_PAGE, _WRITE, _MM)),
    **{read: frozenset((_ALL, _MM)) for read in ("statm", "status", "stat", "tick", "precise")},
}
"""What an operation can be given; ``all``: a page need not be named."""
_ANYTHING = frozenset((_PAGE, _RANGE, _ALL, _WRITE, _MM, _FRAME))
_STARTS_TASK = ("clone", "fork", "use_mm")
_STARTS_MM = ("fork", "exec")


@dataclass(frozen=True)
class Operation:
    """One operation: ``name``, the pages [``address``, ``end``), and what register R_ARG is set to.

    ``end`` 0 stands for all pages (fork). ``arg`` is the mm + 1 or the frame where the operation takes one.
    """

    name: str
    address: int = 0
    end: int = 0
    write: bool = False
    arg: int = 0

    def __str__(self) -> str:
        """The text form, which `parse_operation` reads."""
        takes = _TAKES.get(self.name, _ANYTHING)
        words = [self.name]
        if self.end > self.address + 1 or (self.end and _RANGE in takes and _PAGE not in takes):
            words.append(f"{self.address}-{self.end - 1}")
        elif _PAGE in takes and (self.end or _ALL not in takes):
            words.append(str(self.address))
        if self.write:
            words.append("w")
        if self.arg:
            words.append(f"mm={self.arg - 1}" if _MM in takes else f"frame={self.arg}")
        return " ".join(words)


MOST_DIGITS = 600
"""int() refuses more than some thousands of digits with a message of its own."""
_NUMBER = rf"(\d{{1,{MOST_DIGITS}}})"


def parse_operation(text: str) -> Operation:
    """Read one operation. Raises `UsageError` that says what is wrong with it."""
    name, *given = text.split()
    takes = _TAKES.get(name, _ANYTHING)
    values: dict[str, Any] = {}
    for word in given:
        if word == "w" and _WRITE in takes:
            found: dict[str, Any] = {"write": True}
        elif (match := re.fullmatch(_NUMBER, word)) and _PAGE in takes:
            found = {"address": int(match[1]), "end": int(match[1]) + 1}
        elif (match := re.fullmatch(rf"{_NUMBER}-{_NUMBER}", word)) and _RANGE in takes:
            if int(match[2]) < int(match[1]):
                raise UsageError(f"{word} in operation {text!r} ends before it begins")
            found = {"address": int(match[1]), "end": int(match[2]) + 1}
        elif (match := re.fullmatch(rf"mm={_NUMBER}", word)) and _MM in takes:
            found = {"arg": int(match[1]) + 1}
        elif (match := re.fullmatch(rf"frame={_NUMBER}", word)) and _FRAME in takes:
            found = {"arg": int(match[1])}
        else:
            raise UsageError(f"{word!r} in operation {text!r}: {name} takes {_explain(takes)}")
        if values.keys() & found.keys():
            raise UsageError(f"operation {text!r} is given {word!r} when it has one already")
        values |= found
    if "address" not in values and _ALL not in takes:
        raise UsageError(f"operation {text!r} needs a page, as in `{name} 0`")
    return Operation(name, **values)


def _explain(takes: frozenset[str]) -> str:
    shown = {_PAGE: "a page 0", _RANGE: "pages 0-3", _WRITE: "w", _MM: "mm=0", _FRAME: "frame=1"}
    return ", ".join(text for key, text in shown.items() if key in takes) or "nothing"


WITH_PAGE = ("fault", "zap", "access_process_vm", "use_mm")
WITH_WRITE = ("fault", "access_process_vm", "use_mm")
ON_OTHER_MM = ("access_process_vm", "use_mm")
FILE_ONLY = ("truncate",)

ON_A_PAGE = ("fault", "access_process_vm", "use_mm")
ON_AN_MM = ("access_process_vm", "use_mm")
WITHOUT_ARGUMENTS = ("clone", "exit", "exec", "tick")

WITHOUT_PAGE = (*READS, "precise", "clone", "exit", "exec", "tick", "swap_out")
"""Operations that are given no virtual page."""
