"""Old path of `stress.designs.parts.counter_checks`, kept for files of users."""

from stress.designs.parts.counter_checks import (
    NEED_GHOST,
    NR_TASKS,
    at_most_16_a_task,
    at_most_64_a_task,
    exact_while_single,
    first_task_above,
    harmed_by_a_read,
    is_true,
    made_worse,
    nothing_lost,
    words_of_cpus,
)

__all__ = [
    "NEED_GHOST",
    "NR_TASKS",
    "at_most_16_a_task",
    "at_most_64_a_task",
    "exact_while_single",
    "first_task_above",
    "harmed_by_a_read",
    "is_true",
    "made_worse",
    "nothing_lost",
    "words_of_cpus",
]
