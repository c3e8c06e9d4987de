"""Rounds of a soak that the workers of a cluster play, each a `pte-stress run` of its own on its machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from stress.cluster.connecting import connected
from stress.cluster.sent import Sent
from stress.cluster.shards import Shards
from stress.commands.soak_log import Log
from stress.commands.soak_round import Round, Stop, play_round
from stress.design import Design
from stress.system.writing import write_file

FAILURE = Path("failure.json")
"""What a round failed with, in the folder of its shard."""


@dataclass(frozen=True)
class Task:
    """A round, and the design that it takes."""

    design: Sent
    round: Round


@dataclass(frozen=True)
class Played:
    """The record of a round, and the file with what it failed with, if it did."""

    record: dict[str, Any]
    failure: bytes | None


def play_task(task: Task) -> Played:
    """On a worker: play a round."""
    design = task.design.resolve()
    given = replace(task.round, named=task.design.name)
    record = play_round(0, design, given, FAILURE, Stop())
    return Played(record, FAILURE.read_bytes() if record["failure"] else None)


def named_here(played: Played, number: int, given: Round, save: Path) -> dict[str, Any]:
    """Return the record with its number, the design as the user named it, and its failure in a file here."""
    sent = played.record["design"]

    def renamed(told: dict[str, Any]) -> dict[str, Any]:
        """With the design's name, and the command that has it, as they are here."""
        command = [given.named if word == sent else word for word in told.get("command", [])]
        names = {"design": given.named, "command": command}
        return told | {key: name for key, name in names.items() if key in told}

    record = renamed(played.record) | {"round": number}
    if played.failure is not None:
        write_file("--log", save, (json.dumps(renamed(json.loads(played.failure)), indent=1) + "\n").encode())
        record["failure"] = str(save)
    return record


def play_there(address: str, log: Log, rounds: Iterator[tuple[Design, Round]], stop: Stop) -> Iterator[dict[str, Any]]:
    """Have rounds played by all workers, and yield their records as they come; see `connected` for ``address``.

    A round has the number of its record: what was under way when the soak ended has none. When the user stops it,
    rounds that are under way are left.
    """
    with connected(address) as cluster:
        shards: Shards[Task, Played] = Shards(cluster, play_task, again=False)
        more = True
        try:
            while (more or shards.under_way) and not stop.asked:
                for _ in range(shards.free if more else 0):
                    if (drawn := next(rounds, None)) is None:
                        more = False
                        break
                    shards.add(Task(Sent.of(drawn[1].named), drawn[1]))
                if (done := shards.take(0.2)) is not None:
                    number, given = log.rounds, done.item.round
                    record = named_here(done.result(), number, given, log.failure(number))
                    click.echo(f"round {number}: {given.named}, seed {given.seed}: ", nl=False)
                    yield record
        finally:
            shards.close()
