"""One script on the model and on the running kernel, side by side, compared after each operation.

After every operation, with everything at rest, of every process:

- pages by kind (anonymous, file, shared memory): the kernel's page walk equals the model's page tables;
- what the design's reads show (statm): the kernel's page walk, within the error that the design declares;

and of the processes that the operation may have changed, at the end of a script of all:

- what every interface of /proc says of the pages of the script: the model's pages, within the bound that this
  kernel's way of counting implies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from shm_layout.errors import MachineError
from stress.live.compare.family import describe
from stress.live.compare.kernel_run import KernelRun, Op
from stress.live.compare.model_run import ModelRun, Stuck
from stress.live.figures import BY_NAME, COUNTERS, bound_of
from stress.live.measure import true_figures
from stress.live.reading.machine import online_cpus, page_size
from stress.live.reading.process import Resident

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
    by_interface: bool = False
    """Whether they are of interfaces of the kernel; page walks and the model's counters do not differ then."""


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
        self.interfaces = True
        """Whether the interfaces of /proc are compared too, which takes most of the time."""
        self._bounds = {
            name: limit.pages
            for name in COUNTERS
            if name[0] in kernel.ways
            and (limit := bound_of(BY_NAME[name], kernel.ways, online_cpus(), THREADS, page_size()))
        }

    def _interfaces_differ(
        self, model: dict[int, Resident], concerned: Iterable[int], walk: bool
    ) -> Iterator[Difference]:
        for process in concerned:
            errors = self.kernel.errors([process], walk)[process]
            if any(abs(error) > self._bounds[figure] for figure, error in errors.items()):
                errors = self.kernel.errors([process])[process]
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
        by_interface = not found and self.interfaces
        if by_interface:
            changed = {op.process, *(set(walked) - before)}
            found += self._interfaces_differ(model, sorted(walked if last else changed & set(walked)), last)
        return Step(op, walked, model, counters, found, by_interface)

    def run(self, script: tuple[Op, ...]) -> list[Step]:
        """Run a script on both from the start, up to the first operation after which they differ.

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
