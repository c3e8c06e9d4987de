"""One fault is one row: what is found is traced to its mend, mended, and no longer hides others."""

from hypothesis import strategies as st
from hypothesis.database import InMemoryExampleDatabase

from stress import designs
from stress.explore import explore
from stress.explore.hunt import hunt
from stress.explore.hunt.faults import faults_of, fits, mended, smallest
from stress.explore.hunt.mends import mends_of
from stress.kernel.rmap import page_add_anon_rmap
from stress.kernel.swap import lru_cache_add_active
from stress.labels import DO_ANONYMOUS_PAGE
from stress.workload import Workload

V12, SOUND = designs.get("v12"), designs.get("v12_sound")
LRU_FIRST = SOUND.edit(
    "lru first",
    "the page is on the LRU before its mapping is counted",
    name="lru_first",
    fault=lambda p: p.swap(lru_cache_add_active, page_add_anon_rmap, within=DO_ANONYMOUS_PAGE),
)


def hunted(design, *texts, **machine):
    """A hunt that has looked at these workloads, in this order."""
    found = hunt.Hunt(
        design, st.nothing(), seconds=1, seed_=1, mends=mends_of(design), database=InMemoryExampleDatabase()
    )
    found._deadline = float("inf")
    for text in texts:
        found.look(Workload.parse(text, **machine))
    return found


def test_the_mends_of_v12_make_it_sound():
    assert mended(V12, mends_of(V12)).programs == SOUND.programs
    assert mended(LRU_FIRST, mends_of(LRU_FIRST)).programs == SOUND.programs


def test_a_design_whose_faults_are_not_known_has_no_mends():
    assert mends_of(SOUND) == ()
    assert mends_of(LRU_FIRST.edit("more", "", zap=lambda p: p)) == ()


def test_a_mend_that_another_one_needs_does_not_fit():
    by_name = {mend.name: mend for mend in mends_of(V12)}
    assert not fits(V12, by_name["read_locked"])
    assert fits(by_name["F06"].apply(V12), by_name["read_locked"])


def test_each_fault_is_one_find_with_its_mend():
    found = hunted(V12, "fault 0 w; clone; fault 1 w | statm", "fault 0 w | swap_out; swap_out | zap 1")
    assert {"start_at_zero", "F11"} <= {find.fault.mend.name for find in found.faults}
    assert found.finds == {}
    names = [find.fault.mend.name for find in found.distinct()]
    assert len(set(names)) == len(names)
    for find in found.faults:
        shown = explore(find.fault.alone, find.workload).violation(find.signature[0])
        assert shown.length == find.violation.length
        assert explore(SOUND, find.workload).violations == ()


def test_a_fault_that_another_one_hides_is_found():
    """On PAE every fault of v12 breaks F01's compare first."""
    found = hunted(V12, "fault 0 w", "fault 0 w; clone", "fault 0 w | swap_out", arch="pae")
    assert {"F01", "start_at_zero", "F11"} <= {find.fault.mend.name for find in found.faults}


def test_the_one_edit_of_a_design_is_one_fault():
    found = hunted(LRU_FIRST, "fault 0 w | swap_out", "fault 0 w; statm | swap_out", "fault 1 w | swap_out | zap 1")
    (find,) = found.faults
    assert find.fault.mend.name == "without lru first"
    assert str(find.workload) == "fault 0 w | swap_out"
    assert found.finds == {}


def test_workloads_lose_what_they_do_not_need():
    text = "fault 0 w; fork || fault 0 w; zap 0 | swap_out; statm"
    less = smallest(Workload.parse(text), lambda w: "swap_out" in str(w) and str(w).count("fault") == 1)
    assert sorted(op.name for op in less.operations()) == ["fault", "swap_out"]


def test_leaving_one_mend_out_leaves_one_fault():
    for fault in faults_of(V12, mends_of(V12)):
        assert fault.alone.programs != SOUND.programs, fault.mend.name
