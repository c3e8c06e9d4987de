"""What `--json` prints: for each command the keys of its object, with type, unit and meaning.

`docs/reference/json.md` is made from these tables, and a test holds them against what the commands print.
"""

from __future__ import annotations

from typing import NamedTuple


class Key(NamedTuple):
    """One value of an object, by its path: ``rows[].wall`` lies in each element of the list ``rows``.

    ``*`` in a path stands for keys that are names, such as those of operations. ``type`` is JSON's: string, integer,
    number, boolean, or one of these "or null". ``always``: it is there whatever happens.
    """

    path: str
    type: str
    what: str
    unit: str = ""
    always: bool = True


def _accesses(path: str) -> tuple[Key, ...]:
    before = "its value before the step" + ("; null: it was not read" if "writes" in path else "")
    return (
        Key(f"{path}structure", "string or null", "the structure of the word, as `list fields` has it", always=False),
        Key(f"{path}instance", "integer", "which of its instances, from 0, or the word's index", always=False),
        Key(f"{path}field", "string or null", "the field", always=False),
        Key(f"{path}old", "integer or null" if "writes" in path else "integer", before, always=False),
    )


def _steps(path: str) -> tuple[Key, ...]:
    return (
        Key(f"{path}steps[].cpu", "integer", "the CPU that takes the step"),
        Key(f"{path}steps[].step", "string", "the step; in [] where an operation ends there"),
        Key(f"{path}steps[].detail", "string", "what the step read and wrote"),
        Key(f"{path}steps[].operation", "string", "the operation that it is part of; empty for a store buffer"),
        Key(f"{path}steps[].begins", "boolean", "whether the operation begins with it"),
        *_accesses(f"{path}steps[].reads[]."),
        *_accesses(f"{path}steps[].writes[]."),
        Key(f"{path}steps[].writes[].new", "integer", "its value behind the step", always=False),
    )


def _machine(path: str) -> tuple[Key, ...]:
    return (
        Key(f"{path}cpus", "integer", "CPUs"),
        Key(f"{path}mms", "integer", "address spaces"),
        Key(f"{path}anon", "integer", "anonymous pages of an mm", "pages"),
        Key(f"{path}private_file", "integer", "pages of a private file mapping", "pages"),
        Key(f"{path}shared_file", "integer", "pages of a shared file mapping", "pages"),
        Key(f"{path}frames", "integer", "page frames, the zero page among them", "pages"),
        Key(f"{path}swap", "integer", "swap slots", "pages"),
        Key(f"{path}arch", "string", "64 or pae"),
        Key(f"{path}above_4g", "boolean", "frames lie above 4 GiB"),
        Key(f"{path}mmu", "boolean", "update_mmu_cache loads a cache of translations"),
        Key(f"{path}ghost", "boolean", "what users wrote is kept, for check data_kept"),
        Key(f"{path}batch", "integer", "batch of per-CPU counters", "pages"),
        Key(f"{path}task_depth", "integer", "tasks that a CPU can have started, one above the other"),
        Key(f"{path}ptrs_per_pte", "integer", "ptes in a page-table page"),
        Key(f"{path}child_pages", "integer or null", "pages of an mm other than mm 0; null: all", "pages"),
        Key(f"{path}pmd", "boolean", "page tables are allocated as they are needed"),
        Key(f"{path}vmas", "boolean", "what is mapped at a page can be moved to another"),
        Key(f"{path}vm_areas", "boolean", "VMAs are objects with ranges that are used again"),
    )


_CHECKS = (
    Key("checks[].name", "string", "the check"),
    Key("checks[].ok", "boolean", "whether it holds"),
    Key("checks[].detail", "string", "what was seen; empty where there is nothing to say"),
)
_NOTES = Key(
    "notes[]",
    "string",
    "operations that gave the checks nothing to look at, or a store buffer that was full, a sentence each",
    always=False,
)
def _spread(path: str) -> tuple[Key, ...]:
    return (
        Key(f"{path}runs", "integer", "runs of a figure", always=False),
        Key(f"{path}median", "number", "the run in the middle", always=False),
        Key(f"{path}min", "number", "the least run", always=False),
        Key(f"{path}max", "number", "the greatest run", always=False),
    )


