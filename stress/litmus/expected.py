"""Verdicts that are expected of tests: a CSV file of names and "Never", "Sometimes" or "Always"."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from shm_layout.errors import UsageError
from stress.system.text_file import read_text

VERDICTS = ("Never", "Sometimes", "Always")
_WANTED = "name a file with lines like SB,Sometimes"


def read_expected(path: Path) -> dict[str, str]:
    """Return the verdict of each name in a CSV file; a first line that names its columns is skipped.

    Raises `UsageError`, with the line, for what is no verdict, and for a name with two different ones.
    """
    found: dict[str, str] = {}
    text = read_text(path, _WANTED)
    try:
        rows = list(csv.reader(text.splitlines()))
    except csv.Error as error:
        raise UsageError(f"{path} is no CSV ({error}): {_WANTED}") from None
    for number, row in enumerate(rows, 1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or cells[0].startswith("#"):
            continue
        verdict = cells[1].capitalize() if len(cells) > 1 else ""
        if verdict not in VERDICTS:
            if number == 1 and verdict in ("Verdict", "Observation", "Expected"):
                continue
            raise UsageError(f"{path}, line {number}: no verdict Never, Sometimes or Always: {_WANTED}")
        if found.setdefault(cells[0], verdict) != verdict:
            raise UsageError(f"{path}, line {number}: {cells[0]} has another verdict above: keep one")
    if not found:
        raise UsageError(f"{path} expects nothing: {_WANTED}")
    return found


def expected_of(expected: Mapping[str, str], file: str, name: str) -> tuple[str, str] | None:
    """Return the row of a test, its name and its verdict: by the test's name, else by the name of its file."""
    for key in (name, Path(file).name, Path(file).stem):
        if key in expected:
            return key, expected[key]
    return None
