"""How far readers are off, against the declared bounds, with workers in processes of their own."""

from dataclasses import replace

import pytest

from stress.designs import tree
from stress.rss import accuracy
from stress.rss.accuracy import measure_accuracy, workers_for
from stress.rss.loop_source import fragments
from stress.rss.subjects import SUBJECTS


def measured(name, cpus, threads=None, *, hop=True, updates=60_000, batch=None, seed=3):
    threads = cpus if threads is None else threads
    workers = workers_for(cpus, threads, 2)
    return measure_accuracy(
        SUBJECTS[name],
        cpus=cpus,
        threads=threads,
        workers=workers,
        updates=updates,
        hop=hop,
        seed=seed,
        batch=batch,
    )


@pytest.mark.parametrize("cpus", [2, 5, 48])
def test_percpu_reaches_its_bound_and_stays_within(cpus):
    """A bound smaller by one page, let alone by a batch, is exceeded."""
    found = measured("percpu", cpus)
    assert found.filled == found.worst == found.bound == (found.batch - 1) * cpus
    assert found.within
    assert found.precise == 0
    assert found.reads > 0


def test_a_bound_that_is_too_small_is_seen_to_break():
    """The same counter with a larger batch than its bound was declared for."""
    found = measured("percpu", 4, batch=64)
    declared = SUBJECTS["percpu"].design.bound.pages(4, 4, 32)
    assert found.worst > declared


@pytest.mark.parametrize("cpus", [4, 12, 16])
def test_tree_holds_back_what_it_can_and_no_more(cpus):
    found = measured("tree", cpus)
    assert found.filled == tree.most_held(cpus, found.batch)
    assert found.filled <= found.worst <= found.bound
    assert found.within
    assert found.precise == 0


def test_without_hopping_a_worker_fills_one_cpu():
    found = measured("percpu", 48, hop=False)
    workers = workers_for(48, 48, 2)
    assert 0 < found.filled <= (found.batch - 1) * workers


def test_cached_stays_within_64_events_a_thread():
    found = measured("cached", 3, 7)
    assert found.filled == found.bound == 64 * 7
    assert found.within


def test_atomic_counters_are_exact():
    found = measured("atomic", 4)
    assert (found.worst, found.rest, found.bound) == (0, 0, 0)
    assert found.within


@pytest.mark.parametrize("name", sorted(SUBJECTS.keys() - {"percpu", "tree", "cached", "atomic"}))
def test_every_other_counter_keeps_its_promise(name):
    """Read after read: registers are not cleared in between."""
    found = measured(name, 3)
    assert found.within
    assert found.reads > 1


def test_changes_are_really_made():
    """Pages counted up and not down again are there at rest, as the precise read shows."""
    found = measured("percpu", 4, updates=40_001)
    assert found.updates == 40_000
    assert found.precise == 0


@pytest.mark.parametrize("part", ["up", "down", "read", "tick"])
def test_workers_perform_the_fragments_of_the_counter(monkeypatch, part):
    """Another one in the place of one is seen in the errors of a counter that has none."""
    own = fragments(SUBJECTS["atomic"])  # its tick does nothing
    code = replace(own, **{part: own.up if part == "tick" else own.tick})
    monkeypatch.setattr(accuracy, "fragments", lambda subject: code)
    assert measured("atomic", 2).worst > 0


def test_the_precise_read_is_performed_at_rest(monkeypatch):
    code = replace(fragments(SUBJECTS["percpu"]), precise=fragments(SUBJECTS["percpu"]).read)
    monkeypatch.setattr(accuracy, "fragments", lambda subject: code)
    assert measured("percpu", 4).precise > 0
