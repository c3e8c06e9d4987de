"""Which steps a broken check depends on, and which accesses of two CPUs conflict.

A step counts where a later one that counts reads a word or a register that it wrote, or where it is the branch that
decides whether that later one is taken. What is left has no influence on the check: a reader may skip it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from shm_layout.registers import R_RESIDENT, R_SHARED
from shm_layout.words import Words
from stress import checks
from stress.explore.counterexample.access import Access
from stress.explore.counterexample.dependence import decided_by
from stress.explore.counterexample.history import History, Move, Programs
from stress.explore.counterexample.trace import shared_of
from stress.explore.counterexample.words import Recording
from stress.explore.model.image import STRIDE
from stress.explore.model.transition import WAITS, transition
from stress.kernel import pgtable

READ_CHECKS = ("read_regular", "read_pair")
COUNTS = ("rss_exact", "anon_rss_exact", "rss_bounded")
_SHOWN = frozenset((R_RESIDENT, R_SHARED))


@dataclass(frozen=True)
class Conflict:
    """Two accesses to one word by different CPUs, one of them a write, whose order the broken check comes from.

    ``first`` and ``second``: the steps, in order of time. ``ahead``: the second has not been taken, and comes too late.
    ``says``: a sentence for each of the two, and one for what follows.
    """

    name: str
    first: Move
    second: Move
    ahead: bool
    says: tuple[str, ...]


@dataclass(frozen=True)
class _Call:
    """A call of one step in the order of time: the move that it belongs to, its CPU, and what it depends on.

    ``shared``: it is the step of its move that other CPUs notice. ``registers``: those that it wrote.
    """

    move: int
    cpu: int
    shared: bool
    needs: frozenset[int]
    written: frozenset[int]
    registers: frozenset[int]


def _calls(found: History) -> list[_Call]:
    """All calls of steps; what one depends on are places in this list."""
    programs = Programs(found.model)
    calls: list[_Call] = []
    words: dict[int, int] = {}
    of_move: dict[int, int] = {}
    registers: dict[tuple[int, int], int] = {}
    branches: dict[int, dict[int, int]] = {}
    for move in found.moves:
        cpu = move.cpu
        if move.drains:
            drained = frozenset(move.seen)
            needs = {of_move[number] for number in move.seen.values() if number}
            words.update(dict.fromkeys(drained, len(calls)))
            of_move[move.number] = len(calls)
            calls.append(_Call(move.number, cpu, True, frozenset(needs), drained, frozenset()))
            continue
        if move.begins:
            branches[cpu] = {}
            registers = {key: call for key, call in registers.items() if key[0] != cpu}
        decide = decided_by(programs.program(cpu, move.place))
        for taken, place in zip(move.taken, move.places, strict=True):
            read = {word for wrote, word, _ in taken.noted if not wrote}
            waiting = {a.word for a in move.accesses if a.waits}
            needs = {words[word] for word in read if word in words}
            needs |= {of_move[move.seen[word]] for word in read if move.seen.get(word)}
            needs |= {registers[cpu, r] for r in taken.read if (cpu, r) in registers}
            needs |= {branches[cpu][b] for b in decide[place] if b in branches[cpu]}
            written = frozenset(word for wrote, word, _ in taken.noted if wrote)
            number = len(calls)
            shared = taken is shared_of(move.taken)
            calls.append(_Call(move.number, cpu, shared, frozenset(needs), written, taken.written))
            words.update(dict.fromkeys(written - waiting, number))
            if shared:
                of_move[move.number] = number
            registers.update(dict.fromkeys(((cpu, r) for r in taken.written), number))
            branches[cpu][place] = number
    return calls


def deciding(found: History) -> frozenset[int]:
    """The numbers of the steps that the broken check depends on; the last one is among them."""
    calls = _calls(found)
    last_writer: dict[int, int] = {}
    for number, call in enumerate(calls):
        last_writer.update(dict.fromkeys(call.written, number))
    last = 0 if found.violation.at_rest else len(found.moves)
    kept = [number for number, call in enumerate(calls) if call.move == last]
    kept += [last_writer[word] for word in looked_at(found) if word in last_writer]
    if found.violation.check in READ_CHECKS:
        kept += _of_read(found, calls)
    seen = set(kept)
    while kept:
        needs = calls[kept.pop()].needs - seen
        seen |= needs
        kept += needs
    moves = {calls[number].move for number in seen if calls[number].shared}
    return frozenset(moves | ({last} if last else set()))


def _of_read(found: History, calls: Sequence[_Call]) -> Iterator[int]:
    """The calls that the last read depends on: those that made up what it shows, and those that changed a pte."""
    last = found.moves[-1]
    first = next(m.number for m in found.moves if m.cpu == last.cpu and m.place == last.place)
    ptes = found.model.layout.regions["pte"]
    shown: dict[int, int] = {}
    for number, call in enumerate(calls):
        if call.move >= first and call.cpu == last.cpu:
            shown.update(dict.fromkeys(call.registers & _SHOWN, number))
        elif call.move >= first and any(ptes.start <= word < ptes.end for word in call.written):
            yield number
    yield from shown.values()


def looked_at(found: History) -> list[int]:
    """The words that the check found wrong at the end, with those that it held them against."""
    check, player = found.violation.check, found.found.player
    changed = {a.word for move in found.moves for a in move.writes()} | _shadows(found)
    if player is None or (not found.violation.at_rest and check not in READ_CHECKS):
        return []
    if check in COUNTS or check in READ_CHECKS:
        return [word for word in changed if _counts(found, word) and found.violation.at_rest]
    if check == "progress":
        return [word for word in _waited_for(found) if word in changed]
    memory = Recording(list(found.memories[-1]))
    place = _AT_REST[check](found, memory) if check in _AT_REST else checks.HOLDS
    return [word for _, word, _ in memory.accesses if word in changed and _concerns(found, check, place, word)]


def _shadows(found: History) -> set[int]:
    return {word for move in found.moves for t in move.taken for wrote, word, _ in t.noted if wrote}


def _counts(found: History, word: int) -> bool:
    """Whether a word is a counter of pages, or a pte."""
    name = found.model.layout.describe(word)
    return "rss" in name or name.startswith(("node ", "pte "))


def _waited_for(found: History) -> set[int]:
    """The words that the CPUs which wait look at."""
    player = found.found.player
    assert player is not None
    looked: set[int] = set()
    for cpu in range(len(found.model.workload.cpus)):
        kept = list(player.m), list(player.g)
        player.taken = []
        if transition(player.p, player.m, player.g, cpu) == WAITS:
            looked |= {word for taken in player.taken for _, word, _ in taken.noted}
        player.m, player.g = kept
    return looked


def _frames(found: History) -> list[int]:
    return [0] * max(found.model.workload.machine.frames + found.model.workload.machine.swap, STRIDE)


def _own(found: History, memory: Any) -> int:
    for check in found.model.design.checks:
        place = check(memory, _frames(found)) if checks.takes_scratch(check) else check(memory)
        if place != checks.HOLDS:
            break  # what it has read is what it found wrong
        memory.accesses.clear()
    return checks.HOLDS


def _general(check: Callable[..., int]) -> Callable[[History, Any], int]:
    if checks.takes_scratch(check):
        return lambda found, m: check(m, _frames(found))
    return lambda found, m: check(m)


_AT_REST: dict[str, Callable[[History, Any], int]] = {
    **{name: _general(check) for name, check in checks.AT_REST.items() if name != "progress"},
    "user": _own,
}


def _concerns(found: History, check: str, place: int, word: int) -> bool:
    """Whether a word is of the page, the slot or the pte that the check names; any word, where it names none."""
    layout, machine = found.model.layout, found.model.workload.machine
    at = layout.field_at(word)
    if place < 0 or at is None or check not in {"mapcount", "page_refs", "data_kept"}:
        return True
    structure = layout.describe(word).split()[0]
    if check == "data_kept":
        return structure not in {"pte", "written"} or at[1] == place
    if structure == "page":
        return at[1] == place
    if structure == "swap":
        return at[1] == place - machine.frames
    if structure == "pte":
        return any(_leads_to(list(memory), memory[word], place, machine.frames) for memory in found.memories)
    return True


def _leads_to(memory: Words, entry: int, place: int, frames: int) -> bool:
    """Whether a pte names a frame or, from ``frames`` on, a swap slot."""
    if entry & pgtable.NAMES_PAGE:
        return pgtable.pte_page(memory, entry) == place
    return entry != 0 and place >= frames and pgtable.pte_to_slot(entry) == place - frames


def conflicts(found: History) -> tuple[Conflict, ...]:
    """The accesses that conflict, the most telling first: stale reads, what came too late, or the last two writes."""
    if not found.moves:
        return ()
    kept = deciding(found)
    late = [] if found.violation.check in READ_CHECKS else _late(found)
    return tuple(_unseen(found, kept) or _stale(found, kept) or late or _last_two(found, kept))


def _unseen(found: History, kept: frozenset[int]) -> list[Conflict]:
    """Stores that waited in a store buffer while another CPU read the word: what a weaker memory model allows."""
    drained = {(move.seen[word], word): move for move in found.moves if move.drains for word in move.seen}
    conflicts: list[tuple[bool, Conflict]] = []
    for store in found.moves:
        for wrote in (a for a in store.writes() if a.waits and a.new != a.old and not _is_lock(a)):
            leaves = drained.get((store.number, wrote.word))
            until = leaves.number if leaves else len(found.moves) + 1
            for reader in found.moves[store.number : until - 1]:
                read = reader.access(wrote.word)
                if reader.cpu == store.cpu or reader.drains or read is None or not read.reads:
                    continue
                says = (
                    f"CPU {store.cpu} stores {wrote.name} in step {store.number}, {store.step}: {wrote.change()};"
                    " it waits in the store buffer.",
                    *_overtaking(found, store, reader),
                    f"CPU {reader.cpu} reads {read.name} in step {reader.number}, {reader.step}: {read.old_text}."
                    " It does not see that store.",
                )
                conflicts.append((reader.number not in kept, Conflict(wrote.name, store, reader, False, says)))
                break
    return [conflict for _, conflict in sorted(conflicts, key=lambda each: each[0])]


def _overtaking(found: History, store: Move, reader: Move) -> Iterator[str]:
    """Say which store that was made no earlier left the buffer first, where one did."""
    for move in found.moves[store.number : reader.number - 1]:
        if move.drains and move.cpu == store.cpu and min(move.seen.values()) >= store.number:
            (access,) = move.accesses
            yield f"Another store overtakes it: {access.name} is seen from step {move.number} on ({access.change()})."
            return


def _stale(found: History, kept: frozenset[int]) -> list[Conflict]:
    """Words that one CPU looked at, another changed, and the first went on with as it knew them."""
    users = _users_of(_calls(found))
    pure: list[Conflict] = []
    both: list[Conflict] = []
    told: set[tuple[int, int]] = set()
    pairs: set[tuple[int, int]] = set()
    for move in found.moves:
        for read in move.reads():
            if move.number not in kept or _is_lock(read) or (read.writes and read.structure != "pte"):
                continue
            other = _changed_by_another(found, move, read)
            if other is None or (move.cpu, read.word) in told or (move.number, other.number) in pairs:
                continue
            later = sorted(n for n in users.get(move.number, ()) if n > other.number and n in kept)
            later = [n for n in later if not all(map(_is_lock, found.moves[n - 1].accesses))] or later
            if later and not _looked_again(found, move, read, later[0]):
                told.add((move.cpu, read.word))
                pairs.add((move.number, other.number))
                (both if read.writes else pure).append(_stale_conflict(move, read, other, found.moves[later[0] - 1]))
    return pure + both


def _stale_conflict(move: Move, read: Access, other: Move, use: Move) -> Conflict:
    written = other.access(read.word)
    assert written is not None
    says = (
        f"CPU {move.cpu} {_verb(read)} {read.name} in step {move.number}, {move.step}: {read.change()}.",
        f"{_who(other)} changes it in step {other.number}{_what(other)}: {written.change()}.",
        f"CPU {use.cpu} goes on with what it knew of it, in step {use.number}, {use.step}.",
    )
    return Conflict(read.name, move, other, False, says)


def _who(move: Move) -> str:
    return f"CPU {move.cpu}'s store buffer" if move.drains else f"CPU {move.cpu}"


def _what(move: Move) -> str:
    return "" if move.drains else f", {move.step}"


def _verb(access: Access) -> str:
    return "sets" if access.writes else "reads"


def _users_of(calls: Sequence[_Call]) -> dict[int, set[int]]:
    """For each move, the moves of the same CPU that depend on what it saw, through registers and branches."""
    reach: list[set[int]] = []
    found: dict[int, set[int]] = {}
    for call in calls:
        mine = {call.move} if call.shared else set()
        for need in call.needs:
            if calls[need].cpu == call.cpu:
                mine |= reach[need]
        reach.append(mine)
        for move in mine - {call.move}:
            found.setdefault(move, set()).add(call.move)
    return found


def _changed_by_another(found: History, move: Move, read: Access) -> Move | None:
    """The first step of another CPU that changes a word behind this access, while the operation goes on."""
    for other in found.moves[move.number :]:
        wrote = other.access(read.word)
        if other.cpu == move.cpu and not other.drains and (other.place != move.place or wrote is not None):
            return None
        if other.cpu != move.cpu and wrote is not None and wrote.new != wrote.old and not wrote.waits:
            return other
    return None


def _looked_again(found: History, move: Move, read: Access, until: int) -> bool:
    between = found.moves[move.number : until - 1]
    return any(m.cpu == move.cpu and m.access(read.word) is not None for m in between)


def _is_lock(access: Access) -> bool:
    return access.field.endswith(("lock", "sem")) or access.field in {"ptl", "readers"}


def _late(found: History) -> list[Conflict]:
    """What another CPU was about to do with a word of the breaking step: it comes too late."""
    last = found.moves[-1]
    for mine in sorted(last.accesses, key=lambda a: not a.writes):
        for other in found.ahead:
            theirs = other.access(mine.word)
            if other.cpu != last.cpu and theirs is not None and (mine.writes or theirs.writes) and not _is_lock(mine):
                says = (
                    f"Too early: CPU {last.cpu} {_verb(mine)} {mine.name} in step {last.number}, {last.step}:"
                    f" {mine.change()}.",
                    f"Too late: CPU {other.cpu} {_verb(theirs)} it only afterwards, in {other.step}"
                    f" ({theirs.change()}).",
                )
                return [Conflict(mine.name, last, other, True, says)]
    return []


def _last_two(found: History, kept: frozenset[int]) -> list[Conflict]:
    """The last two accesses of different CPUs to a word that the check depends on, one of them a write."""
    words = set(looked_at(found)) or {a.word for n in kept for a in found.moves[n - 1].accesses}
    best: tuple[tuple[bool, float], Move, Access, Move, Access] | None = None
    for word in words:
        touching = [(m, a) for m in found.moves for a in m.accesses if a.word == word and not _is_lock(a)]
        for second, behind in touching:
            for first, before in touching:
                rank = (before.writes and behind.writes, second.number + first.number / (len(found.moves) + 1))
                several = first.number < second.number and first.cpu != second.cpu
                if several and (before.writes or behind.writes) and (best is None or rank > best[0]):
                    best = (rank, first, before, second, behind)
    if best is None:
        return []
    _, first, before, second, behind = best
    says = tuple(
        f"{_who(move)} {_verb(access)} {access.name} in step {move.number}{_what(move)}:"
        f" {access.change()}."
        for move, access in ((first, before), (second, behind))
    )
    return [Conflict(before.name, first, second, False, says)]
