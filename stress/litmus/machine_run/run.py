"""Running a test on this machine: processes, one for each thread, and what they saw, held against x86-TSO."""

from __future__ import annotations

import mmap
import multiprocessing
import os
import platform
import time
from collections import Counter
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numba import types

from shm_layout.errors import MachineError
from stress.compiling.modules import compiled_module
from stress.litmus.conditions import Location, State
from stress.litmus.machine_run import loop_source as source
from stress.litmus.machine_run.seen import Seen
from stress.litmus.outcomes import Outcomes, value_of
from stress.litmus.test import Test
from stress.litmus.unsupported import Unsupported
from stress.system.cpus import allowed_cpus
from stress.system.prctl import die_with

_X86 = ("x86_64", "AMD64", "i686")


def run(model: Outcomes, seconds: float, seed: int) -> Seen:
    """Run the test of ``model``, its outcomes under tso, on this machine for so long.

    Raises `Unsupported` for a test that cannot run, `MachineError` where the machine is no x86 or a process fails.
    """
    test = model.test
    if platform.machine() not in _X86:
        raise MachineError(f"--run holds what it sees against x86-TSO, and this machine is {platform.machine()}")
    source.unfit(test)
    more = sorted(set(test.filter.locations()) - set(test.locations)) if test.filter else []
    observed = [*test.locations, *more]
    layout = source.Layout(test, observed)
    loops = [_compiled(compiled(test, number, layout)["run"]) for number in range(len(test.threads))]
    with mmap.mmap(-1, 8 * layout.size) as shared:
        words = np.frombuffer(shared, np.int64)
        try:
            elapsed, rows = _processes(loops, words, layout, seconds, seed)
            batches, blocked = int(words[source.BATCHES]), bool(words[source.BLOCKED])
        finally:
            del words
    if blocked:
        raise Unsupported("a lock that is waited for without end, with --run", test.threads[0].places[0])
    return _judged(model, observed, rows, batches, elapsed, seed)


def compiled(test: Test, number: int, layout: source.Layout) -> dict[str, Any]:
    """Return the functions of a process: ``run``, its loop, and ``body``, thread ``number`` on one instance."""
    return compiled_module("litmus", source.loop_source(test, number, layout), {})


def _compiled(loop: Any) -> Any:
    array = types.int64[::1]
    loop.compile((array, types.int64, array, array, array))
    return loop


def _processes(
    loops: list[Any], words: Any, layout: source.Layout, seconds: float, seed: int
) -> tuple[float, Counter[tuple[int, ...]]]:
    context = multiprocessing.get_context("fork")
    cpus = allowed_cpus()
    parent = os.getpid()
    crew = []
    for number, loop in enumerate(loops):
        receiving, sending = context.Pipe(duplex=False)
        arguments = (loop, words, len(layout.observed), 2 * seed + 1, cpus[number % len(cpus)], parent, sending)
        process = context.Process(target=_work, args=arguments, daemon=True)
        process.start()
        sending.close()
        crew.append((process, receiving))
    begin = time.monotonic()
    try:
        while time.monotonic() < begin + seconds and all(process.is_alive() for process, _ in crew):
            time.sleep(min(0.02, seconds))
            if words[source.STOP]:
                break
        words[source.STOP] = max(1, words[source.STOP])
        rows: Counter[tuple[int, ...]] = Counter()
        for process, receiving in crew:
            while not receiving.poll(0.05):
                if not process.is_alive():
                    words[source.STOP] = source.GIVEN_UP
                    raise MachineError(f"a process of the test ended early, with status {process.exitcode}")
            for row, count in receiving.recv():
                rows[row] += count
        return time.monotonic() - begin, rows
    finally:
        words[source.STOP] = source.GIVEN_UP
        for process, receiving in crew:
            process.join(1)
            if process.is_alive():
                process.kill()
                process.join()
            receiving.close()


def _work(  # noqa: PLR0917
    loop: Any, words: Any, columns: int, seed: int, cpu: int, parent: int, sending: Connection
) -> None:
    """Perform one thread of the test in a process of its own, and send what it saw."""
    die_with(parent)
    os.sched_setaffinity(0, {cpu})
    table = np.zeros(source.OUTCOMES * max(1, columns), np.int64)
    index = np.zeros(2 * source.OUTCOMES, np.int64)
    counts = np.zeros(source.OUTCOMES, np.int64)
    found = loop(words, seed, table, index, counts)
    rows = table.reshape(source.OUTCOMES, -1)[:found, :columns].tolist()
    sending.send([(tuple(row), int(count)) for row, count in zip(rows, counts, strict=False)])
    sending.close()
    os._exit(0)


def _judged(  # noqa: PLR0917
    model: Outcomes,
    observed: list[Location],
    rows: Mapping[tuple[int, ...], int],
    batches: int,
    seconds: float,
    seed: int,
) -> Seen:
    test = model.test
    allowed = {tuple(state.values()) for state in model.states}
    counts: Counter[tuple[Any, ...]] = Counter()
    for row, count in rows.items():
        state = {location: value_of(test, number) for location, number in zip(observed, row, strict=True)}
        if test.filter is None or test.filter.holds(state):
            counts[tuple(state[location] for location in test.locations)] += count
    judged: list[tuple[State, int, bool | None]] = []
    for values, count in counts.most_common():
        verdict = True if values in allowed else False if model.all_states else None
        judged.append((dict(zip(test.locations, values, strict=True)), count, verdict))
    cpus = min(len(test.threads), len(allowed_cpus()))
    instances = batches * source.INSTANCES
    return Seen(judged, instances, seconds, len(test.threads), cpus, len(allowed), seed)
