"""What the engine is given of a design and a workload: numbers in one array ``p``.

The first words are the header, by the constants below; after them, from word `P_CPU` on, two for each CPU: its
first row among the operations, and how many it performs. Then come the rows of the programs (`P_CODE`), one for
each step: the step's number, its kind, which outcomes it had, and where each outcome leads (a row, or `END`); and the
rows of the operations (`P_OPS`).
"""

from __future__ import annotations

from shm_layout.record import MOST
from shm_layout.registers import REGISTERS
from stress.labels import MOST_OUTCOMES

P_STEPS = 0
"""Address of a table of the steps of the built-in designs, an address each; in plain Python a list of them."""
P_SPLIT = 1
"""Number of the first step that is not among them."""
P_OWN_STEPS = 2
"""Address of the function over the steps that the design brings along, counted from `P_SPLIT`; its checks are the last
of them. In plain Python a list."""
P_ROW = 3
"""Words of a row of code."""
P_CODE = 4
"""Index in ``p`` of the first row of code."""
P_OPS = 5
"""Index in ``p`` of the first row of operations."""
P_CPUS = 6
P_WORDS = 7
"""Words of the memory."""
P_READS = 8
"""1 when an operation of the workload is a read."""
P_BOUND = 9
"""The design's bound in pages, -1 for none."""
P_EXACT_PC = 10
"""Row where the pass begins that must be exact at rest, -1 for none."""
P_BOUNDED_PC = 11
"""Row where the pass begins that must be within the bound at rest, -1 for none."""
P_CHECKS = 12
"""Number of checks that the design brings along."""
P_FIRST_CHECK = 13
"""Number of the first of them, as a step."""
P_SYMMETRY = 14
"""Index in ``p`` of what `stress.explore.model.symmetry` needs, 0 where no CPUs are interchangeable."""
P_UNDER_WAY = 27
"""Which function that the design brings along is under way: 0 in the lower half for none; see `transition.take_own`."""
P_RECORD = 15
"""Index in ``p`` of the record that steps note their accesses in (`shm_layout.record`)."""
P_WATCHED = 16
"""1 when the steps of the design are checked as they are taken: `stress.explore.model.rules`."""
P_ACCESSES = 17
"""Index in ``p`` of what the last transition of each CPU accessed, `MADE_WORDS` for each."""
P_CHANGES = 18
"""Index in ``p`` of the ptes that each operation is known to change: for each row `P_CHANGE_WORDS` words of bits, and
as many for those that it changes while their mm exits."""
P_CHANGE_WORDS = 19
P_LEARNED = 20
"""Set when an operation changed a pte that it was not known to change."""
P_PTES = 21
"""Index in ``p`` of room for all ptes, as they were before a transition."""
P_ENDED = 23
"""Index in ``p`` of what goes with a task that has ended: how many fields, and the constants of each."""
P_OF_CPUS = 24
"""Index in ``p`` of the words in which CPUs keep counts: how many for each mm, and for mm after mm their indices."""
P_RACED = 25
"""1 when the counters are exact as long as no two operations have overlapped, and nothing is promised afterwards."""
P_HOLDERS = 26
"""Index in ``p`` of the holders that the design brings along, as steps before its checks: how many, and for each 1
where it is called for every CPU."""
P_SEEN = 22
"""Reads that came to an end, and those of them that showed a value: bits 2 n and 2 n + 1 of operation number n.

`SEEN_EXACT` and `SEEN_BOUNDED` stand for the passes at rest; no read has their numbers.
"""
P_SHADOWS = 28
"""Index in ``p`` of the words that no design reads (`shm_layout.structs.SHADOWS`): how many ranges, and their ends."""
P_MEMORY = 29
"""Number of the memory model (`stress.memory_model`)."""
P_CHOICES = 30
"""How a state may go on, at most: see `stress.explore.model.move`."""
P_ENTRIES = 31
"""Stores that the buffer of a CPU holds at most; 0 under sc, where there are no buffers."""
P_BUFFERS = 32
"""Index in the memory of the buffers, after all structures (`stress.explore.model.store_buffer`)."""
P_FULL = 33
"""Set when a CPU had to wait because its buffer was full."""
P_VIEW = 34
"""Index in ``p`` of what the memory held before a CPU's buffered stores were put over it: a word for each."""
P_SAVED = 35
"""Index in ``p`` of room for the registers of a CPU, as they were before a step."""
P_LEFT = 36
"""Set when a transition has put a store or a barrier into a buffer."""
P_RECORDED = 37
"""1 when the accesses of steps are looked at: where they are watched, or there are store buffers."""
P_MOVE = 38
"""Address of `stress.explore.model.transition.move`, in compiled code alone."""
P_LOG = 39
"""Index in ``p`` of the log of a transition (`stress.explore.model.log`); 0 where none is kept."""
P_PLACES = 40
"""Index in ``p`` of what is added to a row of code to make it a place: a word for each row of operations."""
P_TOUCHED, P_TOUCHED_ROW = 41, 42
"""Index in ``p`` of what was touched at each place (`stress.explore.model.log`), and words of one of them."""
P_ALONE = 43
"""Index in ``p`` of what tells who may go on alone (`stress.explore.model.alone`); 0 where nobody does."""
P_ONE_MOVE = 44
"""Where CPUs go on alone: the address of `stress.explore.model.transition.move`, which `P_MOVE` is not then."""
P_ALONG = 45
"""How many transitions followed the last one, by CPUs that went on alone."""
P_TRUTH = 46
"""Index in ``p`` of bits for the words that say what is true of the mapped pages, and of those for flags of frames."""
P_CPU = 48
MOST_CHOICES = 256
"""Of a state, at most."""
SEEN_EXACT, SEEN_BOUNDED = 0, 1

TAKEN_WORDS = MOST_OUTCOMES // 64
CODE_STEP, CODE_KIND, CODE_TAKEN = range(3)
CODE_JUMP = CODE_TAKEN + TAKEN_WORDS
PRIVATE, WHOLE, USERS, MAY_WAIT = 1, 2, 4, 8
"""Bits of `CODE_KIND`: the step touches registers alone; its accesses are kept together by what it stands for; it is
a user's, not one of this package; it may return WAIT. From `CODE_TAKEN` on there are `TAKEN_WORDS` words with a bit for
each outcome that the step had."""
OP_PC, OP_NUMBER, OP_ADDRESS, OP_END, OP_WRITE, OP_ARG, OP_READ, OP_LATE = range(8)
"""Words of a row of operations; `OP_READ` is 1 for a read that may be off by the
bound, 2 for one that makes the precise sum (`SUMMED`), `OP_LATE` the pages that the design says it may be late
by, -1 where that follows from the ptes that it changes (`stress.explore.model.read_interval`)."""
OP_ROW = 8
SUMMED = 2

MADE_COUNT, MADE_KIND, MADE_STEP, MADE_FIRST = range(4)
"""Words of what a CPU's transition accessed: how many times, `CODE_KIND` and number of the step, the accesses."""
MADE_WORDS = MADE_FIRST + 2 * MOST
"""Each access is its index and its kind, as in the record."""

R_DONE = REGISTERS
"""Beside the registers proper: the operations that the CPU has finished."""
R_LAST = REGISTERS + 1
"""Of CPU 0, where preemptions are bounded: the CPU that moved last, + 1."""
R_PREEMPTED = REGISTERS + 2
"""Of CPU 0, likewise: how often a CPU was left that could go on."""
R_MET = REGISTERS + 3
"""Of every CPU, where `P_RACED` is set: 1 once two operations have overlapped."""
STRIDE = 44
"""Words from the registers of one CPU to those of the next."""
