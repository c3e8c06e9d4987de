"""A sample of the operations of a run as a trace for ui.perfetto.dev: a track for each worker, in real time."""

from __future__ import annotations

from shm_layout.errors import MachineError
from stress.report.trace_events import named, slice_of, trace_file
from stress.workers.loop import block
from stress.workers.pool import Pool


def perfetto(pool: Pool) -> str:
    """The text of a trace file: the last `block.SAMPLES` operations that each worker timed, one in 64 of all.

    Times are in microseconds from the first of them. Raises `MachineError` where the CPU's clock cannot be read.
    """
    elapsed = int(pool.column(block.ELAPSED_TICKS).sum())
    if elapsed == 0:
        raise MachineError("--perfetto needs a time stamp counter, which this CPU does not let programs read")
    microseconds = int(pool.column(block.ELAPSED_NS).sum()) / elapsed / 1000
    names = {number - 1: name for name, number in pool.numbers.items()}
    samples = []
    for worker in range(pool.workers):
        kept = min(block.SAMPLES, int(pool.column(block.SAMPLED)[worker, 0]))
        row = pool.column(block.SAMPLE, block.SAMPLES * block.SAMPLE_WORDS)[worker]
        for operation, begin, end in row[: kept * block.SAMPLE_WORDS].reshape(-1, block.SAMPLE_WORDS).tolist():
            samples.append((begin, end, worker, names[operation]))
    samples.sort()
    first = samples[0][0] if samples else 0
    events = named(f"run of {pool.design.name}", [f"worker {worker}" for worker in range(pool.workers)])
    for begin, end, worker, name in samples:
        times = ((ticks - first) * microseconds for ticks in (begin, end))
        events.append(slice_of(worker + 1, name, "operation", *times))
    return trace_file(events, {"design": pool.design.name, "sample": "one operation in 64, the last of each worker"})
