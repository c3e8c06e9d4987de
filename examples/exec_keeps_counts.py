"""A task that calls exec takes its counts along, so that the new mm shows pages of the old one.

    $ pte-stress explore exec_keeps_counts.py:KEEPS "fault 0 w; exec"
    ...
    rss_exact: mm 1 shows resident 1 (true: 0)
    ...
    complete: every state that can be reached was visited
"""

from stress.designs import get
from stress.kernel.exit import zero_task_rss

KEEPS = get("v12_sound").edit(name="exec_keeps_counts", exec=lambda p: p.drop(zero_task_rss))
