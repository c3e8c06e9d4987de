"""Where every field lies: nothing overlaps, lines are shared as a placement says, names lead back to words."""

from itertools import chain, pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from shm_layout import structs
from shm_layout.layout import Layout
from shm_layout.machine import ARCHES, Machine
from shm_layout.placement import AS_POSTED, PLACEMENTS, Placement, grouped
from shm_layout.structs import FIRST_WORD, HEADER_WORDS, LINE_WORDS, PARAMETERS, STRUCTS, at
from stress.kernel.pgtable import mk_pte, page_to_pfn, pfn_to_page, pte_at, pte_page, pte_to_slot, swp_entry
from stress.kernel.tlb import mmu_at

FEW = settings(max_examples=40)
PACKED_STRUCTS = ("pte", "written", "mmu_cache", "page_cache")
"""Found by their number alone."""


@st.composite
def machines(draw):
    frames = draw(st.integers(2, 20))
    return Machine(
        cpus=draw(st.integers(1, 5)),
        mms=draw(st.integers(1, 4)),
        anon=draw(st.integers(1, 9)),
        private_file=draw(st.integers(0, 3)),
        shared_file=draw(st.integers(0, 3)),
        frames=frames,
        swap=draw(st.integers(0, frames)),
        arch=draw(st.sampled_from(ARCHES)),
        above_4g=draw(st.booleans()),
        mmu=draw(st.booleans()),
        ghost=draw(st.booleans()),
        batch=draw(st.integers(1, 64)),
        task_depth=draw(st.integers(1, 4)),
    )


@st.composite
def placements(draw):
    """One that comes with the program, or one that splits some structures in lines at random."""
    if draw(st.booleans()):
        return draw(st.sampled_from(list(PLACEMENTS.values())))
    lines = {}
    for name, struct in STRUCTS.items():
        if name in PACKED_STRUCTS or not draw(st.booleans()):
            continue
        fields = draw(st.permutations([f.name for f in struct.fields]))
        groups = [[]]
        for f in fields:
            if draw(st.booleans()):
                groups.append([])
            if draw(st.booleans()):
                groups[-1].append(f)
        lines[name] = tuple(tuple(g) for g in groups)
    return Placement("drawn", "", lines)


LAYOUTS = st.builds(Layout, machines(), placements())


def words_of(layout):
    """Every word that holds a field: (index, structure, instance, field)."""
    for region in layout.regions.values():
        for instance in range(region.count):
            for f in region.struct.fields:
                yield region.index(instance, f.name), region.struct.name, instance, f


@FEW
@given(layout=LAYOUTS)
def test_no_two_fields_share_a_word(layout):
    words = [index for index, *_ in words_of(layout)]
    assert len(set(words)) == len(words)
    assert min(words) >= FIRST_WORD
    assert max(words) < layout.words


@FEW
@given(layout=LAYOUTS)
def test_regions_begin_on_a_line_and_follow_each_other(layout):
    regions = list(layout.regions.values())
    assert all(r.start % LINE_WORDS == 0 for r in regions)
    assert all(before.end <= after.start for before, after in pairwise(regions))
    assert layout.words % LINE_WORDS == 0
    assert layout.words >= regions[-1].end


@FEW
@given(layout=LAYOUTS)
def test_constants_lead_to_the_same_words(layout):
    m = [0] * layout.words
    layout.write_constants(m)
    for index, name, instance, f in words_of(layout):
        struct = STRUCTS[name]
        assert at(m, f.constant, instance) == index
        assert m[struct.count] == layout.regions[name].count
    assert all(m[index] == 0 for index in range(FIRST_WORD, layout.words))
    assert all(m[index] == 0 for index in range(HEADER_WORDS))


@FEW
@given(layout=LAYOUTS)
def test_ptes_are_found_by_their_number(layout):
    m = [0] * layout.words
    layout.write_constants(m)
    machine = layout.machine
    for mm in range(machine.mms):
        for address in range(machine.ptes):
            assert layout.describe(pte_at(m, mm, address)) == f"pte {mm}:{address}"
            if machine.mmu:
                last = machine.cpus - 1
                assert layout.describe(mmu_at(m, last, mm, address)) == f"mmu_cache of cpu {last} {mm}:{address}"


@FEW
@given(layout=LAYOUTS)
def test_names_and_words_are_inverse(layout):
    described = {}
    for index, name, instance, f in words_of(layout):
        assert layout.field_at(index) == (f, instance)
        described[index] = layout.describe(index)
        if name in ("mm_struct", "task_struct", "page", "swap"):
            assert str(instance) in described[index].split()
    assert len(set(described.values())) == len(described)
    for index in set(range(layout.words)) - set(described):
        assert layout.field_at(index) is None
        assert layout.describe(index) == f"word {index}"


