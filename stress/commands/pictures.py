"""What a counterexample can be looked at with: a page, a trace for Perfetto, a diagram. Options, and the writing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from stress.commands.options import check_folder

if TYPE_CHECKING:
    from stress.design import Design
    from stress.explore.counterexample.history import History
    from stress.report.report import Report
    from stress.workload import Workload

_F = TypeVar("_F", bound=Callable[..., Any])

PICTURES = ("html", "perfetto", "mermaid")


def _file(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    if value is not None:
        from stress.report.page import check_page_file

        check_page_file(parameter.opts[0], value)
        if not value.exists() or value.is_file():
            check_folder(value, value.absolute().parent, parameter.opts[0])
    return value


def _option(name: str, what: str) -> Callable[[_F], _F]:
    return click.option(name, type=click.Path(path_type=Path), metavar="FILE", callback=_file, help=what)


def html_option(what: str = "Write the tables and plots as a page for a browser.") -> Callable[[_F], _F]:
    """Passes ``html: Path | None``, a file that can be written."""
    return _option("--html", what)


perfetto_option = _option("--perfetto", "Write a trace that ui.perfetto.dev opens.")
"""Passes ``perfetto: Path | None``, a file that can be written."""


def picture_options(command: _F) -> _F:
    """Passes ``html``, ``perfetto`` and ``mermaid``: files that can be written, or None."""
    for decorate in reversed(
        (
            html_option("Write a page for a browser, to step through the counterexample."),
            perfetto_option,
            _option("--mermaid", "Write a sequence diagram, for slides."),
        )
    ):
        command = decorate(command)
    return command


def command_line(context: click.Context) -> str:
    """What was typed, without the options that only say where a page goes; with the seed, if it was drawn."""
    from stress.report.page import typed

    words: list[str] = []
    arguments: list[str] = []
    for parameter in context.command.params:
        name = parameter.name or ""
        value = context.params.get(name)
        given = context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        if name in {*PICTURES, "as_json", "known", "junit"} or not (given or name == "seed") or value is None:
            continue
        if isinstance(parameter, click.Argument):
            arguments += map(str, value if isinstance(value, tuple) else (value,))
        elif isinstance(value, bool):
            words += [parameter.opts[0]] if value else []
        else:
            for one in value if isinstance(value, tuple) else (value,):
                words += [parameter.opts[0], str(one)]
    return typed(context.info_name, *arguments, *words)


def write_report(path: Path | None, report: Callable[[], Report]) -> None:
    """Write a report as a page, if ``--html`` names a file for it; ``report`` is called then."""
    if path is not None:
        from stress.report.page import write_page

        write_page("--html", path, report().html())


def write_pictures(
    options: Mapping[str, Any],
    history: Callable[[], History],
    *,
    command: str,
    title: str = "",
    point: str = "",
    mended: Design | None = None,
    facts: Sequence[tuple[str, str]] = (),
) -> None:
    """Write the pictures of a counterexample that the options ask for. ``command``: what repeats it.

    ``history`` is called where any is asked for. The rest is what `stress.explore.counterexample.page.page` is given.
    """
    if not any(options.get(name) for name in PICTURES):
        return
    from stress.report.page import write_page

    found = history()
    if path := options.get("html"):
        from stress.explore.counterexample.page import page

        text = page(found, command=command, title=title, point=point, mended=mended or base_of(found), facts=facts)
        write_page("--html", path, text)
    if path := options.get("perfetto"):
        from stress.explore.counterexample.perfetto import perfetto

        write_page("--perfetto", path, perfetto(found))
    if path := options.get("mermaid"):
        from stress.explore.counterexample.mermaid import mermaid

        write_page("--mermaid", path, mermaid(found))


def base_of(found: History) -> Design | None:
    """The built-in design that the broken one is an edit of, None where there is none."""
    from stress import designs

    base = found.model.design.base
    return designs.get(base) if base in designs.names() else None


def explore_command(reference: str, workload: Workload, memory: str = "sc") -> str:
    """The command that explores a workload again, on the same machine.

    ``reference``: how the design was named. ``memory``: the memory model.
    """
    from stress.report.page import typed
    from stress.workload import Workload

    machine = workload.machine
    kinds = ("anon", "private_file", "shared_file") if machine.private_file or machine.shared_file else ()
    said = {name: getattr(machine, name) for name in kinds}
    options = [] if memory == "sc" else ["--memory", memory]
    for option, name in _MACHINE_OPTIONS.items():
        value = getattr(machine, name)
        if machine.mms == 0 and name != "arch":
            continue  # the design has a machine of words made of any
        # What is left out is made to fit what is said: frames for so many mms, for example.
        if name not in said and value == getattr(Workload.of(workload.cpus, workload.setup, **said).machine, name):
            continue
        said[name] = value
        if name == "above_4g":
            options += [] if value else [option]
        elif isinstance(value, bool):
            options += [option] if value else []
        else:
            options += [option, str(value)]
    return typed("explore", reference, str(workload), *options)


_MACHINE_OPTIONS = {
    "--arch": "arch",
    "--pages": "anon",
    "--private-file-pages": "private_file",
    "--file-pages": "shared_file",
    "--mms": "mms",
    "--frames": "frames",
    "--swap": "swap",
    "--batch": "batch",
    "--mmu": "mmu",
    "--below-4g": "above_4g",
}
"""Options of `explore` that say what the machine has, and the fields that they set; one that another's usual value is
made from comes before it."""
