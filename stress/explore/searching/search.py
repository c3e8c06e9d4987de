"""One breadth-first search: its memory, which grows, and what can be read from it when it is done."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shm_layout.available import memory_available
from shm_layout.errors import MachineError
from shm_layout.registers import KEPT, R_OP
from shm_layout.structs import FIRST_WORD
from stress.explore.model import symmetry
from stress.explore.model.check_bits import NAMES
from stress.explore.model.image import P_ALONE, P_BUFFERS, P_CHOICES, P_ENTRIES, P_FULL, P_SYMMETRY, R_DONE, STRIDE
from stress.explore.model.model import Model, scratch_words
from stress.explore.model.persistent import MOST_ASLEEP
from stress.explore.model.store_buffer import ENTRY_OF_BUFFER, PLACE
from stress.explore.reduction import move_along
from stress.explore.result import Bounds, Violation
from stress.explore.searching import endless
from stress.explore.searching import state as stored
from stress.explore.searching.compiled import SEARCH, arrays, compiled, get_ready
from stress.explore.searching.expand import CHECK_COUNT
from stress.explore.searching.state import BATCH, BLOCK

SLICE = 50_000
"""States visited between two looks at the clock."""
MOST_STATES = 2**31 - BATCH
FIRST_TABLE = 1 << 12
LEAST_ROOM = 1 << 16
"""Make room for a number of states, or for none at all."""
MOST_WORDS = 1 << 21
"""Words that final states take while they are counted."""
BYTES_OF_WAY, BYTES_OF_SLEEP = 6, 4
"""Of a state: the state before it, and the choice there; which CPUs sleep."""
BYTES_OF_WORD = 16
"""Of a state that is listed as a tuple: some of its numbers are objects of their own."""
FEW, MANY = 16, 32
"""Bits of a number in a state."""
_Words = NDArray[np.int64]


class Search:
    """One breadth-first search: its memory, and where it stands."""

    def __init__(
        self,
        model: Model,
        bounds: Bounds,
        wanted: int,
        *,
        stop_first: bool = False,
        stop_when: int = 0,
        preemptions: int = -1,
    ) -> None:
        """Prepare the search. ``wanted``: the checks that are looked at, as bits; ``preemptions``: -1 for no bound.

        It ends with the level in which the first check breaks (``stop_first``), or the last of these (``stop_when``).
        """
        self.model = model
        self.memory = bounds.memory or memory_available().available // 2
        self.most_states = min(bounds.states or MOST_STATES, MOST_STATES)
        get_ready(model, SEARCH)
        self.p, self.m, self.g = arrays(model)
        if preemptions >= 0:
            self.p[P_SYMMETRY] = 0  # who moved last tells the CPUs apart
        self.m = np.pad(self.m, (0, stored.GROUP * BLOCK))
        self.kept_m, self.kept_g = self.m.copy(), self.g.copy()
        self.w = np.array(scratch_words(model), np.int64)
        self.blocks, self.block_table = np.zeros(BLOCK << 10, np.int64), np.zeros((1 << 11) + 1, np.int64)
        self.rows, self.row_table = np.zeros(STRIDE << 10, np.int64), np.zeros((1 << 11) + 1, np.int64)
        self.keys = np.random.default_rng(1).integers(1, 2**63, STRIDE + len(self.m), np.int64) | 1
        self.s = np.zeros(stored.S_WORDS, np.int64)
        self.s[stored.WANTED], self.s[stored.STOP_FIRST] = wanted, stop_first
        self.s[stored.PREEMPTIONS] = preemptions
        self.s[stored.STOP_WHEN] = stop_when
        self.s[stored.SLEEPS] = model.p[P_ALONE] != 0 and len(model.workload.cpus) <= MOST_ASLEEP
        self.kept = 0
        self.found = np.full(3 * CHECK_COUNT, -1, np.int64)
        self.cpus, self.choices = len(model.workload.cpus), model.p[P_CHOICES]
        self.table = np.zeros(FIRST_TABLE + 1, np.int64)
        self.bits = FEW
        self.active: list[int] = []
        self.column_of = np.full((len(model.memory) - FIRST_WORD) // BLOCK, -1, np.int64)
        self._make_room(0)
        self.states[: self.width] = 0
        self._first_state()

    @property
    def columns(self) -> int:
        """Numbers that a state is made of."""
        return len(self.active) + self.cpus

    @property
    def width(self) -> int:
        """Words of 64 bits that a state takes."""
        return -(-self.columns * self.bits // 64)

    @property
    def _bytes_of_state(self) -> int:
        return 8 * self.width + BYTES_OF_WAY + (BYTES_OF_SLEEP if self.s[stored.SLEEPS] else 0)

    def _numbers(self, begin: int, end: int) -> NDArray[Any]:
        """Return the numbers of states, a row for each."""
        words = self.states[begin * self.width : end * self.width].reshape(-1, self.width)
        return words.view(f"u{self.bits // 8}")[:, : self.columns]

    def _make_room(self, count: int) -> None:
        """Arrays for states of the present number of columns. Pages that are not touched take no memory.

        Where a limit on address space (ulimit -v) leaves no room for the bound on memory, the bound is halved.
        """
        room = max(min(self.most_states, self.memory // self._bytes_of_state), count, 1)
        try:
            self.states = np.empty(room * self.width, np.int64)
            if count == 0:
                self.parent, self.via = (np.empty(room, stored.SMALL[name]) for name in ("parent", "via"))
                self.sleep = np.zeros(room if self.s[stored.SLEEPS] else 1, stored.SMALL["sleep"])
        except MemoryError:
            if room <= max(count, LEAST_ROOM):
                raise MachineError(f"no memory for {room:,} states: raise the limit (ulimit -v)") from None
            self.memory //= 2
            self._make_room(count)
            return
        self.parent, self.via, self.sleep = self.parent[:room], self.via[:room], self.sleep[:room]
        self.loaded = np.full(self.columns, -1, np.int64)
        self.batch = np.empty(BATCH * self.width, np.int64)
        self.origin = np.empty(BATCH * stored.ORIGIN, np.int64)

    @property
    def found_states(self) -> int:
        """How many states there are. Some may stand there twice, or be kept for a walk (`different_states`)."""
        return int(self.s[stored.FOUND])

    @property
    def keeps_more(self) -> bool:
        """Whether there may be states that were passed over, which walks to an end come to and keep."""
        return bool(self.s[stored.SLEEPS])

    @property
    def different_states(self) -> int:
        """How many different states were found."""
        return int(self.s[stored.FOUND] - self.s[stored.COPIES])

    @property
    def buffer_was_full(self) -> bool:
        """Whether a CPU had to wait, or made stores at once, because of the bound on store buffers."""
        return bool(self.p[P_FULL])

    def not_onward(self) -> _Words:
        """Return the states of a finished search that are no end and all of whose steps jump back in their programs."""
        return np.flatnonzero(self.via[: self.found_states] < 0)

    @property
    def own(self) -> tuple[_Words, ...]:
        """What who visits states has for itself: words of the search, image, memory, registers, and what these were."""
        return (self.s, self.p, self.m, self.g, self.kept_m, self.kept_g, self.w)

    def arguments(self) -> tuple[_Words, ...]:
        """Return what compiled code is given of the search: the first arguments of `expand`, `walk` and `behind`."""
        return self._arguments(self.own, self.loaded, self.batch)

    def _arguments(self, own: tuple[_Words, ...], loaded: _Words, batch: _Words) -> tuple[_Words, ...]:
        rows = (self.blocks, self.block_table, self.rows, self.row_table)
        columns = (np.array(self.active, np.int64), self.column_of)
        return (*own, self.states, self.table, loaded, *columns, *rows, self.keys, batch)

    def expand(self, own: tuple[_Words, ...], loaded: _Words, batch: _Words, origin: _Words, found: _Words) -> int:
        """Call `stress.explore.searching.expand.expand`, for who has these arrays for itself."""
        given = self._arguments(own, loaded, batch)
        return int(compiled()["expand"](*given, self.parent, self.via, self.sleep, origin, found))

    def merge(self, found: _Words) -> None:
        """Take over the shortest ways to break a check that were found from later states."""
        for mine, its in zip(self.found.reshape(-1, 3), found.reshape(-1, 3), strict=True):
            if its[0] >= 0 and (mine[0] < 0 or mine[2] > its[2]):
                mine[:] = its

    def _first_state(self) -> None:
        for cpu in range(self.cpus):
            row = self.g[cpu * STRIDE : (cpu + 1) * STRIDE]
            number = self._intern("registers", self.rows, self.row_table, row)
            assert number == cpu  # registers differ by the CPU's number at least
            self._numbers(0, 1)[0, cpu] = number
        self.parent[0], self.via[0] = -1, stored.NOT_ONWARD
        self.s[stored.FOUND] = self.s[stored.LEVEL_END] = 1
        self._reindex()

    def _intern(self, what: str, arena: _Words, table: _Words, words: _Words) -> int:
        return int(compiled()[f"intern_{what}"](arena, table, len(table) - 2, self.keys, words))

    def _add_block(self, block: int) -> None:
        """Add a block that has changed for the first time: all states so far have it as it was in the first one."""
        count, first = int(self.s[stored.FOUND]), FIRST_WORD + block * BLOCK
        old = self._numbers(0, count)
        at = len(self.active)
        self.active.append(block)
        self.column_of[block] = at
        words = self.kept_m[first : first + BLOCK]
        number = self._intern("block", self.blocks, self.block_table, words)
        self._make_room(count)
        self.states[: count * self.width] = 0  # what no number lies in is compared, too
        new = self._numbers(0, count)
        new[:, :at], new[:, at], new[:, at + 1 :] = old[:, :at], number, old[:, at:]
        self._reindex()

    def _widen(self) -> None:
        """Let numbers take 32 bits, because they no longer fit into 16."""
        count = int(self.s[stored.FOUND])
        old = self._numbers(0, count)
        self.bits = MANY
        self._make_room(count)
        self.states[: count * self.width] = 0
        self._numbers(0, count)[:] = old

    def _reindex(self) -> None:
        """Enter all states into an empty table."""
        self.s[stored.COLUMNS], self.s[stored.WIDTH], self.s[stored.BITS] = self.columns, self.width, self.bits
        self.table = np.zeros(len(self.table), np.int64)
        count = int(self.s[stored.FOUND])
        compiled()["reindex"](self.s, self.states, self.keys, count, self.table, len(self.table) - 2)

    def _numbers_fit(self, rows: int) -> bool:
        """Make the numbers wide if twice ``rows`` ask for it; False when the memory does not allow it."""
        if 2 * rows > 1 << self.bits:
            if 2 * self.bytes() > self.memory:
                return False
            self._widen()
        return True

    @staticmethod
    def _larger(table: _Words) -> _Words:
        """Return a table of twice as many entries."""
        size = len(table) - 1
        larger = np.zeros(2 * size + 1, np.int64)
        compiled()["rehash"](table, size, larger, 2 * size - 1)
        return larger

    def _grow(self, arena: _Words, table: _Words) -> tuple[_Words, _Words]:
        larger = np.zeros(2 * len(arena), np.int64)
        larger[: len(arena)] = arena
        return larger, self._larger(table)

    def tell(self, s: _Words, at_once: int = 1) -> None:
        """Say in words ``s`` how large everything is now. ``at_once``: threads that visit states at a time."""
        s[stored.COLUMNS], s[stored.WIDTH], s[stored.BITS] = self.columns, self.width, self.bits
        s[stored.ACTIVE], s[stored.ROOM] = len(self.active), len(self.parent)
        s[stored.TABLE_SIZE] = len(self.table) - 1
        # What one state can add at most must fit.
        s[stored.BLOCK_ROOM] = len(self.blocks) // BLOCK - at_once * self.choices * len(self.column_of)
        s[stored.ROW_ROOM] = len(self.rows) // STRIDE - at_once * self.choices * self.cpus
        s[stored.BLOCK_MASK], s[stored.ROW_MASK] = len(self.block_table) - 2, len(self.row_table) - 2

    def advance(self, budget: int = SLICE) -> int:
        """Visit up to ``budget`` states; returns the status of `stress.explore.searching.expand.expand`."""
        self.tell(self.s)
        self.s[stored.BUDGET] = budget
        return self.make_way(self.expand(self.own, self.loaded, self.batch, self.origin, self.found))

    def make_way(self, status: int) -> int:
        """Give a search that has stopped the room that it stopped for; returns its status, or that there is none."""
        if status == stored.TABLE_FULL:
            self.table = self._larger(self.table)
        elif status == stored.BLOCKS_FULL and self._numbers_fit(len(self.blocks) // BLOCK):
            self.blocks, self.block_table = self._grow(self.blocks, self.block_table)
        elif status == stored.ROWS_FULL and self._numbers_fit(len(self.rows) // STRIDE):
            self.rows, self.row_table = self._grow(self.rows, self.row_table)
        elif status in (stored.BLOCKS_FULL, stored.ROWS_FULL):
            return stored.STATES_FULL
        elif status == stored.BLOCK_CHANGED:
            self._add_block(int(self.s[stored.NEW_BLOCK]))
        return status

    def bytes(self) -> int:
        """Return the memory taken by the states and all that belongs to them."""
        fixed = (self.table, self.blocks, self.block_table, self.rows, self.row_table)
        return int(self.s[stored.FOUND]) * self._bytes_of_state + sum(a.nbytes for a in fixed)

    @property
    def depth(self) -> int:
        """Length of the longest way by which a state was found; where some are passed over, of the last one's."""
        last = (self.kept or self.found_states) - 1
        return len(self.schedule(last)) if self.model.p[P_ALONE] else int(self.s[stored.DEPTH])

    def forget(self) -> None:
        """Give back the room for states. Nothing can be asked of the search any more."""
        self.states = self.batch = self.table = np.empty(0, np.int64)
        self.parent, self.via, self.sleep = self.parent[:0].copy(), self.via[:0].copy(), self.sleep[:0].copy()

    def schedule(self, state: int, *then: int) -> tuple[int, ...]:
        """Return the choices on the way to a state, and the one that is made there."""
        way: list[int] = []
        while self.parent[state] >= 0:
            way.append(int(self.via[state]) & stored.CHOICE_OF_VIA)
            state = int(self.parent[state])
        way.reverse()
        return tuple(self._as_taken(way, then) if self.p[P_SYMMETRY] or self.model.p[P_ALONE] else (*way, *then))

    def _as_taken(self, way: list[int], then: tuple[int, ...]) -> list[int]:
        """Return a way through states that are kept as it was taken, with those that were passed over.

        By the numbers that CPUs had at first, where states are such whose CPUs were put in order.
        """
        m, g = list(self.model.memory), list(self.model.registers)
        who = list(range(self.cpus))
        out: list[int] = []

        def note(choice: int) -> None:
            drained, cpu = divmod(choice, self.cpus)
            out.append(who[cpu] + drained * self.cpus)

        for choice in way:
            for made in move_along(self.model, m, g, choice):
                note(made)
            if self.p[P_SYMMETRY]:
                symmetry.put_in_order(self.model.p, m, g, who)
        for choice in then:
            note(choice)
        return out

    def look_for_endless(self, in_time: Callable[[], bool]) -> None:
        """After the last state: note the nearest from which no end can be reached, if it is nearer than what is noted.

        Raises `endless.OutOfTime`, `endless.OutOfRoom`.
        """
        noted = 3 * NAMES.index("progress")
        nearer = self.kept = self.found_states
        if self.found[noted] >= 0:  # states lie in the order of their distance
            length = int(self.found[noted + 2])
            nearer = bisect_left(range(nearer), length, key=lambda state: len(self.schedule(state)))
        state = endless.nearest_endless(self, nearer, in_time)
        if state >= 0:
            self.found[noted : noted + 3] = state, -1, len(self.schedule(state))

    def violations(self) -> tuple[Violation, ...]:
        """Return the checks that were broken, each with the way to it."""
        out = []
        for check, (state, choice, _) in zip(NAMES, self.found.reshape(-1, 3).tolist(), strict=True):
            if state >= 0:
                last = (choice,) if choice >= 0 else ()
                out.append(Violation(check, self.schedule(state, *last), choice < 0))
        return tuple(out)

    def final_states(self) -> NDArray[np.int64]:
        """Return the numbers of the states in which all operations are performed, and all buffers are empty."""
        rows = self.rows.reshape(-1, STRIDE)
        counts = [len(operations) for operations in self.model.workload.cpus]
        total = int(self.s[stored.FOUND])
        ended = [(rows[:, R_DONE] == count) & (rows[:, R_OP] == 0) for count in counts]
        found = []
        for begin in range(0, total, SLICE):
            part = self._numbers(begin, min(begin + SLICE, total))[:, len(self.active) :]
            final = ended[0][part[:, 0]]
            for cpu in range(1, self.cpus):
                final &= ended[cpu][part[:, cpu]]
            final &= self._nothing_buffered(begin, begin + len(part))
            found.append(np.flatnonzero(final) + begin)
        return np.concatenate(found)

    def _nothing_buffered(self, begin: int, end: int) -> NDArray[np.bool_]:
        """Return which of these states have no store in any buffer."""
        empty = np.ones(end - begin, np.bool_)
        size = ENTRY_OF_BUFFER * self.model.p[P_ENTRIES]
        for cpu in range(self.cpus) if size else ():
            block, word = divmod(self.model.p[P_BUFFERS] + cpu * size + PLACE - FIRST_WORD, BLOCK)
            if (column := self.column_of[block]) >= 0:
                empty &= self.blocks.reshape(-1, BLOCK)[self._numbers(begin, end)[:, column], word] == 0
        return empty

    def _of(self, states: NDArray[np.int64]) -> NDArray[Any]:
        """Return the numbers of these states, a row for each, as `_numbers` gives those of neighbours."""
        words = self.states[: self.found_states * self.width].reshape(-1, self.width)[states]
        return words.view(f"u{self.bits // 8}")[:, : self.columns]

    def count_outcomes(self, ends: NDArray[np.int64], in_time: Callable[[], bool]) -> tuple[int, int]:
        """Return how many distinct final states the states ``ends`` stand for, and how many of ``ends`` were looked at.

        Where CPUs are interchangeable a state stands for all its images, which are counted, not made. Ends early, but
        not before the first part, when the time is up.
        """
        if not self.p[P_SYMMETRY] and self.s[stored.PREEMPTIONS] < 0:
            return len(ends), len(ends)
        total, looked = 0, 0
        size = max(1, MOST_WORDS // (self.columns + self.cpus * (STRIDE + len(self.column_of))))
        seen: list[_Words] = []
        while looked < len(ends) and (looked == 0 or in_time()):
            part = self._of(ends[looked : looked + size])
            looked += len(part)
            if self.p[P_SYMMETRY]:
                total += self._count_images(part)
            else:
                seen.append(self._hashes(part))
        return total + (len(np.unique(np.concatenate(seen), axis=0)) if seen else 0), looked

    def _hashes(self, part: NDArray[Any]) -> _Words:
        """Return two hashes of each state without who moved last: of its blocks, and of the registers that are kept."""
        used, place = np.unique(part[:, len(self.active) :], return_inverse=True)
        keys = np.random.default_rng(2).integers(1, 2**63, (2, self.columns + KEPT), np.int64) | 1
        registers = self.rows.reshape(-1, STRIDE)[used][:, :KEPT] @ keys[:, self.columns :].T
        numbers = np.repeat(part.astype(np.int64)[:, :, None], 2, axis=2)
        numbers[:, len(self.active) :] = registers[place.reshape(len(part), self.cpus)]
        return np.asarray((numbers * keys[:, : self.columns].T).sum(axis=1))

    def _count_images(self, part: NDArray[Any]) -> int:
        """Return how many images these states have, added up."""
        grouped = symmetry.groups(self.model.p)
        own = np.array(symmetry.own_words(self.model.p), np.int64).reshape(self.cpus, -1)
        memory = np.array(self.model.memory, np.int64)[own]
        columns, offsets = self.column_of[(own - FIRST_WORD) // BLOCK], (own - FIRST_WORD) % BLOCK
        changing = self.blocks.reshape(-1, BLOCK)[part[:, columns.clip(0)], offsets]
        words = np.where(columns >= 0, changing, memory)
        used, place = np.unique(part[:, len(self.active) :], return_inverse=True)
        _, registers = np.unique(
            self.rows.reshape(-1, STRIDE)[used][:, symmetry.EXCHANGED], axis=0, return_inverse=True
        )
        content = np.dstack((registers.reshape(-1)[place.reshape(len(part), self.cpus)], words))
        _, same = np.unique(content.reshape(-1, content.shape[2]), axis=0, return_inverse=True)
        same = same.reshape(len(part), self.cpus)
        equal = np.ones_like(same)
        for group in grouped:
            for place_of, cpu in enumerate(group):
                equal[:, cpu] = (same[:, group[: place_of + 1]] == same[:, [cpu]]).sum(axis=1)
        kinds, counts = np.unique(equal, axis=0, return_counts=True)
        pairs = zip(kinds.tolist(), counts.tolist(), strict=True)
        return sum(count * symmetry.image_count(kind, grouped) for kind, count in pairs)

    def contents(self, state: int) -> Iterator[tuple[tuple[int, ...], ...]]:
        """Yield a final state as words: the memory after the constants, then the registers of each CPU that are kept.

        Where CPUs are interchangeable it stands for several, which come one by one.
        """
        row = self._numbers(state, state + 1)[0].tolist()
        memory = np.array(self.model.memory, np.int64)
        for block, number in zip(self.active, row, strict=False):
            first = FIRST_WORD + block * BLOCK
            memory[first : first + BLOCK] = self.blocks[number * BLOCK : (number + 1) * BLOCK]
        registers = [w for n in row[len(self.active) :] for w in self.rows[n * STRIDE : (n + 1) * STRIDE].tolist()]
        symmetric = bool(self.p[P_SYMMETRY])
        alone = (memory.tolist(), registers)
        kept = [slice(cpu * STRIDE, cpu * STRIDE + KEPT) for cpu in range(self.cpus)]
        for m, g in symmetry.images(self.model.p, *alone) if symmetric else (alone,):
            yield (tuple(m[FIRST_WORD : self.model.p[P_BUFFERS]]), *(tuple(g[part]) for part in kept))

    def list_ends(
        self, ends: NDArray[np.int64], outcomes: int, in_time: Callable[[], bool]
    ) -> tuple[frozenset[Any] | None, str]:
        """Return the contents of all final states, or None and the bound that they go beyond."""
        words = len(self.model.memory) + self.cpus * KEPT
        if self.bytes() + outcomes * words * BYTES_OF_WORD > self.memory:
            return None, "memory"
        found: set[Any] = set()
        for state in ends.tolist():
            for content in self.contents(state):
                if not in_time():
                    return None, "seconds"
                found.add(content)
        return frozenset(found), ""
