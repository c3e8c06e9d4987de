"""Every structure of the modelled machine and every field, declared once, with kernel names.

The memory is an array ``m`` of 64-bit words. Its first words are the segment's header; after it lie the
*constants* of a layout: for each field one word that holds the index of that field in instance 0 of its
structure, and one with the stride of that structure (words from one instance to the next); for each structure
its stride again and the number of instances; and the parameters of the machine. A step finds a field through
them, so one compiled step serves every machine and every placement::

    at(m, MM_RSS, mm)                       # index of mm->rss

What only one CPU touches, its *registers*, lies apart in an array ``r`` of `REGISTERS` words
(`shm_layout.registers`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import overload

from shm_layout.words import Words

HEADER_WORDS = 16
"""Words of the segment's header, see `shm_layout.segment`."""

CONSTANT_WORDS = 368
"""Words set aside for the constants after the header: a multiple of a cache line."""

FIRST_WORD = HEADER_WORDS + CONSTANT_WORDS
"""Index of the first word that a run may change."""

LINE_WORDS = 8
"""Words in a cache line of 64 bytes."""

_next_constant = HEADER_WORDS

Declaration = tuple[str, ...]
"""A field, a parameter or a variable: the name of its structure (none for a parameter, `VARIABLE` for a variable), and
what was said of it."""
VARIABLE = "variable"

_declarations: list[Declaration] = []


def _constant(words: int = 1) -> int:
    global _next_constant
    if _next_constant + words > FIRST_WORD:
        raise ValueError(f"no room for more fields and parameters: there are {CONSTANT_WORDS} words for all of them")
    _next_constant += words
    return _next_constant - words


@dataclass(frozen=True)
class Field:
    """One word of a structure.

    ``constant`` is the index of the constant that says where the field lies, and the next one holds the stride
    of its structure; ``writers`` names the operations that write it; ``holds`` says what the value means to the
    explorer: ``word`` (a plain number), or ``task`` (a task number, 0 for none, else number + 1).
    """

    name: str
    constant: int
    writers: str
    doc: str
    holds: str


@dataclass
class Struct:
    """A structure of one-word fields, of which the machine has a number of instances."""

    name: str
    doc: str
    stride: int = field(default_factory=_constant)
    count: int = field(default_factory=_constant)
    fields: list[Field] = field(default_factory=list)
    instances: int | None = None
    """How many there are on every machine; None where the machine says how many."""
    initial: tuple[int, ...] = ()
    """What its words hold in the first state, where ``instances`` is given: one value, or one for each."""

    def __post_init__(self) -> None:
        """Enter the structure in `STRUCTS`."""
        STRUCTS[self.name] = self

    def word(self, name: str, writers: str, doc: str, holds: str = "word") -> int:
        """Declare a field and return its constant. A user's design may add fields of its own, under names of its own.

        What is declared once more in the same words is the same field. Raises `ValueError` for another one of its name.
        """
        known = [f for f in self.fields if f.name == name]
        if known:
            if (known[0].writers, known[0].doc, known[0].holds) != (writers, doc, holds):
                raise ValueError(f"{self.name} has another field {name!r} ({known[0].doc}): choose another name")
            return known[0].constant
        constant = _constant(2)
        self.fields.append(Field(name, constant, writers, doc, holds))
        _declarations.append((self.name, name, writers, doc, holds))
        return constant


@dataclass(frozen=True)
class Parameter:
    """A number that describes the machine as a whole."""

    name: str
    constant: int
    doc: str


STRUCTS: dict[str, Struct] = {}
PARAMETERS: dict[str, Parameter] = {}


def parameter(name: str, doc: str) -> int:
    """Declare a parameter of the machine and return the index of its constant.

    Raises `ValueError` for another parameter of a name that there is.
    """
    if name in PARAMETERS and PARAMETERS[name].doc != doc:
        raise ValueError(f"there is another parameter {name!r} ({PARAMETERS[name].doc}): choose another name")
    if name not in PARAMETERS:
        PARAMETERS[name] = Parameter(name, _constant(), doc)
        _declarations.append(("", name, doc))
    return PARAMETERS[name].constant


