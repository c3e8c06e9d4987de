"""A litmus test as the Python source of a design on words alone, for `explore`, `hunt` and `run`.

Each thread is an operation, P0 and on; each instruction a step, in order. Words of memory are variables, and so are the
registers that the test names, as "0:r0", so that final states show them. The condition becomes a check at rest: it
breaks where a final state fulfils what ``exists`` or ``~exists`` names, or does not fulfil what ``forall`` demands.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from json import dumps as quoted

from shm_layout.structs import STRUCTS
from stress.litmus import instructions as i
from stress.litmus.conditions import Atom, Location, Not, Proposition, Several
from stress.litmus.flow import operands
from stress.litmus.instructions import FIRST_CONSTANT, constant
from stress.litmus.test import Test, Thread
from stress.litmus.unsupported import Place, Unsupported
from stress.litmus.values import word_at

_SIGNS = {
    **{i.ADD: "+", i.SUB: "-", i.MUL: "*", i.AND: "&", i.OR: "|", i.XOR: "^"},
    **{i.SHIFT_LEFT: "<<", i.SHIFT_RIGHT: ">>", i.EQUAL: "==", i.DIFFER: "!=", i.LESS: "<", i.LESS_OR_EQUAL: "<="},
    **{i.GREATER: ">", i.GREATER_OR_EQUAL: ">="},
}
_FETCH = {i.ADD: "fetch_add(m, {}, {})", i.SUB: "fetch_add(m, {}, -({}))", i.REPLACE: "xchg(m, {}, {})"} | {
    i.AND: "fetch_and(m, {}, {})",
    i.OR: "fetch_or(m, {}, {})",
}
_BARRIERS = {i.FENCE: "smp_mb", i.WMB: "smp_wmb"}
_IMPORTS = """\
from shm_layout.atomic import cmpxchg, fetch_add, fetch_and, fetch_or, load, read_once, store, write_once, xchg
from shm_layout.structs import at, variable
from stress import NEXT, WAIT, At, Design, Program, label, step
from stress.checks import HOLDS
from stress.kernel.barriers import smp_mb, smp_wmb
from stress.kernel.spinlock import spin_trylock
from stress.machine_kind import words
"""


def design_source(test: Test, text: str) -> str:
    """Return a module with the design; ``text``: the litmus file, whose lines become docstrings of the steps.

    Raises `Unsupported` for RCU, addresses as values, division, and arithmetic that is no single instruction of the
    explorer's (``atomic_xor``, ``atomic_add_unless``).

    Example: ``design_source(read_test(text, "SB.litmus"), text)``
    """
    return "\n".join(_Module(test, text.splitlines()).lines())


def design_name(test: Test) -> str:
    """Return what the design is called in its module: the test's name in capitals, as a name of Python.

    >>> design_name(Test("2+2W.litmus", "2+2W", "C", [], [], [], "exists", Several("/\\\\", []), None, []))
    'T_2_2W'
    """
    name = re.sub(r"\W", "_", test.name).upper()
    return name if name.isidentifier() else f"T_{name}"


class _Module:
    """The parts of a module."""

    def __init__(self, test: Test, lines: list[str]) -> None:
        self.test, self.text = test, lines
        self.shown = [_shown(test, t) for t in range(len(test.threads))]
        """Of each thread, what a register is called, by number."""
        self.constants: dict[Location, str] = {}
        """The name of the constant that says where a word or a register lies; a register may have several names."""
        taken = {design_name(test), "NEXT", "WAIT", "HOLDS", *(f"P{t}_ENDED" for t in range(len(test.threads)))}
        for at in self._locations():
            name = re.sub(r"\W", "_", at.name if at.thread < 0 else f"P{at.thread}_{at.name}").upper()
            while name in taken or keyword.iskeyword(name) or not name.isidentifier():
                name = f"WORD_{name}"
            taken.add(name)
            self.constants[at] = name
        for t, thread in enumerate(test.threads):
            for name, register in thread.registers.items():
                self.constants[Location(t, name)] = self.constants[Location(t, self.shown[t][register])]
        self.names = [_step_names(t, thread, test.words) for t, thread in enumerate(test.threads)]

    def _locations(self) -> Iterator[Location]:
        """Yield all words and registers."""
        yield from (Location(-1, word) for word in self.test.words)
        for t, shown in enumerate(self.shown):
            yield from (Location(t, name) for name in shown.values())

    def lines(self) -> Iterator[str]:
        """All lines of the module."""
        test, name = self.test, design_name(self.test)
        columns = " | ".join(f"P{t}" for t in range(len(test.threads)))
        said = test.name.replace("\\", "/").replace('"', "'")
        yield f'"""{said}, a litmus test, as a design. Its condition is a check: at rest it says what a final state is.'
        yield ""
        yield f'    $ pte-stress explore FILE:{name} "{columns}" --memory tso --finals'
        yield '"""'
        yield ""
        body = list(self._body())
        yield from _imported("\n".join(body))
        yield from body

    def _body(self) -> Iterator[str]:
        """Yield all that comes behind the imports."""
        test, name = self.test, design_name(self.test)
        yield ""
        for at in self._locations():
            yield f"{self.constants[at]} = {self._variable(at)}"
        for t in range(len(test.threads)):
            yield f'P{t}_ENDED = variable("P{t}.ended", "a thread of the litmus test has ended")'
        for t in range(len(test.threads)):
            yield from self._steps(t)
        yield from self._check()
        yield ""
        yield f"{name} = Design("
        yield f"    name={quoted(name.lower())},"
        yield "    year=0,"
        yield f"    source={quoted(f'litmus test {test.name}')},"
        yield f"    summary={quoted(self._summary())},"
        yield f"    machine=words(most_cpus={max(1, len(test.threads))}),"
        yield f"    checks=({_CHECK},),"
        yield "    programs={"
        for t in range(len(test.threads)):
            yield f'        "P{t}": Program({", ".join(self._program(t))}),'
        yield "    },"
        yield ")"
        yield ""

    def _summary(self) -> str:
        return " ".join(f"{self.test.quantifier} {self.test.condition}".split())

    def _variable(self, at: Location) -> str:
        if at.thread < 0:
            initial = self.test.initial[self.test.words.index(at.name)]
            shown, doc = at.name, "a word of the litmus test"
        else:
            register = next(k for k, name in self.shown[at.thread].items() if name == at.name)
            initial = self.test.threads[at.thread].initial.get(register, 0)
            shown, doc = at.key, "a register of the litmus test"
        if word_at(initial) is not None:
            raise Unsupported("an address as a value with --design", Place(1, 1))
        made = STRUCTS.get(shown)
        if made is not None and made.doc != doc:
            shown = f"{shown}_"
        return f"variable({quoted(shown)}, {quoted(doc)}" + (f", initial={initial})" if initial else ")")

    # steps

    def _program(self, t: int) -> Iterator[str]:
        """Yield the entries of a thread's program."""
        thread = self.test.threads[t]
        jumps = _jumped_to(thread)
        for number, row in enumerate(thread.code):
            if number in jumps:
                yield f"At(P{t}_TO_{number})"
            yield _BARRIERS.get(row[0], self.names[t][number])

    def _steps(self, t: int) -> Iterator[str]:
        thread = self.test.threads[t]
        jumps = sorted(_jumped_to(thread))
        yield from ["", *(f'P{t}_TO_{number} = label("P{t}_to_{number}")' for number in jumps)] if jumps else []
        for number, (row, place) in enumerate(zip(thread.code, thread.places, strict=True)):
            if row[0] in _BARRIERS:
                continue
            yield ""
            yield ""
            yield "@step(waits=True)" if row[0] == i.LOCK else "@step"
            yield f"def {self.names[t][number]}(m, r):"
            line = self.text[place.line - 1].strip() if 0 < place.line <= len(self.text) else ""
            said = line.replace("\\", "/").replace('"', "'")
            yield f'    """P{t}, line {place.line}: {said}"""' if row[0] != i.HALT else f'    """P{t} ends."""'
            yield from (f"    {line}" for line in self._statements(t, row, place))

    def _statements(self, t: int, row: i.Row, place: Place) -> Iterator[str]:
        op, d, a, b, _, k = row
        if op == i.HALT:
            yield f"write_once(m, at(m, P{t}_ENDED, 0), 1)"
            yield "return NEXT"
            return
        given, word = operands(row), ""
        if op > i.LAST_LOCAL and given:
            number = word_at(a - i.CONSTANT) if a >= FIRST_CONSTANT else None
            if number is None:
                raise Unsupported("an access by a pointer with --design", place)
            word = f"at(m, {self.constants[Location(-1, self.test.words[number])]}, 0)"
            given = [constant(0), *given[1:]]
        x, y, z = ([self._operand(t, operand, place) for operand in given] + [""] * 3)[:3]
        if op == i.JUMP:
            yield f"return P{t}_TO_{a}"
            return
        if op == i.JUMP_IF_ZERO:
            yield f"return P{t}_TO_{b} if {x} == 0 else NEXT"
            return
        if op == i.LOCK:
            yield f"return NEXT if spin_trylock(m, {word}) else WAIT"
            return
        if op in (i.STORE, i.UNLOCK):
            plain = op == i.STORE and k == 0
            yield f"{'write_once' if plain else 'store'}(m, {word}, {'0' if op == i.UNLOCK else y})"
        else:
            value = self._value(row, word, x, y, z)
            if value is None:
                raise Unsupported(f"{'RCU' if op >= i.RCU_LOCK else 'this instruction'} with --design", place)
            target = self.constants[Location(t, self.shown[t][d])]
            yield f"write_once(m, at(m, {target}, 0), {value})"
        yield "return NEXT"

    def _value(self, row: i.Row, word: str, x: str, y: str, z: str) -> str | None:
        """Return what an instruction assigns to its register, None for what cannot be written."""
        op, k = row[0], row[5]
        if op == i.ALU and k == i.WRAP and row[3] >= FIRST_CONSTANT:
            half = 1 << (row[3] - i.CONSTANT - 1)
            return f"(({x} + {half}) & {2 * half - 1}) - {half}"
        if op == i.ALU and k in _SIGNS:
            return f"1 if {x} {_SIGNS[k]} {y} else 0" if k >= i.EQUAL else f"{x} {_SIGNS[k]} {y}"
        if op == i.FETCH and k in _FETCH:
            return _FETCH[k].format(word, y)
        return {
            i.MOVE: x,
            i.NOT: f"1 if {x} == 0 else 0",
            i.LOAD: f"read_once(m, {word})",
            i.XCHG: f"xchg(m, {word}, {y})",
            i.CMPXCHG: f"cmpxchg(m, {word}, {y}, {z})",
            i.TRYLOCK: f"1 if spin_trylock(m, {word}) else 0",
            i.IS_LOCKED: f"1 if read_once(m, {word}) != 0 else 0",
        }.get(op)

    def _operand(self, t: int, operand: int, place: Place) -> str:
        if operand < FIRST_CONSTANT:
            return f"read_once(m, at(m, {self.constants[Location(t, self.shown[t][operand])]}, 0))"
        value = operand - i.CONSTANT
        if word_at(value) is not None:
            raise Unsupported("an address as a value with --design", place)
        return f"{value}" if value >= 0 else f"({value})"

    # the condition

    def _check(self) -> Iterator[str]:
        condition = self._proposition(self.test.condition)
        if self.test.quantifier == "forall":
            condition = f"not {condition}"
        if self.test.filter is not None:
            condition = f"{self._proposition(self.test.filter)} and {condition}"
        yield ""
        yield ""
        yield f"def {_CHECK}(m):"
        yield f'    """At rest: {self._summary()}"""'.replace("\\", "\\\\")
        for t in range(len(self.test.threads)):
            yield f"    if load(m, at(m, P{t}_ENDED, 0)) == 0:"
            yield "        return HOLDS"
        yield f"    return 1 if {condition} else HOLDS"
        yield ""

    def _proposition(self, proposition: Proposition) -> str:
        if isinstance(proposition, Atom):
            right = proposition.right
            if isinstance(right, str):
                raise Unsupported("an address in a condition with --design", Place(len(self.text), 1))
            value = self._read(right) if isinstance(right, Location) else str(right)
            return f"({self._read(proposition.left)} {'!=' if proposition.differs else '=='} {value})"
        if isinstance(proposition, Not):
            return f"(not {self._proposition(proposition.part)})"
        assert isinstance(proposition, Several)
        every = proposition.sign == "/\\"
        parts = [self._proposition(part) for part in proposition.parts]
        return "(" + (" and " if every else " or ").join(parts or ["True" if every else "False"]) + ")"

    def _read(self, at: Location) -> str:
        return f"load(m, at(m, {self.constants[at]}, 0))"


