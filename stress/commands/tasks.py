"""The commands by task, in the order of the help."""

from __future__ import annotations

TASKS = {
    "Try a design": """
explore  Try every interleaving of one small workload.
run      Stress a design with worker processes; check it.
hunt     Let Hypothesis look for workloads that break a design.
replay   Run a saved counterexample again.
""",
    "Compare and measure": """
rss      Compare ways of counting rss: error, cost of a change and a read.
table    Measure faults by number of workers, in the columns of 2004.
live     Measure how far VmRSS of the running kernel is off.
review   Show the review's points: broken as posted, sound when corrected.
scale    Simulate the same steps on up to 4,096 CPUs.
litmus   Run litmus tests: every final state, under sc, tso or pso.
""",
    "Look up": """
list     List what a design can be made of: steps, fields, labels, ...
layout   Show where every field lies, cache line by cache line.
examples Write the examples to a folder.
man      Write the help of all commands as man pages.
""",
    "Run for long, and clean up": """
soak     Stress designs in turn, for minutes or days.
results  List, compare and plot what --results kept.
clean    Remove what dead runs left in /dev/shm.
""",
}
"""Commands by task: the name of each, and its line in the help of the program."""


def lines_of(rows: str) -> list[tuple[str, str]]:
    """The commands of a task, each with its line."""
    pairs = (row.split(maxsplit=1) for row in rows.strip().splitlines())
    return [(name, line) for name, line in pairs]
