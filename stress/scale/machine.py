"""The machine that is simulated: a small file of levels, latencies and bandwidths (docs/scale.md)."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

from shm_layout.counter_tree import MOST_CPUS
from shm_layout.errors import UsageError
from stress.report.words import did_you_mean
from stress.system.text_file import read_text

MOST_LEVELS = 16
SHIPPED = ("2004", "2026", "this")
"""Machines that come along: 512 CPUs of ia64; 2 sockets of 96 cores; a machine with 2 cores, as it was measured."""


@dataclass(frozen=True)
class Level:
    """``cpus`` that lie together, and what a cache line costs that goes from one of them to another, ``ns``."""

    name: str
    cpus: int
    ns: float


@dataclass(frozen=True)
class Line:
    """What an access costs, ns: to a line that the CPU has (plain, atomic); a line from memory; and for how long a
    read occupies a line that others share.
    """

    own_ns: float
    own_atomic_ns: float
    memory_ns: float
    read_busy_ns: float


@dataclass(frozen=True)
class Memory:
    """Clearing pages: GB a second of one CPU in its own node and in others; what one node's memory gives to all; GiB of
    a node, before pages come from others; ``cpus`` of a node.
    """

    cpus: int
    near_gb_s: float
    far_gb_s: float
    node_gb_s: float
    node_gib: float


@dataclass(frozen=True)
class Fault:
    """Private work of a fault besides its page, ns: entry and exit. ``page_bytes``: bytes of a page.

    ``varies``: by how much of itself private work is longer or shorter, at most.
    """

    entry_ns: float
    exit_ns: float
    page_bytes: int
    varies: float


@dataclass(frozen=True)
class Process:
    """What is done one after the other around the faults, ns: to start a thread, and to free a page at exit."""

    thread_ns: float
    free_ns: float


@dataclass(frozen=True)
class ScaleMachine:
    """A machine. ``source`` says where its figures come from."""

    name: str
    source: str
    cpus: int
    levels: tuple[Level, ...]
    line: Line
    memory: Memory
    fault: Fault
    process: Process


_PARTS: Mapping[str, type] = {"line": Line, "memory": Memory, "fault": Fault, "process": Process}
_NOT_ZERO = {"near_gb_s", "far_gb_s", "node_gb_s", "node_gib", "cpus", "page_bytes"}


def _number(where: str, key: str, value: Any, whole: bool) -> Any:
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise UsageError(f"{where}: {key} is {value!r}: give a {'whole ' if whole else ''}number")
    if not math.isfinite(value) or value < 0 or (value == 0 and key in _NOT_ZERO) or value > 1e12:
        least = "above 0" if key in _NOT_ZERO else "0 or more"
        raise UsageError(f"{where}: {key} is {value!r}: give a number {least}, at most 1e12")
    return value if whole else float(value)


def _part(where: str, kind: type, found: Any) -> Any:
    if not isinstance(found, dict):
        raise UsageError(f"{where} is no table: write it as [{where.rsplit(' ', 1)[-1]}]")
    names = {f.name: str(f.type) for f in fields(kind)}
    for key in found:
        if key not in names:
            raise UsageError(f"{where}: no key {key!r}{did_you_mean(key, names)}")
    for key in names:
        if key not in found:
            raise UsageError(f"{where}: {key} is missing: give it")
    values = {}
    for key, type_ in names.items():
        if type_ == "str":
            if not isinstance(found[key], str):
                raise UsageError(f"{where}: {key} is {found[key]!r}: give a text")
            values[key] = found[key]
        else:
            values[key] = _number(where, key, found[key], type_ == "int")
    return kind(**values)


def parse_machine(text: str, where: str) -> ScaleMachine:
    """Read a machine from the text of its file. ``where``: what to call the file in errors.

    Raises `UsageError`, one line, for what is no such file.
    """
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where}: no TOML: {error}") from None
    known = ["name", "source", "cpus", "levels", *_PARTS]
    for key in found:
        if key not in known:
            raise UsageError(f"{where}: no key {key!r}{did_you_mean(key, known)}")
    for key in known:
        if key not in found:
            raise UsageError(f"{where}: {key} is missing: give it")
    for key in ("name", "source"):
        if not isinstance(found[key], str):
            raise UsageError(f"{where}: {key} is {found[key]!r}: give a text")
    cpus = _number(where, "cpus", found["cpus"], whole=True)
    if cpus > MOST_CPUS:
        raise UsageError(f"{where}: cpus is {cpus}: at most {MOST_CPUS}")
    listed = found["levels"]
    if not isinstance(listed, list) or not 1 <= len(listed) <= MOST_LEVELS:
        raise UsageError(f"{where}: levels: give 1 to {MOST_LEVELS} tables, each as [[levels]]")
    levels = tuple(_part(f"{where}, level {i}", Level, level) for i, level in enumerate(listed, 1))
    for inner, outer in pairwise(levels):
        if outer.cpus <= inner.cpus or outer.cpus % inner.cpus:
            raise UsageError(
                f"{where}: level {outer.name!r} has {outer.cpus} CPUs: a multiple of the {inner.cpus} of"
                f" {inner.name!r}, and more"
            )
    if levels[-1].cpus < cpus:
        raise UsageError(
            f"{where}: the last level, {levels[-1].name!r}, has {levels[-1].cpus} of {cpus} CPUs: give one that has all"
        )
    parts = {key: _part(f"{where}, {key}", kind, found[key]) for key, kind in _PARTS.items()}
    return ScaleMachine(found["name"], found["source"], cpus, levels, **parts)


def get_machine(name: str) -> ScaleMachine:
    """Return a machine by its name (`SHIPPED`), or from the file of that name, which ends in .toml.

    Raises `UsageError` for what is neither, or is wrong.
    """
    if name in SHIPPED:
        path = files("stress.scale") / "machines" / f"{name}.toml"
        return parse_machine(path.read_text(encoding="utf-8"), f"machine {name}")
    if not name.endswith(".toml"):
        raise UsageError(f"no machine {name!r}{did_you_mean(name, SHIPPED)}, or give a file that ends in .toml")
    return parse_machine(read_text(Path(name), "name a file with a machine (docs/scale.md)"), name)


def text_of(machine: ScaleMachine) -> str:
    """The file of a machine: what `parse_machine` reads."""
    lines = [f"name = {_quoted(machine.name)}", f"source = {_quoted(machine.source)}", f"cpus = {machine.cpus}"]
    for level in machine.levels:
        lines += ["", "[[levels]]", f"name = {_quoted(level.name)}", f"cpus = {level.cpus}", f"ns = {level.ns:.6g}"]
    for key, kind in _PARTS.items():
        part = getattr(machine, key)
        lines += ["", f"[{key}]"]
        for f in fields(kind):
            value = getattr(part, f.name)
            lines.append(f"{f.name} = {value if isinstance(value, int) else format(value, '.6g')}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
