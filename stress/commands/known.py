"""Known failures: what `--known FILE` reads, made from what `--json` or `--save` wrote, or written by hand.

By hand it is ``{"known": [{"design": "v12", "check": "mapcount"}, {"finding": "F11"}]}``. An entry has some of
`FIELDS`. A failure is known when all that an entry says of it is so: an entry without ``workload`` is about any.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shm_layout.errors import UsageError
from stress.system.text_file import read_text

FIELDS = ("design", "check", "arch", "workload", "memory", "mend", "finding", "test", "observation", "forbidden")
"""What an entry can say."""
NAMING = ("check", "finding", "test")
"""What an entry must say one of: what failed."""
SUFFIXES = (".json", ".jsonl")
"""Files of a folder that are read."""


@dataclass(frozen=True)
class Known:
    """Entries, and the file or folder that they are from."""

    path: Path
    entries: tuple[Mapping[str, str], ...]

    def has(self, marks: Mapping[str, str | tuple[str, ...]]) -> bool:
        """Whether a failure is one of them. ``marks``: what it is compared by, a tuple for several names of a thing."""
        return any(_same(entry, marks) for entry in self.entries)


def _same(entry: Mapping[str, str], marks: Mapping[str, str | tuple[str, ...]]) -> bool:
    if not any(name in marks for name in NAMING if name in entry):
        return False
    return all(
        value in (is_ if isinstance(is_ := marks[k], tuple) else (is_,)) for k, value in entry.items() if k in marks
    )


def read_known(path: Path) -> Known:
    """Read known failures: a file, or all files of a folder that end in `SUFFIXES`. Raises `UsageError`."""
    files = sorted(f for f in path.iterdir() if f.suffix in SUFFIXES and f.is_file()) if path.is_dir() else [path]
    if not files:
        raise UsageError(f"--known {path}: no file there ends in .json: name a file, or a folder that --save filled")
    return Known(path, tuple(entry for file in files for entry in _read_file(file)))


def _read_file(path: Path) -> list[dict[str, str]]:
    text = read_text(path, "name a file with known failures, as --json or --save writes them")
    entries = []
    for number, found in _objects(text, path):
        try:
            entries += [{k: v for k, v in entry.items() if v is not None} for entry in _entries(found)]
        except (KeyError, TypeError, AttributeError, ValueError):
            raise UsageError(
                f"--known {path}, line {number}: no output of run, explore, hunt, review, litmus or soak, and no"
                ' {"known": [{"design": ..., "check": ...}]}'
            ) from None
    return entries


def _objects(text: str, path: Path) -> Iterator[tuple[int, Any]]:
    """The JSON of a file: one value, or one in each line; with the line that it begins in."""
    try:
        yield 1, json.loads(text)
    except (ValueError, RecursionError):
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                try:
                    found = json.loads(line)
                except (ValueError, RecursionError):
                    raise UsageError(
                        f"--known {path}, line {number}: no JSON: give what --json or --save wrote, or"
                        ' {"known": [{"design": "v12", "check": "mapcount"}]}'
                    ) from None
                yield number, found


def _entries(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The failures that an object names. Raises `KeyError`, `TypeError` and the like for what is none of ours."""
    if "known" in found and isinstance(found["known"], list):
        for entry in found["known"]:
            if not entry.keys() <= set(FIELDS) or not any(k in entry for k in NAMING):
                raise ValueError(entry)
            yield {k: str(v) for k, v in entry.items()}
    elif "pte_stress" in found:
        from stress.workload import Workload

        workload = Workload.from_json(found["workload"])
        made = {"design": found["design"], "check": found["check"], "memory": found.get("memory", "sc")}
        yield {**made, "arch": workload.machine.arch, "workload": str(workload)}
    elif "findings" in found:
        for shown in (*found["findings"], *found.get("measurements", ())):
            if not shown["ok"]:
                yield {"finding": shown["id"]}
        for failed in found.get("errors", ()):
            yield {"finding": failed["id"]}
    elif "violations" in found:
        common = {"design": found["design"], "memory": found.get("memory", "sc")}
        for v in found["violations"]:
            if "workload" in found:  # of explore; those of a hunt are drawn, and smaller at the next time
                yield {**common, "check": v["check"], "arch": found["arch"], "workload": found["workload"]}
            else:
                yield {**common, "check": v["check"], "arch": v["arch"], "mend": v.get("mend", {}).get("name", "")}
    elif "checks" in found:
        for check in found["checks"]:
            if not check.get("ok", False):
                yield {"design": found["design"], "arch": found["arch"], "check": check["name"]}
    elif "observation" in found:
        yield {"test": found["name"], "memory": found["memory"], "observation": found["observation"]}
        if found.get("run", {}).get("forbidden"):
            yield {"test": found["name"], "forbidden": "yes"}
    elif "round" in found:
        for check in found["broken"]:
            yield {"design": found["design"], "check": check}
    elif "totals" not in found:
        raise KeyError("known")
