#!/usr/bin/env python3
"""How much a process is slowed by being watched: faults of a loop with and without `live --pid`, turn by turn.

    python benchmarks/live_watched.py --interval 0.1 --turns 10

The process maps and unmaps pages all the time, which waits for the lock that a page walk holds for reading; it keeps
`--resident` MiB besides, which every walk goes through. Time that it waits for a CPU is left out
(/proc/self/schedstat), so other load on the machine does not count. Prints the median of the turns' ratios.
"""

from __future__ import annotations

import mmap
import os
import statistics
import subprocess
import sys
import tempfile
import time

import click
import one_line

LOOP = """
import mmap, sys, time
keep = mmap.mmap(-1, int(sys.argv[1]) << 20)
for page in range(0, len(keep), mmap.PAGESIZE):
    keep[page] = 1
size = 64 * mmap.PAGESIZE

def waited():
    with open("/proc/self/schedstat") as file:
        return int(file.read().split()[1]) / 1e9

print(flush=True)
while sys.stdin.readline():
    rounds, before, start = 0, waited(), time.monotonic()
    end = start + float(sys.argv[2])
    while time.monotonic() < end:
        with mmap.mmap(-1, size) as area:
            for page in range(0, size, mmap.PAGESIZE):
                area[page] = 1
        rounds += 1
    print(rounds / (time.monotonic() - start - waited() + before), flush=True)
"""


@click.command()
@click.option("--interval", default=0.1, show_default=True, help="Seconds between samples.")
@click.option("--turns", default=10, show_default=True, help="Turns with and without.")
@click.option("--seconds", default=1.0, show_default=True, help="Length of a turn.")
@click.option("--resident", default=64, show_default=True, help="MiB that the process keeps.")
def main(interval: float, turns: int, seconds: float, resident: int) -> None:
    """Measure the watched process turn by turn."""
    loop = subprocess.Popen(
        [sys.executable, "-P", "-c", LOOP, str(resident), str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert loop.stdin is not None
    assert loop.stdout is not None
    loop.stdout.readline()

    def turn() -> float:
        """Rounds a second that it has a CPU, or waits for the lock."""
        print(file=loop.stdin, flush=True)
        return float(loop.stdout.readline())

    ratios = []
    command = [
        sys.executable,
        "-P",
        "-m",
        "stress",
        "live",
        "--json",
        "--pid",
        str(loop.pid),
        "--interval",
        str(interval),
    ]
    for _ in range(turns):
        alone = turn()
        with tempfile.TemporaryFile() as samples:
            watcher = subprocess.Popen(command, stdout=samples, stderr=subprocess.DEVNULL)
            while not os.fstat(samples.fileno()).st_size:
                time.sleep(0.01)
            ratios.append(turn() / alone)
            watcher.terminate()
            watcher.wait()
    loop.stdin.close()
    loop.wait()
    low, high = min(ratios), max(ratios)
    print(
        f"watched every {interval} s, {resident} MiB resident, pages of {mmap.PAGESIZE} bytes: "
        f"{statistics.median(ratios):.3f} of the speed alone (median of {turns} turns, {low:.3f} to {high:.3f})"
    )


if __name__ == "__main__":
    one_line.run(main)
