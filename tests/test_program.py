"""Programs: the edits, and where every outcome of every step leads."""

import pickle

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shm_layout.errors import UsageError
from stress import designs
from stress.design import Design
from stress.kernel import exit as exit_
from stress.kernel import huge_memory, memory, pgalloc, pte_access, spinlock, tlb, vmscan
from stress.kernel.rss import ptlock_split
from stress.labels import AGAIN, COPY, DO_ANONYMOUS_PAGE, DO_WP_PAGE, NEXT_PTE, OUT_UNLOCK, STALE, label_info, outcomes
from stress.program import END, NOWHERE, STAY, At, ByArch, Goto, Program, assemble, entry_name
from stress.step import DONE, NEXT, WAIT, info, possible_outcomes, step

# any labels of these kinds: declaring more would make every table of outcomes longer
FORWARD = STALE
BACK = AGAIN
SECTION = COPY
OTHER_SECTION = OUT_UNLOCK


@step
def a(m, r):
    return NEXT


@step
def b(m, r):
    return NEXT


@step
def c(m, r):
    return NEXT


@step
def jumps(m, r):
    return FORWARD if r[0] else NEXT


@step
def loops(m, r):
    return BACK if r[0] else NEXT


STEPS = st.sampled_from([a, b, c, jumps, loops])
PROGRAMS = st.lists(STEPS | st.sampled_from([At(SECTION), At(OTHER_SECTION)]), min_size=1, max_size=12).map(
    lambda entries: Program(*entries)
)


# edits


def test_nested_tuples_are_flattened():
    assert Program((a, (b, [At(FORWARD)])), Program(c), ()) == (a, b, At(FORWARD), c)


def test_what_is_no_step_is_no_entry():
    with pytest.raises(TypeError, match="is no step"):
        Program(a, len)


@given(program=PROGRAMS, entry=STEPS)
def test_edits_put_things_where_they_say(program, entry):
    edits = {
        "drop": lambda p: p.drop(entry),
        "replace": lambda p: p.replace(entry, c, a),
        "before": lambda p: p.before(entry, a),
        "after": lambda p: p.after(entry, a),
        "splice": lambda p: p.splice((entry,), c, a),
    }
    puts = {"drop": [], "replace": [c, a], "before": [a, entry], "after": [entry, a], "splice": [c, a]}
    for name, edit in edits.items():
        if entry in program:
            expected = [new for e in program for new in (puts[name] if e is entry else [e])]
            assert list(edit(program)) == expected
        else:
            with pytest.raises(ValueError, match=f"no {info(entry).name} in this program"):
                edit(program)


@given(program=PROGRAMS, entry=STEPS)
def test_an_edit_within_a_section_leaves_the_rest_alone(program, entry):
    if At(SECTION) not in program:
        with pytest.raises(ValueError, match="no label copy"):
            program.drop(entry, within=SECTION)
        return
    begin = program.index(At(SECTION))
    later = [i for i in range(begin + 1, len(program)) if program[i] in (At(SECTION), At(OTHER_SECTION))]
    end = min(later, default=len(program))
    if entry not in program[begin:end]:
        with pytest.raises(ValueError, match="after copy"):
            program.drop(entry, within=SECTION)
    else:
        expected = [e for i, e in enumerate(program) if e is not entry or not begin <= i < end]
        assert list(program.drop(entry, within=SECTION)) == expected


@given(program=PROGRAMS, first=STEPS, second=STEPS)
def test_swapping_twice_changes_nothing(program, first, second):
    # Of several in a row the last one moves, and then it is no longer the last.
    assume(program.count(first) <= 1 and program.count(second) <= 1)
    try:
        swapped = program.swap(first, second)
    except ValueError:
        return
    assert swapped != program
    assert sorted(swapped.names()) == sorted(program.names())
    assert swapped.swap(first, second) == program
    assert program.swap(second, first) == swapped


