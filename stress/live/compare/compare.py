"""`pte-stress live --compare`: Hypothesis draws scripts until the model and this kernel differ, or enough agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from shm_layout.errors import MachineError
from stress.design import Design
from stress.live.compare.family import settle
from stress.live.compare.kernel_run import Op, kernel_run
from stress.live.compare.model_run import ModelRun
from stress.live.compare.side_by_side import PAGES, PROCESSES, Comparing, Difference, Step
from stress.live.reading.machine import kernel_release
from stress.system.hypothesis_home import no_hypothesis_folder
from stress.system.interrupts import Asked, interrupts, until_interrupted
from stress.system.never_ends import NeverEnds


@dataclass
class Comparison:
    """What a comparison found."""

    kernel: str
    design: str
    seed: int
    asked: int
    scripts: int = 0
    """Scripts without a difference, up to the first with one."""
    operations: int = 0
    processes: int = 0
    """Processes forked in them."""
    worst: int = 0
    """Largest error of an interface of the kernel in them, pages."""
    failing: list[Step] = field(default_factory=list)
    """The smallest script with a difference, up to the operation that shows it."""
    repeated: bool = True
    """Whether the difference was there again when its script was."""
    interrupted: bool = False
    """Whether it was ended before all scripts were compared."""

    @property
    def ok(self) -> bool:
        """Whether anything was compared, and nothing differed."""
        return self.scripts > 0 and not self.failing

    @property
    def differences(self) -> list[Difference]:
        """What differs after the last operation of the smallest script."""
        return self.failing[-1].differences if self.failing else []


class _Stop(BaseException):
    """The machine has failed, or a step does not end: nothing to make smaller, so Hypothesis must not catch it."""

    def __init__(self, why: MachineError | NeverEnds) -> None:
        self.why = why


class _Differs(Exception):
    """A script shows a difference."""


def compare(
    design: Design,
    *,
    scripts: int,
    seed: int,
    folder: str | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Comparison:
    """Draw that many scripts and compare; at the first difference look for the smallest script that shows one.

    folder: where to put the file to map. progress is called with the number of scripts compared. A
    KeyboardInterrupt ends it early, with what was compared so far. Raises UsageError for a design that cannot
    be compared, MachineError when the machine cannot do it.
    """
    model = ModelRun(design, PAGES, PROCESSES)
    done = Comparison(kernel_release(), design.name, seed, scripts)
    with (
        until_interrupted() as ended,
        kernel_run(PAGES, PROCESSES, folder) as kernel,
        no_hypothesis_folder(),
        interrupts() as asked,
    ):
        _draw(done, Comparing(kernel, model), progress, asked)
    done.interrupted = ended.is_set() or asked.is_set()
    return done


def _draw(done: Comparison, comparing: Comparing, progress: Callable[[int], None], asked: Asked) -> None:
    import hypothesis
    from hypothesis.errors import Flaky

    from stress.live.compare.scripts import scripts

    @hypothesis.seed(done.seed)
    @hypothesis.settings(
        max_examples=done.asked,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
        verbosity=hypothesis.Verbosity.quiet,
        report_multiple_bugs=False,
        print_blob=False,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(scripts(PAGES, PROCESSES, moves=comparing.model.moves))
    def run(script: tuple[Op, ...]) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        try:
            steps = comparing.run(script)
        except (MachineError, NeverEnds) as why:
            raise _Stop(why) from None
        if steps[-1].differences:
            done.failing = steps
            # What only page walks show needs only them to be made smaller.
            comparing.interfaces = steps[-1].by_interface
            raise _Differs
        if not done.failing:
            done.scripts += 1
            done.operations += len(steps)
            done.processes += sum(step.op.do == "fork" for step in steps)
            done.worst = comparing.worst
            progress(done.scripts)

    try:
        run()
    except _Differs:
        _drop(done, comparing, asked)
    except Flaky:
        done.repeated = False
    except _Stop as stop:
        raise stop.why from None


def _drop(done: Comparison, comparing: Comparing, asked: Asked) -> None:
    """Leave out of the failing script whatever is not needed, one operation at a time.

    Hypothesis ends at scripts with operations in them that change nothing.
    """
    number = 0
    while number < len(done.failing) and not asked.is_set():
        ops = [step.op for step in done.failing]
        script = settle(ops[:number] + ops[number + 1 :], PROCESSES, PAGES)
        steps = comparing.run(script) if script else []
        if steps and steps[-1].differences:
            done.failing = steps
            number = 0
        else:
            number += 1
