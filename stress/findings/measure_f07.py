"""F07: every read walks all tasks; skip that for one task, or store the sum and flag it up to date?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from stress import designs
from stress.design import Design
from stress.designs.parts.correction import Correction, everywhere
from stress.designs.parts.operations import FAULTS
from stress.designs.v12_sound import GET_RSS_LOCKED
from stress.findings.fault_rates import contention_note, faults_per_second, million, ratio, worker_numbers
from stress.findings.measurement import Measured, Measurement
from stress.findings.simulated import simulated_rates
from stress.kernel import fork, proc, spinlock
from stress.kernel.barriers import smp_mb
from stress.kernel.rss import mm as mm_rss
from stress.kernel.rss import task, uptodate
from stress.labels import COUNTED, NOT_ALONE, SKIP, STALE_ALREADY, UPTODATE
from stress.operation import READS
from stress.program import At, Entry, Goto, Program
from stress.report.words import plural

_BODY = Program(*GET_RSS_LOCKED[1:-1])
"""The single pass without its lock."""

SKIPPING = Program(
    task.rcu_read_lock,
    task.first_task,
    uptodate.if_alone,
    mm_rss.sum_mm_rss,
    mm_rss.sum_mm_anon_rss,
    task.add_task_rss,
    task.add_task_anon_rss,
    task.rcu_read_unlock,
    Goto(COUNTED),
    At(SKIP),
    At(NOT_ALONE),
    task.rcu_read_unlock,
    GET_RSS_LOCKED,
    At(COUNTED),
)
"""get_rss without lock and walk where the mm has one task."""


def flagged(end: Entry) -> Program:
    """Return get_rss that reads the stored sums where they are up to date, else sums, stores and flags by ``end``."""
    return Program(
        uptodate.if_not_uptodate,
        spinlock.spin_lock,
        uptodate.begin_sum,
        _BODY,
        uptodate.store_sum_rss,
        uptodate.store_sum_anon_rss,
        end,
        spinlock.spin_unlock,
        Goto(COUNTED),
        At(UPTODATE),
        uptodate.read_sum_rss,
        uptodate.read_sum_anon_rss,
        At(COUNTED),
    )


_CLEAR: tuple[Entry, ...] = (smp_mb, uptodate.if_flagged, uptodate.clear_flag, At(STALE_ALREADY))
_COUNTS = (
    task.inc_task_rss,
    task.inc_task_anon_rss,
    mm_rss.inc_mm_rss,
    mm_rss.dec_mm_rss,
    mm_rss.sub_mm_rss,
    mm_rss.inc_mm_anon_rss,
    mm_rss.dec_mm_anon_rss,
)


def _clear_behind_counts(p: Program) -> Program:
    """A task that counts clears the flag."""
    for count in _COUNTS:
        if count in p:
            p = p.after(count, _CLEAR)
    return p


def _init_child(p: Program) -> Program:
    return p.after(fork.alloc_mm, uptodate.init_uptodate)


def _reading(p: Program, get_rss: Program) -> Program:
    return p.splice(tuple(GET_RSS_LOCKED), get_rss)


def single_thread_skip() -> Design:
    """Return v12_sound with the skip."""
    change = everywhere(READS, lambda p: _reading(p, SKIPPING))
    edit = Correction("skip", "an mm with one task is read without lock and walk", change)
    return edit.apply(designs.get("v12_sound"), "v12_skip")


def uptodate_flag(end: Entry, name: str) -> Design:
    """Return v12_sound with stored sums and a flag, which a reader sets by ``end``."""
    change: dict[str, Any] = {
        **everywhere((*FAULTS, "zap", "swap_out", "truncate", "exit"), _clear_behind_counts),
        "fork": _init_child,
        "exec": lambda p: _init_child(_clear_behind_counts(p)),
        **everywhere(READS, lambda p: _reading(_clear_behind_counts(p), flagged(end))),
    }
    return Correction("uptodate", "get_rss stores its sums and flags them", change).apply(
        designs.get("v12_sound"), name
    )


def variants() -> dict[str, Design]:
    """Return the designs that are compared, by what they are called in the table."""
    return {
        "walk, always": designs.get("v12_sound"),
        "skip for one task": single_thread_skip(),
        "flag set after the sum": uptodate_flag(uptodate.end_sum_at_once, "v12_uptodate_naive"),
        "flag set before, cleared by counts": uptodate_flag(uptodate.end_sum, "v12_uptodate"),
    }


WORKLOADS = (
    "fault 0 w; zap 0 | statm mm=0; statm mm=0",
    "fault 0 w | statm mm=0 | statm mm=0",
    "fault 0 w | swap_out frame=1 | statm mm=0",
    "fork; fault 0 w || clone; fault 1 w; exit | statm mm=1; statm mm=1",
    "fork; fault 0 w || exec | statm mm=1",
)
TASKS = (1, 16, 256)


def _explored(design: Design) -> tuple[bool, int, list[str]]:
    from stress.explore import Bounds, explore
    from stress.workload import Workload

    complete, states = True, 0
    broken: dict[str, None] = {}
    for text in WORKLOADS:
        result = explore(design, Workload.parse(text), bounds=Bounds(states=5_000_000))
        complete &= result.complete
        states += result.states
        broken |= dict.fromkeys(v.check for v in result.violations)
    return complete, states, list(broken)


def measure(effort: float, seed: int) -> Measured:
    """Reads by number of tasks, the explorer's word, and what each way costs the fault path."""
    from stress.rss.cost import measure_cost
    from stress.rss.subjects import SUBJECTS

    chosen = variants()
    gets = (GET_RSS_LOCKED, SKIPPING, flagged(uptodate.end_sum_at_once), flagged(uptodate.end_sum))
    counter = SUBJECTS["list"]
    costs = measure_cost(
        [
            replace(counter, name=f"list_f07_{i}", read=(get, proc.show_statm_positive), design_name=counter.name)
            for i, get in enumerate(gets)
        ],
        cpus=1,
        threads=1,
        cores=1,
        rounds=max(int(10 * effort), 2),
        read_sizes=TASKS,
    )
    rates = {
        workers: faults_per_second(chosen, "anon-write", workers=workers, effort=effort, seed=seed)
        for workers in worker_numbers()
    }
    rows = []
    spread = [row for n, found in rates.items() for row in found.spread(plural(n, "worker"), "walk, always")]
    for i, name in enumerate(chosen):
        runs = costs[f"list_f07_{i}"].runs
        spread += [runs[f"read {n}"].row(f"{name}, read, {plural(n, 'task')}, ns") for n in TASKS]
    verdicts = {}
    for i, (name, design) in enumerate(chosen.items()):
        complete, states, broken = verdicts[name] = _explored(design)
        row: dict[str, Any] = {"get_rss": name}
        row |= {f"read, {n} tasks, ns": round(costs[f"list_f07_{i}"].reads[n], 1) for n in TASKS}
        for workers, found in rates.items():
            row[f"faults, {workers}, M/s"] = million(found[name])
            row[f"of walk, {workers}"] = ratio(found[name], found["walk, always"])
        row["explored"] = f"breaks {', '.join(broken)}" if broken else "holds" if complete else "not all seen"
        row["states"] = states
        rows.append(row)
    last = list(chosen)[-1]
    flag_costs = (
        f"with {plural(n, 'worker')} faults that clear the flag reach, as a share of the walk's, "
        f"{found.against(last, 'walk, always')}"
        for n, found in rates.items()
    )
    good = [name for name, (complete, _, broken) in verdicts.items() if complete and not broken]
    return Measured(
        tuple(rows),
        (
            f"explored completely and sound: {'; '.join(good)}",
            "the sum is taken and stored under page_table_lock, its flag set before the sum begins; a count needs no "
            "lock, but it must be seen before the flag is looked at: a full barrier in every fault",
            *flag_costs,
            "the skip misses what a task folds into the mm between the two reads, as when its only task execs",
            contention_note(),
        ),
        simulated=tuple(simulated_rates(chosen, effort=effort, seed=seed, readers=1)),
        spread=tuple(spread),
        ok=bool(verdicts["flag set after the sum"][2]) and "flag set before, cleared by counts" in good,
    )


MEASUREMENT = Measurement(
    "F07",
    "every read walks all tasks",
    "What does a read cost by number of tasks; may one task be read without the walk, or a stored sum be flagged?",
    measure,
)
