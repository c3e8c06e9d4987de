"""Plain and compiled operations do the same, and the compiled ones are the instructions they claim to be."""

import multiprocessing
import platform
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from numba.core.errors import TypingError

from shm_layout import atomic, lowering  # noqa: F401  (lowering is imported for its effect)

x86_only = pytest.mark.skipif(platform.machine() != "x86_64", reason="looks at x86 instructions")

WORDS = 4
ANY_INT64 = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([0, 1, -1, 2**31, 2**32 - 1, 2**32, -(2**31), 2**63 - 1, -(2**63)]),
)
INDEX = st.integers(0, WORDS - 1)
HALF = st.integers(0, 1)


@njit  # not cached: Numba would not see that the lowering has changed
def compiled(m, op, i, h, a, b):  # noqa: PLR0917
    """Do operation number `op`; -1 for those that return nothing."""
    if op == 0:
        return atomic.read_once(m, i)
    if op == 1:
        atomic.write_once(m, i, a)
    elif op == 2:
        return atomic.load(m, i)
    elif op == 3:
        atomic.store(m, i, a)
    elif op == 4:
        return atomic.xchg(m, i, a)
    elif op == 5:
        return atomic.cmpxchg(m, i, a, b)
    elif op == 6:
        return atomic.fetch_add(m, i, a)
    elif op == 7:
        return atomic.fetch_or(m, i, a)
    elif op == 8:
        return atomic.fetch_and(m, i, a)
    elif op == 9:
        return atomic.read_half(m, i, h)
    elif op == 10:
        atomic.write_half(m, i, h, a)
    elif op == 11:
        return atomic.xchg_half(m, i, h, a)
    elif op == 12:
        return atomic.cmpxchg_half(m, i, h, a, b)
    elif op == 13:
        return atomic.and_half(m, i, h, a)
    elif op == 14:
        atomic.fence()
    elif op == 15:
        atomic.cpu_relax()
    elif op == 16:
        atomic.sched_yield()
    elif op == 17:
        return atomic.load_half(m, i, h)
    elif op == 18:
        atomic.store_half(m, i, h, a)
    elif op == 19:
        return atomic.fetch_add_half(m, i, h, a)
    return -1


plain = compiled.py_func
OPS = 20


@st.composite
def operation(draw):
    """Draw the arguments of `compiled`; compares are drawn to succeed about half of the time."""
    op, i, h = draw(st.integers(0, OPS - 1)), draw(INDEX), draw(HALF)
    return op, i, h, draw(ANY_INT64), draw(ANY_INT64), draw(st.booleans())


@settings(max_examples=300)
@given(st.lists(ANY_INT64, min_size=WORDS, max_size=WORDS), st.lists(operation(), max_size=30))
def test_plain_and_compiled_agree(start, operations):
    in_list, in_array, of_compiled = list(start), np.array(start), np.array(start)
    for op, i, h, a, b, hit in operations:
        if hit and op == 5:
            a = in_list[i]  # noqa: PLW2901
        elif hit and op == 12:  # equal modulo 2**32, whatever stands above
            a = (a & -(2**32)) | atomic.read_half(in_list, i, h)  # noqa: PLW2901
        expected = compiled(of_compiled, op, i, h, a, b)
        assert plain(in_list, op, i, h, a, b) == expected
        result = plain(in_array, op, i, h, a, b)
        assert result == expected
        assert type(result) is int
        assert in_list == in_array.tolist() == of_compiled.tolist()


@given(ANY_INT64, HALF, st.integers(-(2**70), 2**70))
def test_a_half_is_all_that_changes(word, h, v):
    """The same against bytes, which know nothing of shifts and masks."""
    m = [word]
    atomic.write_half(m, 0, h, v)
    want = bytearray(word.to_bytes(8, "little", signed=True))
    want[4 * h : 4 * h + 4] = (v % 2**32).to_bytes(4, "little")
    assert m[0].to_bytes(8, "little", signed=True) == want
    assert atomic.read_half(m, 0, h) == v % 2**32
    assert atomic.read_half(m, 0, 1 - h) == int.from_bytes(want[4 * (1 - h) :][:4], "little")


@given(ANY_INT64, st.integers(-(2**70), 2**70))
def test_plain_words_wrap(word, v):
    m = [word]
    assert atomic.fetch_add(m, 0, v) == word
    assert -(2**63) <= m[0] < 2**63
    assert (m[0] - word - v) % 2**64 == 0
    assert atomic.cmpxchg(m, 0, m[0] + 2**64, v) != v or m[0] == v
    assert (m[0] - v) % 2**64 == 0


def _instructions(fn):
    """Return the instructions of the compiled function itself, without the wrappers around it."""
    fn.compile("(int64[::1], int64, int64, int64)")
    asm = fn.inspect_asm(fn.signatures[0])
    body = re.split(r"\n_ZN[^\n]*:\n", asm)[1].split("\n\t.cfi_endproc")[0]
    lines = (line.split("#")[0].strip() for line in body.splitlines())
    return [re.sub(r"\s+", " ", line) for line in lines if line and not line.startswith(".")]