def test_swap_changes_places_in_every_section_and_not_across():
    program = Program(a, c, b, At(SECTION), b, a, At(OTHER_SECTION), a)
    assert program.swap(a, b) == Program(b, c, a, At(SECTION), a, b, At(OTHER_SECTION), a)
    with pytest.raises(ValueError, match="follow each other nowhere"):
        Program(a, At(SECTION), b).swap(a, b)


def test_splice_takes_whole_runs():
    assert Program(a, b, a, b, c).splice((a, b), c) == Program(c, c, c)
    with pytest.raises(ValueError, match="no b, b in this program"):
        Program(a, b, a, b).splice((b, b), c)


def test_a_program_names_its_entries():
    both = ByArch("both", (a,), (b, c))
    assert Program(a, both, At(BACK), Goto(BACK)).names() == ["a", "both", "again:", "goto again"]
    assert entry_name(At(BACK)) == "again:"


# assembling


def test_labels_lead_to_the_nearest_place():
    program = Program(At(BACK), a, At(BACK), jumps, loops, b, At(FORWARD), c, At(FORWARD), a)
    assembled = assemble(program, "64")
    assert assembled.steps == (a, jumps, loops, b, c, a)
    assert assembled.jump[1][FORWARD] == 4
    assert assembled.jump[2][BACK] == 1
    assert assembled.jump[5][NEXT] == END


def test_gotos_are_followed():
    program = Program(a, Goto(FORWARD), b, At(FORWARD), Goto(SECTION), c, At(SECTION))
    assert [row[NEXT] for row in assemble(program, "64").jump] == [END, END, END]
    with pytest.raises(ValueError, match="circle"):
        assemble(Program(a, At(BACK), Goto(BACK)), "64")


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (Program(At(FORWARD), jumps), "jumps may go to stale: no such label there"),
        (Program(loops, At(BACK)), "loops may go to again: no such label there"),
        (Program(a, Goto(FORWARD)), "goto stale: no such label there"),
    ],
)
def test_a_jump_to_nowhere_is_refused(program, message):
    with pytest.raises(UsageError, match=message):
        assemble(program, "64")


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (Program(), "without a step"),
        (Program(At(FORWARD)), "without a step"),
        (Program(ByArch("only_on_pae", (), (a,))), "without a step"),
        (Program(Goto(FORWARD), a, At(FORWARD), b), "begins with goto stale"),
        (Program(At(BACK), Goto(FORWARD), a, At(FORWARD)), "begins with goto stale"),
    ],
)
def test_a_program_begins_with_its_first_step(program, message):
    """No engine looks for another place, and none performs a program that has no step."""
    with pytest.raises(UsageError, match=message):
        assemble(program, "64")


@step(private=True)
def waits_alone(m, r):
    return WAIT if r[0] else NEXT


def test_a_private_step_that_may_wait_is_refused():
    """The explorer takes private steps without asking whether they wait."""
    with pytest.raises(UsageError, match="waits_alone is private and may return WAIT"):
        assemble(Program(a, waits_alone), "64")


def test_a_goto_that_leads_to_the_first_step_may_begin_a_program():
    assert assemble(Program(Goto(FORWARD), At(FORWARD), a), "64").steps == (a,)


def test_an_access_can_be_several_steps_on_pae():
    program = Program(a, ByArch("both", (a,), (b, c)), jumps, At(FORWARD))
    assert assemble(program, "64").steps == (a, a, jumps)
    assert assemble(program, "pae").steps == (a, b, c, jumps)
    assert assemble(program, "pae").jump[3][FORWARD] == END


# the designs


