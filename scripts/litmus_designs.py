#!/usr/bin/env python3
"""Hold the explorer against the search of `pte-stress litmus`: the same tests, as designs, under each memory model.

    python scripts/litmus_designs.py examples/litmus/SB.litmus examples/protocols/ticket.litmus

Prints what differs, and how much was compared; exit status 1 where something differs. Tests that cannot be written as
designs are left out. Give some twenty files at a time: fields of a process are limited.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from stress.explore import search
from stress.explore.final_states import final_values
from stress.litmus.design_source import design_name, design_source
from stress.litmus.outcomes import outcomes
from stress.litmus.reading import read_test
from stress.litmus.unsupported import Unsupported
from stress.memory_model import NAMES
from stress.resolve import resolve_design
from stress.workload import Workload


def differences(file: Path, folder: Path) -> dict[str, str]:
    """Return for each memory model in what the two differ, "" for nothing. Raises `Unsupported`."""
    text = file.read_text()
    test = read_test(text, str(file))
    module = folder / (re.sub(r"\W", "_", file.stem) + ".py")
    module.write_text(design_source(test, text))
    design = resolve_design(f"{module}:{design_name(test)}")
    workload = Workload.parse(" | ".join(f"P{t}" for t in range(len(test.threads))))
    found = {}
    for memory in NAMES:
        result, model = search(design, workload, memory=memory, finals=True)
        truth = outcomes(test, memory)
        explored = final_values(model, result)
        wanted = [{at.key: str(value) for at, value in state.items()} for state in truth.states]
        names = sorted({name for state in explored for name in state} & {name for state in wanted for name in state})
        got, want = ({tuple(state[name] for name in names) for state in states} for states in (explored, wanted))
        says = "" if result.complete and truth.complete else "not complete"
        if test.filter is None and got != want:  # a filter leaves out final states, which the explorer has
            says = f"{names}: too many {sorted(got - want)}, missing {sorted(want - got)}"
        broken = any(violation.check == "user" for violation in result.violations)
        if wanted and broken != bool(truth.negative if test.quantifier == "forall" else truth.positive):
            says = f"{truth.observation}, and its check {'broke' if broken else 'held'}"
        found[memory] = says
    return found


def main() -> int:
    """Compare the files of the command line."""
    compared = differing = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:]:
            try:
                found = differences(Path(name), Path(folder))
            except Unsupported as error:
                print(f"{name}: {error}")
                continue
            compared += len(found)
            for memory, says in found.items():
                if says:
                    differing += 1
                    print(f"{name} under {memory}: {says}")
    print(f"{compared} compared, {differing} differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
