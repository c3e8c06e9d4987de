"""Every final state of a small program, by brute force: plain Python that shares nothing with `stress.litmus`.

A thread is a list of operations, tuples: ("W", word, value), ("REL", word, value), ("R", register, word), ("F",),
("WMB",), ("XCHG", register, word, value), ("CAS", register, word, old, new), ("ADD", register, word, value),
("LOCK", word), ("UNLOCK", word), ("RCU",), ("UNRCU",), ("SYNC",), and ("UNLESS", register, count), which skips
``count`` operations if the register is 0. Registers are named for their thread alone.

One operation, or one store that leaves a buffer, is one transition. Sources of the buffers' rules: Owens, Sarkar and
Sewell 2009 for tso; the SPARC architecture manual, version 8, for pso.
"""

from __future__ import annotations

from typing import Any

Operation = tuple[Any, ...]
State = tuple[Any, ...]


def final_states(threads: list[list[Operation]], initial: dict[str, int], memory: str) -> set[frozenset[Any]]:
    """Return the final states, each a set of pairs: (word, value) and ((thread, register), value)."""
    # A thread: (next operation, registers, buffer, open readers, readers that its synchronize waits for or None)
    first = (tuple(sorted(initial.items())), tuple((0, (), (), (), None) for _ in threads), frozenset())
    seen = {first}
    work = [first]
    ends = set()
    while work:
        state = work.pop()
        words, now, _ended = state
        if all(t[0] == len(p) and not t[2] for t, p in zip(now, threads, strict=True)):
            registers = {((k, name), value) for k, t in enumerate(now) for name, value in t[1]}
            ends.add(frozenset(registers | set(words)))
            continue
        for k, program in enumerate(threads):
            for new in [*_flushes(state, k, memory), *_steps(state, k, program, memory)]:
                if new not in seen:
                    seen.add(new)
                    work.append(new)
    return ends


def _with(state: State, k: int, thread: Any, words: dict[str, int] | None = None, ended: Any = None) -> State:
    old_words, now, old_ended = state
    new = (*now[:k], thread, *now[k + 1 :])
    return (old_words if words is None else tuple(sorted(words.items())), new, old_ended if ended is None else ended)


def _flushes(state: State, k: int, memory: str) -> list[State]:
    words, now, ended = state
    at, registers, buffer, readers, waits = now[k]
    found = []
    for place, entry in enumerate(buffer):
        before = buffer[:place]
        if memory == "tso" and before:
            break
        if entry[0] == "wmb" and before:
            break  # what lies behind a barrier stays
        if entry[0] == "end" and before:
            continue  # a reader ends behind its stores, and keeps nothing back
        if any(b[0] == "store" and b[1] == entry[1] for b in before):
            continue
        rest = before + buffer[place + 1 :]
        thread = (at, registers, rest, readers, waits)
        if entry[0] == "wmb":
            found.append(_with(state, k, thread))
        elif entry[0] == "end":
            found.append(_with(state, k, thread, ended=ended | {entry[1]}))
        else:
            found.append(_with(state, k, thread, {**dict(words), entry[1]: entry[2]}))
    return found


def _steps(state: State, k: int, program: list[Operation], memory: str) -> list[State]:
    words_, now, ended = state
    at, registers, buffer, readers, waits = now[k]
    if at == len(program):
        return []
    words, regs = dict(words_), dict(registers)
    kind, *given = program[at]

    def on(
        new_words: Any = None, buffer: Any = buffer, readers: Any = readers, step: int = 1, ended: Any = None
    ) -> Any:
        return [_with(state, k, (at + step, tuple(sorted(regs.items())), buffer, readers, None), new_words, ended)]

    if kind == "UNLESS":
        return on(step=1 if regs.get(given[0], 0) else 1 + given[1])
    if kind in ("W", "REL", "UNLOCK"):
        word, value = (given[0], 0) if kind == "UNLOCK" else given
        if memory == "sc":
            return on({**words, word: value})
        barrier = (("wmb",),) if memory == "pso" and kind != "W" else ()
        return on(buffer=(*buffer, *barrier, ("store", word, value)))
    if kind == "R":
        own = [entry[2] for entry in buffer if entry[0] == "store" and entry[1] == given[1]]
        regs[given[0]] = own[-1] if own else words[given[1]]
        return on()
    if kind == "WMB":
        return on(buffer=(*buffer, ("wmb",)) if memory == "pso" else buffer)
    if kind == "RCU":
        return on(readers=(*readers, (k, at)))
    if kind == "UNRCU":
        if memory == "sc":
            return on(readers=readers[:-1], ended=ended | {readers[-1]})
        return on(readers=readers[:-1], buffer=(*buffer, ("end", readers[-1])))
    if buffer:
        return []
    if kind == "F":
        return on()
    if kind == "SYNC":
        if waits is None:
            begun = {r for t in now for r in t[3]} | {e[1] for t in now for e in t[2] if e[0] == "end"}
            return [_with(state, k, (at, registers, buffer, readers, frozenset(begun)))]
        return on() if waits <= ended else []
    if kind == "LOCK":
        return [] if words[given[0]] else on({**words, given[0]: 1})
    old = words[given[1]]
    regs[given[0]] = old
    if kind == "XCHG":
        return on({**words, given[1]: given[2]})
    if kind == "ADD":
        return on({**words, given[1]: old + given[2]})
    assert kind == "CAS"
    return on({**words, given[1]: given[3]} if old == given[2] else None)