def variable(name: str, doc: str, *, initial: int | Sequence[int] = 0, count: int = 1) -> int:
    """Declare a word of a design's own that belongs to no structure, or ``count`` of them; return its constant.

    Each holds ``initial`` in the first state, or its own of several. ``at(m, LOCK, 0)`` is the word, ``at(m, FLAG, i)``
    the i-th. What is declared once more in the same words is the same variable. Raises `ValueError` for another one of
    its name, for no or too many words, and for too few or many values.

    >>> FLAG = variable("flag", "process i wants to enter", count=2)
    """
    if not 1 <= count <= MOST_WORDS_OF_VARIABLE:
        raise ValueError(f"variable {name!r} has {count} words: give it 1 to {MOST_WORDS_OF_VARIABLE}")
    values = (initial,) if isinstance(initial, int) else tuple(initial)
    if len(values) not in (1, count):
        raise ValueError(f"variable {name!r} has {count} words and {len(values)} values: give it one, or one for each")
    made = STRUCTS.get(name)
    if made is not None:
        if (made.doc, made.initial, made.instances) != (doc, values, count):
            raise ValueError(f"there is another {name!r} ({made.doc}): choose another name")
        return made.fields[0].constant
    struct = Struct(name, doc, instances=count, initial=values)
    constant = _constant(2)
    struct.fields.append(Field("value", constant, "operations of the design", doc, "word"))
    _declarations.append((VARIABLE, name, doc, str(count), *map(str, values)))
    return constant


MOST_WORDS_OF_VARIABLE = 1024


def declarations() -> tuple[Declaration, ...]:
    """Return every field and parameter in the order of their declaration, which is that of their constants."""
    return tuple(_declarations)


def declare(made: Iterable[Declaration]) -> None:
    """Declare what another process has: constants are numbered here as there, if it is done before anything else is."""
    for struct, name, *said in made:
        if struct == VARIABLE:
            doc, count, *values = said
            variable(name, doc, initial=tuple(map(int, values)), count=int(count))
        elif struct:
            STRUCTS[struct].word(name, *said)
        else:
            parameter(name, *said)


@overload
def at(m: Words, field: int, instance: int, /) -> int: ...
@overload
def at(m: Words, field: int, stride: int, instance: int, /) -> int: ...
def at(m: Words, field: int, stride_or_instance: int, instance: int | None = None, /) -> int:
    """Return the index in ``m`` of a field of one instance of its structure: ``at(m, MM_RSS, mm)`` is mm->rss.

    ``field`` is what `Struct.word` returned. Older files name the structure's stride, too, as in
    ``at(m, MM_RSS, MM_STRIDE, mm)``. A stride of another structure is refused when such a step is first explored.

    >>> m = [0] * FIRST_WORD
    >>> m[MM_RSS], m[MM_RSS + 1] = 1000, 8
    >>> at(m, MM_RSS, 2)
    1016
    """
    if instance is None:
        return m[field] + stride_or_instance * m[field + 1]
    return m[field] + instance * m[stride_or_instance]


# Parameters of the machine

PAE = parameter("pae", "1 when a pte is two 32-bit halves (arch=pae)")
ABOVE_4G = parameter("above_4g", "1 when page frame numbers go past 4 GiB")
NR_PTES = parameter("nr_ptes", "virtual pages of mm 0; numbers of virtual pages of any mm are below it")
CHILD_PTES = parameter("child_ptes", "virtual pages of every other mm: the last of nr_ptes")
ANON_END = parameter("anon_end", "first virtual page that is not in the private anonymous area")
PRIVATE_END = parameter("private_end", "first virtual page that is not privately mapped: shared file from here")
MMU = parameter("mmu", "1 when update_mmu_cache loads a cache of translations (mmu=hash)")
GHOST = parameter("ghost", "1 when `written` is kept (explore)")
STOP = parameter("stop", "set by the launcher: workers end, even those that wait")
BATCH = parameter("batch", "batch of per-CPU counters, in pages")
TASK_DEPTH = parameter("task_depth", "tasks that one CPU can have started, one above the other")
PTRS_PER_PTE = parameter("ptrs_per_pte", "ptes in a page-table page")
CHILD_TABLES = parameter("child_tables", "page-table pages of every mm other than mm 0")
TREE_LEVELS = parameter("tree_levels", "levels of a hierarchical counter below its root: CPUs are level 0")
TREE_ORDERS = parameter("tree_orders", "log2 of the children of a node, 4 bits a level, level 0 lowest")
TREE_WIDTH = parameter("tree_width", "leaves of a hierarchical counter: CPUs rounded up to a power of two")
TREE_ITEMS = parameter("tree_items", "nodes of a hierarchical counter above level 0, the root not counted")

