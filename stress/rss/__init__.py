"""Counters side by side: what `pte-stress rss` measures.

Each design's own steps for counting, cut out of its fault path, run in worker processes on one segment:

- `subjects`: which steps count a page, take pages off, and read, for each design;
- `working`: the loops of workers, which call the steps by address; `loop_source`: the steps and loops to be timed;
- `arena`: where things lie in the segment; `processes`: the processes;
- `accuracy`: how far readers are off while workers run and at rest; `cost`: what a change and a read cost;
- `explored`: the explorer's verdict on a small machine; `compared`: a line of the comparison, for tables and JSON.
"""
