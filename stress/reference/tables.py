"""The rows of `pte-stress list`: steps, fields, labels, registers, operations, checks and designs, each as a mapping.

Keys are the columns that are printed. Values are texts, numbers and lists of texts: a row is a JSON object, too.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import stress.kernel
from shm_layout import registers as register_module
from shm_layout import structs
from shm_layout.structs import PARAMETERS, STRUCTS, Struct
from stress import designs as built_in
from stress import labels as label_module
from stress.checks import AT_REST, CHECKS
from stress.declarations import STEPS, StepFunction
from stress.design import Design
from stress.labels import LabelInfo, label_info
from stress.operation import KINDS, OPERATIONS, explain, kind_of
from stress.program import At, ByArch, Entry, Goto, entry_name
from stress.reference.source_names import declared_in

Row = dict[str, Any]


@cache
def kernel_modules() -> tuple[ModuleType, ...]:
    """Import every module of `stress.kernel` and return them, in the order of their names."""
    found = pkgutil.walk_packages(stress.kernel.__path__, "stress.kernel.")
    return tuple(importlib.import_module(module.name) for module in found)


def all_designs() -> list[Design]:
    """Return the designs that come with the program, by year and name."""
    return sorted(map(built_in.get, built_in.names()), key=lambda d: (d.year, d.name))


def _modules(design: Design | None) -> list[ModuleType]:
    """Return the modules whose declarations are listed: the program's, and those of a design's steps and checks."""
    own = () if design is None else (*design.own_steps, *design.own_checks)
    more = dict.fromkeys(sys.modules[function.__module__] for function in own)
    return [structs, label_module, *kernel_modules(), *more]


def _where(module: ModuleType) -> str:
    """Return what to import from: a module's name, or the file of a design of the user's own."""
    own = module.__name__.partition(".")[0] in {"stress", "shm_layout"}
    return module.__name__ if own else Path(inspect.getfile(module)).name


def _first_line(documented: object) -> str:
    return (inspect.getdoc(documented) or "").partition("\n")[0]


def _parts(entry: Entry) -> tuple[StepFunction, ...]:
    """Return the steps that an entry of a program may become."""
    if isinstance(entry, ByArch):
        return (*entry.arch_64, *entry.arch_pae)
    return () if isinstance(entry, (At, Goto)) else (entry,)


def _users(design: Design | None) -> dict[Any, tuple[list[str], list[str]]]:
    """For each step and entry the operations and the designs that have it; of one design, if one is given."""
    found: dict[Any, tuple[dict[str, None], dict[str, None]]] = {}
    for each in all_designs() if design is None else [design]:
        for operation in each.numbers:
            for entry in each.programs[operation]:
                for part in (entry, *_parts(entry)):
                    operations, designs = found.setdefault(part, ({}, {}))
                    operations[operation] = None
                    designs[each.name] = None
    order = {name: place for place, name in enumerate(OPERATIONS)}
    return {
        part: (sorted(operations, key=lambda name: order.get(name, len(order))), list(designs))
        for part, (operations, designs) in found.items()
    }


def _kind(function: StepFunction) -> str:
    info = STEPS[function]
    kinds = ["private"] * info.private + ["waits"] * info.waits + [f"whole: {info.whole}"] * bool(info.whole)
    return ", ".join(kinds)


def _by_arch(modules: Iterable[ModuleType]) -> Iterator[tuple[str, ModuleType, ByArch]]:
    seen: set[int] = set()
    for module in modules:
        for name, value in vars(module).items():
            if isinstance(value, ByArch) and id(value) not in seen:
                seen.add(id(value))
                yield name, module, value


def _step_names(functions: Iterable[StepFunction]) -> str:
    return ", ".join(STEPS[function].name for function in functions)


def steps(design: Design | None = None) -> list[Row]:
    """Return one row for each step: what to import, from where, what it does, who uses it.

    Accesses to a pte that are one step on arch 64 and several on pae (`ByArch`) follow, since an edit names them, not
    their steps. With a design: what its programs have. ``kind`` says what is declared of a step: private, waits, whole.
    """
    users, modules = _users(design), _modules(design)
    rows: list[Row] = []
    for function in STEPS:
        module = sys.modules.get(function.__module__)
        # None: of a file of the user's that could not be loaded to its end.
        if module is None or (function not in users if design else module not in modules):
            continue
        operations, having = users.get(function, ([], []))
        row = {"step": function.__name__, "module": _where(module), "does": _first_line(function)}
        rows.append({**row, "kind": _kind(function), "operations": operations, "designs": having})
    rows.sort(key=lambda row: row["module"])
    for name, module, entry in _by_arch(modules):
        if design is None or entry in users:
            operations, having = users.get(entry, ([], []))
            does = f"On arch 64: {_step_names(entry.arch_64)}. On pae: {_step_names(entry.arch_pae)}."
            row = {"step": name, "module": _where(module), "does": does}
            rows.append({**row, "kind": "by arch", "operations": operations, "designs": having})
    return rows


def program(design: Design, operation: str) -> list[Row]:
    """Return one row for each entry of an operation's program, in order: its name in an edit, and what it does.

    ``shown`` is its name in counterexamples.
    Raises `KeyError` for an operation that the design has not.
    """
    modules = _modules(design)
    arches = {id(entry): (name, module) for name, module, entry in _by_arch(modules)}
    constants = {row["label"]: row["name"] for row in labels(design)}
    rows: list[Row] = []
    for entry in design.programs[operation]:
        if isinstance(entry, (At, Goto)):
            shown = label_info(entry.label).name
            name, where, does = f"{type(entry).__name__}({constants.get(shown, shown)})", "", ""
        elif isinstance(entry, ByArch):
            name, module = arches.get(id(entry), (entry.name, None))
            where, does = _where(module) if module else "", f"on pae: {_step_names(entry.arch_pae)}"
        else:
            name, does = entry.__name__, _first_line(entry)
            where = _where(sys.modules[entry.__module__])
        rows.append({"place": len(rows), "entry": name, "shown": entry_name(entry), "module": where, "does": does})
    return rows


def fields(design: Design | None = None) -> list[Row]:
    """Return one row for each field of a structure, then one for each number of instances and each parameter.

    ``name`` is what a step writes: ``at(m, MM_RSS, mm)`` for a field, ``m[NR_PTES]`` for the others. With a design:
    what its file declares, too.
    """
    names: dict[tuple[str, str], tuple[str, str]] = {}
    for module in _modules(design):
        for declared in declared_in(module):
            variable, _, method = declared.function.rpartition(".")
            struct = _resolve(module, variable)
            where = (declared.name, _where(module))
            if isinstance(struct, Struct) and method == "word" and declared.arguments:
                names.setdefault((struct.name, declared.arguments[0]), where)
            elif isinstance(struct, Struct) and method == "count":
                names.setdefault((struct.name, ""), where)
            elif declared.function == "parameter":
                names.setdefault(("", declared.arguments[0]), where)
    rows: list[Row] = []
    for struct in STRUCTS.values():
        for f in struct.fields:
            if (struct.name, f.name) in names:
                name, module_name = names[struct.name, f.name]
                row = {"name": name, "structure": struct.name, "field": f.name, "written_by": f.writers}
                rows.append({**row, "holds": f.doc, "module": module_name})
    for struct in STRUCTS.values():
        if (struct.name, "") in names:
            name, module_name = names[struct.name, ""]
            holds = "number of instances"
            row = {"name": name, "structure": struct.name, "field": "", "written_by": "nobody"}
            rows.append({**row, "holds": holds, "module": module_name})
    for parameter in PARAMETERS.values():
        if ("", parameter.name) in names:
            name, module_name = names["", parameter.name]
            row = {"name": name, "structure": "", "field": parameter.name, "written_by": "nobody"}
            rows.append({**row, "holds": parameter.doc, "module": module_name})
    return rows


def _resolve(module: ModuleType, name: str) -> object:
    """Return what a dotted name stands for in a module, or None."""
    found: object = module
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def labels(design: Design | None = None) -> list[Row]:
    """Return one row for each label: its name in Python and in traces, where a jump goes, the operations that have it.

    ``section``: an edit can be confined to what follows it, with ``within=``. With a design: those of its programs, and
    what its file declares.
    """
    users = _users(design)
    places = {part.label: operations for part, (operations, _) in users.items() if isinstance(part, At)}
    rows: list[Row] = []
    for module in _modules(design):
        for declared in declared_in(module):
            if declared.function.rpartition(".")[2] != "label" or not declared.arguments:
                continue
            outcome = getattr(module, declared.name)
            info: LabelInfo = label_info(outcome)
            row: Row = {"name": declared.name, "label": info.name, "jump": "back" if info.back else "forward"}
            row |= {"section": "yes" if info.section else "", "operations": places.get(outcome, [])}
            rows.append({**row, "module": _where(module)})
    return rows


def registers() -> list[Row]:
    """Return one row for each register of a CPU: its name, its number, how long it is kept, what it holds."""
    kept = register_module.KEPT
    return [
        {
            "name": declared.name,
            "number": getattr(register_module, declared.name),
            "kept": "yes" if getattr(register_module, declared.name) < kept else "until the operation ends",
            "holds": declared.doc,
        }
        for declared in declared_in(register_module)
        if declared.name.startswith("R_")
    ]


def operations(design: Design | None = None) -> list[Row]:
    """Return one row for each operation: what it is given in a workload, and the designs that have it.

    With a design: those that it has. Its own may be given anything, unless its file declares what they take.
    """
    having = [design] if design else all_designs()
    names = [name for name in (*KINDS, *_own_operations(design)) if any(name in d.programs for d in having)]
    return [
        {
            "operation": name,
            "does": kind_of(name).summary,
            "takes": explain(kind_of(name).takes),
            "read": "yes" if kind_of(name).reads else "",
            "designs": [d.name for d in having if name in d.programs],
        }
        for name in names
    ]


def _own_operations(design: Design | None) -> list[str]:
    return [name for name in design.numbers if name not in KINDS] if design else []


def checks(design: Design | None = None) -> list[Row]:
    """Return one row for each check: what must hold, and when it is looked at. With a design: its own checks follow."""
    rows = [{"check": c.name, "must_hold": c.holds, "looked_at": _looked_at(c.name, c.oops)} for c in CHECKS.values()]
    for function in design.checks if design else ():
        rows.append({"check": f"user: {function.__name__}", "must_hold": _first_line(function), "looked_at": "at rest"})
    return rows


def _looked_at(name: str, oops: int) -> str:
    when = ["by steps"] if oops else []
    if name.startswith("read_"):
        when.append("when a read ends")
    elif name in AT_REST or not oops or name == "user":
        when.append("at rest")
    return ", ".join(when)


def designs() -> list[Row]:
    """Return one row for each design that comes with the program: its year, what it promises, where it comes from."""
    return [
        {
            "design": d.name,
            "year": d.year,
            "based_on": d.base or "",
            "bound": d.bound.formula,
            "what": d.summary,
            "source": d.source,
            "edits": [edit.name for edit in d.edits],
        }
        for d in all_designs()
    ]


UNSHOWN = ("module", "edits")


def by_module(rows: Iterable[Row]) -> list[tuple[str, list[Row]]]:
    """Group rows by what to import from, "" where rows say nothing of it, as they are shown: texts and numbers only.

    Rows with operations and designs get one column of both. Edits of designs are left to JSON: a table would not fit.
    """
    groups: dict[str, list[Row]] = {}
    for row in rows:
        short = {key.replace("_", " "): _shown(key, value) for key, value in row.items() if key not in UNSHOWN}
        if {"operations", "designs"} <= row.keys():
            in_designs = short.pop("designs")
            short["used by"] = short.pop("operations") + (f"; designs: {in_designs}" if in_designs else "")
        groups.setdefault(row.get("module", ""), []).append(short)
    return list(groups.items())


def _shown(column: str, value: object) -> Any:
    """Return a list in a line; one of most designs or operations as what it lacks."""
    if not isinstance(value, list):
        return value
    everything = {"designs": built_in.names(), "operations": list(OPERATIONS)}.get(column, [])
    missing = [name for name in everything if name not in value]
    if everything and len(missing) < min(len(value), len(everything)) and set(value) <= set(everything):
        return f"all but {', '.join(missing)}" if missing else "all"
    return ", ".join(value)
