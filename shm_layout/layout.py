"""Offsets of all fields, computed from the declarations, a machine and a placement."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from shm_layout import structs
from shm_layout.counter_tree import tree_items, tree_orders, tree_width
from shm_layout.machine import Machine
from shm_layout.placement import AS_POSTED, Placement, grouped
from shm_layout.structs import FIRST_WORD, LINE_WORDS, STRUCTS, Field, Struct
from shm_layout.words import Words


@dataclass(frozen=True)
class Region:
    """Where the instances of one structure lie: index of the first, stride and offsets in words."""

    struct: Struct
    start: int
    stride: int
    count: int
    offsets: Mapping[str, int]

    @property
    def end(self) -> int:
        """Index of the word after the last instance."""
        return self.start + self.stride * self.count

    def index(self, instance: int, name: str) -> int:
        """Return the index of a field of one instance. Raises `IndexError` for an instance that is not there."""
        if not 0 <= instance < self.count:
            raise IndexError(f"{self.struct.name} {instance}: there are {self.count}")
        return self.start + instance * self.stride + self.offsets[name]


def _round_up(words: int) -> int:
    return -(-words // LINE_WORDS) * LINE_WORDS


def _offsets(struct: Struct, placement: Placement) -> tuple[dict[str, int], int]:
    groups = grouped(placement, struct.name)
    if groups is None:
        return {f.name: i for i, f in enumerate(struct.fields)}, len(struct.fields)
    offsets: dict[str, int] = {}
    place = 0
    for group in groups:
        place = _round_up(place)
        for name in group:
            offsets[name] = place
            place += 1
    return offsets, _round_up(place)


def _instance_of(number: int, first: int, others: int) -> tuple[int, int]:
    """Return the mm, and the place in it, of a thing of which mm 0 has ``first``, every other mm ``others``."""
    mm = 0 if number < first else 1 + (number - first) // others
    return mm, number - mm * others


class Layout:
    """Where everything lies in the memory of one machine.

    ``words``: size of the memory in words of 8 bytes, header included. ``regions``: by structure name.
    ``more`` gives the number of instances of structures by name, where it is not what the machine says: a
    comparison of counters (`stress.rss.arena`) has as many tasks as the caller says.
    """

    def __init__(
        self, machine: Machine, placement: Placement = AS_POSTED, more: Mapping[str, int] | None = None
    ) -> None:
        """Compute the layout. Regions begin on a cache line."""
        self.machine = machine
        self.placement = placement
        ptes = machine.ptes + (machine.mms - 1) * machine.child_ptes
        tables = machine.page_tables + (machine.mms - 1) * machine.child_tables
        counts = {
            "mm_struct": machine.mms,
            "task_struct": machine.tasks,
            "cpu": machine.cpus,
            "zone": 1,
            "page_table": tables,
            "pmd": tables if machine.pmd else 0,
            "mmap_sem_readers": machine.cpus * machine.mms if placement.readers_apart else 0,
            "rss_stat": machine.cpus * machine.mms,
            "counter_node": 2 * machine.mms * tree_items(machine.cpus),
            "page": machine.frames,
            "pte": ptes,
            "vma": ptes if machine.vmas else 0,
            "vm_area": ptes if machine.vm_areas else 0,
            "mm_mt": ptes if machine.vm_areas else 0,
            "written": ptes if machine.ghost else 0,
            "mended": machine.mms if machine.ghost else 0,
            "swap": machine.swap,
            "page_cache": machine.private_file + machine.shared_file,
            "mmu_cache": machine.cpus * machine.mms * machine.ptes if machine.mmu else 0,
            **(more or {}),
        }
        self.regions: dict[str, Region] = {}
        place = FIRST_WORD
        for name, struct in STRUCTS.items():
            offsets, stride = _offsets(struct, placement)
            count = counts.get(name, 0) if struct.instances is None else struct.instances
            region = Region(struct, _round_up(place), stride, count, offsets)
            self.regions[name] = region
            place = region.end
        self.words = _round_up(place)

    def constants(self) -> dict[int, int]:
        """Value of every constant, by its index in the memory."""
        machine = self.machine
        values = {
            structs.PAE: int(machine.arch == "pae"),
            structs.ABOVE_4G: int(machine.above_4g),
            structs.NR_PTES: machine.ptes,
            structs.CHILD_PTES: machine.child_ptes,
            structs.ANON_END: machine.anon,
            structs.PRIVATE_END: machine.anon + machine.private_file,
            structs.MMU: int(machine.mmu),
            structs.GHOST: int(machine.ghost),
            structs.BATCH: machine.batch,
            structs.TASK_DEPTH: machine.task_depth,
            structs.PTRS_PER_PTE: machine.ptrs_per_pte,
            structs.CHILD_TABLES: machine.child_tables,
            structs.TREE_LEVELS: len(tree_orders(machine.cpus)),
            structs.TREE_ORDERS: sum(n << (4 * i) for i, n in enumerate(tree_orders(machine.cpus))),
            structs.TREE_WIDTH: tree_width(machine.cpus),
            structs.TREE_ITEMS: tree_items(machine.cpus),
        }
        for region in self.regions.values():
            values[region.struct.stride] = region.stride
            values[region.struct.count] = region.count
            for f in region.struct.fields:
                values[f.constant] = region.start + region.offsets[f.name]
                values[f.constant + 1] = region.stride
        return values

    def write_constants(self, m: Words) -> None:
        """Write the constants into the memory."""
        for index, value in self.constants().items():
            m[index] = value

    def write_initial(self, m: Words) -> None:
        """Write what variables hold in the first state."""
        for region in self.regions.values():
            values = region.struct.initial
            for instance in range(region.count if values else 0):
                m[region.index(instance, "value")] = values[instance % len(values)]

    def field_at(self, index: int) -> tuple[Field, int] | None:
        """Return the field that lies at an index, and the instance; None for padding and what no structure holds."""
        for region in self.regions.values():
            if region.start <= index < region.end:
                instance, offset = divmod(index - region.start, region.stride)
                for f in region.struct.fields:
                    if region.offsets[f.name] == offset:
                        return f, instance
        return None

    def mm_and_page(self, pte: int) -> tuple[int, int]:
        """Return the mm that a pte belongs to, by the pte's number among all, and its virtual page."""
        return _instance_of(pte, self.machine.ptes, self.machine.child_ptes)

    def describe(self, index: int) -> str:
        """Return a word of the memory as people name it: ``mm 0 rss``, ``pte 1:3`` (mm 1, virtual page 3)."""
        found = self.field_at(index)
        if found is None:
            return f"word {index}"
        f, instance = found
        struct = next(r.struct for r in self.regions.values() if f in r.struct.fields)
        name = struct.name
        if struct.instances is not None:
            return name if struct.instances == 1 else f"{name}[{instance}]"
        if name in ("pte", "written"):
            return "{} {}:{}".format(name, *self.mm_and_page(instance))
        if name == "vma":
            return "{} of {}:{}".format(f.name, *self.mm_and_page(instance))
        if name == "mmu_cache":
            cpu, rest = divmod(instance, self.machine.mms * self.machine.ptes)
            mm, address = divmod(rest, self.machine.ptes)
            return f"mmu_cache of cpu {cpu} {mm}:{address}"
        if name == "rss_stat":
            cpu, mm = divmod(instance, self.machine.mms)
            return f"{f.name} of cpu {cpu} for mm {mm}"
        if name == "mmap_sem_readers":
            cpu, mm = divmod(instance, self.machine.mms)
            return f"mmap_sem readers of cpu {cpu} for mm {mm}"
        if name == "counter_node":
            tree, node = divmod(instance, tree_items(self.machine.cpus))
            return f"node {node} of mm {tree // 2} {('rss', 'anon_rss')[tree % 2]}"
        if name in ("page_table", "pmd"):
            mm, table = _instance_of(instance, self.machine.page_tables, self.machine.child_tables)
            return f"{f.name} {mm}:{table * self.machine.ptrs_per_pte}"
        short = name.removesuffix("_struct")
        return f"{short} {f.name}" if name == "zone" else f"{short} {instance} {f.name}"

    def hash(self) -> int:
        """Return 63 bits that change when any field lies elsewhere or the machine is another one."""
        text = repr((self.machine, self.placement.name, sorted(self.constants().items())))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1