def _load(always: bool) -> tuple[Key, ...]:
    return (
        Key("load.average", "number", "load average of the last minute", "processes", always),
        Key("load.steal", "number or null", "share of the CPUs' time that the hypervisor took meanwhile", "", always),
        Key("load.others", "number or null", "share that other processes took meanwhile", "", always),
        Key("load.busy", "boolean", "whether the machine was too busy for figures of a quiet one", "", always),
    )


_KNOWN = (
    Key("known.file", "string", "with --known: the file or folder of known failures", always=False),
    Key("known.failures[]", "string", "with --known: failures that are known", always=False),
    Key("known.new[]", "string", "with --known: failures that are not; with any the exit status is 1", always=False),
)
_COVERAGE = (
    Key("coverage.steps", "integer", "with --coverage: steps of the programs that were performed", always=False),
    Key("coverage.taken", "integer", "with --coverage: of these, steps that a schedule took", always=False),
    Key("coverage.missed[].operation", "string", "with --coverage: the operation of what was not taken", always=False),
    Key("coverage.missed[].number", "integer", "number of the step in its program, from 1", always=False),
    Key("coverage.missed[].step", "string", "the step", always=False),
    Key("coverage.missed[].branch", "string or null", "label never gone to; null: step never taken", always=False),
)
_EXPLORED = (Key("design", "string", "the design"), Key("arch", "string", "64 or pae"))
_MEMORY = Key("memory", "string", "the memory model, tso or pso; none under sc", always=False)

RUN = (
    *_EXPLORED,
    Key("workers", "integer", "worker processes"),
    Key("seconds", "number", "from the start of the workers to the rest of the last one", "s", always=False),
    Key("seed", "integer", "seed of all random choices"),
    Key("ops.*", "integer", "operations performed, by name", always=False),
    Key("ops_per_second", "number", "operations of all workers together", "1/s", always=False),
    Key("rss.read", "integer or null", "rss of mm 0 as a read at rest shows it", "pages", always=False),
    Key("rss.true", "integer or null", "rss of mm 0 as its page table says", "pages", always=False),
    Key("anon_rss.read", "integer or null", "anon_rss of mm 0 as a read at rest shows it", "pages", always=False),
    Key("anon_rss.true", "integer or null", "anon_rss of mm 0 as its page table says", "pages", always=False),
    *_CHECKS,
    Key("ok", "boolean", "whether all checks hold"),
    _NOTES,
    *_COVERAGE,
    *_KNOWN,
)

EXPLORE = (
    *_EXPLORED,
    Key("workload", "string", "the workload, as it can be typed again"),
    _MEMORY,
    Key("complete", "boolean", "whether every state that can be reached was visited"),
    Key("states", "integer", "different states found"),
    Key("transitions", "integer", "transitions taken"),
    Key("depth", "integer", "longest shortest way to a state, or longest schedule", "transitions"),
    Key("seconds", "number", "time of the search", "s"),
    Key("outcomes", "integer", "different final states"),
    Key("violations[].check", "string", "the check that breaks; the list is empty when all hold"),
    Key("violations[].length", "integer", "length of the schedule", "transitions"),
    *_steps("violations[]."),
    Key("reduced", "boolean", "true where states were passed over that change no verdict", always=False),
    Key("finals[].*", "string", "with --finals: the value of a word in which the final states differ", always=False),
    _NOTES,
    *_COVERAGE,
    *_KNOWN,
)

REPLAY = (
    *_EXPLORED,
    Key("workload", "string", "the workload"),
    _MEMORY,
    Key("check", "string", "the check that breaks at the end"),
    Key("length", "integer", "length of the schedule", "transitions"),
    Key("wrong", "string", "what is wrong at the end"),
    *_steps(""),
    Key("states[]", "string", "with --states: the state after each step", always=False),
)