def _touching_memory(instructions):
    """Return those that access the array: all but moves between registers, to the stack and to the result."""
    return [i for i in instructions if re.search(r"\(", i) and "rsp" not in i and not i.startswith("lea")]


# What must be the only access to the array, by operation: source of the instructions, Intel SDM volume 2.
ACCESS = {
    "read_once": (lambda m, i, a, b: atomic.read_once(m, i), r"movq \(%\w+,%\w+,8\), %"),
    "load": (lambda m, i, a, b: atomic.load(m, i), r"movq \(%\w+,%\w+,8\), %"),
    "write_once": (lambda m, i, a, b: atomic.write_once(m, i, a), r"movq %\w+, \(%\w+,%\w+,8\)"),
    "store": (lambda m, i, a, b: atomic.store(m, i, a), r"movq %\w+, \(%\w+,%\w+,8\)"),
    "xchg": (lambda m, i, a, b: atomic.xchg(m, i, a), r"xchgq %\w+, \("),
    "cmpxchg": (lambda m, i, a, b: atomic.cmpxchg(m, i, b, a), r"lock cmpxchgq %\w+, \("),
    "fetch_add": (lambda m, i, a, b: atomic.fetch_add(m, i, a), r"lock xaddq %\w+, \("),
    "read_half": (lambda m, i, a, b: atomic.read_half(m, i, 1), r"movl 4\(%\w+,%\w+,8\), %e"),
    "write_half": (lambda m, i, a, b: atomic.write_half(m, i, 1, a), r"movl %\w+, 4\("),
    "load_half": (lambda m, i, a, b: atomic.load_half(m, i, 1), r"movl 4\(%\w+,%\w+,8\), %e"),
    "store_half": (lambda m, i, a, b: atomic.store_half(m, i, 1, a), r"movl %\w+, 4\("),
    "fetch_add_half": (lambda m, i, a, b: atomic.fetch_add_half(m, i, 1, a), r"lock xaddl %\w+, 4\("),
    "xchg_half": (lambda m, i, a, b: atomic.xchg_half(m, i, 0, a), r"xchgl %\w+, \("),
    "cmpxchg_half": (lambda m, i, a, b: atomic.cmpxchg_half(m, i, 1, a, b), r"lock cmpxchgl %\w+, 4\("),
}


@x86_only
@pytest.mark.parametrize("name", ACCESS)
def test_one_instruction_accesses_memory(name):
    function, expected = ACCESS[name]
    # The result is stored through %rdi, the first argument of Numba's calling convention, after the access.
    accesses = [i for i in _touching_memory(_instructions(njit(function))) if "(%rdi)" not in i]
    assert len(accesses) == 1
    assert re.match(expected, accesses[0])


@njit
def _discarding(m, i, a, b):
    atomic.fetch_or(m, i, a)
    atomic.fetch_and(m, i, a)
    atomic.and_half(m, i, 1, a)


@njit
def _waiting(m, i, a, b):
    atomic.fence()
    atomic.cpu_relax()


@x86_only
def test_results_not_wanted_cost_one_locked_instruction():
    locked = [i for i in _instructions(_discarding) if i.startswith("lock")]
    assert [i.split()[1] for i in locked] == ["orq", "andq", "andl"]


@x86_only
def test_fence_and_pause():
    instructions = _instructions(_waiting)
    assert "pause" in instructions
    assert any(i.startswith("mfence") or re.match(r"lock orl \$0, .*%rsp", i) for i in instructions)


@njit
def _load_of(m, i):
    return atomic.load(m, i)


@pytest.mark.parametrize("m", [np.zeros(4, np.int64)[::2], np.zeros(2, np.int32), np.zeros(2, np.uint64)])
def test_only_contiguous_int64(m):
    with pytest.raises(TypingError, match=r"atomic\.load: m must be int64\[::1\]"):
        _load_of(m, 0)


def test_an_index_that_is_no_integer_is_refused():
    with pytest.raises(TypingError, match=r"atomic\.load: an index or value must be an integer, not float64"):
        _load_of(np.zeros(2, np.int64), 0.5)


@njit(nogil=True)
def _hammer(m, n, me):
    """Add one to word 0 `n` times in each of three ways, and to the own half of word 8 by plain accesses."""
    for _ in range(n):
        atomic.fetch_add(m, 0, 1)
        found = atomic.read_once(m, 16)
        while atomic.cmpxchg(m, 16, found, found + 1) != found:
            found = atomic.read_once(m, 16)
        found = atomic.read_half(m, 24, 1)
        while atomic.cmpxchg_half(m, 24, 1, found, found + 1) != found:
            found = atomic.read_half(m, 24, 1)
        atomic.write_half(m, 8, me, atomic.read_half(m, 8, me) + 1)


def test_nothing_is_lost_between_processes():
    shared = multiprocessing.get_context("fork").RawArray("q", 32)
    m = np.frombuffer(shared, np.int64)
    n = 200_000
    _hammer(m, 0, 0)
    workers = [multiprocessing.get_context("fork").Process(target=_hammer, args=(m, n, me)) for me in (0, 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert m[0] == m[16] == 2 * n
    assert m[24] == 2 * n << 32
    assert m[8] == n | n << 32
