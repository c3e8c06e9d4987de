"""The command `pte-stress soak`: designs in turn for as long as told, from seconds to days.

    pte-stress soak --hours 8
    pte-stress soak --minutes 5 --designs v12_sound,my_design.py:MINE

Each round is one `pte-stress run` in a process of its own, with a new seed that decides everything else: arch,
number of workers, pages, placement and mix. A round is one line of JSON at the end of the log (``--log``, default
soak.jsonl). Started again with the same log, it goes on where it was stopped: with the next round, and the totals so
far. Each failure is kept as one file in the folder beside the log: what `pte-stress run --save` wrote, or for a round
that did not end by itself its command and last words.

Disk is bounded: a log that has grown beyond ``--most-mb`` becomes soak.jsonl.1, in the place of an older one, and a
new log begins with the totals; beyond ``--most-failures`` failures are counted and no longer kept. Ctrl-C, SIGTERM
and SIGHUP end it after the round under way has been broken off, with the summary. Exit status: 0 no failure in all
rounds of the log, 1 some, 2 wrong usage, 3 the machine cannot do it, 130 ended by a signal.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from tabulate import tabulate

from shm_layout import leftovers
from shm_layout.errors import MachineError, UsageError
from shm_layout.placement import PLACEMENTS
from stress import designs
from stress.commands.cases import Judged, case_options, judged
from stress.commands.json_output import results_option, told_as_json
from stress.commands.options import MOST_WORKERS, SEEDS
from stress.commands.pictures import command_line, html_option, write_report
from stress.design import Design
from stress.report.case import BROKEN, HOLDS, Case
from stress.report.color import painted
from stress.report.words import plural
from stress.resolve import resolve_design
from stress.system.interrupts import ENDING
from stress.system.writing import write_file

if TYPE_CHECKING:
    from stress.report.report import Report

COMMAND = [sys.executable, "-P", "-m", "stress", "run", "--json"]
"""What a round runs: the package that is installed, whatever lies in the current folder (-P)."""
GRACE = 300.0
"""Seconds that a round may take beside its run: compiling, checks at rest."""
LOOK = 0.1
"""Seconds between two looks at whether the user wants it to end."""
END = 10.0
"""Seconds that a run has to end after it was asked to."""
INTERRUPTED = 128 + signal.SIGINT
"""Exit status of a run that was asked to end, and has printed what it measured; and of the soak."""
LAST_WORDS = 2000
"""Characters kept of what a round wrote to stderr."""
STARTS = (b'{"round": ', b'{"totals": ')
"""How a line of the log begins."""
LIMITS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}


NO_END = "end"
"""In the place of a check: a round that was killed, or ended with an error."""


@dataclass
class Sums:
    """What some rounds add up to."""

    rounds: int = 0
    operations: int = 0
    seconds: float = 0.0
    failures: int = 0
    broken: dict[str, int] = field(default_factory=dict)
    """Rounds by the check that broke, `NO_END` for one that did not end by itself."""

    def __post_init__(self) -> None:
        """Raises `TypeError` for what a log from elsewhere may say."""
        figures = {k: v for k, v in vars(self).items() if k != "broken"}
        if not all(isinstance(value, int | float) for value in (*figures.values(), *self.broken.values())):
            raise TypeError("no number")

    def add(self, record: dict[str, Any]) -> None:
        """Add a round."""
        self.rounds += 1
        self.operations += record["operations"]
        self.seconds += record["seconds"]
        self.failures += not record["ok"]
        for check in () if record["ok"] else record.get("broken") or (NO_END,):
            self.broken[check] = self.broken.get(check, 0) + 1


@dataclass
class Log:
    """The log, and what its rounds add up to by design, older logs included."""

    path: Path
    most_bytes: int
    sums: dict[str, Sums] = field(default_factory=dict)

    @property
    def failures_folder(self) -> Path:
        """Where failures are kept."""
        return self.path.with_name(self.path.name + ".failures")

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else writes to this log meanwhile. Makes the folder for failures. Raises `UsageError`."""
        if self.path.exists() and not self.path.is_file():
            raise UsageError(f"--log {self.path}: it is no file; name another one")
        self.failures_folder.mkdir(exist_ok=True)
        folder = os.open(self.failures_folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UsageError(f"--log {self.path}: another soak writes to it; name another one") from None
            yield
        finally:
            os.close(folder)

    @property
    def rounds(self) -> int:
        """Rounds so far."""
        return sum(s.rounds for s in self.sums.values())

    @property
    def failures(self) -> int:
        """Failures so far."""
        return sum(s.failures for s in self.sums.values())

    def read(self) -> None:
        """Add up what is there; a last line that was not finished is cut off. Raises `UsageError` for another file."""
        if not self.path.exists():
            return
        whole = 0
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    if line.endswith(b"\n"):
                        self._add(json.loads(line))
                    elif not any(start.startswith(line[: len(start)]) for start in STARTS):
                        raise ValueError(line)
                    else:
                        break
                except (ValueError, KeyError, TypeError, AttributeError):
                    raise UsageError(f"{self.path}, line {number}, is no round of a soak; name another --log") from None
                whole += len(line)
        os.truncate(self.path, whole)

    def _add(self, record: dict[str, Any]) -> None:
        if "totals" in record:
            self.sums = {name: Sums(**sums) for name, sums in record["totals"].items()}
        else:
            self.sums.setdefault(record["design"], Sums()).add(record)

    def append(self, record: dict[str, Any]) -> None:
        """Write a round; begin a new log when this one has become too large."""
        self._add(record)
        self._write(self.path, "a", record)
        if self.path.stat().st_size > self.most_bytes:
            new = self.path.with_name(self.path.name + ".new")
            self._write(new, "w", {"totals": {name: asdict(sums) for name, sums in self.sums.items()}})
            shutil.copyfile(self.path, self.path.with_name(self.path.name + ".1"))
            os.replace(new, self.path)  # at no moment is there a log without the totals
            click.echo(f"{self.path} was full: it is {self.path}.1 now, and what was there before is gone")

    @staticmethod
    def _write(path: Path, mode: str, record: dict[str, Any]) -> None:
        with path.open(mode) as log:
            log.write(json.dumps(record) + "\n")

    def summary(self) -> str:
        """Return a table by design."""
        rows = [(name, s.rounds, s.operations, s.seconds, s.failures) for name, s in sorted(self.sums.items())]
        headers = ("design", "rounds", "operations", "seconds", "failures")
        return str(tabulate(rows, headers=headers, intfmt=",", floatfmt=",.0f"))


MOST_LINKS = 200
"""Failures that the page of a soak leads to."""


def _figures(sums: Sums) -> dict[str, Any]:
    return {k: v for k, v in asdict(sums).items() if k != "broken"}


def _judged(options: dict[str, Any], log: Log) -> Judged:
    """The designs as cases, one for each check that broke, held against --known."""
    cases = []
    for name, sums in sorted(log.sums.items()):
        counted = sums.failures - sum(sums.broken.values())
        broken = {**sums.broken, **({NO_END: counted} if counted > 0 else {})}  # of logs that did not say which
        for check, rounds in broken.items():
            says = f"in {rounds:,} of {sums.rounds:,} rounds; failures are in {log.failures_folder}"
            cases.append(Case(name, check, BROKEN, says, {"design": name, "check": check}))
        if not broken:
            cases.append(Case(name, f"{sums.rounds:,} rounds", HOLDS))
    return judged(options, cases)


def _report(log: Log, command: str) -> Report:
    from stress.report.plot import Bars
    from stress.report.report import Link, Report, Section, Table, plots

    rates = {name: s.operations / s.seconds for name, s in sorted(log.sums.items()) if s.seconds}
    rows = [
        {"design": name, **_figures(s), "operations a second": round(rates[name]) if name in rates else None}
        for name, s in sorted(log.sums.items())
    ]
    picture = plots("Operations a second", Bars("Operations a second", "operations a second", rates)) if rates else []
    sections = [Section("Designs", [Table(rows)] if rows else [], picture)]
    if kept := sorted(log.failures_folder.iterdir())[:MOST_LINKS]:
        links = [{"failure": Link(path.name, path.absolute().as_uri())} for path in kept]
        before = ["A file is for `pte-stress hunt --from`, which looks for what can be replayed."]
        sections.append(Section("Failures", [Table(links)], before=before))
    verdict = f"{plural(log.failures, 'failure')} in {plural(log.rounds, 'round')}"
    return Report("A soak", command, sections, lead="Designs stressed in turn.", verdict=verdict, ok=not log.failures)


def draw_round(design: Design, named: str, seed: int, seconds: float) -> list[str]:
    """Return the arguments of `pte-stress run` for a round: all that the seed decides."""
    rng = random.Random(seed)
    cores = len(os.sched_getaffinity(0))
    arguments = {
        "design": named,
        "seed": seed,
        "seconds": seconds,
        "arch": rng.choice(("64", "pae")),
        "workers": rng.randint(2, min(max(2 * cores, 4), MOST_WORKERS)),
        "pages": rng.choice((1, 2, 8, 64, 512, 4096)),
        "file-pages": rng.choice((0, 2, 32)),
        "placement": rng.choice(list(PLACEMENTS)),
    }
    if rng.random() < 0.5:
        # Every operation has a weight: another set of operations would have to be compiled anew.
        names = [name for name in design.programs if name != "precise"]
        weights = {name: rng.randint(1, 9) * (10 if name == "fault" else 1) for name in names}
        weights["exit"] = sum(weights.get(name, 0) for name in ("fork", "clone")) + 1
        arguments["mix"] = ",".join(f"{name}={weight}" for name, weight in weights.items() if name in names)
    return [word for name, value in arguments.items() for word in (f"--{name}", str(value))]


class Stop:
    """Whether the user wants the soak to end. A signal only says so: it can come at any moment."""

    asked = False

    def listen(self) -> None:
        """From now on signals ask for the end, those that are ignored (nohup) excepted."""
        for number in ENDING:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._ask)

    def _ask(self, number: int, frame: object) -> None:
        self.asked = True


