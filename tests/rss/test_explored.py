"""The explorer's verdicts on counters."""

import pytest

from shm_layout.atomic import read_once, write_once
from shm_layout.registers import R_CPU, R_LEVEL, R_VALUE
from stress import designs
from stress.explore import Bounds, explore
from stress.kernel.rss import lazy
from stress.kernel.rss.amount import counted
from stress.kernel.rss.percpu import local
from stress.rss.explored import SMALL, explore_counter
from stress.step import NEXT, step
from stress.workload import Workload


@pytest.mark.parametrize("name", ["cached", "deferred_16", "lazy", "percpu", "ptlock_split", "tree"])
def test_sound_in_every_interleaving(name):
    found = explore_counter(name)
    assert found.complete
    assert found.states > 1000
    assert not found.violations


def test_sloppy_is_seen_to_break_on_the_path_as_posted():
    assert "mapcount" in explore_counter("v11_sloppy").violations


@step
def read_central(m, r):
    """The central count, the read of a fold that is not atomic."""
    r[R_LEVEL] = read_once(m, counted(m, r))
    return NEXT


@step
def write_central(m, r):
    """Its write; the CPU's own is 0."""
    write_once(m, counted(m, r), r[R_LEVEL] + r[R_VALUE])
    write_once(m, local(m, r, r[R_CPU]), 0)
    return NEXT


def test_lazy_loses_a_count_when_the_fold_is_not_atomic():
    """Somebody who found the mm single adds to the word between the read and the write of a fold."""
    workload = Workload.parse("fork || clone; fault 0 w; fault 1 w | access_process_vm 2 w mm=1", **SMALL)
    sound = designs.get("lazy")
    plain = (read_central, write_central)
    broken = sound.edit(name="lazy_plain_fold", fault=lambda p: p.replace(lazy.fold_count_atomic, *plain))
    bounds = Bounds(states=1_000_000)
    assert not explore(sound, workload, bounds=bounds).violations
    assert "rss_exact" in {v.check for v in explore(broken, workload, bounds=bounds).violations}
