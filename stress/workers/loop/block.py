"""What lies after the modelled machine in the segment: one block for each worker, and a line for all.

Each part is declared once; offsets are computed from the declarations, in words from the start of the block.
A part that another process polls, or that the launcher writes, begins on a cache line of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from shm_layout.errors import UsageError
from shm_layout.layout import Layout
from shm_layout.registers import REGISTERS
from shm_layout.structs import LINE_WORDS
from stress.design import Design
from stress.kernel.account import ACCOUNT_WORDS
from stress.operation import OPERATIONS

MAX_OPERATIONS = 32
"""Operations that a design can have."""
KINDS = ("anon write", "anon read", "file", "swap-in", "copy-on-write", "young")
"""Kinds of fault, by what the fault found; only those count that were not raced."""
SCRIPT_CALLS = 64
"""Calls that a worker can be given at once."""
CALL_WORDS = 9
"""Words of a call: operation, address, end, write, arg; resident and shared as shown, anon_rss; 1 when performed."""
C_OP, C_ADDRESS, C_END, C_WRITE, C_ARG, C_RESIDENT, C_SHARED, C_ANON_RSS, C_DONE = range(CALL_WORDS)


@dataclass(frozen=True)
class Part:
    """Some words of a block: offset and length in words, who writes them, what they are for."""

    name: str
    offset: int
    words: int
    writers: str
    doc: str


PARTS: list[Part] = []


def _part(name: str, writers: str, doc: str, words: int = 1, line: bool = False) -> int:
    end = PARTS[-1].offset + PARTS[-1].words if PARTS else 0
    offset = -(-end // LINE_WORDS) * LINE_WORDS if line else end
    PARTS.append(Part(name, offset, words, writers, doc))
    return offset


# the launcher writes, before it wakes the worker
COMMAND = _part("command", "launcher", "what to do, see the commands below", line=True)
SERIAL = _part("serial", "launcher", "number of the command")
COUNT = _part("count", "launcher", "operations to perform, 0: until told to pause; or calls in the script")
SEED = _part("seed", "launcher", "seed of this worker's random numbers")
FIRST = _part("first", "launcher", "first virtual page of the worker's area")
END = _part("end", "launcher", "one past its last virtual page")
WRITES = _part("writes", "launcher", "write accesses among the faults, in 1024; of a sweep: all or none")
SPAN = _part("span", "launcher", "most pages of one zap or fork")
WAIT_FOR = _part("wait_for", "launcher", "workers that start together, 0: no barrier")
BLOCKS = _part("blocks", "launcher", "index of worker 0's block")
STRIDE = _part("stride", "launcher", "words from one block to the next")
WORKERS = _part("workers", "launcher", "number of workers")
SHARED = _part("shared", "launcher", "index of the line that all workers share")
BOUND = _part("bound", "launcher", "how far a read may be off, pages; -1: no bound")
ONLY_OWN = _part("only_own", "launcher", "1: reads are of the task's own mm alone")
JUDGE = _part("judge", "launcher", "1: what reads show is compared with the truth")
TARGET = _part("target", "launcher", "mm that a check or a scan is about")
MIX = _part("mix", "launcher", "by operation: all draws below this choose it or an earlier one", MAX_OPERATIONS, True)

# the worker writes; a read of /proc in another worker looks at it
POT_MM = _part("pot_mm", "worker", "mm that the operation under way may change, -1: any", line=True)
POT_PLUS = _part("pot_plus", "worker", "pages that it may still set")
POT_MINUS = _part("pot_minus", "worker", "pages that it may still clear")
FINISHED = _part("finished", "worker", "operations finished")
ANSWERED = _part("answered", "worker", "number of the last command that is done")
ABORTS = _part("aborts", "worker", "operations given up because the run was stopped")

# the worker writes, and nobody looks at it before the end
OPS = _part("ops", "worker", "operations finished, by operation", MAX_OPERATIONS, True)
TICKS = _part("ticks", "worker", "ticks of the operations that were timed, by operation", MAX_OPERATIONS)
TIMED = _part("timed", "worker", "operations that were timed, by operation", MAX_OPERATIONS)
FAULTS = _part("faults", "worker", "faults that had their effect, by kind", len(KINDS))
SAMPLED = _part("sampled", "worker", "operations of which a sample was kept, so far")
SAMPLES = 256
"""Samples of operations that a worker keeps: the last ones."""
SAMPLE_WORDS = 3
"""Words of a sample: operation, ticks when it began and when it ended."""
SAMPLE = _part("sample", "worker", "the samples, one over the other", SAMPLES * SAMPLE_WORDS)
ELAPSED_TICKS = _part("elapsed_ticks", "worker", "ticks of all batches")
ELAPSED_NS = _part("elapsed_ns", "worker", "nanoseconds of all batches")
RESULT = _part("result", "worker", "what a check, a scan or a read found", 3)
OOPS_OP = _part("oops_op", "worker", "number of the operation that first broke a check in a step")
OOPS_ADDRESS = _part("oops_address", "worker", "virtual page that it was at")
LAST_RESIDENT = _part("last_resident", "worker", "what the last read of mm 0 showed as resident")
PLUS = _part("plus", "worker", "pages set before the read, summed over the workers")
MINUS = _part("minus", "worker", "pages cleared before the read")
LATE_PLUS = _part("late_plus", "worker", "pages that operations under way before the read might still set")
LATE_MINUS = _part("late_minus", "worker", "pages that they might still clear")
FILE_PLUS = _part("file_plus", "worker", "the same for pages of the file")
FILE_MINUS = _part("file_minus", "worker", "the same for pages of the file")
WIDEN = _part("widen", "worker", "operations under way when the read began, and finished by then")
READS = _part("reads", "worker", "reads that were judged")
SHOWN_BY = _part("shown_by", "worker", "bit n: a read that is operation number n showed a value")
PAIRS = _part("pairs", "worker", "of these, reads that showed shared, too")
WORST = _part("worst", "worker", "greatest error of a read, pages")
RECORD_WORDS = 8
"""Words of a record of broken reads."""
REGULAR = _part(
    "regular", "worker", "read_regular: broken how often; first: shown, low, high, mm, operation", RECORD_WORDS
)
PAIR = _part("pair", "worker", "read_pair: likewise", RECORD_WORDS)
UNDER_WAY = _part(
    "under_way", "worker that saw it", "at the first broken check: operation, address, end, write, arg, mm", 6
)
REGISTERS_AT = _part("registers", "worker", "registers of its CPU, see shm_layout.registers", REGISTERS, True)
OWN = _part("own", "worker", "step under way that is the design's own: its place among `own_steps`, + 1; else 0")
OWN_BEGUN = _part("own_begun", "worker", "such steps begun so far")
SCRIPT = _part("script", "launcher, worker", "calls to perform, and what they gave", SCRIPT_CALLS * CALL_WORDS, True)
COVERED_STEPS = 4096
"""Steps of all programs of a design of which it can be noted that they were taken."""
COVERED = _part(
    "covered", "worker", "with coverage: for each step of the programs a bit by outcome", COVERED_STEPS, True
)
ACCOUNT = _part("account", "worker", "what is true, by mm: see stress.kernel.account", 0, True)

BROKEN, SHOWN, LOW, HIGH, WHERE, BY, LATE_LOW, LATE_HIGH = range(RECORD_WORDS)
"""Words of REGULAR and PAIR. ``LOW`` and ``HIGH`` are true; the last two say how much lower and higher a read may be,
because operations under way may have counted before their ptes said so, or not yet."""

RUN, PERFORM, SWEEP, CHECK, SCAN = range(1, 6)
"""Commands: a random mix, the script, faults page after page, one check at rest (TARGET), true counts of mm TARGET."""

PAUSE = 0
"""Word of the shared line: the launcher asks all workers to come to rest."""
ARRIVED = LINE_WORDS
"""Word of the shared lines: workers at the start barrier."""
SEEN = 2 * LINE_WORDS
"""Word of the shared lines: 1 once a worker saw a check broken and noted what was under way."""
SHARED_WORDS = 3 * LINE_WORDS


@dataclass(frozen=True)
class Blocks:
    """Where the blocks of a number of workers lie after a layout. Everything in words."""

    shared: int
    first: int
    stride: int
    workers: int
    words: int
    """Size of the whole memory."""

    def at(self, worker: int, part: int) -> int:
        """Return the index of a part of a worker's block."""
        return self.first + worker * self.stride + part


def place_blocks(layout: Layout, workers: int) -> Blocks:
    """Put the blocks after the layout's last word."""
    account = ACCOUNT + ACCOUNT_WORDS * layout.machine.mms
    stride = -(-account // LINE_WORDS) * LINE_WORDS
    first = layout.words + SHARED_WORDS
    return Blocks(layout.words, first, stride, workers, first + workers * stride)


def operation_numbers(design: Design) -> dict[str, int]:
    """Return `Design.numbers`. Raises `UsageError` when there are too many operations."""
    own = len(design.programs.keys() - set(OPERATIONS))
    room = MAX_OPERATIONS - len(OPERATIONS)
    if own > room:
        raise UsageError(f"design {design.name} has {own} operations of its own; workers have room for {room}")
    return dict(design.numbers)