HUNT = (
    Key("design", "string", "the design"),
    _MEMORY,
    Key("seconds", "number", "time of the hunt", "s"),
    Key("workloads", "integer", "workloads explored"),
    Key("given_up", "integer", "workloads that were too large to explore completely"),
    Key("violations[].check", "string", "the check that breaks; the list is empty when all hold"),
    Key("violations[].arch", "string", "64 or pae"),
    Key("violations[].workload", "string", "the smallest workload that was found"),
    *_machine("violations[].machine."),
    Key("violations[].length", "integer", "length of the schedule", "transitions"),
    Key("violations[].mend.name", "string", "what removes this fault, where it is known", always=False),
    Key("violations[].mend.why", "string", "why it is needed", always=False),
    *_steps("violations[]."),
    _NOTES,
    *_COVERAGE,
    *_KNOWN,
)

REVIEW = (
    Key("findings[].id", "string", "F01 to F16, N01 and on, R01 and on, W01 and on"),
    Key("findings[].title", "string", "the finding in a few words"),
    Key("findings[].memory", "string", "the memory model, where it is not sc", always=False),
    Key("findings[].as_posted.check", "string or null", "the check that breaks as posted"),
    Key("findings[].as_posted.length", "integer or null", "length of the shortest schedule", "transitions"),
    Key("findings[].as_posted.states", "integer", "states found of the design as posted"),
    Key("findings[].as_posted.seconds", "number", "time of that search", "s"),
    Key("findings[].corrected.complete", "boolean", "whether every state of the corrected design was visited"),
    Key("findings[].corrected.states", "integer", "states found of the corrected design"),
    Key("findings[].corrected.violations[]", "string", "checks that break in the corrected design: none"),
    Key("findings[].ok", "boolean", "whether the finding is shown"),
    Key("ok", "boolean", "whether all findings that were asked for are shown"),
    Key("measurements[].id", "string", "with --measure, or --finding F05", always=False),
    Key("measurements[].columns[].key", "string", "a key of the table", always=False),
    Key("measurements[].columns[].name", "string", "the head of its column, as it is printed", always=False),
    Key("measurements[].columns[].unit", "string or null", "its unit; null: none", always=False),
    Key("measurements[].table[].*", "string, integer, number or null", "what was measured, by keys", always=False),
    Key("measurements[].simulated_columns[].key", "string", "likewise of what was simulated", always=False),
    Key("measurements[].simulated_columns[].name", "string", "the head of its column", always=False),
    Key("measurements[].simulated_columns[].unit", "string or null", "its unit", always=False),
    Key("measurements[].simulated_table[].*", "string, integer, number or null", "simulated figures", always=False),
    Key(
        "measurements[].rows[].*",
        "string, integer, number or null",
        "deprecated, use table: the same by heads of columns, which have spaces and units",
        always=False,
    ),
    Key(
        "measurements[].simulated[].*",
        "string, integer or number",
        "deprecated, use simulated_table: the same by heads of columns",
        always=False,
    ),
    Key("measurements[].spread[].figure", "string", "a measured figure, with its unit", always=False),
    *_spread("measurements[].spread[]."),
    Key(
        "measurements[].spread[].shown",
        "string or null",
        "whether it is above what it is compared with: yes, no, not measurable here; null: nothing is concluded",
        always=False,
    ),
    Key("measurements[].says[]", "string", "what the table says, a sentence each", always=False),
    Key("measurements[].ok", "boolean", "whether the measurement shows what it is to show", always=False),
    *_load(always=False),
    Key("errors[].id", "string", "findings that ended in an error", always=False),
    Key("errors[].error", "string", "the error", always=False),
    *_KNOWN,
)