WORK_TICKS = parameter("work_ticks", "workers: ticks of the CPU's clock that entering and leaving a fault takes")
WORK_BYTES = parameter("work_bytes", "workers: bytes of a page that is cleared in a pool of the worker's own")
WORK_POOL = parameter("work_pool", "workers: bytes of that pool")

# mm_struct

mm_struct = Struct("mm_struct", "an address space")
MM_STRIDE, NR_MMS = mm_struct.stride, mm_struct.count
MM_MMAP_SEM = mm_struct.word(
    "mmap_sem", "every fault, zap, fork", "readers; with WRITER_WAITS or WRITER in the high bits"
)
MM_PAGE_TABLE_LOCK = mm_struct.word("page_table_lock", "the one that takes it", "0 free, 1 held")
MM_RSS = mm_struct.word("rss", "by the design's counter", "pages resident, as far as counted here")
MM_ANON_RSS = mm_struct.word("anon_rss", "by the design's counter", "anonymous pages among them")
MM_USERS = mm_struct.word("mm_users", "fork, clone, exit, /proc reads", "users; 0: the mm is free")
MM_TASK_LIST = mm_struct.word("task_list", "clone, fork, exec, exit", "first task on the list, + 1", "task")

# counters of later kernels, beside rss and anon_rss
MM_RSS_LOCK = mm_struct.word("rss_lock", "folds of per-CPU counts", "lock of the percpu_counter rss")
MM_ANON_RSS_LOCK = mm_struct.word("anon_rss_lock", "folds of per-CPU counts", "lock of the percpu_counter anon_rss")
MM_FILE_RSS = mm_struct.word("file_rss", "by the design's counter", "file pages, where they are counted apart")
MM_SHMEM_RSS = mm_struct.word("shmem_rss", "by the design's counter", "pages of shared memory, counted apart")
MM_FILE_RSS_LOCK = mm_struct.word("file_rss_lock", "folds of per-CPU counts", "lock of the percpu_counter file_rss")
MM_SHMEM_RSS_LOCK = mm_struct.word("shmem_rss_lock", "folds of per-CPU counts", "the same of shmem_rss")
MM_LOCAL_RSS = mm_struct.word("local_rss", "the mm's only task", "what it counted while it was the only one")
MM_LOCAL_ANON_RSS = mm_struct.word("local_anon_rss", "the mm's only task", "the same, anonymous pages")
MM_UPTODATE = mm_struct.word("uptodate", "reads; faults clear it", "0 stale, 1 being summed, 2 the sums are right")
MM_SUM_RSS = mm_struct.word("sum_rss", "reads, under page_table_lock", "rss as last summed over the tasks")
MM_SUM_ANON_RSS = mm_struct.word("sum_anon_rss", "reads, under page_table_lock", "the same, anonymous pages")
MM_SINGLE = mm_struct.word("single", "fork, exec, clone", "1 until a second task starts")
MM_FLUSH_BATCHED = mm_struct.word("tlb_flush_batched", "swap-out; zap", "1: reclaim may still have flushes to do")

# which of its VMAs are write-locked (6.4)
MM_LOCK_SEQ = mm_struct.word("mm_lock_seq", "who holds mmap_sem for write", "how often it was given up")

