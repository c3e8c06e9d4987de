"""Builds the program of one thread: instructions, labels, registers, and temporaries that statements share."""

from __future__ import annotations

from stress.litmus.instructions import (
    ADD_UNLESS,
    ALU,
    CMPXCHG,
    FETCH,
    FIRST_CONSTANT,
    HALT,
    IS_LOCKED,
    JUMP,
    JUMP_IF_ZERO,
    LOAD,
    MOVE,
    NOT,
    TRYLOCK,
    XCHG,
    Row,
)
from stress.litmus.test import Thread
from stress.litmus.unsupported import Place, Unsupported

_TEMPORARY = 1 << 20
_WRITES = {MOVE, ALU, NOT, LOAD, XCHG, CMPXCHG, FETCH, ADD_UNLESS, TRYLOCK, IS_LOCKED}
MOST_REGISTERS = 60
"""Registers of a thread, temporaries included: sets of them are words of 64 bits."""
MOST_INSTRUCTIONS = 4000
"""Instructions of a thread."""


class Label:
    """A place in the program that jumps go to."""

    def __init__(self) -> None:
        """Begin without a place."""
        self.at: int | None = None


class Builder:
    """The program of one thread, as it grows."""

    def __init__(self) -> None:
        """Begin with an empty program."""
        self.rows: list[list[int]] = []
        self.places: list[Place] = []
        self.registers: dict[str, int] = {}
        self.jumps: list[tuple[int, int, Label]] = []
        self.place = Place(1, 1)
        self._labelled = -1
        self._free = 0
        self._most = 0

    def register(self, name: str) -> int:
        """Return the register of this name, a new one when it is first named."""
        return self.registers.setdefault(name, len(self.registers))

    def temporary(self) -> int:
        """Return a register that is free until the next `statement`."""
        self._free += 1
        self._most = max(self._most, self._free)
        return _TEMPORARY + self._free - 1

    def statement(self) -> None:
        """Give all temporaries free: a statement begins."""
        self._free = 0

    def emit(self, op: int, d: int = 0, a: int = 0, b: int = 0, c: int = 0, k: int = 0) -> int:  # noqa: PLR0917
        """Add an instruction; return ``d``."""
        if len(self.rows) >= MOST_INSTRUCTIONS:
            raise Unsupported("a program as long as this", self.place)
        self.rows.append([op, d, a, b, c, k])
        self.places.append(self.place)
        return d

    def move(self, register: int, operand: int) -> None:
        """Put an operand into a register: the instruction that made it writes there at once, if it was the last."""
        last = len(self.rows) - 1
        fresh = _TEMPORARY <= operand < FIRST_CONSTANT and self._labelled <= last
        if fresh and last >= 0 and self.rows[last][0] in _WRITES and self.rows[last][1] == operand:
            self.rows[last][1] = register
        elif operand != register:
            self.emit(MOVE, register, operand)

    def jump(self, label: Label) -> None:
        """Go on at a label."""
        self.jumps.append((len(self.rows), 2, label))
        self.emit(JUMP)

    def jump_if_zero(self, operand: int, label: Label) -> None:
        """Go on at a label if an operand is 0."""
        self.jumps.append((len(self.rows), 3, label))
        self.emit(JUMP_IF_ZERO, 0, operand)

    def put(self, label: Label) -> None:
        """Let a label stand here."""
        label.at = self._labelled = len(self.rows)

    def thread(self) -> Thread:
        """Return the finished program. Raises `Unsupported` for jumps backward and for too many registers."""
        self.emit(HALT)
        for row, column, label in self.jumps:
            assert label.at is not None
            if label.at <= row:
                raise Unsupported("loops", self.places[row])
            self.rows[row][column] = label.at
        named = len(self.registers)
        if named + self._most > MOST_REGISTERS:
            raise Unsupported(f"more than {MOST_REGISTERS} registers in a thread", self.places[-1])

        def renumbered(operand: int) -> int:
            return named + operand - _TEMPORARY if _TEMPORARY <= operand < FIRST_CONSTANT else operand

        code: list[Row] = []
        for op, d, a, b, c, k in self.rows:
            code.append((op, renumbered(d), renumbered(a), renumbered(b), renumbered(c), k))
        return Thread(code, self.places, self.registers, named + self._most)