def _end(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Have a run end by itself, with what it has measured; killed, and cleaned up after, when it does not."""
    process.terminate()
    try:
        return process.communicate(timeout=END)
    except subprocess.TimeoutExpired:
        process.kill()
        said = process.communicate()
        leftovers.clean()
        return said


def execute(arguments: Sequence[str], timeout: float, stop: Stop) -> tuple[int | None, str, str]:
    """Run `pte-stress run`: status (None: it had to be ended), stdout, stderr. It ends, too, when the soak does."""
    command = [*COMMAND, *arguments]
    # In a session of its own, so that a Ctrl-C comes here alone.
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        end = time.monotonic() + timeout
        while not stop.asked and time.monotonic() < end:
            with contextlib.suppress(subprocess.TimeoutExpired):
                out, err = process.communicate(timeout=LOOK)
                return process.returncode, out, err
        out, err = _end(process)
        if not stop.asked:
            return None, out, err
        # One that was not yet ready to end by itself has nothing to say.
        return INTERRUPTED if process.returncode == -signal.SIGTERM else process.returncode, out, err


def play_round(  # noqa: PLR0917
    number: int, design: Design, named: str, seed: int, seconds: float, save: Path, stop: Stop
) -> dict[str, Any]:
    """Play one round and return its record; write a failure to ``save``. Seconds are those of the run, if any."""
    arguments = draw_round(design, named, seed, seconds)
    save.unlink(missing_ok=True)  # of a round of this number that was not written to the log
    started, began = time.strftime("%Y-%m-%dT%H:%M:%S%z"), time.monotonic()
    status, out, err = execute([*arguments, "--save", str(save)], seconds + GRACE, stop)
    record: dict[str, Any] = {
        "round": number,
        "started": started,
        "design": named,
        "seed": seed,
        "command": ["pte-stress", "run", *arguments],
        "status": status,
        "seconds": round(time.monotonic() - began, 3),
        "operations": 0,
        "ok": status == 0,
        "broken": [],
        "failure": None,
    }
    if status in (0, 1, INTERRUPTED) and out:
        result = json.loads(out)
        # A run that a failed assertion ended has no figures.
        record["operations"] = sum(result.get("ops", {}).values())
        record["seconds"] = round(result.get("seconds", record["seconds"]), 3)
        record["broken"] = [check["name"] for check in result["checks"] if not check["ok"]]
        record["ok"] = result["ok"]
    if not record["ok"] and (status != INTERRUPTED or record["broken"]):
        if not save.exists():
            told = {"command": record["command"], "status": status, "stderr": err[-LAST_WORDS:]}
            write_file("--log", save, (json.dumps(told, indent=1) + "\n").encode())
        record["failure"] = str(save)
    return record


def _told(record: dict[str, Any]) -> str:
    if record["ok"]:
        return f"holds, {record['operations']:,} operations"
    why = ", ".join(record["broken"]) or (
        "killed: no end" if record["status"] is None else f"status {record['status']}"
    )
    return f"FAILED: {why}; kept in {record['failure'] or 'no file any more'}"


def play(  # noqa: PLR0917
    log: Log, turns: Sequence[tuple[str, Design]], limit: float, round_seconds: float, most_failures: int, stop: Stop
) -> None:
    """Play rounds until the time is over or the user stops it. ``turns``: designs in turn, as they were named."""
    end = time.monotonic() + limit
    while not stop.asked and (left := end - time.monotonic()) > 0:
        number = log.rounds
        name, design = turns[number % len(turns)]
        seed = random.SystemRandom().randrange(SEEDS)
        click.echo(f"round {number}: {name}, seed {seed}: ", nl=False)
        save = log.failures_folder / f"round-{number:07}.json"
        record = play_round(number, design, name, seed, round(min(round_seconds, max(left, 0.1)), 3), save, stop)
        if record["failure"] and log.failures >= most_failures:
            save.unlink()
            record["failure"] = None
        if record["status"] != INTERRUPTED or record["operations"]:
            click.echo(painted(_told(record)))
            log.append(record)
            told_as_json(False, partial(dict, record))
        if record["status"] == INTERRUPTED:  # by whomever
            stop.asked = True


@click.command()
@click.option("--seconds", type=click.FloatRange(0), default=0.0)
@click.option("--minutes", type=click.FloatRange(0), default=0.0)
@click.option("--hours", type=click.FloatRange(0), default=0.0)
@click.option("--days", type=click.FloatRange(0), default=0.0, help="How long, all four added up.")
@click.option("--designs", "chosen", metavar="NAME,...", help="Designs in turn  [default: all that are sound]")
@click.option("--round-seconds", type=click.FloatRange(0.1), default=10.0, show_default=True, help="Length of a run.")
@click.option(
    "--log",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    default="soak.jsonl",
    show_default=True,
    help="Where each round is a line; failures lie in the folder beside it.",
)
@click.option("--most-mb", type=click.FloatRange(0), default=64.0, show_default=True, help="Size of the log, MiB.")
@click.option("--most-failures", type=click.IntRange(0), default=1000, show_default=True, help="Failures to keep.")
@html_option("Write the summary as a page for a browser, in the end.")
@case_options
@results_option
@click.pass_context
def soak(context: click.Context, /, **options: Any) -> None:
    """Stress designs in turn for as long as told, each round with a new seed that decides everything else.

    Started again with the same log, it goes on where it was stopped. Each failure is kept as a file for
    `pte-stress hunt --from`. Ctrl-C ends it after the round under way has been broken off, with the summary.
    """
    chosen, path, most_failures = options["chosen"], options["path"], options["most_failures"]
    limit = sum(options[unit] * seconds for unit, seconds in LIMITS.items())
    for name in (*LIMITS, "round_seconds", "most_mb"):
        if not math.isfinite(options[name]):
            raise UsageError(f"--{name.replace('_', '-')} {options[name]}: give a number")
    if limit <= 0:
        raise UsageError("for how long? Give --seconds, --minutes, --hours or --days")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"--log {path}: no such folder; make it first")
    named = chosen.split(",") if chosen else [name for name in designs.names() if name not in designs.BROKEN]
    turns = [(name, resolve_design(name)) for name in named]
    log, stop = Log(path, int(options["most_mb"] * (1 << 20))), Stop()
    try:
        with log.alone():
            log.read()
            if log.rounds:
                click.echo(f"{path} has {log.rounds} rounds: going on")
            stop.listen()
            play(log, turns, limit, options["round_seconds"], most_failures, stop)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise MachineError(f"{error.filename or path}: {error.strerror}; earlier rounds are kept") from None
    if stop.asked:
        click.echo("stopped")
    click.echo(f"\n{log.summary()}")
    outcome = _judged(options, log)
    outcome.echo()
    outcome.write(seconds=sum(s.seconds for s in log.sums.values()))
    write_report(options["html"], lambda: _report(log, command_line(context)))
    if log.failures > most_failures:
        click.echo(f"{log.failures:,} failures; the first {most_failures:,} are kept")
    context.exit(INTERRUPTED if stop.asked else outcome.status)
