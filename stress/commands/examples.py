"""The command `pte-stress examples`: write the examples to a folder."""

from __future__ import annotations

import ast
from pathlib import Path

import click

from shm_layout.errors import UsageError
from stress.commands.json_output import echo_json
from stress.commands.options import format_option, json_option
from stress.system.writing import cannot_write, write_file

SOURCE = (Path(__file__).parents[1] / "examples").resolve()
"""Where the examples lie: a link to the folder of the repository, or what was installed."""
DOCS = (Path(__file__).parents[1] / "docs").resolve()
"""Where the documents lie, likewise."""


def files_below(source: Path) -> list[Path]:
    """Return the files of a folder, relative to it, in order."""
    found = (path.relative_to(source) for path in source.rglob("*") if path.is_file())
    return sorted(path for path in found if "__pycache__" not in path.parts)


def example_files() -> list[Path]:
    """Return the files of the examples, relative to their folder, in order."""
    return files_below(SOURCE)


def title_of(path: Path) -> str:
    """Return the first line of an example's docstring, or of the comment that it begins with."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    return text.partition("\n")[0].strip("(*#/ )<!->")


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--docs", is_flag=True, help="Write the documents, too, to the folder docs in FOLDER.")
@json_option
@format_option
def examples(folder: Path, docs: bool, as_json: bool, table_format: str) -> None:
    """Write the examples to FOLDER: designs from 3 to 60 lines, each with a command that shows what it is about.

    FOLDER is made if it is not there. A file that was edited is not overwritten.
    """
    found = {path: SOURCE / path for path in example_files()}
    if docs:
        found |= {Path("docs") / path: DOCS / path for path in files_below(DOCS)}
    for path, source in found.items():
        there = folder / path
        if there.exists() and (not there.is_file() or there.read_bytes() != source.read_bytes()):
            raise UsageError(f"{there} is there and is not the example: move it away, or name another folder")
    for path, source in found.items():
        try:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write("examples", folder, error) from None
        write_file("examples", folder / path, source.read_bytes())
    rows = [{"file": str(folder / path), "what": title_of(source)} for path, source in found.items()]
    if as_json:
        echo_json({"files": rows})
        return
    from stress.report.fitted import fitted

    click.echo(fitted(rows, style=table_format))
    click.echo("\nThe command to begin with stands at the top of each Python file.")
