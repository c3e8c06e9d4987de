"""Hunting: Hypothesis draws workloads, the explorer tries all their interleavings, Hypothesis makes them smaller.

Two violations are the same when the same check breaks by the same kinds of operations; those that the shortest
schedule does not begin are left out of the workload first. What was found is kept in Hypothesis's example database,
below the user's cache folder, and is tried first the next time.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import Protocol

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.database import ExampleDatabase
from hypothesis.errors import HypothesisWarning
from hypothesis.strategies import SearchStrategy

from shm_layout.errors import MachineError, PteStressError
from stress.coverage import Coverage
from stress.design import Design
from stress.design_rules import without_effect
from stress.explore import Bounds, Result, Violation, explore
from stress.explore.counterexample.trace import trace
from stress.explore.hunt.databases import example_database
from stress.explore.hunt.faults import Fault, Mend, broken, fault_behind, faults_of, fits, mended, smallest
from stress.explore.hunt.jobs import Children, Progress
from stress.explore.hunt.workloads import kinds_of
from stress.explore.model.model import SetupError, build
from stress.explore.model.reads import joined, unshown
from stress.operation import Operation, given_numbers
from stress.system.hypothesis_home import no_hypothesis_folder
from stress.system.interrupts import Asked, interrupts
from stress.workload import Workload

EXAMPLES = 5_000
"""Workloads drawn in one round, of which none is drawn twice."""
FIRST_STATES, STATES = 20_000, 300_000
"""States of one workload, in the first round and later on: a larger one is given up, the hunt is for small ones."""
MEMORY = 1 << 30
"""Bytes of them, at most."""
SECONDS = 10.0
"""Time for one workload, at most."""

Signature = tuple[str, tuple[str, ...]]
"""A check and the kinds of operations, those of the setup too, in alphabetical order."""


class TimeUp(BaseException):
    """The hunt's time is over, or the one find that was asked for is made."""


class Broken(Exception):
    """A violation; Hypothesis tells violations apart by the class, so there is one for each signature."""


@cache
def _class_of(signature: Signature) -> type[Broken]:
    return type("Broken_" + "_".join((signature[0], *signature[1])), (Broken,), {})