RSS = (
    Key("cpus", "integer", "virtual CPUs"),
    Key("threads", "integer", "tasks that count"),
    Key("hop", "boolean", "whether workers go from CPU to CPU"),
    Key("cores", "integer", "cores of this machine that may be used"),
    Key("seed", "integer", "seed of all random choices"),
    Key("counters[].name", "string", "the counter"),
    Key("counters[].year", "integer", "year of its design"),
    Key("counters[].bound_pages", "integer or null", "bound that it declares; null: none", "pages"),
    Key("counters[].worst_error_pages", "integer or null", "largest error of a read under load", "pages"),
    Key("counters[].median_error_pages", "integer or null", "median error of a read under load", "pages"),
    Key("counters[].rest_error_pages", "integer or null", "largest error at rest", "pages"),
    Key("counters[].update_ns", "number or null", "a change, one core", "ns"),
    Key("counters[].update_contended_ns", "number or null", "a change, all cores", "ns"),
    Key("counters[].read_ns.*", "number", "a read, by CPUs and tasks", "ns", always=False),
    Key("counters[].precise_read_ns", "number or null", "a precise read; null: the counter has none", "ns"),
    *_spread("counters[].spread.*."),
    Key("counters[].bytes_per_mm", "integer or null", "memory of one address space; null: nobody knows", "bytes"),
    Key("counters[].explored.complete", "boolean", "whether every state was visited", always=False),
    Key("counters[].explored.states", "integer", "states found", always=False),
    Key("counters[].explored.violations[]", "string", "checks that break", always=False),
    Key("counters[].ok", "boolean or null", "whether it kept its bound; null: not known"),
    *_load(True),
)

TABLE = (
    Key("design", "string", "the design"),
    Key("work", "string", "private work of a fault: none, clear or trap+clear"),
    Key("rows[].gb", "number", "memory touched in all", "GiB"),
    Key("rows[].rep", "integer", "repetitions"),
    Key("rows[].threads", "integer", "worker processes"),
    Key("rows[].user", "number", "CPU time in user mode, all workers", "s"),
    Key("rows[].system", "number", "CPU time in the kernel, all workers", "s"),
    Key("rows[].wall", "number", "from the start of the workers to the end of the last one", "s"),
    Key("rows[].flt_cpu_s", "number", "faults per second of CPU time", "1/s"),
    Key("rows[].fault_wsec", "number", "faults per second of wall time, all workers together", "1/s"),
    Key("rows[].bare_fault_wsec", "number or null", "the same without work; null with --work none", "1/s"),
    Key("rows[].work", "number", "share of the CPU time: private work"),
    Key("rows[].atomics", "number or null", "share of the CPU time: the steps, as one worker takes them"),
    Key("rows[].waiting", "number or null", "share of the CPU time: waiting for lines and locks"),
    *_spread("rows[].fault_wsec_spread."),
    *_load(True),
)

SCALE = (
    Key("machine", "string", "the machine that is simulated"),
    Key("seed", "integer", "where everything random comes from"),
    Key("rows[].design", "string", "the design"),
    Key("rows[].cpus", "integer", "CPUs that fault"),
    Key("rows[].faults", "integer", "faults that were simulated"),
    Key("rows[].per_second", "number", "faults per second, all CPUs together", "1/s"),
    Key("rows[].ns", "number", "simulated time of the whole run", "ns"),
    Key("rows[].accesses", "integer", "accesses of steps to memory"),
    Key("rows[].atomics", "integer", "accesses that are atomic, those to one line in one step taken together"),
    Key("rows[].transfers", "integer", "times that a cache line moved"),
    Key("rows[].waits", "integer", "times that a step found its lock taken"),
    Key("rows[].work", "number", "private work, all CPUs together", "ns"),
    Key("rows[].own", "number", "accesses to lines that the CPU has", "ns"),
    Key("rows[].line", "number", "lines under way", "ns"),
    Key("rows[].queue", "number", "waiting until a line was free", "ns"),
    Key("rows[].spin", "number", "waiting for locks, from the first look on", "ns"),
    Key("rows[].reads", "integer", "reads of /proc that were done"),
    Key("rows[].read_ns", "number", "time of a read, 0 without", "ns"),
    Key("rows[].shares.*", "number", "share of the CPU time: work, atomics, lines, locks"),
)

