"""Litmus tests on this machine's own memory: one process for each thread, many instances at once, a histogram."""
