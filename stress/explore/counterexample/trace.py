"""A counterexample taken again in plain Python, with the values that each step reads and writes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from shm_layout.errors import UsageError
from shm_layout.noting import NotingMemory
from shm_layout.registers import (
    R_ANON_RSS,
    R_CURRENT,
    R_FILE_HIGH,
    R_FILE_LOW,
    R_OP,
    R_RESIDENT,
    R_RSS_HIGH,
    R_RSS_LOW,
    R_SHARED,
)
from shm_layout.words import Words
from stress import checks
from stress.explore.counterexample import words
from stress.explore.counterexample.access import Access, accesses
from stress.explore.model import check_bits, store_buffer
from stress.explore.model.at_rest import at_rest, judge_rest, refs_at_rest, shown_at_rest
from stress.explore.model.image import (
    P_BOUNDED_PC,
    P_CHOICES,
    P_EXACT_PC,
    P_OWN_STEPS,
    P_READS,
    P_STEPS,
    R_DONE,
    STRIDE,
)
from stress.explore.model.model import Model, learn, scratch_words
from stress.explore.model.raised import DesignError, told
from stress.explore.model.transition import FINISHED, WAITS, move, transition
from stress.explore.result import Violation
from stress.kernel.pgalloc import pmd_at
from stress.kernel.proc import NOT_SHOWN
from stress.memory_model import TSO
from stress.step import StepFunction, info
from stress.system.never_ends import NeverEnds, bounded

DRAIN = "drain"
"""In the place of a step: a store leaves the buffer of its CPU, and is in the memory from now on."""
ENDLESS_STATES = 10_000
"""States that a replay looks at, at most, to see again that no end can be reached."""
ENDLESS_WORDS = 1 << 25
"""Words that these states take, at most."""


@dataclass(frozen=True)
class Taken:
    """A call of one step: its outcome, and all that it touched.

    ``noted``: (whether it was written, word of the memory, value). ``read`` and ``written``: registers of its CPU.
    """

    function: StepFunction
    outcome: int
    noted: tuple[tuple[bool, int, int], ...]
    read: frozenset[int]
    written: frozenset[int]


@dataclass(frozen=True)
class Row:
    """One transition: ``operation`` is the text of the operation it belongs to, ``details`` what was accessed.

    ``accesses``: the same as data. ``number``: which of its CPU's operations that is. ``ends``: it ends there.
    ``taken``: the step and the private ones around it, as they were called. ``buffered``: the stores that wait in the
    CPU's buffer afterwards, oldest first, each as its word and which half of it. ``step`` is `DRAIN`, and
    ``operation`` empty, for the store ``drained`` that leaves the buffer of ``cpu``.
    """

    cpu: int
    operation: str
    begins: bool
    step: str
    details: tuple[str, ...]
    broken: tuple[str, ...]
    number: int = 0
    ends: bool = False
    taken: tuple[Taken, ...] = ()
    buffered: tuple[tuple[int, int], ...] = ()
    drained: tuple[int, int] = (-1, 0)
    accesses: tuple[Access, ...] = ()


def shared_of(taken: Sequence[Taken]) -> Taken | None:
    """The step of a transition that other CPUs can notice; where all are private, the first of them."""
    return next((t for t in taken if not info(t.function).private), taken[0] if taken else None)


class Player:
    """A model whose transitions are taken one by one, by the CPUs that the caller names."""

    def __init__(self, model: Model) -> None:
        """Begin in the first state."""
        self.model = model
        self.p = list(model.p)
        for place in (P_STEPS, P_OWN_STEPS):
            self.p[place] = [partial(self._take, function) for function in model.p[place]]
        self.m = list(model.memory)
        self.g = list(model.registers)
        self.taken: list[Taken] = []
        self.before: Words = self.m
        """The memory before the last transition."""
        self.registers: list[int] = []
        self.under_way: StepFunction | None = None
        """The step that is taken, or was taken last."""
        self.began = False
        self.done = 0
        self.true: dict[int, list[int]] = {}
        """By CPU, while it reads: the least and the greatest true number of pages, and of pages of the file."""
        self.followed = ""
        """What `endless` followed, in words, when it found no end."""

    def _take(self, function: StepFunction, m: Words, r: Words) -> int:
        recording, registers = words.Recording(self.m), words.Registers(r)
        self.under_way = function
        memory = NotingMemory(recording, m.record) if isinstance(m, NotingMemory) else recording
        outcome = function(memory, registers)
        noted, read, written = recording.accesses, registers.read, registers.written
        self.taken.append(Taken(function, outcome, tuple(noted), frozenset(read), frozenset(written)))
        self.registers = [r[i] for i in range(R_DONE)]
        return outcome

    def move(self, choice: int) -> Row | None:
        """Go on by a choice (`stress.explore.model.transition.move`); None, and nothing has changed, when it is none.

        It is none when the CPU is done or must wait, and when the store may not leave its buffer.
        """
        cpu = choice % len(self.model.workload.cpus)
        if choice != cpu:
            return self._drain(choice, cpu)
        before_m, before_g, self.taken = list(self.m), list(self.g), []
        self.before = before_m
        self.began = before_g[cpu * STRIDE + R_OP] == 0
        self.done = self.g[cpu * STRIDE + R_DONE]
        self._note_true(cpu)
        bits = transition(self.p, self.m, self.g, cpu)
        if bits in (FINISHED, WAITS):
            self.m, self.g = before_m, before_g
            return None
        for other in self.true.keys() - {cpu}:
            self._note_true(other)
        return self.row(cpu, tuple(check_bits.names(bits)))

    def _drain(self, choice: int, cpu: int) -> Row | None:
        number = choice // len(self.model.workload.cpus) - 1
        if self.model.memory_model.number == TSO:
            number = store_buffer.oldest(self.p, self.m, cpu)
        before = list(self.m)
        if move(self.p, self.m, self.g, choice) == FINISHED:
            return None
        for other in list(self.true):
            self._note_true(other)
        buffer = store_buffer.buffer_of(self.p, before, cpu)
        place = buffer[store_buffer.ENTRY_OF_BUFFER * number + store_buffer.PLACE]
        index = store_buffer.index_of(place)
        half = ("", " low half", " high half")[place & store_buffer.HALF]
        old, new = (words.value(self.model.layout, m, index, m[index]) for m in (before, self.m))
        detail = f"{self.model.layout.describe(index)}{half}: {new if old == new else f'{old} -> {new}'}"
        return Row(
            cpu,
            "",
            False,
            DRAIN,
            (detail,),
            (),
            number=-1,
            buffered=self._buffered(cpu),
            drained=(index, place & store_buffer.HALF),
            accesses=accesses(self.model.layout, before, ((False, index, before[index]), (True, index, self.m[index]))),
        )

    def _buffered(self, cpu: int) -> tuple[tuple[int, int], ...]:
        """Return the stores that wait in the buffer of a CPU, oldest first: the word of each, and which half of it."""
        buffer = store_buffer.buffer_of(self.p, self.m, cpu)
        size = store_buffer.ENTRY_OF_BUFFER
        places = [buffer[size * i + store_buffer.PLACE] for i in range(store_buffer.buffered(self.p, self.m, cpu))]
        return tuple(
            (store_buffer.index_of(place), place & store_buffer.HALF)
            for place in places
            if not place & store_buffer.SHADOW
        )

    def _note_true(self, cpu: int) -> None:
        """Take what is true now into what was true during the read that a CPU is in, or begins now."""
        r = self.g[cpu * STRIDE : (cpu + 1) * STRIDE]
        operations = self.model.workload.cpus[cpu][r[R_DONE] :]
        if not operations or not self.model.design.judges(operations[0].name):
            self.true.pop(cpu, None)
            return
        if r[R_OP] == 0:
            self.true.pop(cpu, None)
        mm = operations[0].arg - 1
        if mm < 0:
            mm = self.m[self.model.layout.regions["task_struct"].index(r[R_CURRENT], "mm")]
        if not 0 <= mm < self.model.workload.machine.mms:
            return
        pages = checks.true_rss(self.m, mm)
        low, high, file_low, file_high = self.true.get(cpu, [pages, pages, 1 << 40, -1])
        file_pages = pages - checks.true_anon_rss(self.m, mm)
        self.true[cpu] = [min(low, pages), max(high, pages), min(file_low, file_pages), max(file_high, file_pages)]

    def picture(self) -> str:
        """Return the present state in words, with the stores that wait in buffers."""
        lines = [words.state(self.model.layout, self.m)]
        for cpu in range(len(self.model.workload.cpus)):
            if stores := self.stores(cpu):
                lines.append(f"store buffer of cpu {cpu}: " + "; ".join(stores))
        return "\n".join(lines)

    def stores(self, cpu: int) -> list[str]:
        """Return the stores that wait in the buffer of a CPU, in words, oldest first."""
        buffer = store_buffer.buffer_of(self.p, self.m, cpu)
        stores = []
        for i in range(store_buffer.buffered(self.p, self.m, cpu)):
            place, value = (buffer[store_buffer.ENTRY_OF_BUFFER * i + word] for word in range(2))
            index, half = store_buffer.index_of(place), ("", " low half", " high half")[place & store_buffer.HALF]
            if not place & store_buffer.SHADOW:
                shown = hex(value) if half else words.value(self.model.layout, self.m, index, value)
                barrier = ", barrier" if place & store_buffer.BARRIER else ""
                stores.append(f"{self.model.layout.describe(index)}{half} {shown}{barrier}")
        return stores

    def operation(self, cpu: int) -> str:
        """Return the operation that the last transition, of this CPU, was a part of."""
        return str(self.model.workload.cpus[cpu][self.done])

    def row(self, cpu: int, broken: tuple[str, ...]) -> Row:
        """Return the last transition, of this CPU, and the checks that it broke."""
        taken, buffered = shared_of(self.taken), self._buffered(cpu)
        waiting = {word for word, _ in buffered}
        noted = taken.noted if taken else ()
        details = words.accesses(self.model.layout, self.m, noted, waiting)
        if set(broken) & {"read_regular", "read_pair"}:
            details = [*details, self._read(cpu)]
        name = getattr(taken.function if taken else self.under_way, "__name__", "(nothing)")
        ends = self.g[cpu * STRIDE + R_DONE] != self.done
        return Row(
            cpu,
            self.operation(cpu),
            self.began,
            name,
            tuple(details),
            broken,
            number=self.done,
            ends=ends,
            taken=tuple(self.taken),
            buffered=buffered,
            accesses=accesses(self.model.layout, self.before, noted, waiting),
        )

    def broken_off(self, cpu: int, step: str) -> Row:
        """Return the transition of a CPU in the middle of which a step does not end."""
        does_not_end = ("does not end",)
        return Row(cpu, self.operation(cpu), self.began, step, does_not_end, ("progress",), self.done)

    def _read(self, cpu: int) -> str:
        r = self.registers
        low, high, file_low, file_high = self.true[cpu]
        shown = [f"resident {r[R_RESIDENT]} ({_interval(low, high, r[R_RSS_LOW], r[R_RSS_HIGH])})"]
        if r[R_SHARED] != NOT_SHOWN:
            shown.append(f"shared {r[R_SHARED]} ({_interval(file_low, file_high, r[R_FILE_LOW], r[R_FILE_HIGH])})")
        return "shows " + ", ".join(shown)

    def waiting(self) -> list[str]:
        """Return the CPUs that wait, and in which step."""
        lines = []
        for cpu in range(len(self.model.workload.cpus)):
            m, g, self.taken = list(self.m), list(self.g), []
            if transition(self.p, self.m, self.g, cpu) == WAITS:
                lines.append(f"CPU {cpu} waits in {getattr(self.taken[-1].function, '__name__', 'a step')}")
            self.m, self.g = m, g
        return lines

    def broken_at_rest(self) -> list[str]:
        """Return the checks that the present state breaks: none unless it is at rest, but for a deadlock."""
        if not at_rest(self.p, self.m, self.g):
            return []
        return check_bits.names(judge_rest(self.model.p, self.m, self.g, self._scratch()))

    def _scratch(self) -> list[int]:
        return scratch_words(self.model)

    def stuck(self) -> bool:
        """Return whether no CPU can move although not all are done."""
        counts = [len(cpu) for cpu in self.model.workload.cpus]
        if all(self.g[cpu * STRIDE + R_DONE] == n for cpu, n in enumerate(counts)):
            return False
        for choice in range(self.p[P_CHOICES]):
            m, g = list(self.m), list(self.g)
            if move(self.p, self.m, self.g, choice) not in (FINISHED, WAITS):
                self.m, self.g = m, g
                return False
            self.m, self.g = m, g
        return True

    def endless(self) -> bool:
        """Return whether no end can be reached from the present state, of `ENDLESS_STATES` that follow at most."""
        kept = list(self.m), list(self.g)
        seen = {(tuple(self.m), tuple(self.g))}
        queue = list(seen)
        ends = False
        most = min(ENDLESS_STATES, ENDLESS_WORDS // (len(self.m) + len(self.g)))
        while queue and not ends and len(seen) <= most:
            m, g = queue.pop()
            after = []
            for choice in range(self.p[P_CHOICES]):
                self.m, self.g = list(m), list(g)
                bits = move(self.p, self.m, self.g, choice)
                ends = ends or (bits >= 0 and bits & ~check_bits.GOES_ON != 0)
                if bits not in (FINISHED, WAITS):
                    after.append((tuple(self.m), tuple(self.g)))
            ends = ends or not after
            queue += [state for state in after if state not in seen]
            seen.update(after)
        self.m, self.g = kept
        which = f"of the first {len(seen):,}" if queue else f"of all {len(seen):,}"
        if not ends:
            self.followed = f"none {which} states that can be reached from here is an end"
        return not ends

    def explain(self, check: str) -> str:
        """Return what is wrong in the present state, at rest, in a sentence."""
        if check in ("rss_exact", "anon_rss_exact", "rss_bounded"):
            return "; ".join(self._counters(check))
        if check == "progress" and self.stuck():
            return "deadlock: " + ", ".join(self.waiting())
        frames = [0] * self.model.workload.machine.frames
        found: dict[str, Callable[[], str]] = {
            "mapcount": lambda: self._page(checks.mapcount(self.m, frames), frames, "mapcount"),
            "page_refs": self._refs,
            "data_kept": lambda: "lost what was written to page {1} of mm {0}".format(
                *divmod(checks.data_kept(self.m), self.model.workload.machine.ptes)
            ),
            "user": lambda: self._own(frames),
            "page_tables": lambda: self._tables(checks.page_tables(self.m)),
            "mmu_cache": lambda: f"CPU {checks.mmu_cache(self.m)} holds a translation that is gone",
            "progress": lambda: (
                f"can never finish: {self.followed}"
                if self.followed
                else self._lock(checks.locks_free(self.m))
            ),
        }
        return found[check]() if check in found else f"check {check} does not hold"

    def _refs(self) -> str:
        w = self._scratch()
        place = refs_at_rest(self.model.p, self.m, self.g, w)
        return self._page(place, w[-self.model.workload.machine.frames :], "count")

    def _own(self, frames: list[int]) -> str:
        for check in self.model.design.checks:
            place = check(self.m, frames) if checks.takes_scratch(check) else check(self.m)
            if place != checks.HOLDS:
                return f"at rest: {getattr(check, '__name__', 'check')} {place}"
        return "a step of the design saw it"

    def _tables(self, mm: int) -> str:
        if mm == checks.HOLDS:
            return "a step saw it"
        layout, machine = self.model.layout, self.model.workload.machine
        counted = self.m[layout.regions["mm_struct"].index(mm, "nr_ptes")]
        tables = sum(self.m[pmd_at(self.m, mm, page)] != 0 for page in range(0, machine.ptes, machine.ptrs_per_pte))
        return f"mm {mm} has nr_ptes {counted} and {tables} page tables, or ptes without a table"

    def _lock(self, place: int) -> str:
        mms = self.model.workload.machine.mms
        return f"CPU {place - mms} stays in rcu_read_lock" if place >= mms else f"a lock of mm {place} is held for ever"

    def _page(self, frame: int, counted: Sequence[int], field: str) -> str:
        machine = self.model.workload.machine
        if frame >= machine.frames:
            slot = frame - machine.frames
            count = self.m[self.model.layout.regions["swap"].index(slot, "count")]
            return f"swap slot {slot} has count {count}, {counted[slot]} references were found"
        page = self.model.layout.regions["page"]
        flags = words.value(self.model.layout, self.m, page.index(frame, "flags"), self.m[page.index(frame, "flags")])
        found = f"frame {frame} has {field} {self.m[page.index(frame, field)]}, {counted[frame]} were found"
        return f"{found} (flags {flags})"

    def _counters(self, check: str) -> Iterator[str]:
        place = P_BOUNDED_PC if check == "rss_bounded" else P_EXACT_PC
        for mm in range(self.model.workload.machine.mms):
            w = self._scratch()
            shown_at_rest(self.model.p, self.m, self.g, mm, self.model.p[place], w)
            rss, anon = checks.true_rss(self.m, mm), checks.true_anon_rss(self.m, mm)
            shown = {"resident": (w[R_RESIDENT], rss)} if check != "anon_rss_exact" else {}
            if w[R_SHARED] != NOT_SHOWN and check != "rss_exact":
                shown |= {"anon_rss": (w[R_ANON_RSS], anon), "shared": (w[R_SHARED], rss - anon)}
            if any(value != true for value, true in shown.values()):
                yield f"mm {mm} shows " + ", ".join(f"{k} {value} (true: {true})" for k, (value, true) in shown.items())


@dataclass(frozen=True)
class Trace:
    """A counterexample with its values: ``rows``, and what is ``wrong`` at its end.

    ``states``: after each row, in words. ``player``: the model at the end, None where the last step raised something.
    """

    violation: Violation
    rows: tuple[Row, ...]
    wrong: str
    states: tuple[str, ...] = ()
    player: Player | None = None

    def to_json(self) -> list[dict[str, Any]]:
        """Return the steps as `explore --json` gives them: ``detail`` is a sentence, the rest is data."""
        return [
            {
                "cpu": row.cpu,
                "step": row.step,
                "detail": "; ".join(row.details),
                "operation": row.operation,
                "begins": row.begins,
                "reads": [a.to_json(written=False) for a in row.accesses if a.reads],
                "writes": [a.to_json(written=True) for a in row.accesses if a.writes],
            }
            for row in self.rows
        ]


def trace(model: Model, violation: Violation, *, states: bool = False) -> Trace:
    """Take a counterexample again. Raises `UsageError` when it does not lead to the same end."""
    _learn_from(model, violation)
    player = Player(model)
    rows: list[Row] = []
    pictures = []
    own = (*model.design.own_steps, *model.design.own_checks)
    endless = raised = ""
    for number, choice in enumerate(violation.schedule):
        last = number + 1 == len(violation.schedule)
        cpu = choice % len(model.workload.cpus)
        try:
            with bounded(own):
                row = player.move(choice)
        except NeverEnds as error:
            if violation.check != "progress" or not last:
                raise
            row, endless = player.broken_off(cpu, error.name), f"step {error.name} does not end"
        except Exception as error:
            raised = _raised(error, player, cpu, number + 1)
            if not isinstance(error, AssertionError) or violation.check != "user" or not last:
                raise DesignError(raised) from None
            row = player.row(cpu, ("user",))
        if row is None:
            raise UsageError(f"CPU {cpu} cannot move at step {number + 1}: the counterexample is of another version")
        rows.append(row)
        if states:
            pictures.append(player.picture())
    if raised:
        return Trace(violation, tuple(rows), raised, tuple(pictures))
    if violation.at_rest:
        try:
            with bounded(own):
                broken = player.broken_at_rest()
        except NeverEnds as error:
            broken, endless = ["progress"], f"at rest: {error.name} does not end"
        except AssertionError as error:
            if violation.check != "user":
                raise DesignError(f"at rest: {told(error)}") from None
            return Trace(violation, tuple(rows), f"at rest: {told(error)}", tuple(pictures))
        except Exception as error:
            raise DesignError(f"at rest: {told(error)}: a check returns HOLDS or a number") from None
        if violation.check == "progress" and "progress" not in broken and (player.stuck() or player.endless()):
            broken = [*broken, "progress"]
        wrong = endless or (player.explain(violation.check) if violation.check in broken else "")
    else:
        broken = list(rows[-1].broken) if rows else []
        wrong = endless or checks.CHECKS[violation.check].holds + ": broken by the last step"
    if violation.check not in broken:
        raise UsageError(f"check {violation.check} holds at the end; the counterexample is of another version")
    return Trace(violation, tuple(rows), wrong, tuple(pictures), player)


def _learn_from(model: Model, violation: Violation) -> None:
    """Learn which ptes operations change on this way, where no search has learned it: of a saved counterexample."""
    if not model.p[P_READS]:
        return
    player = Player(model)
    own = (*model.design.own_steps, *model.design.own_checks)
    with contextlib.suppress(Exception), bounded(own):  # it is raised again where it is told
        for choice in violation.schedule:
            player.move(choice)
    learn(model, player.p)


def _interval(low: int, high: int, least: int, most: int) -> str:
    """Return what was true during a read, and what it may show since operations under way may be late."""
    late = f"; operations under way may be late: {least} to {most}" if (least, most) != (low, high) else ""
    return f"true: {low} to {high}{late}"


def _raised(error: Exception, player: Player, cpu: int, step: int) -> str:
    """Return what was raised by which step of which operation, in a sentence."""
    function = getattr(player.under_way, "__name__", "step")
    what = "fails" if isinstance(error, AssertionError) else "raises an exception"
    operation = player.operation(cpu)
    return f"step {function} {what} in {operation!r} of CPU {cpu}, at step {step} of the schedule: {told(error)}"


def check_raised(model: Model, violations: Iterable[Violation]) -> None:
    """Raise `DesignError` when the violation of `user` among these is an exception that is no failed assertion."""
    for violation in violations:
        if violation.check == "user":
            trace(model, violation)


def table(found: Trace, cpus: int, table_format: str) -> str:
    """Return the counterexample with one column for each CPU and one row for each step."""
    from stress.report.fitted import fitted

    lines = []
    for number, row in enumerate(found.rows, 1):
        title = f"[{row.operation}]\n{row.step}" if row.begins else row.step
        cell = "\n".join((title, *(f"  {detail}" for detail in row.details)))
        lines.append([number, *(cell if cpu == row.cpu else "" for cpu in range(cpus))])
    headers = ["", *(f"CPU {cpu}" for cpu in range(cpus))]
    return fitted(lines, headers, style=table_format)