# its page tables, where they are allocated (`pmd`)
MM_NR_PTES = mm_struct.word("nr_ptes", "faults, fork; munmap, exit", "page tables that its pmd entries name")

# task_struct

task_struct = Struct("task_struct", "a thread")
TASK_STRIDE = task_struct.stride
TASK_MM = task_struct.word("mm", "the task: clone, fork, exec, exit, use_mm", "number of the mm; -1: none")
TASK_RSS = task_struct.word("rss", "the task: faults", "pages that the task counted")
TASK_ANON_RSS = task_struct.word("anon_rss", "the task: faults", "anonymous pages that the task counted")
TASK_NEXT = task_struct.word("next", "clone and exit of neighbours", "next task on the list, + 1", "task")
TASK_PREV = task_struct.word("prev", "clone and exit of neighbours", "previous task, + 1", "task")
TASK_FLAGS = task_struct.word("flags", "the task", "PF_BORROWED_MM")
TASK_EVENTS = task_struct.word("events", "the task: faults", "faults since the task's counts were folded")

# what a CPU shows to others

cpu_struct = Struct("cpu", "what one CPU shows to the others")
CPU_STRIDE, NR_CPUS = cpu_struct.stride, cpu_struct.count
CPU_RCU = cpu_struct.word("rcu", "the CPU: /proc reads", "1 inside rcu_read_lock")
CPU_OFFLINE = cpu_struct.word("offline", "the CPU: cpu_offline", "0 online, 1 offline and dying, 2 dead")

# what the allocator and the caches share

zone_struct = Struct("zone", "locks of the page cache and the swap cache, held within one step")
TREE_LOCK = zone_struct.word("tree_lock", "swap-in, swap-out, file faults, truncate", "0 free, 1 held")

# page

page_struct = Struct("page", "a page frame; frame 0 is the reserved zero page")
PAGE_STRIDE, NR_PAGES = page_struct.stride, page_struct.count
PAGE_FLAGS = page_struct.word("flags", "allocator, LRU, rmap", "PG_* bits; the swap slot + 1 above bit 32")
PAGE_COUNT = page_struct.word("count", "get_page, put_page", "references")
PAGE_MAPCOUNT = page_struct.word("mapcount", "rmap", "ptes that map the page")
PAGE_CONTENT = page_struct.word("content", "allocator, user", "(virtual page + 1) << 16, + version written")

# one pte, one word: mm number * child_ptes + virtual page

pte_struct = Struct("pte", "page-table entries: of mm 0, of mm 1, ...")
PTE = pte_struct.word("pte", "faults, zap, fork, swap-out", "0 none; present; or a swap entry")
NR_ALL_PTES = pte_struct.count

vma_struct = Struct("vma", "what is mapped at each virtual page, where pages can be moved: of mm 0, of mm 1, ...")
NR_VMAS = vma_struct.count
VMA_INDEX = vma_struct.word("index", "mremap; munmap, fork, exec", "page->index there, + 1; 0 as at first; -1 no VMA")
VMA_PROT = vma_struct.word("prot", "mprotect; munmap, mremap, fork, exec", "1: the user may not store there")

vm_area_struct = Struct("vm_area", "VMAs, objects that are used again: as many as there are ptes")
NR_AREAS = vm_area_struct.count
AREA_MM = vm_area_struct.word("vm_mm", "munmap, fork, exec, exit", "number of the mm that it belongs to, + 1; 0: free")
AREA_START = vm_area_struct.word("vm_start", "who holds it for write", "first virtual page that it maps")
AREA_END = vm_area_struct.word("vm_end", "who holds it for write", "one past the last")
AREA_REFCNT = vm_area_struct.word("vm_refcnt", "faults; munmap, fork", "0 detached, 1 attached, more: readers; writer")
AREA_LOCK = vm_area_struct.word("vm_lock", "faults; what changes the VMA", "readers of its lock; WRITER (6.4)")
AREA_LOCK_SEQ = vm_area_struct.word("vm_lock_seq", "who holds it for write", "mm_lock_seq when write-locked, + 1")

