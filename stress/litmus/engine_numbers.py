"""Numbers that the parts of the compiled search share: columns of its tables, and what it returns."""

from __future__ import annotations

from stress.litmus.values import FIRST_ADDRESS

# Parameters of a search, in `p`.
P_THREADS, P_WORDS, P_SIZE, P_MODEL, P_DOMAINS, P_OBSERVED, P_LOW, P_HIGH, P_LOCKS, P_GOAL = range(10)
P_CONDITION, P_FILTER, P_BUDGET, P_STACK_ROOM, P_VISITED_MASK, P_INDEX_MASK = range(10, 16)
PARAMETERS = 16
# Columns of the table of threads, in `tt`.
T_BASE, T_NEST, T_SYNC, T_REGISTERS, T_COUNT, T_BUFFER, T_CAPACITY = range(7)
THREAD_COLUMNS = 7
# Columns of what is ahead of an instruction, in `am`.
A_READS, A_WRITES, A_RCU, A_LATER, A_LIVE = range(5)
AHEAD_COLUMNS = 5
# Words of a thread in a state, from its base on.
S_PC, S_PENDING, S_LENGTH, S_FIXED = range(4)
# What the search has come to, in `ctl`.
C_STACK, C_VISITED, C_FINALS, C_ERROR, C_ERROR_PC, C_POSITIVE, C_NEGATIVE = range(7)
CONTROLS = 7
# What `search` returns.
DONE, MORE, GROW_STACK, GROW_VISITED, GROW_FINALS, FAILED, FOUND = range(7)
# Errors of a test that show when it runs.
ARITHMETIC, NO_ADDRESS, NOT_HELD, LOCK_TOUCHED, NO_READER = range(1, 6)
# Rows of a proposition: op, location, value.
ATOM_VALUE, ATOM_LOCATION, NEGATION, ALL, ANY = range(5)
FALSE, TRUE, UNKNOWN = range(3)
ANY_GOAL, GOAL_TRUE, GOAL_FALSE = range(3)

FENCED = 1 << 20
"""In the word of a buffered store: those before it must be in memory first. (The word itself is below.)"""
READER_END = 1 << 19
"""In the word of a buffered store: it is the end of a reader, of the domain below."""
BAD = -(1 << 62)
MOST_FACTOR = 1 << 31
ADDRESSES = FIRST_ADDRESS >> 1

# Rows of what `look` finds of each thread.
N_READS, N_WRITES, N_RCU, R_READS, R_WRITES, R_RCU, L_ENABLED, L_FLUSHES = range(8)
LOOKS = 8

THREAD = 1 << 13
"""In the number of a transition, between two threads: more than a buffer has stores."""
