"""`pte-stress live --compare`: drawn scripts on a design and on the running kernel, compared after each operation.

After every operation, with everything at rest, of every process:

- pages by kind (anonymous, file, shared memory): the kernel's page walk equals the model's page tables;
- what the design's reads show (statm): the kernel's page walk, within the error that the design declares;

and of the processes that the operation may have changed, at the end of a script of all:

- what every interface of /proc says of the pages of the script: the model's pages, within the bound that this
  kernel's way of counting implies.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from stress.design import Design
from stress.errors import MachineError
from stress.live.accounting import bound
from stress.live.family import describe
from stress.live.machine import kernel_release, online_cpus, page_size
from stress.live.measure import true_figures
from stress.live.model import ModelRun, Stuck
from stress.live.outcome import COUNTERS
from stress.live.proc import Resident
from stress.live.script import KernelRun, Op, kernel_run

PAGES = 8
"""Pages of an area."""
PROCESSES = 4
THREADS = 2
"""Threads of a process of the kernel's side: the interpreter's, and the one that serves."""


@dataclass(frozen=True)
class Difference:
    """Two numbers of pages of one process that ought to be the same, but for ``bound`` pages.

    Where the model did not get so far, both are None and ``figure`` says why.
    """

    process: int
    figure: str
    kernel: int | None = None
    model: int | None = None
    bound: int = 0

    def __str__(self) -> str:
        """As a sentence."""
        if self.kernel is None:
            return f"Process {self.process}: {self.figure}."
        allowed = f", {self.bound} allowed" if self.bound else ""
        off = abs(self.kernel - (self.model or 0))
        return (
            f"Process {self.process}: {self.figure}: kernel {self.kernel}, model {self.model} ({off} apart{allowed})."
        )


@dataclass(frozen=True)
class Step:
    """What both sides had, by process, when an operation of a script was over."""

    op: Op
    kernel: dict[int, Resident]
    model: dict[int, Resident]
    counters: dict[int, dict[str, tuple[int, int | None]]]
    differences: list[Difference]


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

    @property
    def ok(self) -> bool:
        """Whether anything was compared, and nothing differed."""
        return self.scripts > 0 and not self.failing

    @property
    def differences(self) -> list[Difference]:
        """What differs behind the last operation of the smallest script."""
        return self.failing[-1].differences if self.failing else []


def _pages_differ(kernel: dict[int, Resident], model: dict[int, Resident]) -> Iterator[Difference]:
    for process, walked in kernel.items():
        mapped = model[process]
        for name, ours, theirs in (
            ("anonymous pages", walked.anon, mapped.anon),
            ("file pages", walked.file, mapped.file),
            ("shared-memory pages", walked.shmem, mapped.shmem),
        ):
            if ours != theirs:
                yield Difference(process, name, ours, theirs)


def _counters_differ(
    kernel: dict[int, Resident], counters: dict[int, dict[str, tuple[int, int | None]]]
) -> Iterator[Difference]:
    for process, shown in counters.items():
        true = {"resident": kernel[process].rss, "shared": kernel[process].shared or 0}
        for name, (pages, most) in shown.items():
            walked = true[name.split()[-1]]
            if most is not None and abs(pages - walked) > most:
                yield Difference(process, f"{name} by the model's counters", walked, pages, most)


class Comparing:
    """Runs scripts on both sides."""

    def __init__(self, kernel: KernelRun, model: ModelRun) -> None:
        """Compare these two."""
        self.kernel = kernel
        self.model = model
        self.worst = 0
        self._bounds = {
            (interface, name): bound(kernel.ways[interface], summed, online_cpus(), THREADS, page_size()).pages
            for (interface, name), summed in COUNTERS.items()
            if interface in kernel.ways
        }

    def _interfaces_differ(self, model: dict[int, Resident], concerned: Iterable[int]) -> Iterator[Difference]:
        for process, errors in self.kernel.errors(concerned).items():
            true = true_figures(model[process])
            for figure, error in errors.items():
                self.worst = max(self.worst, abs(error))
                if abs(error) > self._bounds[figure]:
                    name = f"{' '.join(figure)} of the kernel"
                    yield Difference(process, name, true[figure] + error, true[figure], self._bounds[figure])

    def _step(self, op: Op, last: bool) -> Step:
        before = set(self.kernel.processes)
        self.kernel.apply(op)
        walked = self.kernel.counts()
        try:
            self.model.apply(op)
            counters = self.model.counters()
        except Stuck as why:
            return Step(op, walked, {}, {}, [Difference(op.process, str(why))])
        model = self.model.counts()
        found = [*_pages_differ(walked, model), *_counters_differ(walked, counters)]
        if not found:
            changed = {op.process, *(set(walked) - before)}
            found += self._interfaces_differ(model, sorted(walked if last else changed & set(walked)))
        return Step(op, walked, model, counters, found)

    def run(self, script: tuple[Op, ...]) -> list[Step]:
        """Run a script on both from the start, up to the first operation behind which they differ.

        Raises MachineError when the machine fails, or has taken pages of the script away.
        """
        self.kernel.reset()
        self.model.reset()
        steps = []
        for number, op in enumerate(script, 1):
            steps.append(self._step(op, number == len(script)))
            if steps[-1].differences:
                swapped = self.kernel.swapped()
                if swapped:
                    raise MachineError(
                        f"memory is short: the kernel has swapped out {swapped} pages of the script "
                        f"`{'; '.join(map(describe, script))}`; free some memory and try again"
                    )
                break
        return steps


class _Stop(BaseException):
    """The machine has failed: nothing that Hypothesis should make smaller, so it must not catch it."""

    def __init__(self, why: MachineError) -> None:
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
    try:
        with kernel_run(PAGES, PROCESSES, folder) as kernel, _no_hypothesis_folder():
            _draw(done, Comparing(kernel, model), progress)
    except KeyboardInterrupt:
        pass
    return done


@contextlib.contextmanager
def _no_hypothesis_folder() -> Iterator[None]:
    """Let Hypothesis put what it notes for itself in a folder that goes away, not into the user's.

    It makes `.hypothesis` in the current folder even when it is to keep no examples.
    """
    from hypothesis import configuration

    with tempfile.TemporaryDirectory() as folder:
        configuration.set_hypothesis_home_dir(folder)
        try:
            yield
        finally:
            configuration.set_hypothesis_home_dir(None)


def _draw(done: Comparison, comparing: Comparing, progress: Callable[[int], None]) -> None:
    import hypothesis
    from hypothesis.errors import Flaky

    from stress.live.drawing import scripts

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
    @hypothesis.given(scripts(PAGES, PROCESSES))
    def run(script: tuple[Op, ...]) -> None:
        try:
            steps = comparing.run(script)
        except MachineError as why:
            raise _Stop(why) from None
        if steps[-1].differences:
            done.failing = steps
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
        pass
    except Flaky:
        done.repeated = False
    except _Stop as stop:
        raise stop.why from None
