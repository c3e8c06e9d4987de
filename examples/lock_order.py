"""zap takes two locks in the order in which no fault takes them: a deadlock.

    $ pte-stress explore lock_order.py:TURNED "fault 0 w | zap 0"
    ...
    progress: deadlock: CPU 0 waits in spin_lock, CPU 1 waits in down_write
    ...
    complete: every state that can be reached was visited
"""

from stress.designs import get
from stress.kernel.spinlock import down_write, spin_lock

TURNED = get("page_table_lock").edit(
    "lock order",
    "zap takes page_table_lock before mmap_sem",
    name="lock_order",
    zap=lambda p: p.swap(down_write, spin_lock),
)
