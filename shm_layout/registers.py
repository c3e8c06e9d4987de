"""The registers of a CPU: what the operation under way has read. Only that CPU touches them.

They are words of an array ``r`` of `REGISTERS` words, reached by the constants below. In a worker the
array lies in the segment, so that a worker that died can be seen in the middle of its operation.
"""

from __future__ import annotations

# Kept from one operation to the next
R_CPU = 0
"""Number of the CPU; virtual: a worker may hop."""
R_CURRENT = 1
"""Number of the task that runs: `current`."""
R_OOPS = 2
"""Checks that steps saw broken: bits, see `stress.kernel.bug`."""
R_FRAME_FIRST = 3
"""First frame of the range that this CPU allocates from."""
R_FRAME_END = 4
"""One past the last frame of that range."""
R_FRAME_HAND = 5
"""Where the next search for a free frame starts."""
R_GHOST = 6
"""Index in ``m`` of the CPU's own page counts (`stress.kernel.account`), 0 where none are kept."""
R_USER = 7
"""For a design of the user's own."""

KEPT = 8
"""Registers from here on are cleared when an operation ends."""

R_OP = 8
"""Operation under way: 0 for none, else the operation's number (`stress.design.Design.numbers`)."""
R_PC = 9
"""Explorer: the step that is next. Workers: the step that waits, + 1."""
R_ADDRESS = 10
"""Virtual page."""
R_END = 11
"""One past the last virtual page of a range."""
R_WRITE = 12
"""1 for a write access."""
R_ARG = 13
"""What else the operation is given: the mm it targets + 1, or a frame."""
R_MM = 14
"""mm that the operation acts on."""
R_ENTRY = 15
"""pte that was read: pte_t entry."""
R_NEW = 16
"""pte to be set."""
R_PAGE = 17
"""Frame: the new page, or the one that is unmapped."""
R_OLD_PAGE = 18
"""Frame that a copy is made of."""
R_VALUE = 19
"""A number between its read and its write."""
R_FREED = 20
"""Pages freed by a zap."""
R_TASK = 21
"""A task on the list, or one being started, + 1."""
R_CHILD = 22
"""mm of the child."""
R_SLOT = 23
"""Swap slot + 1."""
R_RSS = 24
"""Sum of rss."""
R_ANON_RSS = 25
"""Sum of anon_rss."""
R_RESIDENT = 26
"""What the read shows as resident, pages."""
R_SHARED = 27
"""What the read shows as shared (rss - anon_rss), pages; `stress.kernel.proc.NOT_SHOWN` where it shows none."""
R_SCAN = 28
"""A CPU, an mm or a level that a loop has come to; or what a grace period waits for (`stress.kernel.rcupdate`)."""
R_SCRATCH = 29
"""A second number between its read and its write."""
R_RSS_LOW = 30
"""Explorer: the least true rss since the read under way began."""
R_RSS_HIGH = 31
"""Explorer: the greatest."""
R_FILE_LOW = 32
"""Explorer: the least true number of file pages since the read under way began."""
R_FILE_HIGH = 33
"""Explorer: the greatest."""
R_EXTRA = 34
"""For a design of the user's own."""
R_COUNTED_MM = 35
"""Counting: the mm that is counted on, as in add_mm_counter(mm, member, value)."""
R_MEMBER = 36
"""Counting: which counter, see `stress.kernel.rss.amount`."""
R_AMOUNT = 37
"""Counting: pages more, or less."""
R_LEVEL = 38
"""Counting: level of a tree that a carry has come to."""
R_LATE = 39
"""Counting: 1 when the fault has a page to count before it releases mmap_sem."""

REGISTERS = 40
"""Words of a CPU's registers: five cache lines."""