@pytest.mark.parametrize("arch", ["64", "pae"])
@pytest.mark.parametrize("name", designs.names())
def test_every_outcome_leads_somewhere(name, arch):
    for program in designs.get(name).programs.values():
        assembled = assemble(program, arch)
        reached = {0}
        for function, row in zip(assembled.steps, assembled.jump, strict=True):
            assert len(row) == outcomes()
            assert (row[DONE], row[WAIT]) == (END, STAY)
            possible = possible_outcomes(function)
            for outcome in range(3, outcomes()):
                assert (row[outcome] == NOWHERE) == (outcome not in possible)
                assert row[outcome] in (NOWHERE, END) or 0 <= row[outcome] < len(assembled.steps)
            reached |= {row[o] for o in possible if o not in (DONE, WAIT)}
        assert set(range(len(assembled.steps))) - reached == set(), "a step that nothing leads to"


@pytest.mark.parametrize("name", designs.names())
def test_no_counter_comes_between_a_jump_and_its_place(name):
    """The steps around the counting jump to the same steps in every design, whatever labels its counter uses."""
    unlocks = (spinlock.spin_unlock, ptlock_split.pte_unlock)
    for operation in ("swap_out", "truncate"):
        assembled = assemble(designs.get(name).programs[operation], "64")
        for function, row in zip(assembled.steps, assembled.jump, strict=True):
            for outcome in possible_outcomes(function):
                if outcome > WAIT and label_info(outcome).name == "not_mapped":
                    assert assembled.steps[row[outcome]] in unlocks
    zap = assemble(designs.get(name).programs["zap"], "64")
    entry = zap.steps.index(memory.zap_entry)
    targets = {
        zap.steps[to]
        for o, to in enumerate(zap.jump[entry])
        if o in possible_outcomes(memory.zap_entry) and o > WAIT
    }
    assert targets <= {
        memory.free_swap_and_cache,
        memory.next_pte,
        ptlock_split.pte_unmap_unlock,
        tlb.is_unreachable,
        pgalloc.free_pte_range,
        huge_memory.next_pte_in_table,
    }


@pytest.mark.parametrize("name", designs.names())
def test_designs_can_be_pickled(name):
    design = designs.get(name)
    copy = pickle.loads(pickle.dumps(design))
    assert copy == design
    assert copy.programs == design.programs
    assert isinstance(copy.programs["fault"], Program)
    with pytest.raises(TypeError):
        copy.programs["fault"] = Program()


def test_an_edit_of_a_design_is_kept_and_leaves_the_rest_alone():
    base = designs.get("v12")
    mended = base.edit("F00", "why", name="mended", fault=lambda p: p.drop(memory.user_access))
    assert (mended.name, mended.base, [e.name for e in mended.edits]) == ("mended", "v12", ["F00"])
    assert mended.programs["zap"] == base.programs["zap"]
    assert memory.user_access in base.programs["fault"]
    with pytest.raises(ValueError, match="design v12 has no operation nothing"):
        base.edit(nothing=lambda p: p)
    with pytest.raises(ValueError, match="no mmput in this program"):
        base.edit(fault=lambda p: p.drop(exit_.mmput))
    assert "fault" not in base.without("fault").programs
    assert base.with_programs(more=Program(a)).programs["more"] == Program(a)
    assert isinstance(base, Design)


# the order of the patches as posted, in the names of the steps


def in_order(names, *wanted):
    """Whether these names follow each other in this order, others in between."""
    rest = iter(names)
    return all(name in rest for name in wanted)


def section(design, operation, begin):
    """Names of the entries of one section of a program."""
    names = designs.get(design).programs[operation].names()
    start = names.index(begin)
    sections = {f"{label_info(o).name}:" for o in range(3, outcomes()) if label_info(o).section}
    end = next((i for i in range(start + 1, len(names)) if names[i] in sections), len(names))
    return names[start:end]


