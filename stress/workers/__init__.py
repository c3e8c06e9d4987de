"""The parallel engine: worker processes that run a design's programs on one segment of shared memory.

`stress.workers.pool.Pool` is the way in: it makes the segment, has a fork server (`stress.workers.server.server`) start
the workers, gives them commands and judges the result::

    machine = Machine(cpus=2, mms=3, anon=64, frames=256, arch="pae")
    with Pool(design, machine, workers=2) as pool:
        pool.pids                                   # a process each
        result = pool.run({"fault": 6, "zap": 1}, seconds=1, seed=7)
        result.ops, result.per_second, result.ns    # by operation
        pool.read(0), pool.truth(0)                 # rss and anon_rss of mm 0: shown, and true
        pool.verdicts()                             # every check, at rest; a check broken once stays broken
        pool.perform({0: [Call("fault", address=3, write=True)], 1: [Call("zap", address=0, end=8)]})
        pool.reset()                                # the first state again: the next Hypothesis example

`Pool.start` and `Pool.finish` are the halves of `Pool.run`, for a caller that shows progress meanwhile.
`Pool.start_sweep` has the workers fault page after page instead, each in an area of its own or all in the same (then
`Pool.wait`, `Pool.finish`): that is what `table` measures. A worker that is killed raises
`stress.workers.errors.WorkerDied` from whatever is under way, within a second. Numba is loaded in the server alone.

Files: `loop.block` what lies where, `loop.helpers` the compiled loop's helpers, `loop.source` the source that is
generated for a design, `server.server` and `server.worker` the processes, `server.client` the launcher's end,
`server.messages` what they say to one another; a `pool` is `memory`, `crew` and `runs`, and `verdicts` says what came
of it; `mix` and `mix_machine` are what `pte-stress run` runs, `table` measures a row of `pte-stress table`.
"""
