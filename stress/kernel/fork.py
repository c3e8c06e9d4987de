"""Starting tasks and copying page tables (kernel/fork.c, copy_page_range of mm/memory.c).

A CPU runs one task at a time; a task that it starts runs in its place until it exits. So a CPU's tasks are a
stack: task number = CPU number * `TASK_DEPTH` + depth.
"""

from __future__ import annotations

from shm_layout.atomic import (
    and_half,
    cmpxchg,
    fetch_add,
    read_half,
    read_once,
    store,
    write_half,
    write_once,
)
from shm_layout.registers import (
    R_ADDRESS,
    R_CHILD,
    R_CURRENT,
    R_ENTRY,
    R_MM,
    R_NEW,
    R_PAGE,
    R_SCAN,
    R_TASK,
)
from shm_layout.structs import (
    GHOST,
    MENDED_ANON_RSS,
    MENDED_RSS,
    MM_ANON_RSS,
    MM_RSS,
    MM_TASK_LIST,
    MM_USERS,
    NR_MMS,
    PRIVATE_END,
    TASK_ANON_RSS,
    TASK_DEPTH,
    TASK_FLAGS,
    TASK_MM,
    TASK_RSS,
    at,
)
from shm_layout.words import Words
from stress.kernel.account import note, pte_kind
from stress.kernel.barriers import smp_wmb
from stress.kernel.bug import PFN_VALID, oops
from stress.kernel.memory import written_at
from stress.kernel.mm_types import MM_EXITING, MM_FREE, MM_ONE_USER
from stress.kernel.page_alloc import get_page
from stress.kernel.pgtable import LOW, WRITABLE, YOUNG, ZERO_PAGE, pte_at, pte_page, pte_present, pte_to_slot
from stress.kernel.pte_access import high_half, this_pte
from stress.kernel.rcupdate import still_reading
from stress.kernel.swap_state import swap_duplicate
from stress.labels import RESERVED, SKIP, SWAP_ENTRY
from stress.program import ByArch
from stress.step import DONE, NEXT, WAIT, helper, step


@helper
def current_mm(m: Words, r: Words) -> int:
    """current->mm."""
    return m[at(m, TASK_MM, r[R_CURRENT])]


@step(waits=True, whole="the RCU grace period")
def alloc_task_struct(m: Words, r: Words) -> int:
    """The next task of this CPU's stack, after an RCU grace period: no reader stands on its last life.

    A full barrier comes before it: who begins to read from now on sees that the task is off the list.

    The operation ends (EAGAIN) when the stack is full.
    """
    task = r[R_CURRENT] + 1
    if task % m[TASK_DEPTH] == 0:
        return DONE
    r[R_SCAN] = still_reading(m, r, r[R_SCAN])
    if r[R_SCAN] != 0:
        return WAIT
    r[R_TASK] = task + 1
    r[R_MM] = current_mm(m, r)
    return NEXT


@step(whole="mmlist_lock: nobody knows the mm before it is published")
def alloc_mm(m: Words, r: Words) -> int:
    """mm = allocate_mm(): a free one, its counters 0. The operation ends (ENOMEM) when there is none.

    Nobody can take a use of it before it is published. Its locks are free, or vmscan, which found the mm in its
    last life, is about to see that nothing is mapped there any more.
    """
    for mm in range(m[NR_MMS]):
        users = at(m, MM_USERS, mm)
        if read_once(m, users) == MM_FREE and cmpxchg(m, users, MM_FREE, MM_EXITING) == MM_FREE:
            r[R_CHILD] = mm
            write_once(m, at(m, MM_RSS, mm), 0)
            write_once(m, at(m, MM_ANON_RSS, mm), 0)
            write_once(m, at(m, MM_TASK_LIST, mm), 0)
            if m[GHOST] != 0:
                write_once(m, at(m, MENDED_RSS, mm), 0)
                write_once(m, at(m, MENDED_ANON_RSS, mm), 0)
            return NEXT
    return DONE


@helper
def copy_task(m: Words, r: Words, rss: int, anon_rss: int) -> None:
    """Make a task that is a copy of current in every field but these; nobody else can see it yet."""
    child = r[R_TASK] - 1
    write_once(m, at(m, TASK_MM, child), current_mm(m, r))
    write_once(m, at(m, TASK_FLAGS, child), m[at(m, TASK_FLAGS, r[R_CURRENT])])
    write_once(m, at(m, TASK_RSS, child), rss)
    write_once(m, at(m, TASK_ANON_RSS, child), anon_rss)


@step
def dup_task_struct(m: Words, r: Words) -> int:
    """V12: a copy of every field, then rss = 0; anon_rss stays what current's is."""
    copy_task(m, r, 0, read_once(m, at(m, TASK_ANON_RSS, r[R_CURRENT])))
    return NEXT


@step
def dup_task_struct_zeroed(m: Words, r: Words) -> int:
    """A copy of every field, then rss = anon_rss = 0."""
    copy_task(m, r, 0, 0)
    return NEXT


