"""Small programs drawn at random, for `brute`, and the same as litmus files."""

from __future__ import annotations

import random

from brute import Operation

WORDS = ("x", "y", "z")


def draw(rng: random.Random, form: str) -> list[list[Operation]]:
    """Draw the threads of a program. ``form``: "C" or "X86", which knows neither locks nor RCU nor branches."""
    words = WORDS[: rng.choice((2, 2, 3))]
    if form == "C" and rng.random() < 0.3:
        return [_grace(rng, words, reader=k == 0 or rng.random() < 0.5) for k in range(rng.choice((2, 3)))]
    kinds = ["W"] * 5 + ["R"] * 5 + ["F", "WMB", "XCHG", "CAS", "ADD"]
    if form == "C":
        kinds += ["REL", "UNLESS", "LOCK", "RCU", "SYNC"] * rng.choice((1, 1, 3))
    return [_thread(rng, words, kinds) for _ in range(rng.choice((2, 2, 2, 3)))]


def _grace(rng: random.Random, words: tuple[str, ...], *, reader: bool) -> list[Operation]:
    """Draw a reader of RCU or a thread with a grace period: accesses before, within and behind."""

    def accesses(first: int, most: int) -> list[Operation]:
        number = range(first, first + rng.randint(0, most))
        return [rng.choice((("W", rng.choice(words), 1), ("R", f"r{k}", rng.choice(words)))) for k in number]

    if reader:
        return [*accesses(0, 1), ("RCU",), *accesses(1, 2), ("UNRCU",), *accesses(3, 1)]
    return [*accesses(0, 2), ("SYNC",), *accesses(2, 2)]


def _thread(rng: random.Random, words: tuple[str, ...], kinds: list[str]) -> list[Operation]:
    found: list[Operation] = []
    registers: list[str] = []
    open_until = {"LOCK": -1, "RCU": -1}
    closing = {"LOCK": ("UNLOCK", "l"), "RCU": ("UNRCU",)}
    length = rng.randint(1, 4)
    for number in range(length):
        register, word, value = f"r{number}", rng.choice(words), rng.randint(1, 2)
        kind = rng.choice(kinds)
        for opened, until in open_until.items():
            if until == number:
                found.append(closing[opened])
                open_until[opened] = -1
        if kind in ("W", "REL"):
            found.append((kind, word, value))
        elif kind == "R":
            found.append((kind, register, word))
        elif kind in ("F", "WMB"):
            found.append((kind,))
        elif kind in ("XCHG", "ADD"):
            found.append((kind, register, word, value))
        elif kind == "CAS":
            found.append((kind, register, word, rng.randint(0, 1), 2))
        elif kind == "UNLESS" and registers:
            found += [(kind, rng.choice(registers), 1), ("W", word, value)]
        elif kind in open_until and open_until[kind] < 0:
            found.append(("LOCK", "l") if kind == "LOCK" else ("RCU",))
            open_until[kind] = rng.randint(number + 1, length)
        elif kind == "SYNC" and open_until["RCU"] < 0:
            found.append((kind,))
        if kind in ("R", "XCHG", "ADD", "CAS"):
            registers.append(register)
    found += [closing[opened] for opened, until in open_until.items() if until >= 0]
    return found


def observed(threads: list[list[Operation]]) -> list[str]:
    """Return what to look at in the end: the words, and the registers as ``0:r1``."""
    found = [f"{k}:{op[1]}" for k, t in enumerate(threads) for op in t if op[0] in ("R", "XCHG", "ADD", "CAS")]
    return [*WORDS, *found]


_IN_C = {
    "W": "WRITE_ONCE(*{0}, {1});",
    "REL": "smp_store_release({0}, {1});",
    "R": "{0} = READ_ONCE(*{1});",
    "F": "smp_mb();",
    "WMB": "smp_wmb();",
    "XCHG": "{0} = xchg({1}, {2});",
    "CAS": "{0} = cmpxchg({1}, {2}, {3});",
    "ADD": "{0} = atomic_fetch_add({2}, {1});",
    "LOCK": "spin_lock({0});",
    "UNLOCK": "spin_unlock({0});",
    "RCU": "rcu_read_lock();",
    "UNRCU": "rcu_read_unlock();",
    "SYNC": "synchronize_rcu();",
    "UNLESS": "if ({0})",
}
_IN_X86 = {
    "W": "MOV [{0}],${1}",
    "R": "MOV {0},[{1}]",
    "F": "MFENCE",
    "WMB": "SFENCE",
    "XCHG": "MOV {0},${2} ; XCHG [{1}],{0}",
    "CAS": "MOV EAX,${2} ; MOV EDI,${3} ; LOCK CMPXCHG [{1}],EDI ; MOV {0},EAX",
    "ADD": "MOV {0},${2} ; LOCK XADD [{1}],{0}",
}
REGISTERS = {"r0": "EBX", "r1": "ECX", "r2": "EDX", "r3": "ESI"}


def as_c(threads: list[list[Operation]]) -> str:
    """Return a program as a C litmus test."""
    parts = ["C drawn\n{}\n"]
    for k, thread in enumerate(threads):
        parts.append(f"P{k}(int *x, int *y, int *z, spinlock_t *l)\n{{\n")
        parts += [f"\t{_IN_C[op[0]].format(*op[1:])}\n" for op in thread]
        parts.append("}\n")
    return "".join(parts) + f"locations [{'; '.join(observed(threads))};]\nexists (x=0)\n"


def as_x86(threads: list[list[Operation]]) -> str:
    """Return a program as an x86 litmus test."""
    columns = []
    for thread in threads:
        cells = "; ".join(_IN_X86[op[0]].format(*(REGISTERS.get(o, o) for o in op[1:])) for op in thread)
        columns.append([cell.strip() for cell in cells.split(";")] if cells else [])
    rows = [" | ".join(f"P{k}" for k in range(len(threads))) + ";"]
    for number in range(max(map(len, columns))):
        rows.append(" | ".join(column[number] if number < len(column) else "" for column in columns) + ";")
    names = [x86_name(name) for name in observed(threads)]
    return "X86 drawn\n{ }\n" + "\n".join(rows) + f"\nlocations [{'; '.join(names)};]\nexists (x=0)"


def x86_name(name: str) -> str:
    thread, _, register = name.partition(":")
    return f"{thread}:{REGISTERS[register]}" if register else name
