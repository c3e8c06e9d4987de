#!/usr/bin/env python3
"""Give commands input that is spoiled at random, and hold what they say against what they may say.

    python scripts/fuzz.py replays --count 10000 --seed 1

Each input is made from the seed and its number, so that one can be made again (``--first``). A command may end with
status 0, 1, 2 or 3, says at most one line on stderr, and never ends with a traceback. Exit status: 0 all did, 1 some
did not; the inputs of the first of these are kept in the folder ``--keep``.
"""

from __future__ import annotations

import contextlib
import copy
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner

from shm_layout.errors import PteStressError
from stress import designs
from stress.cli import main as pte_stress
from stress.explore.counterexample.saved import _checksum, programs_hash
from stress.workload import Workload

HUGE = "a number of many digits"
"""Stands for what json.dumps does not write."""
NUMBERS = (0, 1, 2, 3, 5, 64, 127, 128, 4096, 4097, -1, 2**31, 2**63, 2**64, 10**30, -(10**30), HUGE)
TEXTS = ("", " ", "\n", "\0", "\x1b[2J", "é", "\ud800", "٣", "|", "||", ";", "0", "64", "pae", "a" * 5000)
OTHERS: tuple[Any, ...] = (None, True, False, 0.5, 1e308, float("nan"), float("inf"), [], {}, [[]], {"a": [1]}, [None])
WORDS = (
    *("fault 0 w", "zap 0", "zap 0-9", "fork", "fork 0-0", "clone", "exit", "exec", "swap_out frame=1", "swap_out"),
    *("truncate 0", "statm", "status mm=0", "stat mm=1", "tick", "precise", "use_mm 0 w mm=0", "nonsense"),
    *("access_process_vm 0 w mm=1", "9: fault 0", "0: fault 0 w", "1:", "| ", "|| ", "; ", "\n", "1" * 5000 + ": zap"),
)
FIELDS = (
    *("cpus", "mms", "anon", "private_file", "shared_file", "frames", "swap", "arch", "above_4g", "mmu", "ghost"),
    *("batch", "task_depth", "ptrs_per_pte", "child_pages", "other"),
)
CASES = (
    ("v12", "fault 0 w | swap_out frame=1", {}),
    ("v12", "1: fault 0 || fault 0 w; zap 0 | fault 0 w; statm", {"arch": "pae"}),
    ("v12_reviewed", "fault 0 w | exec | status", {}),
    ("v11_sloppy", "fault 0 w | fault 0 w", {"mmu": True}),
    ("v12", "clone; fault 0 | exit | fault 0 w", {"arch": "pae", "private_file": 1, "shared_file": 1, "anon": 1}),
)
"""What the files that are spoiled are counterexamples of: design, workload, machine."""


def counterexamples(folder: Path) -> list[dict[str, Any]]:
    """Sound replay files, as JSON objects: one for each check that each of `CASES` breaks."""
    from stress.explore import explore
    from stress.explore.counterexample.saved import save

    found = []
    for name, text, machine in CASES:
        design, workload = designs.get(name), Workload.parse(text, **machine)
        for violation in explore(design, workload).violations:
            save(folder / "sound.json", name, design, workload, violation)
            found.append(json.loads((folder / "sound.json").read_text()))
    return found


def nested(rng: random.Random) -> Any:
    """Return a list in a list in a list."""
    value: Any = []
    for _ in range(rng.choice((3, 50, 400))):
        value = [value] if rng.random() < 0.8 else {"a": value}
    return value


def anything(rng: random.Random) -> Any:
    """Return a value of any kind."""
    kind = rng.randrange(5)
    if kind == 4:
        return nested(rng)
    return copy.deepcopy(rng.choice((NUMBERS, TEXTS, OTHERS, WORDS)[kind]))


def spoil_text(rng: random.Random, text: str) -> str:
    """Return a text that differs in a character, a number or a word."""
    at = rng.randint(0, len(text))
    kind = rng.randrange(5)
    if kind == 0:
        return text[:at] + rng.choice(TEXTS) + text[at:]
    if kind == 1:
        return text[:at] + text[at + rng.randint(1, 4) :]
    if kind == 2:
        return re.sub(r"\d+", lambda number: str(rng.choice((number[0], 0, 1, 2, 7, 10**9, 10**700))), text)
    if kind == 3:
        parts = re.split(r"(\|\||\||;)", text)
        parts[rng.randrange(len(parts))] = rng.choice(WORDS)
        return "".join(parts)
    return text + rng.choice((" ", ";", "|", "||")) + rng.choice(WORDS)


def spoil_schedule(rng: random.Random, schedule: list[int]) -> list[Any]:
    """Another schedule."""
    at = rng.randint(0, len(schedule))
    kind = rng.randrange(4)
    if kind == 0:
        return [*schedule[:at], anything(rng), *schedule[at:]]
    if kind == 1:
        return [*schedule[:at], rng.randrange(4), *schedule[at:]]
    if kind == 2:
        return schedule[:at]
    return schedule * rng.choice((2, 50))