@step
def mm_users_inc(m: Words, r: Words) -> int:
    """CLONE_VM: atomic_inc(&mm->mm_users)."""
    fetch_add(m, at(m, MM_USERS, r[R_MM]), 1)
    return NEXT


@step(private=True)
def wake_up_new_task(m: Words, r: Words) -> int:
    """This CPU goes on as the task that was started."""
    r[R_CURRENT] = r[R_TASK] - 1
    return NEXT


@step
def copy_mm(m: Words, r: Words) -> int:
    """tsk->mm = the child's mm: the task is not visible yet."""
    write_once(m, at(m, TASK_MM, r[R_TASK] - 1), r[R_CHILD])
    return NEXT


@helper
def publish_mm(m: Words, mm: int) -> None:
    """Let a task with this new mm be found: /proc and ptrace may use it from now on."""
    store(m, at(m, MM_USERS, mm), MM_ONE_USER)


@step
def act_on_child(m: Words, r: Words) -> int:
    """copy_process() is done, the child can be found: what follows acts on its mm."""
    r[R_MM] = r[R_CHILD]
    publish_mm(m, r[R_MM])
    return NEXT


# copy_page_range


@helper
def inherit_written(m: Words, r: Words) -> None:
    """Let the child expect what the parent wrote, until the parent's pte lets it write no more."""
    if m[GHOST] != 0:
        parent = written_at(m, r[R_MM], r[R_ADDRESS])
        write_once(m, written_at(m, r[R_CHILD], r[R_ADDRESS]), m[parent])


@step(private=True)
def copy_one_pte(m: Words, r: Words) -> int:
    """What the parent's entry is: none to `skip`, `swap_entry`, the zero page to `reserved`."""
    entry = r[R_ENTRY]
    r[R_NEW] = entry
    if not pte_present(entry):
        inherit_written(m, r)
        return SKIP if entry == 0 else SWAP_ENTRY
    r[R_PAGE] = pte_page(m, entry)
    if r[R_PAGE] < 0:
        oops(r, PFN_VALID)
        return SKIP
    return RESERVED if r[R_PAGE] == ZERO_PAGE else NEXT


@step
def ptep_set_wrprotect(m: Words, r: Words) -> int:
    """Private and writable: write-protect the parent's pte by a locked and of its low half. The child's is old."""
    if r[R_ADDRESS] < m[PRIVATE_END] and (r[R_ENTRY] & WRITABLE) != 0:
        and_half(m, this_pte(m, r), 0, LOW & ~WRITABLE)
        r[R_NEW] = r[R_NEW] & ~WRITABLE
    inherit_written(m, r)
    r[R_NEW] = r[R_NEW] & ~YOUNG
    return NEXT


@step
def get_page_mapped(m: Words, r: Words) -> int:
    """get_page(page)."""
    get_page(m, r[R_PAGE])
    return NEXT


@step(whole="swap_list")
def swap_duplicate_entry(m: Words, r: Words) -> int:
    """swap_duplicate(pte_to_swp_entry(pte))."""
    swap_duplicate(m, r, pte_to_slot(r[R_ENTRY]))
    return NEXT


@helper
def child_pte(m: Words, r: Words) -> int:
    """Return the index of the child's pte."""
    return pte_at(m, r[R_CHILD], r[R_ADDRESS])


@step
def set_child_pte(m: Words, r: Words) -> int:
    """set_pte(dst_pte, pte), in one store."""
    note(m, r, r[R_CHILD], 0, r[R_NEW], pte_kind(m, r, r[R_NEW]))
    store(m, child_pte(m, r), r[R_NEW])
    return NEXT


@step
def set_child_pte_high(m: Words, r: Words) -> int:
    """set_pte(dst_pte, pte) on PAE, first store: the high half."""
    write_half(m, child_pte(m, r), 1, high_half(r[R_NEW]))
    return NEXT


@step
def set_child_pte_low(m: Words, r: Words) -> int:
    """set_pte(dst_pte, pte) on PAE, second store: the low half."""
    pte = child_pte(m, r)
    new = (read_half(m, pte, 1) << 32) | (r[R_NEW] & LOW)
    note(m, r, r[R_CHILD], 0, new, pte_kind(m, r, new))
    write_half(m, pte, 0, r[R_NEW] & LOW)
    return NEXT


@step
def set_child_64bit(m: Words, r: Words) -> int:
    """set_64bit(dst_pte, pte): a loop of locked cmpxchg8b."""
    pte = child_pte(m, r)
    note(m, r, r[R_CHILD], 0, r[R_NEW], pte_kind(m, r, r[R_NEW]))
    expected = read_once(m, pte)
    found = cmpxchg(m, pte, expected, r[R_NEW])
    while found != expected:
        expected = found
        found = cmpxchg(m, pte, expected, r[R_NEW])
    return NEXT


SET_CHILD_PTE = ByArch("set_child_pte", (set_child_pte,), (set_child_pte_high, smp_wmb, set_child_pte_low))
SET_CHILD_PTE_ATOMIC = ByArch("set_child_pte_atomic", (set_child_pte,), (set_child_64bit,))
