"""What is measured of costs: that it is there and sensible; never that it is fast."""

import pytest

from stress.rss import working
from stress.rss.accuracy import measure_accuracy
from stress.rss.cost import measure_cost
from stress.rss.loop_source import BARE, compile_subject, missing_fragments, missing_loops
from stress.rss.subjects import SUBJECTS
from stress.rss.working import missing_work

LOOPS = ("bare", "cost_up", "cost_read")
PARTS = ("up", "down", "read", "precise", "tick")


def test_every_counter_has_a_bare_loop():
    assert {s.bare for s in SUBJECTS.values()} == set(BARE)


def test_costs_of_two_counters_in_turns():
    subjects = [SUBJECTS["atomic"], SUBJECTS["percpu"]]
    costs = measure_cost(subjects, cpus=4, threads=4, cores=2, rounds=2, read_sizes=(1, 8))
    assert list(costs) == ["atomic", "percpu"]
    for cost in costs.values():
        assert cost.update > 0
        assert cost.bare > 0
        assert cost.contended > 0
        assert set(cost.reads) == {1, 8}
    assert costs["atomic"].precise is None
    assert costs["percpu"].precise > 0


def test_one_thread_contends_with_nobody():
    cost = measure_cost([SUBJECTS["atomic"]], cpus=1, threads=1, cores=2, rounds=1, read_sizes=(1,))["atomic"]
    assert cost.contended is None


@pytest.mark.parametrize("name", ["tree", "atomic"])
def test_what_is_compiled_ahead_is_what_is_called(name):
    """Were a signature wrong, the loop would be compiled for two."""
    subject = SUBJECTS[name]
    for task in (*missing_work(), *missing_fragments(subject), *missing_loops(subject)):
        task()
    measure_accuracy(subject, cpus=2, threads=2, workers=2, updates=1000, hop=False, seed=1)
    measure_cost([subject], cpus=2, threads=2, cores=2, rounds=1, read_sizes=(2,))
    assert [*missing_work(), *missing_fragments(subject), *missing_loops(subject)] == []
    made = compile_subject(subject)
    timed = [made[name] for name in (*LOOPS, *(["cost_precise"] if subject.precise else []))]
    called = [*timed, *(made[part] for part in PARTS), working.run, working.at_rest, working.give, working.meet]
    assert [len(loop._cache._cache_file._load_index()) for loop in called] == [1] * len(called)