_CHECK = "final_state"
_DOES = {
    **{i.MOVE: "sets", i.ALU: "computes", i.NOT: "negates", i.JUMP: "goes_on", i.JUMP_IF_ZERO: "tests", i.HALT: "ends"},
    **{i.LOAD: "reads", i.STORE: "writes", i.XCHG: "xchg", i.CMPXCHG: "cmpxchg", i.FETCH: "changes", i.LOCK: "locks"},
    **{i.UNLOCK: "unlocks", i.TRYLOCK: "trylock", i.IS_LOCKED: "looks_at"},
}
_ASSIGNING = frozenset((i.MOVE, i.ALU, i.NOT, i.LOAD, i.XCHG, i.CMPXCHG, i.FETCH, i.ADD_UNLESS, i.TRYLOCK, i.IS_LOCKED))


def _step_names(t: int, thread: Thread, words: list[str]) -> list[str]:
    """Return what the steps of a thread are called: by what they do, to which word."""
    names: list[str] = []
    for op, _, a, *_ in thread.code:
        word = word_at(a - i.CONSTANT) if op > i.LAST_LOCAL and a >= FIRST_CONSTANT else None
        name = f"P{t}_{_DOES.get(op, 'does')}" + (f"_{words[word]}" if word is not None else "")
        name = re.sub(r"\W", "_", name)
        names.append(name if name not in names else f"{name}_{len(names)}")
    return names


