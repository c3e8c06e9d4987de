"""What operations mean, without any steps: sets of pages that are mapped where, for comparison with the steps."""

from dataclasses import dataclass, field

ZERO = "zero"


@dataclass(eq=False)
class Page:
    """A page frame in use: of the file or anonymous, the mms that map it, and its slot in the swap cache."""

    frame: int
    address: int
    file: bool = False
    mappers: set = field(default_factory=set)
    slot: "Slot | None" = None


@dataclass(eq=False)
class Slot:
    """A slot of the swap area: the mms whose pte names it, and the page that the swap cache holds for it."""

    entries: set = field(default_factory=set)
    page: Page | None = None

    @property
    def free(self):
        return not self.entries and self.page is None


class Model:
    """The machine as its users see it. ``refused`` collects what it has run out of."""

    def __init__(self, machine):
        self.machine = machine
        self.pages = {}  # frame -> Page
        self.slots = [Slot() for _ in range(machine.swap)]
        self.page_cache = {}  # virtual page -> Page
        self.tables = {0: {}}  # mm -> virtual page -> Page, Slot or ZERO
        self.writable = set()  # (mm, virtual page)
        self.stacks = [[0] for _ in range(machine.cpus)]  # the mm of each task, the current one last
        self.refused = set()

    def is_file(self, address):
        return address >= self.machine.anon

    def is_private(self, address):
        return address < self.machine.anon + self.machine.private_file

    def shown(self, mm):
        """resident and shared."""
        pages = [p for p in self.tables[mm].values() if isinstance(p, Page)]
        return len(pages), sum(p.file for p in pages)

    def kinds(self, mm):
        """By virtual page what its pte is: zero, swap, file or anon, and the frame."""

        def kind(entry):
            if entry is ZERO:
                return ("zero", 0)
            return ("swap", 0) if isinstance(entry, Slot) else ("file" if entry.file else "anon", entry.frame)

        return {address: kind(entry) for address, entry in self.tables[mm].items()}

    # pages

    def new_page(self, address, file=False):
        frame = next((f for f in range(1, self.machine.frames) if f not in self.pages), None)
        if frame is None:
            self.refused.add("frame")
            return None
        self.pages[frame] = Page(frame, address, file)
        return self.pages[frame]

    def drop_unused(self, page):
        if not page.mappers and page.slot is None and self.page_cache.get(page.address) is not page:
            del self.pages[page.frame]

    def set_entry(self, mm, address, page, writable):
        page.mappers.add(mm)
        self.tables[mm][address] = page
        (self.writable.add if writable else self.writable.discard)((mm, address))

    def clear(self, mm, address):
        entry = self.tables[mm].pop(address, None)
        self.writable.discard((mm, address))
        if isinstance(entry, Page):
            entry.mappers.discard(mm)
            self.drop_unused(entry)
        elif isinstance(entry, Slot):
            entry.entries.discard(mm)
            if not entry.entries and entry.page and not entry.page.mappers:
                self.leave_swap_cache(entry)

    def leave_swap_cache(self, slot):
        page, slot.page = slot.page, None
        page.slot = None
        self.drop_unused(page)

    # operations

    def fault(self, mm, address, write):
        entry = self.tables[mm].get(address)
        if entry is None and self.is_file(address):
            self.no_page(mm, address, write)
        elif entry is None and not write:
            self.tables[mm][address] = ZERO
        elif isinstance(entry, Slot):
            self.swap_in(mm, address, entry)
        elif write and (mm, address) not in self.writable:
            alone = isinstance(entry, Page) and not entry.file and entry.mappers == {mm} and entry.slot is None
            if alone:
                self.writable.add((mm, address))
            elif page := self.new_page(address):
                self.clear(mm, address)
                self.set_entry(mm, address, page, True)

    def no_page(self, mm, address, write):
        page = self.page_cache.get(address) or self.new_page(address, file=True)
        if page is None:
            return
        self.page_cache[address] = page
        if write and self.is_private(address):
            if copy := self.new_page(address):
                self.set_entry(mm, address, copy, True)
        else:
            self.set_entry(mm, address, page, not self.is_private(address))

    def swap_in(self, mm, address, slot):
        page = slot.page or self.new_page(address)
        if page is None:
            return
        slot.page, page.slot = page, slot
        slot.entries.discard(mm)
        alone = not page.mappers
        self.set_entry(mm, address, page, False)
        if alone and not slot.entries:
            self.leave_swap_cache(slot)

    def zap(self, mm, address, end):
        for page in range(address, end):
            self.clear(mm, page)

    def start_task(self, cpu, mm):
        self.stacks[cpu].append(mm)

    def stack_full(self, cpu):
        if len(self.stacks[cpu]) < self.machine.task_depth:
            return False
        self.refused.add("task")
        return True

    def new_mm(self):
        mm = next((mm for mm in range(self.machine.mms) if mm not in self.tables), None)
        if mm is None:
            self.refused.add("mm")
        else:
            self.tables[mm] = {}
        return mm

    def release(self, mm):
        if not any(mm in stack for stack in self.stacks):
            self.zap(mm, 0, self.machine.ptes)
            del self.tables[mm]

    def fork(self, cpu, address, end):
        if self.stack_full(cpu) or (child := self.new_mm()) is None:
            return
        parent = self.stacks[cpu][-1]
        for page in range(address, end):
            entry = self.tables[parent].get(page)
            if entry is None:
                continue
            self.tables[child][page] = entry
            if isinstance(entry, Slot):
                entry.entries.add(child)
            elif isinstance(entry, Page):
                if self.is_private(page):
                    self.writable.discard((parent, page))
                self.set_entry(child, page, entry, (parent, page) in self.writable)
        self.start_task(cpu, child)

    def clone(self, cpu):
        if not self.stack_full(cpu):
            self.start_task(cpu, self.stacks[cpu][-1])

    def exit(self, cpu):
        if len(self.stacks[cpu]) > 1:
            self.release(self.stacks[cpu].pop())

    def exec(self, cpu):
        new = self.new_mm()
        if new is not None:
            old, self.stacks[cpu][-1] = self.stacks[cpu][-1], new
            self.release(old)

    def swap_out(self, frame):
        order = [(frame + i) % self.machine.frames for i in range(self.machine.frames)]
        page = next((self.pages[f] for f in order if f in self.pages), None)
        if page is None:
            return
        if page.slot is None and not page.file:
            slot = next((s for s in self.slots if s.free), None)
            if slot is None:
                self.refused.add("slot")
                return
            slot.page, page.slot = page, slot
        for mm in sorted(page.mappers):
            del self.tables[mm][page.address]
            self.writable.discard((mm, page.address))
            if page.slot:
                self.tables[mm][page.address] = page.slot
                page.slot.entries.add(mm)
        page.mappers.clear()
        if page.slot:
            self.leave_swap_cache(page.slot)

    def truncate(self, address):
        page = self.page_cache.pop(address, None)
        if page is None:
            return
        for mm in list(page.mappers):
            self.clear(mm, address)
        if page.frame in self.pages and self.pages[page.frame] is page:
            self.drop_unused(page)

    def target(self, cpu, op):
        """The mm that an operation with an mm is given; the current task's own where it is given none."""
        return op.arg - 1 if op.arg else self.stacks[cpu][-1]

    def perform(self, cpu, op):
        """One operation, a `stress.workload.Operation`."""
        name = op.name
        current, target = self.stacks[cpu][-1], self.target(cpu, op)
        if name == "fault":
            self.fault(current, op.address, op.write)
        elif name == "zap":
            self.zap(current, op.address, op.end)
        elif name == "fork":
            self.fork(cpu, op.address, op.end)
        elif name in ("clone", "exit", "exec"):
            getattr(self, name)(cpu)
        elif name == "swap_out":
            self.swap_out(op.arg)
        elif name == "truncate":
            self.truncate(op.address)
        elif target in self.tables and (
            name == "access_process_vm" or (name == "use_mm" and not self.stack_full(cpu))
        ):
            self.fault(target, op.address, op.write)
