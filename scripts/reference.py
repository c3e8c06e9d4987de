"""Write docs/reference: pages of everything that a design can be made of, and of what --json prints.

    python scripts/reference.py            # after a change of steps, fields, labels, checks, designs or JSON

A test compares the folder with what this script writes. The tables are those of `pte-stress list`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from stress.commands.json_keys import KEYS
from stress.reference import tables

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
MADE = "<!-- Made by scripts/reference.py: change the code, and run it again. -->"
HEADS = {
    "steps": (
        "Steps",
        "The functions that programs consist of, by the module to import them from. Kind `private`: a step touches"
        " registers alone. `waits`: it may return WAIT. `whole`: it stands for a piece of the kernel, and makes several"
        " accesses under what is named. `by arch`: an access to a pte, which is one step on arch 64 and may be several"
        " on pae; an edit names it as a whole.",
    ),
    "labels": (
        "Labels",
        "The places in programs that steps jump to. A jump goes to the next place of that label, or back to the last"
        " one. Where a section begins, an edit can be confined to it: `within=DO_ANONYMOUS_PAGE`. Steps also return"
        " `NEXT` (go on), `DONE` (the operation ends) and `WAIT` (try again), from `stress.step`.",
    ),
    "registers": (
        "Registers",
        "The words `r[...]` that only one CPU touches, from `shm_layout.registers`. `R_USER` and `R_EXTRA` are for"
        " designs of your own.",
    ),
    "fields": (
        "Structures and fields",
        "The words `m` of the modelled machine that all CPUs see. A step finds a field of an instance with `at` from"
        " `shm_layout.structs`, and reads a parameter or a number of instances as `m[NR_PTES]`. `pte-stress layout`"
        " shows where each field lies.",
    ),
    "operations": (
        "Operations",
        "What a CPU of a workload can perform, and what it is given. A design may have operations of its"
        " own, which take anything.",
    ),
    "checks": ("Checks", "What must hold, and when it is looked at. A design can bring checks of its own."),
    "designs": (
        "Designs",
        "The designs that come with pte-stress. `bound` is how far the counter may be off at rest, in pages.",
    ),
}


def cell(value: Any) -> str:
    """Return a value as the text of a cell of a Markdown table."""
    text = str(value)
    for special in "|*<":
        text = text.replace(special, f"\\{special}")
    return text


def table(rows: Sequence[dict[str, Any]], code: Sequence[str] = ()) -> list[str]:
    """Return the lines of a Markdown table; ``code``: the columns that are typed as they stand."""
    heads = list(rows[0])
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for row in rows:
        cells = (f"`{row[head]}`" if head in code and row[head] else cell(row[head]) for head in heads)
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def page(title: str, text: str, body: Iterable[str]) -> str:
    """Return a page: title, what it is, tables."""
    return "\n".join((f"# {title}", "", MADE, "", fill(text, 120), "", *body, ""))


def page_of_table(name: str) -> str:
    """Return the page of one table of `pte-stress list`."""
    body: list[str] = []
    for module, rows in tables.by_module(getattr(tables, name)()):
        if name == "fields":
            body += _structures(rows)
            continue
        body += [f"## `{module}`", ""] if module else []
        body += [*table(rows, code=("step", "name", "operation", "check", "design")), ""]
    return page(*HEADS[name], body[:-1])


def _structures(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return one section for each structure, then the parameters of the machine."""
    lines: list[str] = []
    for struct in dict.fromkeys(row["structure"] for row in rows):
        mine = [{k: v for k, v in row.items() if k != "structure"} for row in rows if row["structure"] == struct]
        mine.sort(key=lambda row: row["field"] == "")
        lines += [f"## {f'`{struct}`' if struct else 'Parameters of the machine'}", ""]
        if struct:
            lines += [f"{tables.STRUCTS[struct].doc[0].upper()}{tables.STRUCTS[struct].doc[1:]}.", ""]
        lines += [*table(mine, code=("name",)), ""]
    return lines


def page_of_json() -> str:
    """Return the page of what --json prints."""
    body: list[str] = []
    for command, keys in KEYS.items():
        rows = [
            {"key": k.path, "type": k.type, "unit": k.unit, "what": k.what + (" (not always there)" * (not k.always))}
            for k in keys
        ]
        body += [f"## `{command}`", "", *table(rows, code=("key",)), ""]
    text = (
        "With `--json` a command prints one JSON object on stdout and nothing else; `live --pid` and `litmus` print one"
        " for each sample and test, a line each. [schema](../../schema) has the same as JSON Schema. `rows[].wall` is"
        " key `wall` in each element of the list `rows`; `*` stands for names."
    )
    return page("JSON of every command", text, body[:-1])


def pages() -> dict[str, str]:
    """Return all pages by the name of their file."""
    made = {f"{name}.md": page_of_table(name) for name in HEADS}
    made["json.md"] = page_of_json()
    titles = {name: text.partition("\n")[0].removeprefix("# ") for name, text in made.items()}
    what = (
        "Made from the code. `pte-stress list steps` and so on print the same tables, also of a design of your own:"
        " `--design my_design.py:MINE`. Terms are explained in the [glossary](../glossary.md)."
    )
    index = [f"- [{title}]({name})" for name, title in titles.items()]
    return {"README.md": page("Reference", what, index), **made}


def main() -> None:
    """Write the pages."""
    parser = argparse.ArgumentParser(description="Write docs/reference from the code.")
    parser.add_argument("--into", type=Path, default=FOLDER, help="folder to write to")
    folder = parser.parse_args().into
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
