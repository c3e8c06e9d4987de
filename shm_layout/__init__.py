"""What lies where in the shared-memory segment, and the atomic operations on it."""
