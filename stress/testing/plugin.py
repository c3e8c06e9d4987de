"""The pytest plugin: an entry point, so that nothing has to be declared. It imports neither numba nor numpy.

- Fixtures `segment`, `workers`, `hunt`, `exploration`.
- ``@pytest.mark.explore(design, "fault 0 w | swap_out", ..., arch="pae")`` runs a test once for each workload, which is
  explored first: the test passes where every interleaving holds. Its argument `exploration` is what was found.
- ``--pte-stress-save FOLDER`` keeps what broke: files for `pte-stress replay`, or for workers the calls that led there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from shm_layout.segment import Segment
    from stress.explore import Result
    from stress.workers.pool import Pool


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    group = parser.getgroup("pte-stress")
    group.addoption(
        "--pte-stress-save", metavar="FOLDER", help="Keep what breaks a check: a file for each test that fails."
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and make the folder."""
    config.addinivalue_line(
        "markers", "explore(design, *workloads, **fields): every interleaving of these workloads holds all checks."
    )
    if folder := config.getoption("--pte-stress-save"):
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise pytest.UsageError(f"--pte-stress-save {folder}: {error.strerror}") from None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a marked test once for each workload."""
    given = []
    for marker in metafunc.definition.iter_markers("explore"):
        if len(marker.args) < 2:
            raise pytest.UsageError(
                f"{metafunc.definition.nodeid}: give a design and workloads, as @pytest.mark.explore(MINE, 'fault 0 w')"
            )
        design, *workloads = marker.args
        given += [pytest.param((design, w, marker.kwargs), id=f"{design.name}-{w}") for w in workloads]
    if given:
        if "exploration" not in metafunc.fixturenames:
            metafunc.fixturenames.append("exploration")
        metafunc.parametrize("exploration", given, indirect=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep what broke, where the user asked for it. What breaks in an exploration is a failure, not an error."""
    report = yield
    if call.excinfo is not None:
        from stress.testing.failures import CheckBroken, NotExplored

        found = call.excinfo.value
        if isinstance(found, CheckBroken | NotExplored) and call.when == "setup":
            report.when = "call"
        if isinstance(found, CheckBroken) and (folder := item.config.getoption("--pte-stress-save")):
            name = re.sub(r"[^\w.=-]+", "_", item.nodeid)[-150:].strip("_")
            found.save(Path(folder) / f"{name}.json")
    return report


@pytest.fixture(autouse=True)
def _marked(request: pytest.FixtureRequest) -> None:
    """Explore for a marked test that does not name `exploration`, too."""
    if request.node.get_closest_marker("explore") is not None:
        request.getfixturevalue("exploration")


@pytest.fixture
def exploration(request: pytest.FixtureRequest) -> Result:
    """What the explorer found on the workload of ``@pytest.mark.explore``, on which all checks hold."""
    from stress.testing.exploring import explored

    if not hasattr(request, "param"):
        raise pytest.UsageError("exploration is for tests with @pytest.mark.explore(design, workload)")
    design, workload, fields = request.param
    return explored(design, workload, **fields)


@pytest.fixture
def hunt() -> Callable[..., Any]:
    """``hunt(design, seconds=20)``: `stress.testing.hunted`."""
    from stress.testing.exploring import hunted

    return hunted


@pytest.fixture
def segment() -> Iterator[Callable[..., Segment]]:
    """``segment(machine, placement)``: `stress.testing.fixtures.segments`."""
    from stress.testing.fixtures import segments

    with segments() as make:
        yield make


@pytest.fixture
def workers(request: pytest.FixtureRequest) -> Callable[..., Pool]:
    """``workers(design, arch="pae", workers=3)``: `stress.testing.fixtures.pool_of`."""
    from stress.testing.fixtures import pool_of
    from stress.testing.pools import close_pools

    request.config.add_cleanup(close_pools)
    return pool_of
