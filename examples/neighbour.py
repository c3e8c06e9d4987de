"""A fault path of one's own: a write fault on untouched memory maps the next page, too.

HASTY looks at the neighbour's pte and then sets it plainly, so that two faults on neighbours both set one pte. CAREFUL
sets it only if it is still empty, as the fault does with its own pte.

    $ pte-stress explore neighbour.py:HASTY "fault 0 w | fault 1 w"
    ...
    rss_exact: mm 0 shows resident 3 (true: 2)
    ...
    complete: every state that can be reached was visited
    $ pte-stress explore neighbour.py:CAREFUL "fault 0 w | fault 1 w"
    ...
    complete: every state that can be reached was visited
"""

from shm_layout.registers import R_ADDRESS, R_ENTRY, R_EXTRA
from shm_layout.structs import ANON_END
from stress import NEXT, At, Goto, Program, label, step
from stress.designs import get
from stress.kernel.page_alloc import page_cache_release
from stress.kernel.pte_access import GET_PTE_ATOMIC, PTEP_CMPXCHG, SET_PTE_ATOMIC
from stress.labels import DO_ANONYMOUS_PAGE, OUT, RACED

NEIGHBOUR = label("neighbour", section=True)
OWN_PAGE = label("own_page")


@step(private=True)
def remember(m, r):
    """The page that the fault is for."""
    r[R_EXTRA] = r[R_ADDRESS]
    return NEXT


@step(private=True)
def next_page(m, r):
    """The page after it, if that is anonymous memory."""
    r[R_ADDRESS] = r[R_ADDRESS] + 1
    return NEXT if r[R_ADDRESS] < m[ANON_END] else OWN_PAGE


@step(private=True)
def if_untouched(m, r):
    """Only an empty pte is filled in advance."""
    return NEXT if r[R_ENTRY] == 0 else OWN_PAGE


@step(private=True)
def back(m, r):
    """The access itself goes to the page that the fault is for."""
    r[R_ADDRESS] = r[R_EXTRA]
    return NEXT


def two_pages(p):
    """Map a page as the section maps it, then the next one in the same way."""
    start = p.index(At(DO_ANONYMOUS_PAGE)) + 1
    end = p.index(Goto(OUT), start)
    look = (At(NEIGHBOUR), next_page, GET_PTE_ATOMIC, if_untouched)
    done = (Goto(OWN_PAGE), At(RACED), page_cache_release, At(OWN_PAGE), back)
    return Program(p[:start], remember, p[start:end], look, p[start:end], done, p[end:])


CAREFUL = get("v12_sound").edit("two pages", "a fault maps its neighbour", name="neighbour", fault=two_pages)
HASTY = CAREFUL.edit(
    "set plainly", name="hasty", fault=lambda p: p.replace(PTEP_CMPXCHG, SET_PTE_ATOMIC, within=NEIGHBOUR)
)
