"""Litmus tests: small programs with a stated outcome, in the formats of herd7, run under sc, tso or pso.

`stress.litmus.reading.read_tests` makes tests of files, `stress.litmus.outcomes.outcomes` finds every final state of
one, and `stress.litmus.printing` prints it as herd7 does.
"""