_WHERE_AND_WHEN = (
    Key("time", "string", "wall-clock time, UTC"),
    Key("host", "string", "name of this machine"),
    Key("kernel", "string", "release of the running kernel"),
    Key("cgroup", "string or null", "memory cgroup of this process"),
)


def _figure(path: str, what: str) -> tuple[Key, ...]:
    return (
        Key(f"{path}name", "string", what),
        Key(f"{path}bound_pages", "integer or null", "how far it may be off; null: no bound", "pages"),
        Key(f"{path}now_error_pages", "integer or null", "error of the last round", "pages"),
        Key(f"{path}worst_error_pages", "integer or null", "largest error at rest", "pages"),
        Key(f"{path}median_error_pages", "number or null", "median error at rest", "pages"),
        Key(f"{path}held_back_error_pages", "integer or null", "error with pages held back on purpose", "pages"),
    )


LIVE = (
    *_WHERE_AND_WHEN,
    Key("cpus", "integer", "CPUs online"),
    Key("page_size", "integer", "size of a page", "bytes"),
    Key("accounting.*.by_version", "string", "how this interface counts, by the kernel's version"),
    Key("accounting.*.seen", "string or null", "how it counts, as its errors show; null: not seen"),
    Key("accounting.*.decided", "string", "which of both the bound is taken from"),
    Key("rounds", "integer", "rounds of load and rest"),
    *_figure("interfaces[].", "stat, statm, status, psutil, smaps_rollup; the figures are those of its resident size"),
    Key("interfaces[].bound", "string", "how the bound is computed"),
    Key("interfaces[].read_us", "number or null", "a read at rest", "us"),
    Key("interfaces[].read_under_load_us", "number or null", "a read under load", "us"),
    *_figure("interfaces[].figures[].", "a figure of this interface"),
    Key("peaks[].interface", "string", "interface of a peak"),
    Key("peaks[].name", "string", "the peak, such as VmHWM"),
    Key("peaks[].bound_pages", "integer or null", "how far it may be off; null: no bound", "pages"),
    Key("peaks[].held_back_error_pages", "integer or null", "error with pages held back on purpose", "pages"),
    Key("held_back_less_because", "string or null", "why less was held back than can be"),
    Key("ok", "boolean", "whether all figures are within their bounds"),
    Key("recommendation", "string", "which figure to trust, in a sentence"),
    Key("seed", "integer", "seed of all random choices"),
    Key("walks", "string", "which page walks were compared"),
    Key("walks_differ[]", "string", "where they differ: nowhere, or the truth is in doubt"),
    Key("moved_pages", "integer", "pages that came or went while reading at rest", "pages"),
)

LIVE_PID = (
    Key("time", "number", "since the start", "s"),
    Key("pid", "integer", "the process"),
    Key("name", "string", "its name"),
    Key("page_size", "integer", "size of a page", "bytes"),
    Key("vmrss_pages", "integer", "VmRSS of /proc/<pid>/status", "pages"),
    Key("stat_pages", "integer", "rss of /proc/<pid>/stat", "pages"),
    Key("walk_pages", "integer", "pages found by a walk of the page table", "pages"),
    Key("error_pages", "integer", "how far VmRSS is off", "pages"),
    Key("stat_error_pages", "integer", "how far stat is off", "pages"),
    Key("moved_pages", "integer", "pages that came or went meanwhile", "pages"),
    Key("read_us", "number", "reading status", "us"),
    Key("walk_us", "number", "the walk", "us"),
    Key("walk", "string", "what walked the page table"),
    Key("peak_pages", "integer or null", "VmHWM", "pages"),
    Key("pss_kib", "integer or null", "Pss: a page that n processes map counts 1/n", "KiB"),
    Key("private_kib", "integer or null", "pages that nobody else maps", "KiB"),
    Key("lazyfree_kib", "integer or null", "pages freed by MADV_FREE, still resident", "KiB"),
    Key("swap_kib", "integer or null", "pages swapped out", "KiB"),
    Key("hugetlbpages_kib", "integer or null", "huge pages of hugetlbfs", "KiB"),
    Key("wall_time", "string", "wall-clock time, UTC"),
    Key("host", "string", "name of this machine"),
    Key("kernel", "string", "release of the running kernel"),
    Key("cgroup", "string or null", "memory cgroup of the process"),
    Key("memory_current_bytes", "integer or null", "memory.current of that cgroup", "bytes"),
)

