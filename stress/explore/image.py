"""What the engine is given of a design and a workload: numbers in one array ``p``.

The first words are the header, by the constants below; behind them, from word `P_CPU` on, two for each CPU: its
first row among the operations, and how many it performs. Then come the rows of the programs (`P_CODE`), one for
each step: the step's number, 1 when it is private, and where each outcome leads (a row, or `END`); and the rows of
the operations (`P_OPS`).
"""

from __future__ import annotations

from shm_layout.registers import REGISTERS

P_STEPS = 0
"""Address of the function over the steps of the built-in designs; in plain Python a list of them."""
P_SPLIT = 1
"""Number of the first step that is not among them."""
P_OWN_STEPS = 2
"""The same for the steps that the design brings along, counted from `P_SPLIT`; its checks are the last of them."""
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
"""Index in ``p`` of what `stress.explore.symmetry` needs, 0 where no CPUs are interchangeable."""
P_UNDER_WAY = 15
"""Which function that the design brings along is under way: 0 in the lower half for none; see `transition.take_own`."""
P_CPU = 16

CODE_STEP, CODE_PRIVATE, CODE_JUMP = range(3)
OP_PC, OP_NUMBER, OP_ADDRESS, OP_END, OP_WRITE, OP_ARG, OP_READ, OP_COVERS = range(8)
"""Words of a row of operations; `OP_READ` is 1 for a read, `OP_COVERS` one of the constants below."""
OP_ROW = 8

COVERS_NOTHING, COVERS_PAGE, COVERS_RANGE, COVERS_CHILD, COVERS_PAGE_OF_ALL, COVERS_ANY = range(6)
"""Which ptes an operation under way may be about to count or to uncount: see `stress.explore.truth`."""

R_DONE = REGISTERS
"""Beside the registers proper: the operations that the CPU has finished."""
R_LAST = REGISTERS + 1
"""Of CPU 0, where preemptions are bounded: the CPU that moved last, + 1."""
R_PREEMPTED = REGISTERS + 2
"""Of CPU 0, likewise: how often a CPU was left that could go on."""
STRIDE = 44
"""Words from the registers of one CPU to those of the next."""
