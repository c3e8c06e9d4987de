"""The simulator: the steps of a design in simulated time, on up to 4,096 CPUs.

Each access of each step is known from the record (`shm_layout.record`). Here an access costs what the state of its
cache line and the distance to its owner cost. `stress.scale.simulation.simulate` is the way in.
"""
