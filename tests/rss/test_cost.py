"""What is measured of costs: that it is there and sensible; never that it is fast."""

from stress.rss.cost import measure_cost
from stress.rss.loop_source import BARE
from stress.rss.subjects import SUBJECTS


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
