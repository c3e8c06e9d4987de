"""The rules of steps, held against the accesses that steps really make while a design is explored.

A step makes one access to memory that another CPU can see, none if it is private, changes nothing before it waits,
and stays in bounds. What a compiled step accesses stands in a record (`shm_layout.record`); here it is looked at, and
what is wrong is put into words.

A step may make several accesses as long as nobody can tell: in every state in which it can be taken, at most one of
them may meet an access of another CPU's next transition. A CPU that comes between two accesses of the step would come
before it in some state, too, so it is enough to look at states before the step (Lipton, Reduction, 1975). Steps that
stand for a piece of the kernel with locks of its own say so (``whole``) and are left out, on both sides.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from shm_layout.errors import UsageError
from shm_layout.record import (
    COMPARE,
    CONSTANT_WRITTEN,
    COUNT,
    ENTRIES,
    ENTRY,
    FAULT,
    FAULT_FIELD,
    FAULT_INDEX,
    KIND,
    KIND_BITS,
    LIMIT,
    MOST,
    NO_FIELD,
    NO_INSTANCE,
    NO_REGISTER,
    OUT_OF_BOUNDS,
    READ,
    RECORD_WORDS,
    STEP,
    WRONG_STRIDE,
    accesses,
)
from shm_layout.registers import REGISTERS
from shm_layout.structs import FIRST_WORD, STRUCTS
from shm_layout.words import Words
from stress.explore.model.accesses import (
    CHANGED_BEFORE_WAIT,
    CHECK_WRITES,
    PRIVATE_ACCESS,
    TOO_MANY,
    TORN,
    is_shadow,
    same_place,
)
from stress.explore.model.image import (
    MADE_COUNT,
    MADE_FIRST,
    MADE_KIND,
    MADE_STEP,
    MADE_WORDS,
    P_ACCESSES,
    P_CPUS,
    P_ENTRIES,
    P_RECORD,
    P_SPLIT,
    P_STEPS,
    WHOLE,
)
from stress.explore.model.primitives import window
from stress.explore.model.step_table import own_functions
from stress.explore.model.store_buffer import leaves_next
from stress.step import helper

if TYPE_CHECKING:
    from stress.explore.model.model import Model


@helper
def forget_accesses(p: Words, cpu: int) -> None:
    """Forget what a CPU's last transition accessed."""
    p[p[P_ACCESSES] + cpu * MADE_WORDS + MADE_COUNT] = 0


@helper
def keep_accesses(p: Words, cpu: int, kind: int) -> None:
    """Keep what the step that a CPU just took accessed, but for shadows and barriers.

    ``kind``: `CODE_KIND` of the step.
    """
    record = window(p, p[P_RECORD])
    made = window(p, p[P_ACCESSES] + cpu * MADE_WORDS)
    made[MADE_KIND] = kind
    made[MADE_STEP] = record[STEP]
    count = 0
    for i in range(min(record[COUNT], MOST)):
        index = record[ENTRIES + ENTRY * i]
        if index != 0 and not is_shadow(p, index):
            made[MADE_FIRST + 2 * count] = index
            made[MADE_FIRST + 2 * count + 1] = record[ENTRIES + ENTRY * i + 1]
            count += 1
    made[MADE_COUNT] = count


@helper
def is_met(p: Words, m: Words, cpu: int, index: int, kind: int) -> bool:
    """Return whether an access of a CPU meets one of another CPU's next transitions, one of both being a write."""
    for other in range(p[P_CPUS]):
        theirs = window(p, p[P_ACCESSES] + other * MADE_WORDS)
        if other != cpu and p[P_ENTRIES] != 0 and leaves_next(p, m, other, index, kind >> KIND_BITS):
            return True
        if other == cpu or (theirs[MADE_KIND] & WHOLE) != 0:
            continue
        for i in range(theirs[MADE_COUNT]):
            its_kind = theirs[MADE_FIRST + 2 * i + 1]
            writes = (kind & KIND) != READ or (its_kind & KIND) != READ
            if writes and theirs[MADE_FIRST + 2 * i] == index and same_place(kind, its_kind):
                return True
    return False


@helper
def is_torn(p: Words, m: Words, cpu: int) -> bool:
    """Return whether other CPUs can come between the accesses of the step that a CPU takes from this state.

    Reads of a word before a compare and exchange of it are one access with it: it fails when the word has changed.
    """
    made = window(p, p[P_ACCESSES] + cpu * MADE_WORDS)
    count = made[MADE_COUNT]
    if count < 2 or (made[MADE_KIND] & WHOLE) != 0:
        return False
    met = -1
    exchanged = False
    for back in range(count):
        i = count - 1 - back
        index = made[MADE_FIRST + 2 * i]
        kind = made[MADE_FIRST + 2 * i + 1]
        if not is_met(p, m, cpu, index, kind):
            continue
        if met >= 0 and not (index == met and exchanged and (kind & KIND) == READ):
            return True
        if met < 0:
            met = index
            exchanged = (kind & KIND) == COMPARE
    return False


