"""Compare the explorer with a machine of store buffers that is written apart, on drawn programs, for each memory model.

    python scripts/store_buffers.py 1000

draws 1000 programs of two to three CPUs, finds every end of each under sc, tso and pso in both ways, and prints those
that differ. Exit status 1 when one does.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "explore"))

from store_buffers import drawn, ends
from test_store_buffers import by_engine

from stress.memory_model import NAMES


def main(programs: int, first: int = 0) -> int:
    """Compare so many programs, with seeds from ``first`` on; return how many differ."""
    begin, different = time.monotonic(), 0
    weaker = dict.fromkeys(NAMES, 0)
    for seed in range(first, first + programs):
        threads = drawn(seed)
        before = None
        for memory in NAMES:
            found, true = by_engine(threads, memory), ends(threads, memory)
            if found != true:
                different += 1
                names = " | ".join(" ".join(f.__name__ for f in steps) for steps in threads)
                print(f"{seed} under {memory}: {names}: lacks {true - found}, has {found - true}")
            weaker[memory] += before is not None and found != before
            before = found
    more = ", ".join(f"{count:,} with more ends under {memory}" for memory, count in weaker.items() if memory != "sc")
    print(f"{programs:,} programs, {different} differ; {more}; {time.monotonic() - begin:.0f} s")
    return different


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:] or ["1000"])) != 0)
