"""How far readers are off: while workers run, and at rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stress.rss import working
from stress.rss.arena import (
    COUNT,
    EVERY,
    FILL_ONLY,
    HOP,
    NEGATIVE,
    READS,
    REST,
    REST_PRECISE,
    SAMPLES,
    SAMPLES_AT,
    WORST,
    give_pages,
    open_arena,
)
from stress.rss.loop_source import fragments
from stress.rss.processes import together
from stress.rss.subjects import Subject


@dataclass(frozen=True)
class Accuracy:
    """Errors in pages: how far what is shown lies outside of what is true during the read.

    ``worst`` and ``median`` are of readers while workers run, or at rest where that is worse; ``filled`` at rest
    when every CPU holds as much as it can; ``rest`` at rest in the end; ``precise`` the same of the precise read.
    ``bound`` is None where the design promises none, or nothing that is a number.
    """

    bound: int | None
    batch: int
    updates: int
    reads: int
    worst: int
    median: int
    filled: int
    rest: int
    precise: int
    negative: int

    @property
    def within(self) -> bool:
        """Whether every read was within the bound, and none negative."""
        return self.negative == 0 and (self.bound is None or self.worst <= self.bound)


def workers_for(cpus: int, threads: int, cores: int) -> int:
    """As many workers as there are cores, but never two on one CPU or in one task."""
    return min(cpus, threads, cores)


def measure_accuracy(
    subject: Subject,
    *,
    cpus: int,
    threads: int,
    workers: int,
    updates: int,
    hop: bool,
    seed: int,
    batch: int | None = None,
) -> Accuracy:
    """Let workers count pages up and down on virtual CPUs, reading now and then.

    First each goes round its CPUs once, counting on each as much as it can without a fold, and all rest: the
    error then is as bad as it gets. Then they go on until ``updates`` changes have been made in all. With ``hop``
    they go from CPU to CPU (and from task to task); without it each stays where it is.
    """
    code = fragments(subject)
    arena = open_arena(subject, cpus, threads, workers, batch=batch, seed=seed)
    with arena.segment:
        array: Any = arena.segment.array

        give_pages(arena, lambda pages: working.give(array, arena.block(0), pages, code.down))

        def run() -> int:
            together(
                arena,
                lambda block: working.run(array, block, code.up, code.down, code.read, code.tick),
                lambda shared: working.meet(array, shared, workers),
            )
            working.at_rest(array, arena.block(0), code.read, code.precise)
            return arena.word(0, REST)

        arena.set(HOP, int(hop))
        arena.set(COUNT, 1 << 40)
        arena.set(EVERY, 1 << 40)
        arena.set(FILL_ONLY, 1)
        filled = run()
        arena.set(COUNT, updates // workers)
        arena.set(EVERY, max(updates // workers // SAMPLES, 100))
        arena.set(FILL_ONLY, 0)
        rest = run()
        errors: list[int] = []
        for worker in range(workers):
            first = arena.block(worker) + SAMPLES_AT
            errors += array[first : first + min(arena.word(worker, READS), SAMPLES)].tolist()
        worst = max(filled, rest, *(arena.word(worker, WORST) for worker in range(workers)))
        return Accuracy(
            arena.bound,
            arena.batch,
            updates // workers * workers,
            sum(arena.word(worker, READS) for worker in range(workers)),
            worst,
            sorted(errors)[len(errors) // 2] if errors else 0,
            filled,
            rest,
            arena.word(0, REST_PRECISE),
            sum(arena.word(worker, NEGATIVE) for worker in range(workers)),
        )