def spoil(rng: random.Random, data: dict[str, Any]) -> None:
    """Change one thing in a replay file."""
    kind = rng.randrange(8)
    if kind == 0:
        data[rng.choice([*data, "other"])] = anything(rng)
    elif kind == 1:
        data.pop(rng.choice(list(data)))
    elif kind == 2 and isinstance(data.get("schedule"), list):
        data["schedule"] = spoil_schedule(rng, data["schedule"])
    elif kind == 3 and isinstance(data.get("check"), str):
        data["check"] = rng.choice(("mapcount", "progress", "user", "rss_exact", "rss_bounded", "owner", "no", ""))
        data["at_rest"] = rng.random() < 0.5
    elif kind == 4:
        data["design"] = rng.choice((*designs.names(), "a.py:B", "\0.py:B", "é", ":", ".py", "/:x"))
    elif isinstance(data.get("workload"), dict):
        workload = data["workload"]
        if kind == 5 and isinstance(workload.get("operations"), str):
            workload["operations"] = spoil_text(rng, workload["operations"])
        elif kind == 6 and isinstance(workload.get("machine"), dict):
            workload["machine"][rng.choice(FIELDS)] = rng.choice(NUMBERS) if rng.random() < 0.7 else anything(rng)
        else:
            workload[rng.choice(("machine", "operations", "other"))] = anything(rng)


def sign(rng: random.Random, data: dict[str, Any]) -> None:
    """Put the right checksum in, and most times the right hash of the programs."""
    if rng.random() < 0.8:
        with contextlib.suppress(PteStressError, LookupError, TypeError):  # which replay will refuse
            data["programs"] = programs_hash(designs.get(data["design"]), Workload.from_json(data["workload"]))
    with contextlib.suppress(RecursionError):
        data["sha256"] = _checksum(data)


def replay_file(rng: random.Random, sound: list[dict[str, Any]]) -> bytes:
    """Return the bytes of a replay file that was spoiled; its checksum is right but for one in twenty."""
    data = copy.deepcopy(rng.choice(sound))
    for _ in range(rng.choice((1, 1, 2, 3))):
        spoil(rng, data)
    sign(rng, data)
    text = json.dumps(data).replace(json.dumps(HUGE), "1" * rng.choice((40, 5000)))
    raw = text.encode()
    if rng.random() < 0.05:
        at = rng.randrange(len(raw))
        raw = rng.choice((raw[:at], raw[:at] + b"\xff\0" + raw[at:], b"[" * 100_000, b'{"a":' * 100_000))
    return raw


def judge(path: Path) -> tuple[int, str]:
    """Replay a file: the exit status, and what is wrong with how it ended, "" for nothing."""
    result = CliRunner().invoke(pte_stress, ["replay", str(path)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return result.exit_code, f"{type(result.exception).__name__}: {str(result.exception)[:200]}"
    if result.exit_code not in (0, 1, 2, 3):
        return result.exit_code, f"status {result.exit_code}"
    if result.stderr.count("\n") != (result.exit_code >= 2):
        return result.exit_code, f"stderr of {len(result.stderr.splitlines())} lines"
    return result.exit_code, ""


def fuzz_replays(
    count: int, seed: int, first: int = 0, failed: Callable[[int, str, bytes], None] = lambda *_: None
) -> Counter[int]:
    """Replay ``count`` spoiled files; return how many ended with which status. ``failed`` gets each that did wrong."""
    statuses: Counter[int] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        sound = counterexamples(Path(folder))
        path = Path(folder) / "spoiled.json"
        for number in range(first, first + count):
            content = replay_file(random.Random(f"{seed} {number}"), sound)
            path.write_bytes(content)
            status, wrong = judge(path)
            statuses[status] += 1
            if wrong:
                failed(number, wrong, content)
    return statuses


@click.group()
def main() -> None:
    """Give commands input that is spoiled at random."""


@main.command()
@click.option("--count", type=click.IntRange(1), default=1000, show_default=True, help="Files to replay.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Seed of all random choices.")
@click.option("--first", type=click.IntRange(0), default=0, show_default=True, help="Number of the first file.")
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="Folder for files that do wrong.")
@click.pass_context
def replays(context: click.Context, count: int, seed: int, first: int, keep: Path | None) -> None:
    """Replay files that were changed at random and have the right checksum."""
    failures = 0

    def failed(number: int, wrong: str, content: bytes) -> None:
        nonlocal failures
        failures += 1
        click.echo(f"file {number}: {wrong}")
        if keep is not None:
            keep.mkdir(exist_ok=True)
            (keep / f"{seed}-{number}.json").write_bytes(content)

    began = time.monotonic()
    statuses = fuzz_replays(count, seed, first, failed)
    ended = ", ".join(f"{n:,} with status {status}" for status, n in sorted(statuses.items()))
    click.echo(f"{count:,} files in {time.monotonic() - began:.0f} s: {ended}; {failures:,} did wrong")
    context.exit(1 if failures else 0)


if __name__ == "__main__":
    sys.exit(main())
