"""On 32-bit x86 with 64-bit ptes, a fault reads the two halves of an entry one after the other.

    $ pte-stress explore torn_read.py:TORN "fault 0 || fault 0 w | fault 0 w" --arch pae
    ...
    pfn_valid: no fault acts on an entry whose page frame does not exist: broken by the last step
    ...
    complete: every state that can be reached was visited
"""

from stress.designs import get
from stress.kernel.pte_access import GET_PTE_ATOMIC, READ_PTE

TORN = get("v12_sound").edit(
    "torn read",
    "the entry is read without a lock, by two loads",
    name="torn_read",
    fault=lambda p: p.replace(GET_PTE_ATOMIC, READ_PTE),
)
