"""Where the parts of a worker's block lie."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from shm_layout.layout import Layout
from shm_layout.machine import Machine
from shm_layout.structs import LINE_WORDS
from stress.kernel.account import ACCOUNT_WORDS
from stress.workers.loop import block


def test_parts_lie_behind_one_another():
    for part, following in itertools.pairwise(block.PARTS):
        assert part.words > 0
        assert part.offset + part.words <= following.offset


def test_what_others_look_at_shares_no_line_with_what_they_do_not_write():
    """The launcher's words, the words that readers poll, and the worker's counts: no line has two kinds."""
    kinds = {}
    for part in block.PARTS:
        polled = block.POT_MM <= part.offset <= block.ABORTS
        kind = "polled" if polled else part.writers
        for word in range(part.offset, part.offset + max(part.words, 1)):
            kinds.setdefault(word // LINE_WORDS, set()).add(kind)
    mixed = {line: found for line, found in kinds.items() if len(found) > 1}
    # Only what is written once in a run may lie with something else.
    assert all(found == {"worker", "worker that saw it"} for found in mixed.values()), mixed


@given(st.integers(1, 70), st.integers(1, 9), st.integers(1, 300))
def test_blocks_lie_behind_the_machine_and_do_not_overlap(workers, mms, pages):
    layout = Layout(Machine(cpus=workers, mms=mms, anon=pages, frames=pages + 2))
    blocks = block.place_blocks(layout, workers)
    assert blocks.shared == layout.words
    assert blocks.first >= blocks.shared + block.SHARED_WORDS
    assert blocks.first % LINE_WORDS == blocks.stride % LINE_WORDS == 0
    assert blocks.stride >= block.ACCOUNT + ACCOUNT_WORDS * mms
    assert blocks.words == blocks.at(workers - 1, blocks.stride)
