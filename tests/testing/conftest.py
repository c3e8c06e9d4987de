"""Fixtures of `stress.testing` by plain import, and the end of the workers before /dev/shm is looked at."""

import pytest

from stress.testing import close_pools, segment, workers  # noqa: F401


@pytest.fixture(scope="session", autouse=True)
def _pools_closed(_shm_as_found):
    yield
    close_pools()
