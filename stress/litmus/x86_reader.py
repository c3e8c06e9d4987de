"""Reads x86 litmus tests as herd7 has them: a column for each processor.

The order of operands is Intel's on X86, AT&T's on X86_64. Accesses of one word must all be of the same size.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from stress.litmus import instructions as i
from stress.litmus.builder import Builder, Label
from stress.litmus.conditions import begins, read_conditions
from stress.litmus.initial import read_initial
from stress.litmus.instructions import constant
from stress.litmus.resolving import MOST_THREADS, Words, finish
from stress.litmus.source import Cursor, Source, Token
from stress.litmus.test import Test, Thread
from stress.litmus.unsupported import Unsupported
from stress.litmus.values import MOST_NUMBER, address

_LETTERS = "ax|bx|cx|dx|si|di|bp|sp"
_REGISTER = re.compile(rf"%?(?:(?P<width>[er])(?P<letters>{_LETTERS})|r(?P<number>8|9|1[0-5])(?P<double>d?))$", re.I)
_NARROW = re.compile(rf"%?(?:[abcd][lh]|(?:{_LETTERS})|(?:si|di|bp|sp)l|r(?:8|9|1[0-5])[wb])$", re.I)
_ARITHMETIC = {"ADD": i.ADD, "SUB": i.SUB, "AND": i.AND, "OR": i.OR, "XOR": i.XOR}
_ONES = {"INC": i.ADD, "DEC": i.SUB}
_JUMPS = {"JE": True, "JZ": True, "JNE": False, "JNZ": False}
_NOTHING = frozenset(("LFENCE", "NOP", "PAUSE"))
_NAMES = frozenset(
    (
        *_ARITHMETIC,
        *_ONES,
        *_JUMPS,
        *_NOTHING,
        "MOV",
        "XCHG",
        "CMPXCHG",
        "XADD",
        "CMP",
        "TEST",
        "NEG",
        "NOT",
        "JMP",
        "MFENCE",
        "SFENCE",
        "LOCK",
    )
)
_LEFT, _RIGHT = "flag:left", "flag:right"
"""Registers that hold what was compared last: the zero flag says whether they are equal."""


def canonical(name: str) -> str:
    """Return the one name of a register that has several: EAX, %eax and rax are "rax"."""
    match = _REGISTER.match(name)
    if match is None:
        return name
    return f"r{match['number']}" if match["number"] else "r" + match["letters"].lower()


class Operand(NamedTuple):
    """An operand of an instruction."""

    kind: str
    """"value", "register" or "memory"."""
    operand: int
    """The value, the register, or the address."""
    width: int
    """Bits of a register; 0 where the operand does not say."""
    known: int = -1
    """The word, where the address is written out."""


def read_x86(source: Source, file: str, name: str, arch: str, begin: int) -> Test:
    """Read an x86 test whose initial values begin with the brace at ``begin``. Raises `Unsupported`."""
    closing = source.block(begin, ml=True)
    source.blank_comments(closing, ml=True)
    place = source.place(begin)
    words = Words(place)
    initial = read_initial(Cursor(source, source.tokens(begin + 1, closing)))
    for location in initial.values:
        if location.thread < 0:
            words.number(location.name)
    cursor = Cursor(source, source.tokens(closing + 1, len(source.text)))
    cursor.accept(";")
    readers = _columns(cursor, arch, words)
    while not begins(cursor):
        for number, reader in enumerate(readers):
            reader.cell(cursor)
            if cursor.accept(";"):
                break
            if number == len(readers) - 1 or not cursor.accept("|"):
                raise cursor.unsupported(f"{cursor.shown()} in an instruction")
    conditions = read_conditions(cursor)
    for location in [*conditions[0], *conditions[3].locations(), *(conditions[1].locations() if conditions[1] else ())]:
        if location.thread >= 0 and _NARROW.match(location.name):
            raise Unsupported(f"the register {location.name}, a part of another one", place)
        if location.thread >= 0 and not _REGISTER.match(location.name):
            raise Unsupported(f"{location.name!r} is no register", place, "not readable")
    sizes: dict[int, set[int]] = {}
    for reader in readers:
        for word, width in reader.sizes:
            sizes.setdefault(word, set()).add(width)
    everywhere = sizes.pop(-1, set())
    for widths in [*sizes.values(), everywhere]:
        if len(widths | everywhere) > 1:
            raise Unsupported("accesses of different sizes to one word", place)
    test = finish(
        file=file,
        name=name,
        arch=arch,
        words=words,
        initial=initial,
        threads=[reader.finished() for reader in readers],
        locks=set(),
        conditions=conditions,
        place=place,
        canonical=canonical,
    )
    for location in (*test.locations, *(test.filter.locations() if test.filter else ())):
        if location.thread >= 0:
            registers = test.threads[location.thread].registers
            registers[location.name] = registers[canonical(location.name)]
    return test


def _columns(cursor: Cursor, arch: str, words: Words) -> list[Column]:
    readers: list[Column] = []
    while True:
        name = cursor.name("a processor, as in P0")
        if name != f"P{len(readers)}":
            raise cursor.unsupported(f"processor {name[:20]} where P{len(readers)} should stand", "not readable")
        if len(readers) >= MOST_THREADS:
            raise cursor.unsupported(f"more than {MOST_THREADS} threads")
        readers.append(Column(arch, words))
        if cursor.accept(";"):
            return readers
        cursor.expect("|")


class Column:
    """The program of one processor, read one cell at a time."""

    def __init__(self, arch: str, words: Words) -> None:
        """Begin with an empty program."""
        self.att = arch == "X86_64"
        self.words = words
        self.builder = Builder()
        self.labels: dict[str, Label] = {}
        self.wanted: dict[str, Token] = {}
        self.sizes: list[tuple[int, int]] = []
        self._source: Source | None = None

    def finished(self) -> Thread:
        """Return the program."""
        for name, token in self.wanted.items():
            if self.labels[name].at is None:
                assert self._source is not None
                raise Unsupported(f"no label {name!r} in this column", self._source.place(token.at), "not readable")
        return self.builder.thread()

    def cell(self, cursor: Cursor) -> None:
        """Read the labels and the instruction of a cell, if there are any."""
        self._source = cursor.source
        while cursor.token.kind == "name" and cursor.peek().text == ":":
            name = cursor.take().text
            label = self.labels.setdefault(name, Label())
            if label.at is not None:
                raise cursor.unsupported(f"a second label {name!r}", "not readable")
            self.builder.put(label)
            cursor.take()
        if cursor.token.kind == "name":
            self.builder.place = cursor.source.place(cursor.token.at)
            self.builder.statement()
            self._instruction(cursor)

    def _instruction(self, cursor: Cursor) -> None:
        written = cursor.token.text
        locked = written.upper() == "LOCK"
        if locked:
            cursor.take()
            written = cursor.token.text
        name, width = self._name(cursor, written)
        cursor.take()
        operands: list[Operand] = []
        if name in ("JMP", *_JUMPS):
            self._jump(cursor, name)
        else:
            while not cursor.at("|", ";") and cursor.token.kind != "end":
                operands.append(self._operand(cursor))
                if not cursor.accept(","):
                    break
            if self.att:
                operands.reverse()
            width = self._width(cursor, width, operands)
            self._emit(cursor, name, locked, operands, width)

    def _name(self, cursor: Cursor, written: str) -> tuple[str, int]:
        name = written.upper()
        if name in _NAMES:
            return name, 0
        if name[-1:] in ("L", "Q") and name[:-1] in _NAMES and name[:-1] not in _NOTHING:
            return name[:-1], 32 if name[-1] == "L" else 64
        raise cursor.unsupported(f"the instruction {written[:30]}")

    def _width(self, cursor: Cursor, width: int, operands: list[Operand]) -> int:
        """Return the size of an instruction's accesses, bits."""
        widths = {operand.width for operand in operands if operand.kind == "register"} | ({width} if width else set())
        if len(widths) > 1:
            raise cursor.unsupported("operands of different sizes")
        if not self.att and widths == {64}:
            raise cursor.unsupported("operands of 64 bits on X86")
        return next(iter(widths), 0)

    def _operand(self, cursor: Cursor) -> Operand:
        token = cursor.token
        if cursor.accept("[", "("):
            closing = "]" if token.text == "[" else ")"
            if cursor.token.kind == "name" and _REGISTER.match(cursor.token.text):
                inner = Operand("memory", self.builder.register(canonical(cursor.take().text)), 0)
            elif cursor.token.kind == "name" and cursor.token.text[0] not in "%$":
                if _NARROW.match(cursor.token.text):
                    raise cursor.unsupported(f"the register {cursor.token.text}, a part of another one")
                word = self.words.number(cursor.take().text)
                inner = Operand("memory", constant(address(word)), 0, word)
            else:
                raise cursor.unsupported(f"{cursor.shown()} as an address")
            if not cursor.at(closing):
                raise cursor.unsupported(f"{cursor.shown()} in an address")
            cursor.take()
            return inner
        cursor.accept("$")
        if cursor.token.kind == "number" or cursor.at("-"):
            value = cursor.number()
            if abs(value) >= MOST_NUMBER or (self.att and value < 0):
                raise cursor.unsupported(f"the number {value}")
            if cursor.at("(", "["):
                raise cursor.unsupported("addresses with a displacement")
            return Operand("value", constant(value), 0)
        if cursor.token.kind != "name":
            raise cursor.unsupported(f"{cursor.shown()} as an operand")
        text = cursor.token.text
        if match := _REGISTER.match(text):
            cursor.take()
            wide = (match["width"] or "").lower() == "r" or (match["number"] and not match["double"])
            return Operand("register", self.builder.register(canonical(text)), 64 if wide else 32)
        if text[0] == "$":
            cursor.take()
            return Operand("value", constant(address(self.words.number(text[1:]))), 0)
        if _NARROW.match(text):
            raise cursor.unsupported(f"the register {text}, a part of another one")
        raise cursor.unsupported(f"the operand {text[:30]!r}")

    def _jump(self, cursor: Cursor, name: str) -> None:
        token = cursor.token
        target = cursor.name("a label")
        label = self.labels.setdefault(target, Label())
        self.wanted.setdefault(target, token)
        if name == "JMP":
            self.builder.jump(label)
            return
        builder = self.builder
        kind = i.DIFFER if _JUMPS[name] else i.EQUAL
        left, right = builder.register(_LEFT), builder.register(_RIGHT)
        builder.jump_if_zero(builder.emit(i.ALU, builder.temporary(), left, right, 0, kind), label)

    # What instructions do. Operands stand in Intel's order: the destination first.

    def _value(self, operand: Operand, width: int) -> int:
        if operand.kind != "memory":
            return operand.operand
        self._sized(operand, width)
        return self.builder.emit(i.LOAD, self.builder.temporary(), operand.operand)

    def _store(self, operand: Operand, value: int, width: int) -> None:
        if operand.kind == "memory":
            self._sized(operand, width)
            self.builder.emit(i.STORE, 0, operand.operand, value)
        else:
            self.builder.move(operand.operand, value)

    def _sized(self, operand: Operand, width: int) -> None:
        self.sizes.append((operand.known, width or (64 if self.att else 32)))

    def _flags(self, left: int, right: int) -> None:
        builder = self.builder
        for name, value in ((_LEFT, left), (_RIGHT, right)):
            builder.emit(i.MOVE, builder.register(name), value)

    def _emit(self, cursor: Cursor, name: str, locked: bool, operands: list[Operand], width: int) -> None:
        builder = self.builder
        memory = [operand for operand in operands if operand.kind == "memory"]
        count = 0 if name in _NOTHING or name in ("MFENCE", "SFENCE") else 1 if name in (*_ONES, "NEG", "NOT") else 2
        if len(operands) != count:
            raise Unsupported(f"{name} with {len(operands)} operands", builder.place)
        if len(memory) > 1:
            raise Unsupported(f"{name} with two operands in memory", builder.place)
        if count and name not in ("CMP", "TEST") and operands[0].kind == "value":
            raise Unsupported(f"{name} that writes to a number", builder.place)
        may_lock = name in (*_ARITHMETIC, *_ONES, "NEG", "NOT", "XCHG", "CMPXCHG", "XADD")
        if locked and not (may_lock and memory and (operands[0].kind == "memory" or name == "XCHG")):
            raise Unsupported(f"LOCK before this {name}", builder.place)
        if name == "MFENCE":
            builder.emit(i.FENCE)
        elif name == "SFENCE":
            builder.emit(i.WMB)
        elif name == "MOV":
            self._store(operands[0], self._value(operands[1], width), width)
        elif name in ("CMP", "TEST"):
            left, right = (self._value(operand, width) for operand in operands)
            if name == "TEST":
                left, right = builder.emit(i.ALU, builder.temporary(), left, right, 0, i.AND), constant(0)
            self._flags(left, right)
        elif name == "XCHG":
            self._xchg(operands, memory, width)
        elif name == "XADD":
            self._xadd(operands, locked, width)
        elif name == "CMPXCHG":
            self._cmpxchg(operands, locked, width)
        elif name in (*_ARITHMETIC, *_ONES):
            kind = _ARITHMETIC.get(name, _ONES.get(name, 0))
            self._change(operands[0], locked, width, kind, None if name in _ONES else operands[1])
        elif name == "NEG":
            self._change(operands[0], locked, width, i.MUL, Operand("value", constant(-1), 0))
        elif name == "NOT":
            self._change(operands[0], locked, width, i.XOR, Operand("value", constant(-1), 0), flags=False)

    def _change(
        self, target: Operand, locked: bool, width: int, kind: int, by: Operand | None, *, flags: bool = True
    ) -> None:
        """Replace a target by ``target kind by`` (by 1 without ``by``), at once if ``locked``; set the flags."""
        builder = self.builder
        if kind == i.MUL and self.att:
            raise Unsupported("NEG on X86_64", builder.place)
        value = constant(1) if by is None else self._value(by, width)
        if locked:
            self._sized(target, width)
            old = builder.emit(i.FETCH, builder.temporary(), target.operand, value, 0, kind)
            new = builder.emit(i.ALU, builder.temporary(), old, value, 0, kind)
        else:
            old = self._value(target, width)
            new = builder.emit(i.ALU, builder.temporary(), old, value, 0, kind)
            if target.kind == "register":
                builder.emit(i.MOVE, target.operand, new)
            else:
                self._store(target, new, width)
        if flags:
            self._flags(new, constant(0))

    def _xchg(self, operands: list[Operand], memory: list[Operand], width: int) -> None:
        builder = self.builder
        if not memory:
            first, second = operands
            kept = builder.emit(i.MOVE, builder.temporary(), first.operand)
            builder.emit(i.MOVE, first.operand, second.operand)
            builder.emit(i.MOVE, second.operand, kept)
            return
        (target,) = memory
        register = operands[1] if operands[0] is target else operands[0]
        if register.kind != "register":
            raise Unsupported("XCHG with a number", builder.place)
        self._sized(target, width)
        builder.emit(i.XCHG, register.operand, target.operand, register.operand)

    def _xadd(self, operands: list[Operand], locked: bool, width: int) -> None:
        builder = self.builder
        target, register = operands
        if register.kind != "register" or target.kind != "memory":
            raise Unsupported("XADD but of a register to memory", builder.place)
        self._sized(target, width)
        if locked:
            old = builder.emit(i.FETCH, builder.temporary(), target.operand, register.operand, 0, i.ADD)
            new = builder.emit(i.ALU, builder.temporary(), old, register.operand, 0, i.ADD)
        else:
            old = builder.emit(i.LOAD, builder.temporary(), target.operand)
            new = builder.emit(i.ALU, builder.temporary(), old, register.operand, 0, i.ADD)
            builder.emit(i.STORE, 0, target.operand, new)
        builder.emit(i.MOVE, register.operand, old)
        self._flags(new, constant(0))

    def _cmpxchg(self, operands: list[Operand], locked: bool, width: int) -> None:
        builder = self.builder
        target, register = operands
        if register.kind != "register" or target.kind != "memory" or not locked:
            raise Unsupported("CMPXCHG but with LOCK, of a register with memory", builder.place)
        self._sized(target, width)
        expected = builder.register("rax")
        kept = builder.emit(i.MOVE, builder.temporary(), expected)
        old = builder.emit(i.CMPXCHG, builder.temporary(), target.operand, kept, register.operand)
        builder.emit(i.MOVE, expected, old)
        self._flags(old, kept)