def _keep_quiet(workload: Workload) -> None:
    pass


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first exception that a group was made of."""
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


@dataclass(frozen=True)
class Find:
    """A violation with the smallest workload that shows it, as far as it was made smaller."""

    signature: Signature
    workload: Workload
    violation: Violation
    design: Design
    """The design that breaks: the one given, with the mends of what had been found, or with one fault alone."""
    fault: Fault | None = None
    """The fault that it is one of, where its mend is known: the schedule is one of the design with this fault alone."""

    @property
    def size(self) -> tuple[int, int, int]:
        """What is made smaller: operations, CPUs, length of the schedule."""
        return (
            len(list(self.workload.operations())),
            len(self.workload.cpus),
            self.violation.length,
        )


def begun(design: Design, workload: Workload, violation: Violation, memory: str = "sc") -> Workload:
    """Return the workload without operations that a violation's schedule does not begin, and without idle CPUs.

    Where the setup alone breaks the check, its operations are what the CPUs do.
    """
    counts = [0] * len(workload.cpus)
    for row in trace(build(design, workload, memory), violation).rows:
        counts[row.cpu] += row.begins
    kept = [cpu for cpu, count in enumerate(counts) if count or any(c == cpu for c, _ in workload.setup)]
    kept = kept or [0]
    columns = [workload.cpus[cpu][: counts[cpu]] for cpu in kept]
    setup = [(kept.index(cpu), operation) for cpu, operation in workload.setup]
    part = Workload(replace(workload.machine, cpus=len(kept)), tuple(columns), tuple(setup))
    return part if any(counts) else setup_alone(part)


def setup_alone(workload: Workload) -> Workload:
    """Return the workload whose CPUs do what the setup was, and nothing else."""
    columns = tuple(tuple(op for c, op in workload.setup if c == cpu) for cpu in range(len(workload.cpus)))
    return replace(workload, cpus=columns, setup=())


def signature_of(workload: Workload, violation: Violation) -> Signature:
    """Return what distinguishes this violation from others: its check, and its operations."""
    return violation.check, tuple(sorted({op.name for op in workload.operations()}))


class Team(Protocol):
    """Others that draw the workloads of a hunt: processes here, or the workers of a cluster."""

    @property
    def late(self) -> float:
        """Seconds that they have for their last word when the time is up."""

    @property
    def at_work(self) -> bool:
        """Whether anything may still come of them."""

    @property
    def one_ended(self) -> bool:
        """Whether one of them has told all that it found, made smaller."""

    @property
    def total(self) -> Progress:
        """How far they have come together."""

    def listen(self, hunt: Hunt) -> Workload | None:
        """Return the next workload that breaks something; None when there is none just now."""

    def end(self) -> None:
        """End those that are at work still."""


class Hunt:
    """A hunt for workloads that break a design.

    ``finds``: the smallest workload found for each signature. ``faults``: one find for each fault whose mend is known.
    ``workloads``: how many were explored. ``given_up``: how many of them were too large to be explored completely.
    ``elapsed``: seconds that it took. ``ended_by``: what the machine could not do, before the time was up.
    """

    def __init__(
        self,
        design: Design,
        workloads: SearchStrategy[Workload],
        *,
        seconds: float,
        seed_: int,
        first: bool = False,
        checks: Sequence[str] | None = None,
        memory: str = "sc",
        mends: Sequence[Mend] = (),
        jobs: int = 1,
        team: Callable[[], Team] | None = None,
        progress: Callable[[Hunt], None] | None = None,
        database: ExampleDatabase | None = None,
    ) -> None:
        """Prepare a hunt of ``seconds``; ``first``: end at the first find, when it has been made smaller.

        ``memory``: the memory model. ``mends``: what makes the design sound, one for each fault. A fault that is found
        is mended, and the hunt goes on for those that it hid. ``jobs``: processes that draw workloads
        (`stress.explore.hunt.jobs`). ``team``: makes others that do, in their place, when the time begins.
        """
        self.design = design
        self.strategy = workloads
        self.seconds = seconds
        self.first = first
        self.checks = checks
        self.memory = memory
        self.finds: dict[Signature, Find] = {}
        self.workloads = 0
        self.given_up = 0
        self.interrupted = False
        self.ended_by: MachineError | None = None
        self.elapsed = 0.0
        self.faults: list[Find] = []
        self._sound = mended(design, mends)
        self._hidden = [] if first else faults_of(design, mends)
        self._hunted = design
        self._reads: dict[str, bool] = {}
        self._performed: set[str] = set()
        self._taken: dict[str, set[tuple[int, int]]] = {}
        self._seed = seed_
        self._team = (lambda: Children(self, jobs)) if team is None and jobs > 1 else team
        self._seen: set[Signature] = set()
        self._breaks: Callable[[Workload], None] = _keep_quiet
        self._progress = progress
        self._database = database or example_database(design, memory)
        self._results: dict[str, Result] = {}
        self._states = FIRST_STATES
        self._known: set[Signature] = set()
        self._began = self._deadline = 0.0
        self._asked = Asked()

    def begin(self) -> None:
        """Compile what a hunt needs, which is no hunting, and have its time begin."""
        name = kinds_of(self.design)[0]
        first = Operation(name, 0, 1) if self.design.machine.has_mms else given_numbers(name)[0]
        explore(self.design, Workload.of([[first]]), checks=self.checks, memory=self.memory)
        self._began = time.monotonic()
        self._deadline = self._began + self.seconds

    def run(self) -> None:
        """Hunt until the time is up, the first find, or Ctrl-C."""
        self.begin()
        try:
            with no_hypothesis_folder(), interrupts() as self._asked:
                if self._team is not None:
                    self._together(self._team())
                else:
                    self._rounds()
        except TimeUp:
            pass
        except KeyboardInterrupt:
            self.interrupted = True
        except MachineError as error:  # a cluster that went away
            self.ended_by = error
        self.elapsed = time.monotonic() - self._began
        if self.faults:
            self.finds = {key: find for key, find in self.finds.items() if self._is_left(find)}

    def _rounds(self) -> None:
        """Draw workloads, round after round, until the time is up."""
        while not (self.first and self.finds):
            self._round()
            self._known |= self.finds.keys()
            self._states = STATES
            self._results.clear()

    def alone(
        self,
        seeds: int,
        *,
        breaks: Callable[[Workload], None],
        progress: Callable[[Hunt], None] | None = None,
    ) -> None:
        """In one of several processes: draw workloads from seeds that are ``seeds`` further on, until the time is up.

        ``breaks`` is told each workload that led to a find, or to a smaller one.
        """
        self._seed += seeds
        self._breaks, self._progress = breaks, progress
        with suppress(TimeUp):
            self._rounds()

    def go_on_from(self, known: Collection[Signature], mends: Collection[str]) -> None:
        """Begin where another hunt of the same design is: what is known is no find, and these faults are mended."""
        self._known |= set(known)
        for fault in [fault for fault in self._hidden if fault.mend.name in mends]:
            self._hidden.remove(fault)
            self._hunted = fault.mend.apply(self._hunted)

    def so_far(self) -> Progress:
        """Return how far this process has come."""
        taken = {name: frozenset(steps) for name, steps in self._taken.items()}
        return Progress(self.workloads, self.given_up, self._reads, frozenset(self._performed), taken)

    def known(self) -> tuple[frozenset[Signature], tuple[str, ...]]:
        """Return the signatures of what was found, and the names of the mends of the faults among it."""
        mended = [find.fault.mend.name for find in self.faults if find.fault is not None]
        return frozenset(self.finds), tuple(mended)

    def _together(self, team: Team) -> None:
        """Let others draw workloads; look here at those that break something."""
        self._states = STATES
        try:
            while team.at_work:
                if (workload := team.listen(self)) is not None:
                    self._note(workload)
                self._take_over(team.total)
                if self._asked.is_set():
                    raise KeyboardInterrupt
                if team.one_ended and self.first and self.finds:
                    break
                if time.monotonic() > self._deadline + team.late:
                    team.end()  # what they have sent is still read
        finally:
            team.end()
            self._take_over(team.total)

    def _take_over(self, total: Progress) -> None:
        """Take over how far all processes have come."""
        self.workloads, self.given_up = total.workloads, total.given_up
        self._reads = dict(total.reads)
        self._performed = set(total.performed)
        self._taken = {name: set(steps) for name, steps in total.taken.items()}
        if self._progress is not None:
            self._progress(self)

    def _is_left(self, find: Find) -> bool:
        """Whether a find of no fault in particular is there still when all faults that were found are mended."""
        return find.violation.check in broken(self._known_to_break, self._hunted, find.workload)

    def _round(self) -> None:
        def look(workload: Workload) -> None:
            self.look(workload)

        # The name under which Hypothesis keeps what it found.
        look.__qualname__ = f"hunt_{self.design.name}"
        self._seed += 1
        # Hypothesis forgets what it tries again and what no longer breaks, and what is known is not raised again.
        again = [] if self._known else [Phase.reuse]
        # In this order: seed() takes the database away from the settings that a test has already.
        test = settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=self._database,
            phases=[*again, Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=not self.first,
        )(seed(self._seed)(given(self.strategy)(look)))
        ended: BaseException | None = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HypothesisWarning)
            try:
                test()
            except* Broken:
                pass
            except* (TimeUp, KeyboardInterrupt) as group:
                ended = _first(group)  # beside finds, when Hypothesis looked at them for the last time
            except* PteStressError as group:
                ended = _first(group)  # wrong input shows in several workloads, each in its own words
        if ended is not None:
            raise ended

    def look(self, workload: Workload) -> None:
        """Explore one workload; raises an exception of the violation's own class for what is not known yet."""
        if self._asked.is_set():
            raise KeyboardInterrupt
        if time.monotonic() > self._deadline:
            raise TimeUp
        unknown = self._note(workload)
        if self._hidden:
            return  # what breaks now may hold when the next fault is mended: Hypothesis would call that flaky
        if unknown:  # all are noted before the first is raised: what comes last would wait for all others to be known
            raise _class_of(unknown[0])

    def _note(self, workload: Workload) -> list[Signature]:
        """Explore one workload and note what it breaks; returns what of that is not known yet."""
        result = self._explore(workload)
        seen = {signature_of(result.workload, violation) for violation in result.violations}
        if not seen <= self._seen:  # told before it is made smaller, which may take longer than there is time
            self._seen |= seen
            self._breaks(workload)
        while self._hidden and self._mends_one(result):
            self._breaks(workload)  # it may be another fault of the same signature
            result = self._explore(workload)
        unknown = []
        for violation in result.violations:
            find = self._smaller(result.workload, violation)
            signature = find.signature
            best = self.finds.get(signature)
            if best is None or find.size < best.size:
                self.finds[signature] = find
                self._breaks(find.workload)
            if signature not in self._known:
                unknown.append(signature)
                if self.first:
                    break
        return unknown

    def _mends_one(self, result: Result) -> bool:
        """Whether one of the violations was traced to a fault, which is noted, and mended in what is hunted."""
        for violation in result.violations:
            known = [fault for fault in self._hidden if fits(self._hunted, fault.mend)]
            part = self._least(self._hunted, result.workload, violation.check)
            behind = fault_behind(known, self._sound, part, violation.check, self._known_to_break)
            if behind is None:
                continue
            fault, check = behind
            self.faults.append(self._alone(fault, part, check))
            self._hidden = [other for other in self._hidden if other is not fault]
            self._hunted = fault.mend.apply(self._hunted)
            self._results.clear()
            return True
        return False

    def _known_to_break(self, design: Design, workload: Workload) -> Result:
        return self._explored(workload, Bounds(states=STATES, memory=MEMORY, seconds=SECONDS), design)

    def _least(self, design: Design, workload: Workload, check: str) -> Workload:
        """Return as little of a workload as a design breaks a check on."""
        return smallest(workload, lambda less: check in broken(self._known_to_break, design, less))

    def _alone(self, fault: Fault, workload: Workload, check: str) -> Find:
        """Return the find of a fault on as little of the workload as shows it, in a design without any other."""
        part = self._least(fault.alone, workload, check)
        violation = self._known_to_break(fault.alone, part).violation(check)
        assert violation is not None
        less = begun(fault.alone, part, violation, self.memory)
        again = self._known_to_break(fault.alone, less).violation(check) if less != part else None
        part, violation = (less, again) if again is not None else (part, violation)
        return Find(signature_of(part, violation), part, violation, fault.alone, fault)

    def _smaller(self, workload: Workload, violation: Violation) -> Find:
        part = begun(self._hunted, workload, violation, self.memory)
        again = self._explore(part).violation(violation.check) if part != workload else None
        if again is not None:
            workload, violation = part, again
        return Find(signature_of(workload, violation), workload, violation, self._hunted)

    def _bounds(self) -> Bounds:
        return Bounds(states=self._states, memory=MEMORY, seconds=SECONDS)

    def _explored(self, workload: Workload, bounds: Bounds, design: Design | None = None) -> Result:
        return explore(design or self._hunted, workload, bounds=bounds, checks=self.checks, memory=self.memory)

    def _explore(self, workload: Workload) -> Result:
        key = repr(workload)
        if key not in self._results:
            if len(self._results) > 20_000:
                self._results.clear()
            bounds = self._bounds()
            try:
                result = self._explored(workload, bounds)
            except SetupError:
                result = self._explored(setup_alone(workload), bounds)
            self._results[key] = result
            self.workloads += 1
            self._reads = joined((self._reads, result.reads))
            self._performed.update(operation.name for operation in result.workload.operations())
            self._note_taken(result)
            self.given_up += not result.complete
            if self._progress is not None:
                self._progress(self)
        return self._results[key]

    def _note_taken(self, result: Result) -> None:
        """Note which steps schedules took, in programs that are those of the design that was given."""
        for name, taken in result.taken.items():
            if result.design.programs[name] is self.design.programs[name]:
                self._taken.setdefault(name, set()).update(taken)

    def coverage(self, arch: str) -> Coverage:
        """Say which steps of the operations that were performed no schedule took."""
        performed = tuple(name for name in self.design.programs if name in self._performed)
        return Coverage(self.design, arch, self._taken, performed)

    def looked_at_nothing(self) -> list[str]:
        """Say which operations gave the checks nothing to look at in any workload, in a sentence each."""
        names = [name for name in self.design.programs if name in self._performed]
        return [*unshown(self._reads), *without_effect(self.design, names)]

    def distinct(self) -> list[Find]:
        """Return the faults whose mends are known, one find each, and the other finds that no smaller one explains.

        A find explains another of the same check whose operations contain its own.
        """
        by_size = sorted(self.finds.values(), key=lambda f: f.size)
        kept: list[Find] = []
        for find in by_size:
            check, kinds = find.signature
            if not any(k.signature[0] == check and set(k.signature[1]) <= set(kinds) for k in kept):
                kept.append(find)
        return [*sorted(self.faults, key=lambda f: f.size), *kept]
