"""Values of fields of mm_struct and task_struct (include/linux/sched.h)."""

from __future__ import annotations

MM_FREE = 0
"""mm_users: nobody uses this mm."""
MM_EXITING = 1
"""mm_users: the last user is in exit_mmap, or the first one still sets the mm up."""
MM_ONE_USER = 2
"""mm_users with one user; n users are n + 1."""

NO_MM = -1
"""task mm: none. The task has not begun, has ended, or is a kernel thread that has given back what it borrowed."""

PF_BORROWED_MM = 1
"""task flags: a kernel thread that works on an mm that is not its own (use_mm)."""