@helper
def first_torn(p: Words, m: Words) -> int:
    """Return the first CPU whose step other CPUs can come between, -1 for none; the fault is put into the record."""
    for cpu in range(p[P_CPUS]):
        if is_torn(p, m, cpu):
            record = window(p, p[P_RECORD])
            record[FAULT] = TORN
            record[FAULT_INDEX] = cpu
            record[STEP] = p[p[P_ACCESSES] + cpu * MADE_WORDS + MADE_STEP]
            return cpu
    return -1


class RuleError(UsageError):
    """A step or a check breaks the rules of steps, so that no verdict on the design would mean anything."""


def broken_rule(model: Model, p: Words) -> RuleError:
    """Return the error that says which step broke which rule. ``p``: the image, with the record of the step."""
    begin = p[P_RECORD]
    record = [int(p[begin + word]) for word in range(RECORD_WORDS)]
    function = step_of(model, record[STEP])
    name = f"{'check' if record[FAULT] == CHECK_WRITES else 'step'} {getattr(function, '__name__', 'of the design')}"
    return RuleError(f"{name} ({where_written(function)}) {_what(model, p, record)}")


def step_of(model: Model, number: int) -> Callable[..., int]:
    """Return the step, or the check of the design's own, that has this number."""
    split = model.p[P_SPLIT]
    steps: list[Callable[..., int]] = model.p[P_STEPS] if number < split else own_functions(model.design)
    return steps[number if number < split else number - split]


def where_written(function: Callable[..., int]) -> str:
    """Return where a function is written: "my_design.py, line 12"."""
    code = getattr(function, "__code__", None)
    return f"{Path(code.co_filename).name}, line {code.co_firstlineno}" if code else "no file"


def _what(model: Model, p: Words, record: list[int]) -> str:
    """Return what is wrong, and what to write instead."""
    fault, index = record[FAULT], record[FAULT_INDEX]
    found = [model.layout.describe(access.index) for access in accesses(record) if access.index >= FIRST_WORD]
    first = found[0] if found else "memory"
    field, struct = _field(record[FAULT_FIELD] if fault in (NO_FIELD, WRONG_STRIDE, NO_INSTANCE) else index)
    if fault == OUT_OF_BOUNDS:
        return (
            f"reaches word {index:,} of the memory, which has {record[LIMIT]:,}: "
            "find a word with at(m, FIELD, instance)"
        )
    if fault == CONSTANT_WRITTEN:
        which = f"that says where field {field} of {struct} lies" if field else "of the layout"
        return f"writes the constant {which}: the field's own word is m[at(m, FIELD, instance)]"
    if fault == NO_REGISTER:
        return f"uses register {index:,}: there are 0 to {REGISTERS - 1}; R_USER and R_EXTRA are a design's own"
    if fault == NO_FIELD:
        return f"calls at() with {record[FAULT_FIELD]:,}, which is no field: write at(m, FIELD, instance)"
    if fault == WRONG_STRIDE:
        return f"gives field {field} of {struct} another structure's stride: write at(m, FIELD, instance)"
    if fault == NO_INSTANCE:
        count = model.layout.regions[struct].count
        return f"asks for field {field} of {struct} {index:,}: there are 0 to {count - 1}"
    if fault == PRIVATE_ACCESS:
        return f"is private and accesses {first}: leave private=True out, or use registers alone"
    if fault == CHANGED_BEFORE_WAIT:
        return f"changes {first} and then returns WAIT: change nothing before it waits, or split it"
    if fault == TOO_MANY:
        return (
            f"makes more than {MOST} accesses, which no store buffer holds: make it several steps, "
            'or say what keeps them together with @step(whole="...")'
        )
    if fault == CHECK_WRITES:
        return f"writes {first}: a check reads alone"
    return _torn(model, p, index)


def _torn(model: Model, p: Words, cpu: int) -> str:
    made_at = p[P_ACCESSES] + cpu * MADE_WORDS
    made = [int(p[made_at + MADE_FIRST + 2 * i]) for i in range(p[made_at + MADE_COUNT])]
    words = list(dict.fromkeys(model.layout.describe(index) for index in made))
    others = set()
    for other in range(p[P_CPUS]):
        theirs = p[P_ACCESSES] + other * MADE_WORDS
        its = {int(p[theirs + MADE_FIRST + 2 * i]) for i in range(p[theirs + MADE_COUNT])}
        if other != cpu and its & set(made):
            others.add(getattr(step_of(model, int(p[theirs + MADE_STEP])), "__name__", "a step"))
    between = " or ".join(sorted(others))
    return (
        f"makes {len(made)} accesses ({', '.join(words)}), and {between} of another CPU can come between: "
        'make each a step of its own, or say what keeps them together with @step(whole="...")'
    )


def _field(constant: int) -> tuple[str, str]:
    """Return the field that a constant belongs to, and its structure; two empty strings for none."""
    for struct in STRUCTS.values():
        for field in struct.fields:
            if field.constant == constant:
                return field.name, struct.name
    return "", ""
