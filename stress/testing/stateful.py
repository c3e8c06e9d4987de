"""The state machine: rules that dispatch batches to several workers at once, invariants that are the checks at rest."""

from __future__ import annotations

import time
import unittest
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from hypothesis import HealthCheck, reject, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from shm_layout.machine import Machine
from stress.design import Design
from stress.operation import KINDS, SUM, kind_of
from stress.report.words import plural
from stress.testing.failures import CheckBroken
from stress.testing.pools import small_machine, worker_pool
from stress.testing.strategies import Batch, batches, mixes
from stress.workers.pool import Pool
from stress.workers.records import Verdict


def _groups(operations: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the rules that dispatch batches, each with its operations; `anything` dispatches all that a design has."""
    found: dict[str, tuple[str, ...]] = {}
    for kind in KINDS.values():
        if kind.group:
            found[kind.group] = (*found.get(kind.group, ()), kind.name)
    found = {group: tuple(dict.fromkeys((*names, "fault"))) for group, names in found.items()}
    own = tuple(name for name in operations if not kind_of(name).group)
    return {**found, "own": own, "anything": tuple(operations)}


SHRINK_SECONDS = 20.0
"""How long after the first failure Hypothesis may look for a smaller one."""


OURS: Mapping[str, Any] = {
    "max_examples": 50,
    "stateful_step_count": 12,
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "print_blob": True,
}
"""What differs from Hypothesis' own settings: a few seconds when all checks hold."""


def usual_settings() -> settings:
    """Return what a test has unless told otherwise: what the loaded profile sets itself, else `OURS`.

    A profile is loaded by `settings.load_profile`, or by pytest's ``--hypothesis-profile``.
    """
    current, plain = settings.default, settings.get_profile("default")
    untouched = {name: ours for name, ours in OURS.items() if getattr(current, name) == getattr(plain, name)}
    return settings(current, **untouched)


def broken(where: str, verdicts: Sequence[Verdict], steps: Sequence[str]) -> CheckBroken:
    """Return the failure of workers.

    ``where``: design and arch; ``steps``: the calls of `Pool` that led there, one a line.
    """
    told = "; ".join(f"{verdict.name}: {verdict.detail}" for verdict in verdicts)
    said = "\n    ".join((f"{where} breaks {told}", *(steps or ("before any operation",))))
    return CheckBroken(said, [verdict.name for verdict in verdicts], steps)


@dataclass
class Failures:
    """What broke in one run of Hypothesis: races need not happen again when it tries an example once more."""

    least: CheckBroken | None = None
    """The failure with the fewest steps."""
    since: float = 0.0

    def over(self) -> bool:
        """Return whether it is time to end the search for a smaller one."""
        return self.least is not None and time.monotonic() - self.since > SHRINK_SECONDS

    def note(self, failure: CheckBroken) -> None:
        """Keep a failure if it is the least so far."""
        if self.least is None:
            self.since = time.monotonic()
        if self.least is None or len("".join(failure.steps)) < len("".join(self.least.steps)):
            self.least = failure


class WorkerMachine(RuleBasedStateMachine):
    """Workers that perform batches; `state_machine` adds the rules."""

    make_pool: ClassVar[Callable[[], Pool]]
    failures: ClassVar[Failures]

    def __init__(self) -> None:
        """Begin an example: the workers at rest, the machine in its first state."""
        if self.failures.over():
            reject()
        super().__init__()
        self.pool = type(self).make_pool()
        self.steps: list[str] = []

    def dispatch(self, batch: Batch) -> None:
        """Have the workers perform a batch, all starting at once."""
        self.steps.append(f"pool.perform({batch})")
        self.pool.perform(batch)

    @invariant()
    def checks_hold(self) -> None:
        """See that all checks hold whenever the workers are at rest."""
        wrong = [verdict for verdict in self.pool.verdicts() if not verdict.ok]
        if wrong:
            where = f"{self.pool.design.name}, arch {self.pool.machine.arch}, {plural(self.pool.workers, 'worker')}:"
            failure = broken(where, wrong, self.steps)
            self.failures.note(failure)
            raise failure


class WorkerTestCase(unittest.TestCase):
    """What `state_machine` returns a subclass of."""

    settings: ClassVar[settings]
    machine_class: ClassVar[type[WorkerMachine]]

    def runTest(self) -> None:
        """Let Hypothesis look for batches that break a check. Raises `CheckBroken`."""
        failures = self.machine_class.failures = Failures()
        try:
            run_state_machine_as_test(self.machine_class, settings=self.settings)
        except Flaky:
            if failures.least is None:
                raise
            raise failures.least from None


def _batch_rule(name: str, strategy: st.SearchStrategy[Batch]) -> Any:
    def dispatch(self: WorkerMachine, batch: Batch) -> None:
        self.dispatch(batch)

    dispatch.__name__ = name
    return rule(batch=strategy)(dispatch)


def _random_rule(operations: Sequence[str]) -> Any:
    @rule(mix=mixes(operations), seed=st.integers(0, 2**32 - 1), number=st.sampled_from([50, 500, 5000]))
    def random_operations(self: WorkerMachine, mix: dict[str, int], seed: int, number: int) -> None:
        self.steps.append(f"pool.run({mix}, seed={seed}, operations={number})")
        self.pool.run(mix, seed=seed, operations=number)

    return random_operations


def state_machine(
    design: Design,
    *,
    workers: int = 2,
    operations: Sequence[str] | None = None,
    machine: Machine | None = None,
    settings: settings | None = None,
    **fields: Any,
) -> type[WorkerTestCase]:
    """Return a test case that looks for batches of operations that break a check of the design on living workers.

    ``operations``: those to use, default: all of the design. ``machine``, or single ``fields`` of it such as
    ``arch="pae"``: what the workers run on, default `stress.testing.pools.small_machine`. Operations of a design's
    own are given ranges of pages. Raises `ValueError` for an operation that the design does not have.
    """
    known = tuple(design.programs)
    chosen = known if operations is None else tuple(operations)
    missing = [name for name in chosen if name not in known]
    if missing:
        raise ValueError(f"design {design.name} has no operation {', '.join(missing)}; it has {', '.join(known)}")
    used = small_machine(workers, **fields) if machine is None else machine
    if used.ptes == used.anon:
        chosen = tuple(name for name in chosen if not kind_of(name).of_file)
    if not chosen:
        raise ValueError(f"design {design.name} without any operation: there is nothing to test")
    rules: dict[str, Any] = {}
    for name, group in _groups(known).items():
        present = [operation for operation in group if operation in chosen]
        if present and (present != ["fault"] or name == "faults"):
            rules[name] = _batch_rule(name, batches(used, present, workers=workers))
    rules["random_operations"] = _random_rule([name for name in chosen if kind_of(name).reads != SUM])

    def make_pool() -> Pool:
        return worker_pool(design, used, workers, operations=chosen)

    body = {**rules, "make_pool": staticmethod(make_pool), "failures": Failures(), "__module__": __name__}
    machine_class = type(f"Workers_{design.name}", (WorkerMachine,), body)
    given = {"settings": settings or usual_settings(), "machine_class": machine_class}
    return type(f"Test_{design.name}", (WorkerTestCase,), given)
