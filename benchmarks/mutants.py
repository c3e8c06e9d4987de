"""How many broken designs `pte-stress hunt` catches: v12_sound with one edit each, see `mutant_designs.py`.

    python benchmarks/mutants.py [--seconds 10] [--only NAME ...] [--dask ADDRESS|local] [--json]

Each mutant is hunted for the given time at most, the arches on which it differs from v12_sound one after the other,
up to the first find, which Hypothesis may make smaller for a moment. Nothing is remembered between runs, so all take
17 minutes at most; with --dask the workers of a cluster hunt a mutant each (docs/cluster.md). A mutant that is missed
is tried on a workload written by hand, if it has one, and is listed. Exit status 1 when one survives that is not
explained as harmless, or one is caught that is.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import one_line
from tabulate import tabulate

sys.path.insert(0, str(Path(__file__).parent))

from hypothesis.database import InMemoryExampleDatabase
from mutant_designs import MUTANTS, SOUND, Mutant, get

from stress import designs
from stress.cluster.connecting import connected
from stress.cluster.sent import SentCall, make
from stress.cluster.shards import Shards
from stress.commands.options import dask_option
from stress.explore import explore
from stress.explore.hunt.hunt import Hunt, TimeUp
from stress.explore.hunt.workloads import batches_of, kinds_of, workloads
from stress.report.progress import steps_shown
from stress.workload import Workload

SMALLER = 2.0
"""Seconds for making the first find smaller."""


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant. ``check``, ``arch``, ``workload``, ``length`` of the smallest find, None without.

    ``seconds`` until the first find, or all that were spent; ``workloads``: how many were explored altogether.
    ``by_hand``: what the workload written by hand breaks, where the hunt found nothing; empty for nothing.
    """

    mutant: str
    what: str
    check: str | None
    arch: str | None
    workload: str | None
    length: int | None
    seconds: float
    workloads: int
    harmless: str
    by_hand: str = ""

    @property
    def as_expected(self) -> bool:
        """Caught, by hunt or by hand, or explained as harmless; not both."""
        return (self.check is None and not self.by_hand) == bool(self.harmless)


def hunt(mutant: Mutant, seconds: float, seed: int) -> Outcome:
    """Hunt a mutant until the first find."""
    design = mutant.design()
    arches = mutant.arches()
    spent, explored = 0.0, 0
    for done, arch in enumerate(arches):
        found_at: list[float] = []

        def note(hunt: Hunt, found_at: list[float] = found_at) -> None:
            if hunt.finds and not found_at:
                found_at.append(time.monotonic())
            if found_at and time.monotonic() > found_at[0] + SMALLER:
                raise TimeUp

        begin = time.monotonic()
        hunted = Hunt(
            design,
            workloads(kinds_of(design), arch, batches=batches_of(design)),
            seconds=max(0.1, (seconds - spent) / (len(arches) - done)),
            seed_=seed + 1000 * done,
            first=True,
            progress=note,
            database=InMemoryExampleDatabase(),
        )
        hunted.run()
        explored += hunted.workloads
        if hunted.interrupted:
            raise KeyboardInterrupt
        if hunted.finds:
            best = hunted.distinct()[0]
            spent += (found_at[0] if found_at else time.monotonic()) - begin
            return Outcome(
                mutant.name,
                mutant.what,
                best.signature[0],
                arch,
                str(best.workload),
                best.violation.length,
                spent,
                explored,
                mutant.harmless,
            )
        spent += hunted.elapsed
    tried = _by_hand(mutant, arches) if mutant.by_hand else ""
    return Outcome(mutant.name, mutant.what, None, None, None, None, spent, explored, mutant.harmless, tried)


def hunted(name: str, seconds: float, seed: int) -> dict[str, Any]:
    """Hunt a mutant on a worker of a cluster; returns the fields of its `Outcome`."""
    return asdict(hunt(get(name), seconds, seed))


def outcomes_of(chosen: list[Mutant], seconds: float, seed: int, dask: str | None) -> Iterator[Outcome]:
    """Yield the outcome of each of these mutants, in order, as they come."""
    if dask is None:
        explore(designs.get(SOUND), Workload.parse("exit"))  # compile
        yield from (hunt(mutant, seconds, seed) for mutant in chosen)
        return
    with connected(dask) as cluster:
        calls = [SentCall.of(hunted, mutant.name, seconds, seed) for mutant in chosen]
        for _, result in Shards(cluster, make).in_order(calls):
            yield Outcome(**result())


def _by_hand(mutant: Mutant, arches: list[str]) -> str:
    """Return what the workload written by hand breaks in the mutant and not in the sound design; empty for nothing."""
    for arch in arches:
        workload = Workload.parse(mutant.by_hand, arch=arch, mmu=True)
        if explore(designs.get(SOUND), workload).violations:
            continue
        for violation in explore(mutant.design(), workload).violations:
            return f"{violation.check} in {violation.length} steps on {arch}: {workload}"
    return ""


def show(outcomes: list[Outcome]) -> None:
    """Print the table, what the hunt missed, and the share that it caught."""
    rows = [
        {
            "mutant": o.mutant,
            "caught by": o.check or "-",
            "arch": o.arch or "-",
            "smallest workload": o.workload or "-",
            "steps": o.length,
            "seconds": o.seconds,
        }
        for o in outcomes
    ]
    click.echo(tabulate(rows, headers="keys", floatfmt=".1f"))
    for o in outcomes:
        if o.by_hand:
            click.echo(f"{o.mutant} is missed by hunt in {o.seconds:.0f} s: {o.what}; by hand: {o.by_hand}")
        elif o.check is None:
            click.echo(f"{o.mutant} survives: {o.what}; {o.harmless or 'NOT EXPLAINED'}")
        if o.harmless and not o.as_expected:
            click.echo(f"{o.mutant} is caught, but said to be harmless: {o.harmless}")
    caught = sum(o.check is not None for o in outcomes)
    by_hand = sum(bool(o.by_hand) for o in outcomes)
    harmless = sum(o.as_expected and bool(o.harmless) for o in outcomes)
    share = 100 * caught / max(1, len(outcomes))
    click.echo(
        f"hunt catches {caught} of {len(outcomes)} mutants ({share:.0f} %); {by_hand} only on a workload written by "
        f"hand, {harmless} explained as harmless, {len(outcomes) - caught - by_hand - harmless} not explained"
    )


@click.command()
@click.option("--seconds", type=float, default=10, show_default=True, help="Time for each mutant, at most.")
@click.option("--only", multiple=True, type=click.Choice([m.name for m in MUTANTS]), help="This one; may be repeated.")
@click.option("--seed", type=int, default=1, show_default=True)
@dask_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def main(seconds: float, only: tuple[str, ...], seed: int, dask: str | None, as_json: bool) -> None:
    """Hunt mutants of v12_sound."""
    chosen = [get(name) for name in only] or list(MUTANTS)
    outcomes: list[Outcome] = []
    try:
        for outcome in steps_shown(outcomes_of(chosen, seconds, seed, dask), "hunting mutants", len(chosen)):
            outcomes.append(outcome)
    except KeyboardInterrupt:
        click.echo("interrupted: what follows is what was hunted until then", err=True)
    if as_json:
        caught = sum(o.check is not None for o in outcomes)
        click.echo(json.dumps({"mutants": [asdict(o) for o in outcomes], "caught": caught, "of": len(outcomes)}))
    else:
        show(outcomes)
    sys.exit(0 if len(outcomes) == len(chosen) and all(o.as_expected for o in outcomes) else 1)


if __name__ == "__main__":
    one_line.run(main)
