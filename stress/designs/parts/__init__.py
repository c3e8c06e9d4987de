"""What designs are built from: programs, counters, corrections, checks of counters."""
