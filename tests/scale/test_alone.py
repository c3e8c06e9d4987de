"""What operations cost by themselves: accesses counted in plain Python, held against the simulator's."""

import pytest

from shm_layout.machine import Machine
from stress import designs
from stress.scale.alone import Accesses, accesses_alone
from stress.scale.machine import get_machine
from stress.scale.simulation import Given, simulate

PAGES = 32


def faults(first, end):
    return [("fault", page, 0) for page in range(first, end)]


@pytest.mark.parametrize("name", ["page_table_lock", "v12_sound", "atomic", "percpu"])
def test_faults_make_the_atomics_that_the_simulator_makes(name):
    design = designs.get(name)
    machine = Machine(cpus=1, mms=1, anon=PAGES, frames=PAGES + 64)
    found = accesses_alone(design, machine, [], faults(0, PAGES))
    assert found.atomic == simulate(design, get_machine("2026"), Given(cpus=1, faults=PAGES)).atomics > 0


def test_only_the_calls_asked_for_are_counted():
    design, machine = designs.get("v12_sound"), Machine(cpus=1, mms=2, anon=PAGES, frames=2 * PAGES, arch="pae")
    both = accesses_alone(design, machine, [], [*faults(0, PAGES), ("zap", 0, PAGES)])
    zaps = accesses_alone(design, machine, faults(0, PAGES), [("zap", 0, PAGES)])
    maps = accesses_alone(design, machine, [], faults(0, PAGES))
    assert both == Accesses(zaps.plain + maps.plain, zaps.atomic + maps.atomic)
    assert zaps.atomic >= PAGES  # each pte is taken at once, each page is given up


def test_accesses_are_priced_by_their_kind():
    line = get_machine("2004").line
    assert Accesses(3, 2).ns(line) == 3 * line.own_ns + 2 * line.own_atomic_ns