LIVE_EXPLAIN = (
    *_WHERE_AND_WHEN,
    Key("cpus", "integer", "CPUs online"),
    Key("threads", "integer", "threads of the process that is meant"),
    Key("page_size", "integer", "size of a page", "bytes"),
    Key("learned[]", "string", "interfaces whose way of counting was learned from this kernel"),
    Key("figures[].interface", "string", "the interface"),
    Key("figures[].name", "string", "the figure"),
    Key("figures[].means", "string", "what it counts"),
    Key("figures[].bound_pages", "integer or null", "how far it may be off; null: no bound", "pages"),
    Key("figures[].bound_bytes", "integer or null", "the same in bytes", "bytes"),
    Key("figures[].bound", "string", "how the bound is computed, or why there is none"),
    Key("figures[].counts", "string or null", "how the kernel counts it"),
    Key("figures[].instead", "string or null", "what to read instead"),
    Key("recommendation", "string", "which figure to trust, in a sentence"),
)

LIVE_TABLE = (
    *_WHERE_AND_WHEN,
    Key("rows[].kind", "string", "kind of fault: anon, cow, tmpfs, file"),
    Key("rows[].mode", "string", "processes or threads"),
    Key("rows[].workers", "integer", "number of them"),
    Key("rows[].faults", "integer", "faults taken"),
    Key("rows[].wall", "number", "wall time", "s"),
    Key("rows[].fault_wsec", "number", "faults per second of wall time, all workers together", "1/s"),
    Key("rows[].bytes", "integer", "memory touched in one repetition", "bytes"),
    Key("rows[].rep", "integer", "repetitions"),
    Key("rows[].user", "number", "CPU time in user mode, all workers", "s"),
    Key("rows[].system", "number", "CPU time in the kernel, all workers", "s"),
    Key("rows[].fault_cpu_sec", "number", "faults per second of CPU time", "1/s"),
)

LIVE_COMPARE = (
    *_WHERE_AND_WHEN,
    Key("design", "string", "the design that the model runs"),
    Key("scripts", "integer", "scripts that were performed"),
    Key("operations", "integer", "operations in them"),
    Key("differences[].process", "integer", "process of the script; the list is empty when all is the same"),
    Key("differences[].figure", "string", "the figure that differs, or why the model did not get so far"),
    Key("differences[].kernel", "integer or null", "what the kernel has", "pages"),
    Key("differences[].model", "integer or null", "what the model has", "pages"),
    Key("differences[].bound", "integer", "how far they may be apart", "pages"),
    Key("ok", "boolean", "whether there is no difference"),
    Key("seed", "integer", "seed of all random choices"),
    Key("forks", "integer", "processes that were forked"),
    Key("worst_error_pages", "integer", "largest error of an interface of the kernel", "pages"),
    Key("script[]", "string", "the smallest script that differs, an operation each"),
    Key("repeated", "boolean", "whether the difference was there again"),
)

EXAMPLES = (
    Key("files[].file", "string", "a file that was written"),
    Key("files[].what", "string", "what it shows, in a sentence"),
)

