"""The state between steps as tables: one for each structure, a line for each instance, a column for each field."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from shm_layout import registers as registers_of
from shm_layout.layout import Layout, Region
from shm_layout.structs import SHADOWS, Field
from stress.explore.counterexample import words
from stress.explore.counterexample.history import History
from stress.explore.model.image import STRIDE
from stress.explore.model.model import build
from stress.kernel import pgtable

TITLES = {
    "mm_struct": "address space",
    "task_struct": "thread",
    "page": "page frame",
    "pte": "page table",
    "swap": "swap area",
    "mmu_cache": "translations that CPUs keep",
}
"""Structures under the name that a reader knows; others go by their own."""

Words = list[list[Any]]
"""For each word that is shown, its values: [position, text] for each position at which it is another one."""

_PTE, _PLAIN, _PLUS_1 = "pte", "plain", "plus 1"
HELD = {
    "R_ENTRY": ("entry", _PTE, "the pte that was read"),
    "R_NEW": ("new", _PTE, "the pte to be set"),
    "R_PAGE": ("page", _PLAIN, "the page in hand"),
    "R_OLD_PAGE": ("old page", _PLAIN, "the page that a copy is made of"),
    "R_VALUE": ("value", _PLAIN, "a number between its read and its write"),
    "R_SLOT": ("slot", _PLUS_1, "a swap slot"),
    "R_RSS": ("rss", _PLAIN, "the sum so far"),
    "R_ANON_RSS": ("anon_rss", _PLAIN, "the sum so far"),
    "R_RESIDENT": ("resident", _PLAIN, "what the read shows"),
}
"""Registers that are shown: their names, how their values are written, what they are."""


def boot_memory(found: History) -> tuple[int, ...]:
    """The memory before the preparation."""
    workload = replace(found.model.workload, setup=())
    return tuple(build(found.model.design, workload, found.model.memory_model.name).memory)


def state_tables(
    found: History, memories: Sequence[Sequence[int]], start: int
) -> tuple[list[dict[str, Any]], Words]:
    """Tables of all that changes, or is set and looked at: numbers of words in their cells, and the values of these.

    ``memories``: at each position. ``start``: the position at which the CPUs start; registers are known from there on.
    """
    values: Words = []
    tables = []
    touched = {word for move in found.moves for taken in move.taken for _, word, _ in taken.noted}
    for name, region in found.model.layout.regions.items():
        if name in SHADOWS and not (name == "written" and found.violation.check == "data_kept"):
            continue
        if table := _structure(found.model.layout, region, memories, touched, values):
            tables.append(table)
    order = list(TITLES)
    tables.sort(key=lambda t: order.index(t["structure"]) if t["structure"] in order else len(order))
    if found.stores:
        tables.append(_stores(found, start, values))
    if held := _held(found, start, values):
        tables.append(held)
    return tables, values


def _structure(
    layout: Layout, region: Region, memories: Sequence[Sequence[int]], touched: set[int], values: Words
) -> dict[str, Any] | None:
    def ever_set(instance: int, field: Field) -> bool:
        index = region.index(instance, field.name)
        found = {memory[index] for memory in memories}
        free = {0, pgtable.PG_FREE} if field.name == "flags" else {0}
        return len(found) > 1 or (index in touched and not found <= free)

    instances = [i for i in range(region.count) if any(ever_set(i, f) for f in region.struct.fields)]
    fields = [f for f in region.struct.fields if any(ever_set(i, f) for i in instances)]
    if not fields:
        return None
    lines = []
    for instance in instances:
        cells = []
        for field in fields:
            index = region.index(instance, field.name)
            cells.append(len(values))
            values.append(
                _changes([words.value(layout, list(memory), index, memory[index]) for memory in memories])
            )
        lines.append({"name": _instance_name(layout, region, instance), "words": cells})
    name = region.struct.name
    heads = [{"name": f.name, "doc": f.doc} for f in fields]
    title, doc = TITLES.get(name, name), region.struct.doc
    return {"structure": name, "name": title, "doc": doc, "fields": heads, "lines": lines}


def _instance_name(layout: Layout, region: Region, instance: int) -> str:
    field = region.struct.fields[0].name
    described = layout.describe(region.index(instance, field))
    return described.removesuffix(f" {field}").removeprefix(f"{field} of ")


def _changes(texts: Sequence[str], first: int = 0) -> list[Any]:
    """The values of a word by position, without those that are as the one before."""
    changes: list[Any] = []
    for position, text in enumerate(texts, first):
        if not changes or changes[-1][1] != text:
            changes.append([position, text])
    return changes


def _stores(found: History, start: int, values: Words) -> dict[str, Any]:
    """What waits in the store buffers: a CPU's own stores, which it sees and others do not yet."""
    lines = []
    for cpu in range(len(found.model.workload.cpus)):
        lines.append({"name": f"CPU {cpu}", "words": [len(values)]})
        texts = [stores[cpu] for stores in found.stores]
        values.append(_changes(["", *texts], start - 1) if start else _changes(texts))
    doc = "stores that their CPU sees, and others do not yet"
    heads = [{"name": "waiting, oldest first", "doc": doc}]
    return {"structure": "stores", "name": "store buffers", "doc": doc, "fields": heads, "lines": lines}


def _held(found: History, start: int, values: Words) -> dict[str, Any] | None:
    """What CPUs hold in registers: what they have read, and go on with."""
    writes: dict[str, Callable[[int], str]] = {
        _PTE: lambda word: words.pte(list(found.memories[0]), word) if word else "",
        _PLAIN: lambda word: str(word) if word else "",
        _PLUS_1: lambda word: str(word - 1) if word else "",
    }
    numbers = {name: getattr(registers_of, name) for name in HELD}
    cpus = range(len(found.model.workload.cpus))
    used = [n for n in HELD if any(r[cpu * STRIDE + numbers[n]] for r in found.registers for cpu in cpus)]
    if not used:
        return None
    lines = []
    for cpu in cpus:
        cells = []
        for name in used:
            texts = [writes[HELD[name][1]](r[cpu * STRIDE + numbers[name]]) for r in found.registers]
            cells.append(len(values))
            values.append(_changes(["", *texts], start - 1) if start else _changes(texts))
        lines.append({"name": f"CPU {cpu}", "words": cells})
    heads = [{"name": HELD[n][0], "doc": HELD[n][2]} for n in used]
    doc = "what a CPU has read, and goes on with"
    return {"structure": "registers", "name": "registers", "doc": doc, "fields": heads, "lines": lines}
