"""A litmus test as a model for Spin, with the store buffers written out: a second opinion.

A word is a global, a thread a process, an access to memory one atomic step. Under tso and pso each thread has a buffer
as an array, and one more process that lets stores out of it. The condition becomes an assertion of one more process,
which waits until all have ended: Spin finds an assertion violated where a final state fulfils what ``exists`` or
``~exists`` names, or does not fulfil what ``forall`` demands.
"""

from __future__ import annotations

from stress.litmus import instructions as i
from stress.litmus.conditions import Atom, Location, Not, Proposition, Several
from stress.litmus.flow import ahead, operands
from stress.litmus.instructions import FIRST_CONSTANT
from stress.litmus.test import Test, Thread
from stress.litmus.unsupported import Unsupported
from stress.litmus.values import ADDRESS_STEP, FIRST_ADDRESS, word_at

ADDRESSES = 1 << 20
"""The address of word 0 in the model, where numbers have 32 bits; each further word has one more."""
_SIGNS = {
    **{i.ADD: "+", i.SUB: "-", i.MUL: "*", i.DIV: "/", i.MOD: "%", i.AND: "&", i.OR: "|", i.XOR: "^"},
    **{i.SHIFT_LEFT: "<<", i.SHIFT_RIGHT: ">>", i.EQUAL: "==", i.DIFFER: "!=", i.LESS: "<", i.LESS_OR_EQUAL: "<="},
    **{i.GREATER: ">", i.GREATER_OR_EQUAL: ">="},
}


def promela(test: Test, memory: str) -> str:
    """Return the model of a test. ``memory``: "sc", "tso" or "pso". Raises `Unsupported` for RCU.

    Example: ``promela(read_test(text, "SB.litmus"), "tso")``
    """
    return "\n".join(_Model(test, memory).lines()) + "\n"


