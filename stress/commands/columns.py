"""Columns of a table for programs: keys without spaces or units, and what each stands for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_UNIT = re.compile(r"(?:M|k)?/s|ns(?:/\w+)?|us|ms|s|pages|bytes|MiB|%")


def unit_of(column: str) -> str:
    """The unit that a column's head ends with; "" for none.

    >>> unit_of("faults, 2 workers, M/s")
    'M/s'
    """
    last = column.rpartition(", ")[2]
    return last if last != column and _UNIT.fullmatch(last) else ""


def key_of(column: str) -> str:
    """The key of a column: small letters, digits and ``_``, without the unit.

    >>> key_of("faults, 2 workers, M/s")
    'faults_2_workers'
    """
    unit = unit_of(column)
    text = column.removesuffix(f", {unit}") if unit else column
    return re.sub(r"\W+", "_", text.lower()).strip("_")


def keyed(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """``table``: the rows by clean keys; ``columns``: for each key the head that it stands for, and its unit.

    Where two heads would have one key, the later ones get a number.
    """
    keys: dict[str, str] = {}
    for column in dict.fromkeys(name for row in rows for name in row):
        key, number = key_of(column), 1
        while (unique := key if number == 1 else f"{key}_{number}") in keys.values():
            number += 1
        keys[column] = unique
    return {
        "columns": [{"key": key, "name": name, "unit": unit_of(name) or None} for name, key in keys.items()],
        "table": [{keys[name]: value for name, value in row.items()} for row in rows],
    }