LITMUS = (
    Key("file", "string", "the file, - for standard input"),
    Key("name", "string", "the test, as its file names it"),
    Key("memory", "string", "sc, tso or pso"),
    Key("supported", "boolean", "the test could be read; where not, there is no verdict"),
    Key("reason", "string or null", "what is not supported, with line and column"),
    Key("complete", "boolean", "the verdict is certain: every state was found, or a search that settles it ended"),
    Key("all_states", "boolean", "states has every final state"),
    Key("states[].*", "integer or string", "the value of a register or a word; the name of a word for its address"),
    Key("observation", "string or null", "Never, Sometimes or Always; null where it is not known"),
    Key("ok", "boolean or null", "the quantified condition holds; null where it is not known"),
    Key("positive", "integer", "final states that fulfil the condition"),
    Key("negative", "integer", "final states that do not"),
    Key("visited", "integer", "states of the search", always=False),
    Key("seconds", "number", "of the search", "s", always=False),
    Key("seen[].state.*", "integer or string", "with --run: as in states", always=False),
    Key("seen[].count", "integer", "with --run: instances that ended in this state", always=False),
    Key("seen[].allowed", "boolean or null", "with --run: x86-TSO allows it; null: not known", always=False),
    Key("run.instances", "integer", "with --run: instances that were performed", always=False),
    Key("run.seconds", "number", "with --run: how long they took", "s", always=False),
    Key("run.instances_per_second", "integer", "with --run: of all processes together", "1/s", always=False),
    Key("run.processes", "integer", "with --run: one for each thread", always=False),
    Key("run.cpus", "integer", "with --run: CPUs that they were on", always=False),
    Key("run.allowed_states", "integer", "with --run: states that x86-TSO allows", always=False),
    Key("run.forbidden", "integer", "with --run: instances in states that x86-TSO forbids", always=False),
    Key("run.seed", "integer", "with --run: where everything drawn comes from", always=False),
)
LAYOUT = (
    Key("placement", "string", "which fields share a cache line"),
    Key("bytes", "integer", "size of the whole memory", "bytes"),
    Key("structures[].structure", "string", "the structure"),
    Key("structures[].offset", "integer", "where its first instance lies", "bytes"),
    Key("structures[].stride", "integer", "from one instance to the next", "bytes"),
    Key("structures[].count", "integer", "instances"),
    Key("structures[].bytes", "integer", "all instances together", "bytes"),
    Key("structures[].what", "string", "what it is"),
    Key("fields[].line", "integer", "number of its cache line"),
    Key("fields[].offset", "integer", "where it lies", "bytes"),
    Key("fields[].size", "integer", "its size", "bytes"),
    Key("fields[].structure", "string", "the structure that it belongs to"),
    Key("fields[].instance", "integer", "which instance of it"),
    Key("fields[].field", "string", "the field"),
    Key("fields[].writers", "string", "operations that write it"),
)

_DATED = (
    Key("runs[].run", "integer", "number of the run in the file, from 1"),
    Key("runs[].date", "string or null", "when it began, UTC; null: its output does not say"),
    Key("runs[].version", "string or null", "version that it was made by"),
)
RESULTS = (
    *_DATED,
    Key("runs[].command", "string", "the command as it was typed"),
    Key("runs[].seed", "integer or null", "seed of all that it drew; null: nothing was drawn"),
    Key("runs[].cpus", "integer or null", "CPUs that it could use"),
    Key("runs[].objects", "integer", "objects that it printed"),
)
RESULTS_COMPARE = (
    Key("figures[].figure", "string", "name of a figure in which the runs differ"),
    Key("figures[].first", "number or null", "its value in the first run; null: it has none"),
    Key("figures[].second", "number or null", "its value in the second run"),
    Key("figures[].ratio", "number or null", "the second of the first; null where there is none"),
)
RESULTS_FIGURE = (
    Key("figure", "string", "name of the figure"),
    *_DATED,
    Key("runs[].value", "number", "its value in this run"),
)
CLEAN = (
    Key("removed[].name", "string", "file in /dev/shm that was removed"),
    Key("removed[].bytes", "integer", "its size", "bytes"),
    Key("removed[].pid", "integer", "the process that made it"),
    Key("removed[].what", "string", "what it was"),
    Key("bytes", "integer", "bytes freed", "bytes"),
    Key("left[].name", "string", "file that was left, because its creator cannot be judged", always=False),
    Key("left[].bytes", "integer", "its size", "bytes", always=False),
    Key("left[].pid", "integer", "the process that made it, in its own PID namespace", always=False),
    Key("left[].why", "string", "why nobody can tell here", always=False),
)