class _Model:
    """The parts of a model."""

    def __init__(self, test: Test, memory: str) -> None:
        self.test, self.memory = test, memory
        self.buffered = memory != "sc"
        self.room = [max(1, ahead(test, thread, 0, 0).stores) for thread in test.threads]

    def lines(self) -> list[str]:
        """All lines of the model."""
        test = self.test
        threads = range(len(test.threads))
        values = [_number(value) for value in test.initial]
        lines = [
            f"/* {test.name.replace('*/', '* /')} under {self.memory}; run with: spin -run -safety FILE */",
            f"int mem[{max(1, len(test.words))}];",
            f"byte ended = 0;  /* of {len(test.threads)} threads */",
        ]
        for t, thread in enumerate(test.threads):
            lines += [f"int r{t}[{max(1, thread.count)}];"]
            if self.buffered:
                lines += [f"int word{t}[{self.room[t]}]; int value{t}[{self.room[t]}]; byte length{t} = 0;"]
                lines += [f"bool fenced{t}[{self.room[t]}]; bool pending{t} = false;"]
        for t in threads:
            lines += ["", *self._thread(t)]
            if self.buffered:
                lines += ["", *self._drain(t)]
        words = [f"  mem[{word}] = {value};  /* {test.words[word]} */" for word, value in enumerate(values) if value]
        registers = [
            f"  r{t}[{register}] = {_number(value)};"
            for t, thread in enumerate(test.threads)
            for register, value in thread.initial.items()
            if value
        ]
        runs = [f"  run P{t}();" + (f" run drain{t}();" if self.buffered else "") for t in threads]
        lines += ["", "init {", "  atomic {", *words, *registers, *runs, "  };", *self._check(), "}"]
        return lines

    def _check(self) -> list[str]:
        test = self.test
        empty = "".join(f" && length{t} == 0" for t in range(len(test.threads)) if self.buffered)
        condition = self._proposition(test.condition)
        if test.filter is not None:
            wanted = self._proposition(test.filter)
            condition = f"({wanted} && {condition})" if test.quantifier != "forall" else f"(!{wanted} || {condition})"
        claim = condition if test.quantifier == "forall" else f"!{condition}"
        return [f"  (ended == {len(test.threads)}{empty});", f"  assert({claim})"]

    def _proposition(self, proposition: Proposition) -> str:
        if isinstance(proposition, Atom):
            right = proposition.right
            if isinstance(right, Location):
                value = self._location(right)
            else:
                value = str(right if isinstance(right, int) else ADDRESSES + self.test.words.index(right))
            return f"({self._location(proposition.left)} {'!=' if proposition.differs else '=='} {value})"
        if isinstance(proposition, Not):
            return f"(!{self._proposition(proposition.part)})"
        assert isinstance(proposition, Several)
        every = proposition.sign == "/\\"
        parts = [self._proposition(part) for part in proposition.parts]
        return "(" + (" && " if every else " || ").join(parts or ["true" if every else "false"]) + ")"

    def _location(self, location: Location) -> str:
        if location.thread < 0:
            return f"mem[{self.test.words.index(location.name)}]"
        return f"r{location.thread}[{self.test.threads[location.thread].registers[location.name]}]"

    def _drain(self, t: int) -> list[str]:
        """The process that lets stores of a thread out of its buffer."""
        lines = [f"proctype drain{t}() {{", "  byte k;", "  do"]
        for k in range(self.room[t] if self.memory == "pso" else 1):
            clear = "".join(f" && word{t}[{j}] != word{t}[{k}] && !fenced{t}[{j}]" for j in range(k))
            clear += f" && !fenced{t}[{k}]" if k else ""
            shift = f"k = {k}; do :: k + 1 < length{t} -> word{t}[k] = word{t}[k + 1];"
            shift += f" value{t}[k] = value{t}[k + 1]; fenced{t}[k] = fenced{t}[k + 1]; k++ :: else -> break od;"
            drop = f"length{t}--; word{t}[length{t}] = 0; value{t}[length{t}] = 0; fenced{t}[length{t}] = false;"
            after = f"fenced{t}[0] = false; if :: length{t} == 0 -> pending{t} = false :: else fi; k = 0"
            lines.append(f"  :: atomic {{ length{t} > {k}{clear} -> mem[word{t}[{k}]] = value{t}[{k}];")
            lines.append(f"       {shift}")
            lines.append(f"       {drop} {after} }}")
        ended = f"ended == {len(self.test.threads)} && length{t} == 0"
        return [*lines, f"  :: {ended} -> break", "  od", "}"]

    def _thread(self, t: int) -> list[str]:
        thread = self.test.threads[t]
        lines = [f"proctype P{t}() {{", "  int at, k, old;"]
        for number, (row, place) in enumerate(zip(thread.code, thread.places, strict=True)):
            made = self._instruction(t, row, thread, number)
            if made is None:
                raise Unsupported("RCU with --promela", place)
            lines.append(f"l{number}:")
            lines += [f"  {line}" for line in made]
        return [*lines, "}"]

    def _instruction(self, t: int, row: i.Row, thread: Thread, number: int) -> list[str] | None:
        op, d, a, b, c, k = row
        x, y, z = (_operand(t, o) if n < len(operands(row)) else "" for n, o in enumerate((a, b, c)))
        target = f"r{t}[{d}]"
        simple = {
            i.MOVE: f"{target} = {x}",
            i.NOT: f"{target} = ({x} == 0)",
            i.JUMP: f"goto l{a}",
            i.JUMP_IF_ZERO: f"if :: {x} == 0 -> goto l{b} :: else fi",
            i.HALT: "ended++",
            i.FENCE: f"length{t} == 0" if self.buffered else "skip",
            i.WMB: f"pending{t} = (length{t} > 0)" if self.buffered else "skip",
        }
        if op == i.ALU:
            return [self._alu(target, k, x, y) + ";"]
        if op in simple:
            return [simple[op] + ";"]
        address = str(_word(a)) if a >= FIRST_CONSTANT else f"{x} - {ADDRESSES}"
        if op in (i.LOAD, i.IS_LOCKED):
            got = "old" if op == i.LOAD else "(old != 0)"
            return [f"atomic {{ at = {address}; old = mem[at]; {self._forward(t)} {target} = {got} }};"]
        if op in (i.STORE, i.UNLOCK):
            value = y if op == i.STORE else "0"
            if not self.buffered:
                return [f"atomic {{ at = {address}; mem[at] = {value} }};"]
            fenced = f"length{t} > 0 && (pending{t} || {str(op == i.UNLOCK or k == 1).lower()})"
            put = f"word{t}[length{t}] = {address}; value{t}[length{t}] = {value}; fenced{t}[length{t}] = ({fenced})"
            return [f"atomic {{ {put}; pending{t} = false; length{t}++ }};"]
        changed = {
            i.XCHG: f"mem[at] = {y}; {target} = old",
            i.CMPXCHG: f"if :: old == {y} -> mem[at] = {z} :: else fi; {target} = old",
            i.FETCH: f"{self._alu('mem[at]', k, 'old', y)}; {target} = old",
            i.ADD_UNLESS: f"if :: old != {z} -> mem[at] = old + {y} :: else fi; {target} = (old != {z})",
            i.LOCK: f"mem[at] = {t + 1}",
            i.TRYLOCK: f"if :: old == 0 -> mem[at] = {t + 1} :: else fi; {target} = (old == 0)",
        }.get(op)
        if changed is None:
            return None
        waits = [f"length{t} == 0"] if self.buffered else []
        waits += [f"mem[{address}] == 0"] if op == i.LOCK else []
        guard = f"{' && '.join(waits) or 'true'} -> "
        return [f"atomic {{ {guard}at = {address}; old = mem[at]; {changed} }};"]

    def _forward(self, t: int) -> str:
        if not self.buffered:
            return ""
        newest = f"if :: word{t}[k] == at -> old = value{t}[k] :: else fi"
        return f"k = 0; do :: k < length{t} -> {newest}; k++ :: else -> break od; k = 0;"

    def _alu(self, target: str, kind: int, x: str, y: str) -> str:
        return f"{target} = ({x} {_SIGNS[kind]} {y})"


def _word(operand: int) -> int:
    return (operand - i.CONSTANT - FIRST_ADDRESS) // ADDRESS_STEP


def _operand(t: int, operand: int) -> str:
    return f"({_number(operand - i.CONSTANT)})" if operand >= FIRST_CONSTANT else f"r{t}[{operand}]"


def _number(value: int) -> int:
    """A value in the model: addresses have other numbers there."""
    word = word_at(value)
    return value if word is None else ADDRESSES + word
