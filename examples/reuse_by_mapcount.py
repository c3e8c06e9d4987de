"""A write fault takes a page for its own because nobody else maps it, while a pipe still holds it (as CVE-2020-29374).

A child puts a shared page into a pipe and unmaps it. The parent writes, and the pipe gives out what the parent wrote.

    $ pte-stress explore reuse_by_mapcount.py:LEAKY "fault 0 w; fork; vmsplice 0; zap 0 || read_pipe | fault 0 w"
    ...
    user: the checks that a design brings along: broken by the last step
    ...
    complete: every state that can be reached was visited
    $ pte-stress explore reuse_by_mapcount.py:SAFE "fault 0 w; fork; vmsplice 0; zap 0 || read_pipe | fault 0 w"
    ...
    complete: every state that can be reached was visited
"""

from dataclasses import replace

from shm_layout.atomic import load
from shm_layout.registers import R_ENTRY, R_OLD_PAGE, R_USER
from shm_layout.structs import PAGE_CONTENT, PAGE_MAPCOUNT, at
from stress import DONE, NEXT, At, Program, step
from stress.designs import get
from stress.kernel import memory, pte_access, spinlock
from stress.kernel.bug import USER, oops
from stress.kernel.page_alloc import get_page, put_page
from stress.kernel.pgtable import pte_page, pte_present
from stress.kernel.rmap import page_anon
from stress.labels import COPY, OUT_UNLOCK

FRAMES = 1 << 16


@step
def reuse_by_mapcount(m, r):
    """if (page_mapcount(page) == 1) reuse it."""
    alone = page_anon(m, r[R_OLD_PAGE]) and load(m, at(m, PAGE_MAPCOUNT, r[R_OLD_PAGE])) == 1
    return NEXT if alone else COPY


@step
def pin_page(m, r):
    """get_page(page), into the pipe of this CPU, with a note of what is on the page."""
    if not pte_present(r[R_ENTRY]) or pte_page(m, r[R_ENTRY]) <= 0:
        return OUT_UNLOCK
    frame = pte_page(m, r[R_ENTRY])
    get_page(m, frame)
    r[R_USER] = load(m, at(m, PAGE_CONTENT, frame)) * FRAMES + frame
    return NEXT


@step
def read_pipe(m, r):
    """What comes out must be what went in; then put_page(page)."""
    if r[R_USER] == 0:
        return DONE
    if load(m, at(m, PAGE_CONTENT, r[R_USER] % FRAMES)) != r[R_USER] // FRAMES:
        oops(r, USER)
    put_page(m, r, r[R_USER] % FRAMES)
    r[R_USER] = 0
    return NEXT


def in_a_pipe(m, r, w):
    """The reference that the pipe of a CPU holds."""
    if r[R_USER] != 0:
        w[r[R_USER] % FRAMES] += 1


LOCKED_READ = (memory.mmap_current, spinlock.down_read, spinlock.spin_lock, pte_access.READ_PTE)
VMSPLICE = Program(*LOCKED_READ, pin_page, At(OUT_UNLOCK), spinlock.spin_unlock, spinlock.up_read)
PIPE = get("page_table_lock").with_programs(vmsplice=VMSPLICE, read_pipe=Program(read_pipe))
SAFE = replace(PIPE, name="reuse_by_count", holders=(in_a_pipe,))
LEAKY = SAFE.edit(name="reuse_by_mapcount", fault=lambda p: p.replace(memory.can_share_page, reuse_by_mapcount))
