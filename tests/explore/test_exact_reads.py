"""Reads that show the precise sum of an approximate counter are exact; others of the same design need not be."""

from dataclasses import replace

import pytest

from stress import designs
from stress.design import EXACT
from stress.designs.linux_6_16 import CENTRAL, PRECISE, STAT, STATM, STATUS
from stress.explore import Bounds, explore
from stress.kernel.proc import show_statm_positive
from stress.kernel.rss import kinds
from stress.program import Program
from stress.workload import Workload

LINUX_6_16 = designs.get("linux_6_16")
CENTRAL_STATM = (
    kinds.no_sum,
    kinds.of_file,
    *CENTRAL,
    kinds.of_shmem,
    *CENTRAL,
    kinds.of_anon,
    *CENTRAL,
    show_statm_positive,
)
APPROXIMATE_STATM = LINUX_6_16.edit(
    "m", "statm shows what is central", statm=lambda p: p.splice(tuple(Program(*STATM)), *CENTRAL_STATM)
)
APPROXIMATE_STATUS = LINUX_6_16.edit(
    "m", "status shows what is central", status=lambda p: p.splice(tuple(Program(*STATUS)), *STAT)
)
HALF_A_SUM = LINUX_6_16.edit(
    "m", "status leaves one kind out", status=lambda p: p.splice(tuple(Program(kinds.of_anon, *PRECISE)), ())
)
READS = "fault 0 w || {read} mm=0 | fault 1 w"
MEETING = "fault 0 w || zap 0 | fault 1 w | statm mm=0"


def broken(design, workload):
    result = explore(design, Workload.parse(workload, batch=3), bounds=Bounds(states=500_000))
    assert result.complete
    return {violation.check for violation in result.violations}


@pytest.mark.parametrize("workload", [MEETING, *(READS.format(read=read) for read in ("statm", "status", "stat"))])
def test_linux_6_16_holds(workload):
    assert broken(LINUX_6_16, workload) == set()


def test_an_approximate_statm_is_caught_at_rest_and_while_it_reads():
    assert broken(APPROXIMATE_STATM, "fault 0 w") == {"rss_exact", "anon_rss_exact"}
    assert broken(APPROXIMATE_STATM, READS.format(read="statm")) >= {"rss_exact", "read_regular"}


@pytest.mark.parametrize("design", [APPROXIMATE_STATUS, HALF_A_SUM])
def test_an_approximate_status_is_caught_while_it_reads(design):
    assert broken(design, READS.format(read="status")) == {"read_regular"}


def test_stat_may_be_off_by_what_cpus_hold_and_statm_not():
    assert LINUX_6_16.bound_of("statm") == LINUX_6_16.bound_of("status") == EXACT
    assert LINUX_6_16.bound_of("stat").pages(4, 1, 32) == 3 * 31 * 4
    assert (LINUX_6_16.exact_read, LINUX_6_16.bounded_read) == ("statm", "stat")


def test_exact_reads_are_reads_of_the_design():
    with pytest.raises(ValueError, match="exact_reads names 'fault'"):
        replace(LINUX_6_16, exact_reads=("fault",))
