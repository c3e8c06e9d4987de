"""The command `pte-stress litmus`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shm_layout.errors import UsageError
from stress.commands.cases import case_options, judged
from stress.commands.json_output import results_option, told_as_json
from stress.commands.litmus_search import STANDARD_INPUT, WANTED, Refused, Search, Told, by_cluster
from stress.commands.options import dask_option, format_option, jobs_option, json_option, seconds_above_0, seed_option
from stress.commands.pictures import command_line, html_option, write_report
from stress.report.case import BROKEN, HOLDS, OPEN, Case
from stress.report.progress import status_shown
from stress.system.at_once import at_once
from stress.system.cpus import available_cores

if TYPE_CHECKING:
    from stress.litmus.machine_run.seen import Seen
    from stress.litmus.outcomes import Outcomes
    from stress.litmus.summary import Summary
    from stress.report.report import Report, Section

MOST_SHOWN = 50
"""Tests whose final states stand on a page; of others there is a row in its table."""


def litmus_files(named: tuple[str, ...]) -> list[str]:
    """Return the files that names stand for: of a folder, all below it that end in .litmus, sorted."""
    files: list[str] = []
    for name in named:
        path = Path(name)
        if name != STANDARD_INPUT and path.is_dir():
            below = sorted(str(file) for file in path.rglob("*.litmus") if file.is_file())
            if not below:
                raise UsageError(f"{name}: no file there ends in .litmus: {WANTED}")
            files += below
        else:
            files.append(name)
    return files


_OF_THIS_MACHINE = {"on_machine": "--run", "promela": "--promela", "design": "--design"}
"""Options that have nothing to do with what workers of a cluster do."""


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--memory",
    type=click.Choice(["sc", "tso", "pso"]),
    default="tso",
    show_default=True,
    help="The memory model: sequential consistency, x86, or SPARC's partial store order.",
)
@click.option(
    "--expect",
    type=click.Path(path_type=Path),
    metavar="FILE.csv",
    help="Compare with verdicts: lines like SB,Sometimes. Exit status 1 where one differs.",
)
@click.option("--run", "on_machine", is_flag=True, help="Also run the tests on this machine, an x86, by processes.")
@click.option("--promela", type=click.Path(path_type=Path), metavar="FILE", help="Write the test as a model for Spin.")
@click.option(
    "--design",
    type=click.Path(path_type=Path),
    metavar="FILE.py",
    help="Write the test as a design on words, for explore, replay and run.",
)
@click.option(
    "--seconds",
    type=float,
    callback=seconds_above_0,
    help="Time for each test, at most; with --run, that of the run.  [default: 60; 3 with --run]",
)
@click.option("--max-states", type=click.IntRange(1), help="States of a search, at most.  [default: 50 million]")
@click.option("--max-memory", type=click.IntRange(1), metavar="MIB", help="Memory of a search.  [default: 2048]")
@jobs_option("Processes that search several tests at once.")
@dask_option
@html_option("Write verdicts and final states as a page for a browser.")
@case_options
@results_option
@json_option
@format_option
@seed_option
@click.pass_context
def litmus(context: click.Context, /, files: tuple[str, ...], memory: str, **options: Any) -> None:
    """Find every final state of litmus tests, in the formats of herd7: C of the kernel's memory model, and x86.

    FILE is a litmus file, a folder (all files below it that end in .litmus), or - for standard input. Prints what herd7
    prints, and a summary of several tests; with --json one object a line and test. Never and Always are those of the
    memory model that was searched, which forbids more than the kernel's.

    Exit status 1 where a verdict differs from what --expect says, or where --run saw a state that x86-TSO forbids; 2
    where no test could be read.
    """
    from stress.litmus.expected import read_expected
    from stress.litmus.summary import Summary

    expected = read_expected(options["expect"]) if options["expect"] else None
    summary = Summary(expected)
    given = litmus_files(files)
    for name in ("promela", "design"):
        if options[name] and len(given) > 1:
            raise UsageError(f"--{name} writes one test: name one file")
    if options["dask"] is not None and (wrong := next((name for name in _OF_THIS_MACHINE if options[name]), None)):
        raise UsageError(f"--dask searches tests: {_OF_THIS_MACHINE[wrong]} is of this machine; leave one out")
    one = _One(summary, memory, len(given) > 1, options)
    # A run on this machine has all of it.
    jobs = 1 if options["on_machine"] or len(given) == 1 else options["jobs"] or available_cores()
    with ExitStack() as stack:
        show = stack.enter_context(status_shown("reading"))
        search = Search(memory, options, given, show)
        results = at_once(search, given, jobs)
        if options["dask"] is not None:
            results = stack.enter_context(by_cluster(options["dask"], options["jobs"], search, given))
        for number, (file, found) in enumerate(results, 1):
            show(partial("{} of {}: {}".format, number, len(given), file))
            one.look_at(file, found)
    if not options["as_json"] and (len(given) > 1 or expected is not None):
        click.echo(summary.text(options["table_format"]))
    outcome = judged(options, one.cases)
    if not options["as_json"]:
        outcome.echo()
    outcome.write()
    if summary.read:
        write_report(options["html"], lambda: one.report(command_line(context)))
    if not summary.read:
        raise UsageError(summary.refused[0] if len(given) == 1 else f"no test could be read: {summary.refused[0]}")
    context.exit(outcome.status)


def _cases(found: Outcomes, memory: str, expected: str | None, forbidden: int) -> list[Case]:
    """A test as cases: its verdict, and what a run saw. ``expected``: the verdict that it differs from."""
    name, verdict = found.test.name, found.observation
    marks = {"test": name, "memory": memory, "observation": verdict or ""}
    if expected is not None:
        cases = [Case(memory, name, BROKEN, f"expected {expected}, found {verdict}", marks)]
    else:
        cases = [Case(memory, name, HOLDS if verdict else OPEN, "" if verdict else "not settled")]
    if forbidden:
        says = f"instances in states that x86-TSO forbids: {forbidden:,}"
        cases.append(Case(memory, f"{name} on this machine", BROKEN, says, {"test": name, "forbidden": "yes"}))
    return cases


@dataclass
class _One:
    """What is done with each test."""

    summary: Summary
    memory: str
    several: bool
    options: dict[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)
    """Of each test, for a page."""
    cases: list[Case] = field(default_factory=list)
    """Of each test, for --known and --junit."""
    sections: list[Section] = field(default_factory=list)
    """Of the first tests, for a page: their final states."""

    def look_at(self, file: str, result: Callable[[], Told]) -> None:
        """Print what was found of a test, and note it in the summary."""
        from stress.litmus.printing import unsupported_json

        told = result()
        if isinstance(told, Refused):
            said = told.why if file in told.why else f"{file}: {told.why}"
            self.summary.refuse(said)
            self.cases.append(Case(self.memory, told.name, OPEN, said))
            refused = unsupported_json(file, told.name, self.memory, told.why)
            if not told_as_json(self.options["as_json"], lambda: refused) and self.several:
                click.echo(said, err=True)
            return
        found, seen = told
        differing = self.summary.note(found, seen.forbidden if seen else 0)
        self.cases += _cases(found, self.memory, differing, seen.forbidden if seen else 0)
        if self.options["html"]:
            self._keep(found, seen)
        self._print(found, seen)

    def _keep(self, found: Outcomes, seen: Seen | None) -> None:
        from stress.litmus.printing import condition_line, seen_lines
        from stress.report.report import Section, Table

        figures = {"final states": len(found.states), "complete": found.complete, "visited": found.visited}
        self.rows.append({"test": found.test.name, "verdict": found.observation or "Undecided", **figures})
        if len(self.sections) < MOST_SHOWN:
            holds = found.test.condition.holds
            states = [
                {**{at.shown: value for at, value in state.items()}, "condition": "holds" if holds(state) else "-"}
                for state in found.states
            ]
            asked, said = condition_line(found.test), seen_lines(found.test, seen) if seen else []
            self.sections.append(Section(found.test.name, [Table(states)], before=[asked], behind=said))

    def report(self, command: str) -> Report:
        """Return the page: counts, a row for each test, and the final states of the first tests."""
        from stress.report.report import Report, Section, Table

        counts = [{"verdict": verdict, "tests": number} for verdict, number in self.summary.counts()]
        differing = [
            {"test": name, "expected": expected, "found": found} for name, expected, found in self.summary.differing
        ]
        said = [self.summary.compared()] if self.summary.compared() else []
        sections = [Section("Verdicts", [Table(counts), *([Table(differing)] if differing else [])], behind=said)]
        sections.append(Section("Tests", [Table(self.rows)]))
        sections += self.sections
        ok = not self.summary.differing and not self.summary.forbidden
        title = self.sections[0].title if len(self.rows) == 1 else f"{len(self.rows):,} litmus tests"
        lead = "Every final state that a test can end in, under the memory model that was searched."
        return Report(f"{title} under {self.memory}", command, sections, lead=lead, ok=ok)

    def _print(self, found: Outcomes, seen: Seen | None) -> None:
        from stress.litmus.printing import herd_lines, outcomes_json, seen_json, seen_lines

        if told_as_json(self.options["as_json"], lambda: {**outcomes_json(found), **(seen_json(seen) if seen else {})}):
            return
        lines = herd_lines(found) + (seen_lines(found.test, seen) if seen else [])
        click.echo("\n".join(lines) + "\n")
