"""Pages that move to another address, and what finds them there."""

from dataclasses import replace

import pytest

from shm_layout.structs import FIRST_WORD, PTE
from stress import designs
from stress.checks import HOLDS, true_rss
from stress.designs.tlb_batch import FLUSH_PENDING
from stress.explore import explore, search
from stress.explore.hunt.workloads import variants
from stress.kernel import memory, mprotect, mremap, tlb, vmscan
from stress.kernel.pgtable import WRITABLE, pte_anon
from stress.program import Program
from stress.workload import Workload

MREMAP = designs.get("mremap")
ANON = {"anon": 2, "swap": 2, "mmu": True}
FILE = {"anon": 0, "shared_file": 2, "mmu": True}

WORKLOADS = (
    ("1: fault 0 w; 1: user_write 0 || mremap 0-1 | user_write 0 | swap_out", ANON),
    ("fault 0 w; fault 1 w || mremap 0-1; user_write 1 | fault 0 w | swap_out", ANON),
    ("fault 0 w; mremap 0-1 || fork; fault 1 w; exit | swap_out; fault 1 w | fault 0", ANON),
    ("fault 0 w; mremap 0-1; zap 0 || fault 0 w | swap_out; swap_out", ANON),
    ("fault 0 w; mremap 0-1 || exec; fault 0 w | access_process_vm 1 w mm=0", ANON),
    ("1: fault 0 w; 1: user_write 0 || mremap 0-1 | truncate 0; user_write 0", FILE),
    ("fault 0; fault 1 w || mremap 0-1; fault 1 | truncate 0 | truncate 1", FILE),
    ("1: fault 0 w; 1: user_write 0 || mprotect 0; fault 0 | user_write 0 | swap_out; fault 0", ANON),
    ("fault 0 w; mprotect 0-1 || mremap 0-1; fault 1 | fork; fault 0 w | zap 1; fault 1 w", ANON),
    ("fault 0 || mprotect 0; fault 0 | user_write 0; truncate 0 | fault 0; fault 0 w", FILE),
    ("fault 0 w; mprotect 0 || mprotect 0 w; fault 0 w | fork; fault 0 w | swap_out; fault 0", ANON),
    ("1: fault 0 w; 1: user_write 0 || mprotect 0; mprotect 0 w | user_write 0 | fault 0 w; mremap 0-1", ANON),
    ("fault 0 w; mprotect 0 || mprotect 0 w; fault 0 w | truncate 0; fault 0 w | user_write 0", FILE),
)


@pytest.mark.parametrize("arch", ["64", "pae"])
@pytest.mark.parametrize(("text", "machine"), WORKLOADS)
def test_they_hold(text, machine, arch):
    result = explore(MREMAP, Workload.parse(text, arch=arch, **machine))
    assert result.complete
    assert result.violations == ()


def reclaimed(design):
    """Whether a page that was moved is written out and read back."""
    result = explore(design, Workload.parse("fault 0 w; mremap 0-1; swap_out; fault 1", **ANON))
    assert result.violations == ()
    return result


def test_reclaim_finds_a_page_where_it_was_moved_to():
    """A walk that looks at the page's own number alone finds nothing there, and one step less is taken."""
    lost = MREMAP.edit("a", "b", swap_out=lambda p: p.replace(mremap.vma_interval_tree_foreach, vmscan.next_vma))
    assert reclaimed(MREMAP).depth > reclaimed(lost).depth


def test_a_flush_that_reclaim_has_to_do_is_done_first():
    """As munmap does (3ea277194daa): the pte is none already, and the translation is there."""
    begins = MREMAP.programs["mremap"].index(mremap.copy_vma) + 2
    late = MREMAP.edit("a", "b", mremap=lambda p: p[:begins] + p[begins + 4 :])
    workload = Workload.parse("1: fault 0 w; 1: user_write 0 || swap_out |  | mremap 0-1", **FILE)
    assert explore(late, workload).violation("tlb")
    assert explore(MREMAP, workload).violations == ()


MPROTECT = {
    "reclaim has a flush to do": (
        "1: fault 0 w; 1: user_write 0 || swap_out |  | mprotect 0",
        lambda p: p.splice(tuple(Program(*FLUSH_PENDING))),
    ),
    "it flushes nothing": (
        "1: fault 0 w; 1: user_write 0 || mprotect 0 | ",
        lambda p: p.splice((mprotect.if_pages_changed, tlb.flush_tlb_mm)),
    ),
    "ptes stay writable": (
        "fault 0 w || mprotect 0",
        lambda p: p.replace(mprotect.pte_wrprotect, memory.mk_reused_pte),
    ),
}


@pytest.mark.parametrize("name", MPROTECT)
def test_mprotect_keeps_its_promise_or_is_told(name):
    text, change = MPROTECT[name]
    assert explore(MREMAP.edit("a", "b", mprotect=change), Workload.parse(text, **FILE)).violation("tlb")
    assert explore(MREMAP, Workload.parse(text, **FILE)).violations == ()


def test_a_page_of_the_file_is_not_made_writable_by_a_read():
    allows = MREMAP.edit("a", "b", fault=lambda p: p.replace(mprotect.mk_file_pte_of_vma, memory.mk_file_pte))
    workload = Workload.parse("mprotect 0 | fault 0", **FILE)
    assert explore(MREMAP, workload).violations == ()
    assert explore(allows, workload).violation("user")


def one_page_at_most(m):
    return HOLDS if true_rss(m, 0) <= 1 else 0


def test_where_nothing_is_mapped_a_fault_maps_nothing():
    """The old place is a hole until munmap and mmap make it anew."""
    design = replace(MREMAP, checks=(one_page_at_most,))
    for after, broken in (("fault 0 w", False), ("zap 0; fault 0 w", True)):
        result = explore(design, Workload.parse(f"fault 0 w; mremap 0-1; {after}", **ANON))
        assert (result.violation("user") is not None) is broken


def test_a_move_needs_two_pages_of_one_mapping():
    assert [str(v) for v in variants("mremap", 3, 3)] == ["mremap 0-1", "mremap 0-2", "mremap 1-2"]
    assert variants("mremap", 1, 1) == []
    other_kind = explore(MREMAP, Workload.parse("fault 0 w; mremap 0-1; user_write 0", anon=1, shared_file=1, mmu=True))
    assert other_kind.violations == ()


def stored(design, machine, text="fault 0 w; mprotect 0 || {}fault 0 w"):
    """What pte 0 is after a store that mprotect has forbidden, and after one that it has allowed again."""
    found = []
    for allowed in ("", "mprotect 0 w; "):
        result, model = search(design, Workload.parse(text.format(allowed), **machine), finals=True)
        assert (result.complete, result.violations) == (True, ())
        ((memory, *_),) = result.finals
        entry = memory[model.memory[PTE] - FIRST_WORD]
        found.append((entry & WRITABLE != 0, pte_anon([*model.memory[:FIRST_WORD], *memory], entry)))
    return found


def test_the_right_to_store_is_given_back():
    assert stored(MREMAP, ANON) == [(False, 1), (True, 1)]
    assert stored(MREMAP, FILE) == [(False, 0), (True, 0)]


def test_a_page_of_a_shared_mapping_is_not_copied():
    copied = MREMAP.edit("a", "b", fault=lambda p: p.drop(mprotect.if_vma_shared))
    assert stored(copied, FILE) == [(False, 0), (True, 1)]