def _rows(table: str, **columns: str) -> tuple[Key, ...]:
    """Return the keys of a table of `list`: ``s:what`` is a string, ``i:what`` an integer, ``l:what`` a list."""
    types = {"s": ("", "string"), "i": ("", "integer"), "l": ("[]", "string")}
    keys = []
    for column, said in columns.items():
        kind, _, what = said.partition(":")
        end, type_ = types[kind]
        keys.append(Key(f"{table}[].{column}{end}", type_, what))
    return tuple(keys)


LISTS = {
    "steps": _rows(
        "steps",
        step="s:name to import",
        module="s:from where",
        does="s:first line of its docstring",
        kind="s:private, waits, whole, by arch",
        operations="l:operations that have it",
        designs="l:designs that have it",
    ),
    "fields": _rows(
        "fields",
        name="s:name to import",
        structure="s:structure; empty for a parameter",
        field="s:name in the structure; empty for a number of instances",
        written_by="s:operations that write it",
        holds="s:what it holds",
        module="s:from where",
    ),
    "labels": _rows(
        "labels",
        name="s:name to import",
        label="s:name in counterexamples",
        jump="s:forward or back",
        section="s:yes where an edit can be confined to it",
        operations="l:operations that have it",
        module="s:from where",
    ),
    "registers": _rows(
        "registers", name="s:name to import", number="i:index", kept="s:for how long", holds="s:what it holds"
    ),
    "operations": _rows(
        "operations",
        operation="s:the operation",
        does="s:what it does",
        takes="s:what it is given",
        read="s:yes where checks look at what it shows",
        designs="l:designs that have it",
    ),
    "checks": _rows("checks", check="s:the check", must_hold="s:what must hold", looked_at="s:when"),
    "designs": _rows(
        "designs",
        design="s:the design",
        year="i:year",
        based_on="s:design that it was made from",
        bound="s:bound at rest, in pages",
        what="s:what it is",
        source="s:where it comes from",
        edits="l:edits that made it",
    ),
}

ABOUT = (
    Key("about.version", "string", "version of pte-stress"),
    Key("about.command", "string", "the command, as it can be typed again"),
    Key("about.seed", "integer or null", "seed of all random choices; null where nothing is random"),
    Key("about.machine.arch", "string", "architecture"),
    Key("about.machine.cpu", "string", "model of the processor"),
    Key("about.machine.cpus", "integer", "CPUs that may be used"),
    Key("about.machine.page_bytes", "integer", "size of a page", "bytes"),
    Key("about.machine.memory_bytes", "integer", "memory of the machine", "bytes"),
    Key("about.kernel", "string", "the running kernel"),
    Key("about.date", "string", "when it was printed, in UTC, ISO 8601"),
)
"""What made an object; where a command prints several, in the first."""
SEVERAL = ("live --pid", "litmus")
"""Commands that print an object a line."""

_KEYS: dict[str, tuple[Key, ...]] = {
    "run": RUN,
    "explore": EXPLORE,
    "hunt": HUNT,
    "review": REVIEW,
    "rss": RSS,
    "table": TABLE,
    "scale": SCALE,
    "examples": EXAMPLES,
    **{f"list {table}": keys for table, keys in LISTS.items()},
    "litmus": LITMUS,
    "live": LIVE,
    "live --pid": LIVE_PID,
    "live --explain": LIVE_EXPLAIN,
    "live --table": LIVE_TABLE,
    "live --compare": LIVE_COMPARE,
    "replay": REPLAY,
    "layout": LAYOUT,
    "results": RESULTS,
    "results --compare": RESULTS_COMPARE,
    "results --figure": RESULTS_FIGURE,
    "clean": CLEAN,
}
"""The keys by command, in the order of `pte-stress --help`."""
KEYS: dict[str, tuple[Key, ...]] = {
    command: (*keys, *(key._replace(always=key.always and command not in SEVERAL) for key in ABOUT))
    for command, keys in _KEYS.items()
}
"""By command, what its object holds, with what every object holds."""
