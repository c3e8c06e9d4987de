"""One round of a soak: a `pte-stress run` in a process of its own, all of which a seed decides."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shm_layout import leftovers
from shm_layout.placement import PLACEMENTS
from stress.commands.options import MOST_WORKERS
from stress.design import Design
from stress.system.interrupts import ENDING
from stress.system.writing import write_file

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


@dataclass(frozen=True)
class Round:
    """A round that is to be played: a design as it was named, the seed that decides all else, and how long."""

    named: str
    seed: int
    seconds: float


def play_round(number: int, design: Design, given: Round, save: Path, stop: Stop) -> dict[str, Any]:
    """Play one round and return its record; write a failure to ``save``. Seconds are those of the run, if any."""
    named, seed, seconds = given.named, given.seed, given.seconds
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
