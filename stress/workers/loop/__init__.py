"""What a worker runs: the source of its compiled loop, and the block that it works on."""
