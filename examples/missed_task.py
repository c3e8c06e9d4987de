"""A read of /proc adds up the tasks of an mm, and misses one that exits meanwhile.

    $ pte-stress explore missed_task.py:MISSED "clone; fault 0 w || exit | status"
    ...
    read_regular: what a read shows lies between the least and the greatest true value during it: broken by the last step
    ...
    complete: every state that can be reached was visited
"""

from stress.designs import get
from stress.designs.v12_reviewed import SINGLE_PASS
from stress.designs.v12_sound import GET_RSS_LOCKED

MISSED = get("v12_sound").edit(
    "read under RCU",
    "a read no longer holds page_table_lock, which kept tasks from leaving",
    name="missed_task",
    **dict.fromkeys(("statm", "status", "stat"), lambda p: p.splice(tuple(GET_RSS_LOCKED), SINGLE_PASS)),
)