@FEW
@given(layout=LAYOUTS)
def test_lines_are_shared_as_the_placement_says(layout):
    for name, region in layout.regions.items():
        groups = grouped(layout.placement, name)
        if groups is None:
            assert region.stride == len(region.struct.fields)
            assert [region.offsets[f.name] for f in region.struct.fields] == list(range(region.stride))
            continue
        assert region.stride % LINE_WORDS == 0
        assert sorted(chain.from_iterable(groups)) == sorted(f.name for f in region.struct.fields)
        used = [{region.offsets[f] // LINE_WORDS for f in group} for group in groups if group]
        for group, lines in zip([g for g in groups if g], used, strict=True):
            assert len(lines) == -(-len(group) // LINE_WORDS), "a group takes no more lines than it needs"
        assert len(set().union(*used)) == sum(map(len, used)), "two groups share a line"


def test_placements_as_declared():
    machine = Machine(cpus=1, mms=2, anon=4, frames=4)

    def lines(placement):
        offsets = Layout(machine, PLACEMENTS[placement]).regions["mm_struct"].offsets
        return {name: place // LINE_WORDS for name, place in offsets.items()}

    posted, separate, padded = map(lines, ("posted", "separate", "padded"))
    assert len({posted[f] for f in ("mmap_sem", "page_table_lock", "rss", "anon_rss")}) == 1
    assert separate["mmap_sem"] == separate["page_table_lock"] != separate["rss"] == separate["anon_rss"]
    assert len({padded[f] for f in ("mmap_sem", "page_table_lock", "rss", "anon_rss")}) == 4
    packed = Layout(machine, PLACEMENTS["packed"]).regions["task_struct"]
    assert packed.stride == len(packed.struct.fields)


def test_all_placements_put_the_same_fields_somewhere_else():
    machine = Machine(cpus=2, mms=2, anon=4, frames=4)
    layouts = [Layout(machine, p) for p in PLACEMENTS.values()]
    assert len({layout.hash() for layout in layouts}) == len(layouts)
    readers = Layout(machine, PLACEMENTS["big_reader"]).regions["mmap_sem_readers"]
    assert readers.count == machine.cpus * machine.mms
    assert readers.stride == LINE_WORDS, "no two CPUs count readers on one line"
    apart = set(readers.struct.fields)
    assert len({tuple(f.name for *_, f in words_of(layout) if f not in apart) for layout in layouts}) == 1


@given(first=machines(), second=machines())
def test_the_hash_knows_the_machine(first, second):
    assert Layout(first).hash() == Layout(first).hash()
    assume(first != second)
    assert Layout(first).hash() != Layout(second).hash()
    assert 0 <= Layout(first).hash() < 1 << 63


def test_an_instance_that_is_not_there():
    region = Layout(Machine(cpus=1, mms=2, anon=4, frames=4), AS_POSTED).regions["mm_struct"]
    for instance in (-1, 2):
        with pytest.raises(IndexError, match=r"mm_struct .*: there are 2"):
            region.index(instance, "rss")


def test_constants_are_all_different():
    constants = [p.constant for p in PARAMETERS.values()]
    for struct in STRUCTS.values():
        constants += [struct.stride, struct.count, *(f.constant for f in struct.fields)]
    assert len(set(constants)) == len(constants)
    assert min(constants) >= HEADER_WORDS
    assert max(constants) < FIRST_WORD


def test_a_field_is_declared_once():
    rss = next(f for f in structs.mm_struct.fields if f.name == "rss")
    assert structs.mm_struct.word("rss", rss.writers, rss.doc, rss.holds) == structs.MM_RSS
    assert structs.parameter("pae", structs.PARAMETERS["pae"].doc) == structs.PAE
    with pytest.raises(ValueError, match="mm_struct has another field 'rss'"):
        structs.mm_struct.word("rss", "everybody", "something else")
    with pytest.raises(ValueError, match="another parameter 'pae'"):
        structs.parameter("pae", "something else")
    assert [f.name for f in structs.mm_struct.fields].count("rss") == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"arch": "32"}, "arch '32'"),
        ({"cpus": 0}, "cpus must be at least 1"),
        ({"mms": 0}, "mms must be at least 1"),
        ({"task_depth": 0}, "task_depth"),
        ({"anon": -1}, "anon must not be negative"),
        ({"anon": 0}, "at least one virtual page"),
        ({"swap": 9}, "must not outnumber the frames"),
        ({"frames": 1}, "at least 2 frames"),
    ],
)
def test_a_machine_that_cannot_be(wrong, message):
    with pytest.raises(ValueError, match=message):
        Machine(**{"cpus": 1, "mms": 1, "anon": 1, "frames": 4, **wrong})


# what a pte says, on the machines that layouts are made for


@FEW
@given(machine=machines(), flags=st.integers(0, 0xFFF), data=st.data())
def test_a_pte_names_its_frame(machine, flags, data):
    layout = Layout(machine)
    m = [0] * layout.words
    layout.write_constants(m)
    frame = data.draw(st.integers(0, machine.frames - 1))
    entry = mk_pte(m, frame, flags & ~1)
    assert pte_page(m, entry) == frame
    assert entry & 0xFFF == flags | 1
    assert (entry >> 32 != 0) == machine.above_4g
    if machine.above_4g:
        assert pte_page(m, entry & 0xFFFFFFFF) == -1, "half an entry names no frame"
    assert 0 <= entry < 1 << 63


@given(machine=machines(), pfn=st.integers(0, 1 << 40))
def test_a_pfn_is_a_frames_or_invalid(machine, pfn):
    layout = Layout(machine)
    m = [0] * layout.words
    layout.write_constants(m)
    pfns = [page_to_pfn(m, frame) for frame in range(machine.frames)]
    assert len(set(pfns)) == len(pfns)
    assert pfn_to_page(m, pfn) == (pfns.index(pfn) if pfn in pfns else -1)
    assert [pfn_to_page(m, p) for p in pfns] == list(range(machine.frames))


@given(slot=st.integers(0, (1 << 30) - 1))
def test_a_swap_entry_has_a_low_half_of_0(slot):
    entry = swp_entry(slot)
    assert entry & 0xFFFFFFFF == 0
    assert entry != 0
    assert pte_to_slot(entry) == slot