def _jumped_to(thread: Thread) -> set[int]:
    return {row[2] if row[0] == i.JUMP else row[3] for row in thread.code if row[0] in (i.JUMP, i.JUMP_IF_ZERO)}


def _shown(test: Test, t: int) -> dict[int, str]:
    """Return the registers of a thread with their names: of several, one that is looked at in the end."""
    thread = test.threads[t]
    used = {row[1] for row in thread.code if row[0] in _ASSIGNING}
    used |= {o for row in thread.code for o in operands(row) if o < FIRST_CONSTANT}
    found = {register: f"temporary{register}" for register in sorted(used)}
    observed = {at.name for at in _observed(test) if at.thread == t}
    for name, register in sorted(thread.registers.items(), key=lambda item: item[0] in observed):
        found[register] = name
    return found


def _observed(test: Test) -> Iterator[Location]:
    yield from test.locations
    yield from test.condition.locations()
    if test.filter is not None:
        yield from test.filter.locations()


def _imported(body: str) -> Iterator[str]:
    """Yield the lines that import what the body names."""
    for line in _IMPORTS.splitlines():
        module, _, names = line.partition(" import ")
        kept = [name for name in names.split(", ") if re.search(rf"\b{name}\b", body)]
        if kept:
            yield f"{module} import {', '.join(kept)}"
