"""Final states as people read them: the words and registers in which they differ, by name."""

from __future__ import annotations

from tabulate import tabulate

from shm_layout.layout import Layout
from shm_layout.placement import PACKED
from shm_layout.registers import R_USER
from shm_layout.structs import FIRST_WORD, SHADOWS
from stress.explore.counterexample.words import value
from stress.explore.model.model import Model
from stress.explore.result import Result


def final_values(model: Model, result: Result) -> list[dict[str, str]]:
    """Return the final states that an exploration of ``model`` listed: values by name, of words that differ in them.

    Words that only checks read are left out, and of the registers all but the one for designs of the user's own
    (`R_USER`). States that differ in nothing else are one. Sorted.

    Example: ``result, model = search(design, workload, finals=True)``, then ``final_values(model, result)``
    """
    layout = Layout(result.workload.machine, PACKED)
    finals = sorted(result.finals or ())
    if not finals:
        return []
    memories = [memory for memory, *_ in finals]
    words = [index for index, values in enumerate(zip(*memories, strict=True)) if len(set(values)) > 1]
    words = [index for index in words if not layout.describe(FIRST_WORD + index).startswith(SHADOWS)]
    cpus = [cpu for cpu in range(len(finals[0]) - 1) if len({registers[cpu][R_USER] for _, *registers in finals}) > 1]
    rows = set()
    for memory, *registers in finals:
        whole = [*model.memory[:FIRST_WORD], *memory]
        shown = [(layout.describe(FIRST_WORD + k), value(layout, whole, FIRST_WORD + k, memory[k])) for k in words]
        shown += [(f"cpu {cpu} R_USER", str(registers[cpu][R_USER])) for cpu in cpus]
        rows.add(tuple(shown))
    return [dict(row) for row in sorted(rows)]


def finals_table(states: list[dict[str, str]], table_format: str) -> str:
    """Return a table of final states, a row for each; a sentence where there is none, or all are alike."""
    if not states:
        return "no final state was listed"
    if not states[0]:
        return "all final states are alike"
    return str(tabulate(states, headers="keys", tablefmt=table_format, disable_numparse=True))