def test_do_anonymous_page_as_posted():
    assert in_order(
        section("page_table_lock", "fault", "do_anonymous_page:"),
        *("spin_unlock", "alloc_zeroed_page", "spin_lock", "pte_none", "inc_mm_rss", "lru_cache_add_active"),
        *("mark_page_accessed", "inc_mm_anon_rss", "page_add_anon_rmap", "set_pte", "update_mmu_cache"),
    )
    v12 = section("v12", "fault", "do_anonymous_page:")
    assert in_order(
        v12,
        *("alloc_zeroed_page", "mark_page_accessed", "ptep_cmpxchg_low", "lru_cache_add_active"),
        *("inc_task_anon_rss", "page_add_anon_rmap", "inc_task_rss", "update_mmu_cache"),
    )
    assert "spin_lock" not in v12
    assert in_order(
        section("v12_sound", "fault", "do_anonymous_page:"), "page_add_anon_rmap", "lru_cache_add_active"
    )


def test_swap_out_as_posted():
    cleared = ("ptep_get_and_clear", "flush_tlb_page", "move_dirty")
    last = ("dec_mm_rss", "page_remove_rmap", "page_cache_release", "spin_unlock")
    assert in_order(
        designs.get("page_table_lock").programs["swap_out"].names(),
        *(
            "spin_lock",
            *cleared,
            "if_page_anon",
            "set_pte",
            "dec_mm_anon_rss",
            "not_anon:",
            *last,
        ),
    )
    assert in_order(
        designs.get("v12").programs["swap_out"].names(),
        *("spin_lock", "if_page_anon", "ptep_xchg_flush_low", "flush_tlb_page", "move_dirty", "dec_mm_anon_rss"),
        *("not_anon:", *cleared, *last),
    )


def test_truncate_as_posted():
    """A zap of the file's ptes: rss goes down at the end."""
    assert in_order(
        designs.get("page_table_lock").programs["truncate"].names(),
        *("spin_lock", "ptep_get_and_clear", "page_remove_rmap", "page_cache_release", "dec_mm_rss", "spin_unlock"),
    )


def test_fork_and_exec_as_posted():
    assert in_order(
        designs.get("v12").programs["fork"].names(),
        *("down_write", "spin_lock_child", "spin_lock", "next_pte:", "read_pte", "ptep_set_wrprotect"),
        *("get_page_mapped", "inc_child_rss", "if_page_anon", "inc_child_anon_rss", "set_child_pte_atomic"),
        *("page_dup_rmap", "spin_unlock", "spin_unlock_child", "up_write", "list_add_rcu"),
    )
    assert in_order(
        designs.get("v12").programs["exec"].names(),
        *("spin_lock", "fold_rss", "fold_anon_rss", "list_del_rcu", "spin_unlock", "activate_mm"),
        *("spin_lock", "list_add_rcu", "spin_unlock", "mmput"),
    )


def test_do_wp_page_of_v12_acts_on_the_entry_read_before_the_lock():
    posted = section("v12", "fault", "do_wp_page:")
    assert posted[:4] == ["do_wp_page:", "spin_lock", "wp_pfn_valid", "can_share_page"]
    program = designs.get("v12_sound").programs["fault"]
    assert in_order(section("v12_sound", "fault", "do_wp_page:"), "spin_lock", "pte_same", "can_share_page")
    assembled = assemble(program, "64")
    place = assembled.steps.index(memory.can_share_page)
    recheck = max(i for i in range(place) if assembled.steps[i] is pte_access.recheck_same)
    raced = next(o for o in possible_outcomes(pte_access.recheck_same) if o != NEXT)
    # nothing was taken yet, so nothing is given back
    assert assembled.steps[assembled.jump[recheck][raced]] is spinlock.spin_unlock
    assert assembled.steps[assembled.jump[assembled.jump[recheck][raced]][NEXT]] is spinlock.up_read


def test_sections_are_where_the_edits_look_for_them():
    fault = designs.get("v12").programs["fault"]
    for begin in (DO_ANONYMOUS_PAGE, DO_WP_PAGE):
        assert fault.count(At(begin)) == 1
    assert designs.get("v12").programs["zap"].count(At(NEXT_PTE)) == 1
    assert vmscan.page_check_address in designs.get("v12").programs["swap_out"]
