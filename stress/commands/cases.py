"""What a command found, case by case: for `--junit FILE`, and for `--known FILE`, which makes known failures no news.

A case is a check of a design, a finding, a litmus test. Commands make them, and `judged` says which of those that
failed are new, what is printed about it, and the exit status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from stress.commands.known import Known, read_known
from stress.commands.options import writable_file
from stress.report.case import BROKEN, HOLDS, OPEN, Case

_F = TypeVar("_F", bound=Callable[..., Any])

@dataclass(frozen=True)
class Judged:
    """The cases of a command, and which of those that failed are known."""

    cases: Sequence[Case]
    known: Known | None
    junit: Path | None

    def is_known(self, case: Case) -> bool:
        """Whether a case failed before, as ``--known`` says."""
        return case.failed and self.known is not None and self.known.has(case.marks)

    def names(self, *, known: bool) -> list[str]:
        """The failures that are known, or those that are new."""
        return [f"{case.of}: {case.name}" for case in self.cases if case.failed and self.is_known(case) is known]

    @property
    def status(self) -> int:
        """The exit status: 1 when a failure is new."""
        return 1 if self.names(known=False) else 0

    def as_json(self) -> dict[str, Any]:
        """What --json prints of it: nothing without ``--known``."""
        if self.known is None:
            return {}
        return {
            "known": {
                "file": str(self.known.path),
                "failures": self.names(known=True),
                "new": self.names(known=False),
            }
        }

    def echo(self) -> None:
        """Print which failures are known and which are new, where ``--known`` is given."""
        if self.known is not None:
            from stress.report.fitted import fitted_text

            old, new = (", ".join(self.names(known=k)) or "none" for k in (True, False))
            click.echo(fitted_text(f"known failures (--known {self.known.path}): {old}"))
            click.echo(fitted_text(f"new failures: {new}"))

    def write(self, *, seconds: float = 0.0) -> None:
        """Write what ``--junit`` asks for. ``seconds``: how long the command took."""
        if self.junit is None:
            return
        from stress.commands.junit import junit_xml
        from stress.system.writing import write_file

        write_file("--junit", self.junit, junit_xml(self.cases, self.is_known, seconds))


def judged(options: Mapping[str, Any], cases: Iterable[Case]) -> Judged:
    """Hold cases against ``--known``. ``options``: what `case_options` passed."""
    return Judged(tuple(cases), options["known"], options["junit"])


def check_cases(
    design: Iterable[str],
    broken: Sequence[tuple[str, str, Mapping[str, str]]],
    looked_at: Sequence[str] = (),
    *,
    open_because: str = "",
) -> list[Case]:
    """The checks of a design as cases.

    ``design``: its name, and what else it was called by. ``broken``: check, what is wrong, further marks.
    ``looked_at``: names of checks, all by default. ``open_because``: why a check that was not seen broken may be.
    """
    from stress.checks import CHECKS

    names = tuple(design)
    cases = [
        Case(names[0], check, BROKEN, says, {"design": names, "check": check, **marks}) for check, says, marks in broken
    ]
    seen = {case.name for case in cases}
    state = OPEN if open_because else HOLDS
    rest = [check for check in looked_at or CHECKS if check not in seen]
    return [*cases, *(Case(names[0], check, state, open_because) for check in rest)]


def _known(context: click.Context, parameter: click.Parameter, value: Path | None) -> Known | None:
    return None if value is None else read_known(value)


def _junit(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    return writable_file("--junit", value)


def case_options(command: _F) -> _F:
    """Passes ``known: Known | None`` and ``junit: Path | None``, for `judged`."""
    known = click.option(
        "--known",
        type=click.Path(path_type=Path),
        metavar="FILE",
        callback=_known,
        help="Failures that are known: only others make the exit status 1. What --json or --save wrote, or a folder"
        " with such files.",
    )
    junit = click.option(
        "--junit",
        type=click.Path(path_type=Path),
        metavar="FILE",
        callback=_junit,
        help="Write what holds and what does not as JUnit XML, for CI.",
    )
    return known(junit(command))
