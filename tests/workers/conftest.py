"""Pools for the tests of this folder: one fork server, one pool at a time for each design."""

import pytest

from shm_layout.machine import Machine
from shm_layout.placement import AS_POSTED
from stress import designs
from stress.workers.pool import Pool
from stress.workers.server.client import ForkServer

BASE = ("fault", "zap", "fork", "clone", "exit", "statm", "status", "stat")


@pytest.fixture(scope="session")
def server():
    with ForkServer() as server:
        yield server


@pytest.fixture
def make_pool(server):
    """Makes pools that end with the test."""
    pools = []

    def make(design, workers=2, *, operations=BASE, own_server=False, placement=AS_POSTED, **machine):
        machine = {"mms": 5, "anon": 32, "private_file": 4, "shared_file": 4, "frames": 256, **machine}
        if isinstance(design, str):
            design = designs.get(design)
        pool = Pool(
            design,
            Machine(cpus=workers, **machine),
            workers,
            placement=placement,
            operations=operations,
            server=None if own_server else server,
        )
        pools.append(pool)
        return pool

    yield make
    for pool in pools:
        pool.close()