mm_mt_struct = Struct("mm_mt", "the tree of VMAs: what maps each virtual page of mm 0, of mm 1, ...")
MM_MT = mm_mt_struct.word("vma", "munmap, mmap, fork, exec, exit", "VMA + 1; 0 none; -(VMA + 1) on munmap's list")

# what later kernels count and lock elsewhere than in the mm

page_table_struct = Struct("page_table", "page-table pages: of mm 0, of mm 1, ...")
PTL = page_table_struct.word("ptl", "the one that takes it", "0 free, 1 held: guards the ptes of this page")
PTL_STRIDE = page_table_struct.stride

pmd_struct = Struct("pmd", "page-middle-directory entries, one for each page-table page: of mm 0, of mm 1, ...")
NR_PMDS = pmd_struct.count
PMD = pmd_struct.word("pmd", "faults, fork; munmap, exit", "0 none; frame of the page table << 12, and flags")

sem_readers_struct = Struct("mmap_sem_readers", "readers of mmap_sem where each CPU counts its own: cpu, then mm")
SEM_READERS_STRIDE, NR_SEM_READERS = sem_readers_struct.stride, sem_readers_struct.count
SEM_READERS = sem_readers_struct.word("readers", "that CPU's faults; writers", "its readers; with WRITER_WAITS")

rss_stat_struct = Struct("rss_stat", "what one CPU counted on one mm: cpu, then mm")
RSS_STAT_STRIDE = rss_stat_struct.stride
CPU_RSS = rss_stat_struct.word("rss", "that CPU", "pages that the CPU counted and has not moved on")
CPU_ANON_RSS = rss_stat_struct.word("anon_rss", "that CPU", "the same, anonymous pages")
CPU_FILE_RSS = rss_stat_struct.word("file_rss", "that CPU", "the same, pages of files, where they are counted apart")
CPU_SHMEM_RSS = rss_stat_struct.word("shmem_rss", "that CPU", "the same, pages of shared memory")

node_struct = Struct("counter_node", "nodes of hierarchical counters: mm, then rss or anon_rss, then level by level")
NODE_STRIDE = node_struct.stride
NODE_COUNT = node_struct.word("count", "carries from below", "what was carried up to this node")

written_struct = Struct("written", "shadow of the ptes: not read by any design, only by checks")
WRITTEN = written_struct.word("written", "user", "content that the user wrote there and expects back; 0, or less: none")

mended_struct = Struct("mended", "shadow of the counters of the mms: not read by any design, only by checks")
MENDED_STRIDE = mended_struct.stride
MENDED_RSS = mended_struct.word("rss", "reads of sloppy counters", "how much of mm->rss readers have added, pages")
MENDED_ANON_RSS = mended_struct.word("anon_rss", "reads of sloppy counters", "the same of mm->anon_rss")

SHADOWS = (written_struct.name, mended_struct.name)
"""Structures that stand for nothing in a kernel: steps keep them for checks, and no design reads them."""

swap_struct = Struct("swap", "a slot of the swap area")
SWAP_STRIDE, NR_SWAP = swap_struct.stride, swap_struct.count
SWAP_COUNT = swap_struct.word("count", "swap-out, swap-in, fork, zap", "references: swap entries and the swap cache")
SWAP_PAGE = swap_struct.word("page", "swap-out, swap-in", "frame in the swap cache, 0 for none")
SWAP_CONTENT = swap_struct.word("content", "swap-out", "the content, as in page")

file_struct = Struct("page_cache", "page cache of the mapped file: one word a page")
FILE_STRIDE, NR_FILE = file_struct.stride, file_struct.count
FILE_PAGE = file_struct.word("frame", "file faults, truncate", "frame that holds the file's page, 0 for none")

mmu_struct = Struct("mmu_cache", "translations that a CPU's MMU cache holds: cpu, then mm, then virtual page")
MMU_ENTRY = mmu_struct.word("entry", "update_mmu_cache, flushes of all CPUs", "the pte loaded, 0 for none")
