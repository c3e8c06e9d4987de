"""Find the Python names under which a module declares fields, parameters, labels and numbers, by reading its source.

A field is a number to the program, and several names may have the same number. Only the source says which name was
given to which field.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from types import ModuleType


@dataclass(frozen=True)
class Declared:
    """An assignment at the top of a module, ``name = function(arguments)``, and the string that follows it.

    ``function`` is written as in the source, such as ``mm_struct.word``; so is an attribute, such as
    ``mm_struct.count``. It is "" where a number is assigned. ``arguments`` are those that are written as strings.
    ``doc`` is "" where no string follows.
    """

    name: str
    function: str
    arguments: tuple[str, ...]
    doc: str


@cache
def declared_in(module: ModuleType) -> tuple[Declared, ...]:
    """Return what a module declares at its top level, in order; nothing for a module without a source.

    >>> from shm_layout import registers
    >>> declared_in(registers)[0]
    Declared(name='R_CPU', function='', arguments=(), doc='Number of the CPU; virtual: a worker may hop.')
    """
    try:
        tree = ast.parse(inspect.getsource(module))
    except (OSError, TypeError):
        return ()
    return tuple(_declared(tree.body))


def _declared(body: list[ast.stmt]) -> Iterator[Declared]:
    for place, statement in enumerate(body):
        if not isinstance(statement, ast.Assign):
            continue
        doc = _string_after(body, place)
        target, value = statement.targets[0], statement.value
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            pairs = list(zip(target.elts, value.elts, strict=False))
        else:
            pairs = [(target, value)]
        for name, given in pairs:
            if isinstance(name, ast.Name) and (found := _one(name.id, given, doc)) is not None:
                yield found


def _one(name: str, value: ast.expr, doc: str) -> Declared | None:
    if isinstance(value, ast.Call):
        texts = (a.value for a in value.args if isinstance(a, ast.Constant))
        return Declared(name, ast.unparse(value.func), tuple(t for t in texts if isinstance(t, str)), doc)
    if isinstance(value, ast.Attribute):
        return Declared(name, ast.unparse(value), (), doc)
    return Declared(name, "", (), doc) if isinstance(value, ast.Constant) and type(value.value) is int else None


def _string_after(body: list[ast.stmt], place: int) -> str:
    after = body[place + 1] if place + 1 < len(body) else None
    if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
        return " ".join(after.value.value.split())
    return ""
