"""What a litmus test says of its final states: locations, a filter, and a quantified proposition."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from stress.litmus.source import Cursor


class Location(NamedTuple):
    """A register of a thread, or a word of memory (``thread`` -1)."""

    thread: int
    name: str

    @property
    def key(self) -> str:
        """The name as a test writes it: "x", "0:r0"."""
        return self.name if self.thread < 0 else f"{self.thread}:{self.name}"

    @property
    def shown(self) -> str:
        """The name as herd7 prints it: "[x]", "0:r0"."""
        return f"[{self.name}]" if self.thread < 0 else self.key

    @property
    def order(self) -> tuple[bool, int, str]:
        """What to sort by: registers, thread by thread, and then memory."""
        return self.thread < 0, self.thread, self.name


Value = int | str
"""A number, or the name of the word whose address it is."""
State = Mapping[Location, Value]


class Proposition:
    """A proposition about a final state."""

    def holds(self, state: State) -> bool:
        """Whether it is true of the state."""
        raise NotImplementedError

    def locations(self) -> Iterator[Location]:
        """Yield the locations that it speaks of."""
        raise NotImplementedError

    def addresses(self) -> Iterator[str]:
        """Yield the words whose addresses it compares with."""
        return iter(())


class Atom(Proposition):
    """A location that equals a value or another location, or (``differs``) does not."""

    def __init__(self, left: Location, right: Value | Location, differs: bool) -> None:
        """Keep the parts."""
        self.left, self.right, self.differs = left, right, differs

    def holds(self, state: State) -> bool:
        """Whether it is true of the state."""
        right = state[self.right] if isinstance(self.right, Location) else self.right
        return (state[self.left] == right) != self.differs

    def locations(self) -> Iterator[Location]:
        """Yield the locations that it speaks of."""
        yield self.left
        if isinstance(self.right, Location):
            yield self.right

    def addresses(self) -> Iterator[str]:
        """Yield the words whose addresses it compares with."""
        if isinstance(self.right, str):
            yield self.right

    def __str__(self) -> str:
        """Return it as herd7 prints it."""
        right = self.right.shown if isinstance(self.right, Location) else self.right
        text = f"{self.left.shown}={right}"
        return f"not ({text})" if self.differs else text


class Not(Proposition):
    """The contrary of a proposition."""

    def __init__(self, part: Proposition) -> None:
        """Keep the part."""
        self.part = part

    def holds(self, state: State) -> bool:
        """Whether it is true of the state."""
        return not self.part.holds(state)

    def locations(self) -> Iterator[Location]:
        """Yield the locations that it speaks of."""
        return self.part.locations()

    def addresses(self) -> Iterator[str]:
        """Yield the words whose addresses it compares with."""
        return self.part.addresses()

    def __str__(self) -> str:
        """Return it as herd7 prints it."""
        return f"not ({self.part})"


class Several(Proposition):
    """Propositions that all must hold (``sign`` "/\\"), or one of which must ("\\/"). Without parts: true, or false."""

    def __init__(self, sign: str, parts: list[Proposition]) -> None:
        """Keep the parts."""
        self.sign, self.parts = sign, parts

    def holds(self, state: State) -> bool:
        """Whether it is true of the state."""
        each = (part.holds(state) for part in self.parts)
        return all(each) if self.sign == "/\\" else any(each)

    def locations(self) -> Iterator[Location]:
        """Yield the locations that it speaks of."""
        for part in self.parts:
            yield from part.locations()

    def addresses(self) -> Iterator[str]:
        """Yield the words whose addresses it compares with."""
        for part in self.parts:
            yield from part.addresses()

    def __str__(self) -> str:
        """Return it as herd7 prints it."""
        if not self.parts:
            return "true" if self.sign == "/\\" else "false"
        texts = [
            f"({p})" if isinstance(p, Several) and len(p.parts) > 1 and self._wraps(p) else str(p) for p in self.parts
        ]
        return f" {self.sign} ".join(texts)

    def _wraps(self, part: Several) -> bool:
        return self.sign == "/\\" and part.sign == "\\/"


TRUE = Several("/\\", [])
_BEGINS = ("exists", "forall", "~", "not", "filter", "locations", "final", "observed", "with", "(")


def begins(cursor: Cursor) -> bool:
    """Whether the next token may begin what follows the program of a test."""
    return cursor.at(*_BEGINS) or cursor.token.kind == "end"


def read_conditions(cursor: Cursor) -> tuple[list[Location], Proposition | None, str, Proposition]:
    """Read locations, filter, quantifier and proposition, up to the end of the file.

    A test without a condition has ``forall (true)``, as for herd7. Raises `Unsupported`.
    """
    locations: list[Location] = []
    seen: set[str] = set()
    wanted: Proposition | None = None
    while cursor.at("locations", "filter"):
        word = cursor.take().text
        if word in seen:
            raise cursor.unsupported(f"a second {word!r}", "not readable")
        seen.add(word)
        if word == "filter":
            wanted = _proposition(cursor)
        else:
            locations = _locations(cursor)
    quantifier, proposition = _quantified(cursor)
    cursor.accept(";")
    if cursor.token.kind != "end":
        raise cursor.unsupported(f"{cursor.shown()} behind the condition")
    return locations, wanted, quantifier, proposition


def _quantified(cursor: Cursor) -> tuple[str, Proposition]:
    if cursor.token.kind == "end":
        return "forall", TRUE
    if cursor.accept("exists", "final"):
        return "exists", _proposition(cursor)
    if cursor.accept("forall"):
        return "forall", _proposition(cursor)
    if cursor.at("~", "not") and cursor.peek().text == "exists":
        cursor.take()
        cursor.take()
        return "~exists", _proposition(cursor)
    if cursor.at("("):
        return "exists", _proposition(cursor)
    raise cursor.unsupported(f"{cursor.shown()} where a condition should stand", "not readable")


def _locations(cursor: Cursor) -> list[Location]:
    found = []
    cursor.expect("[")
    while not cursor.accept("]"):
        found.append(_location(cursor))
        while cursor.at("*") or (cursor.token.kind == "name"):  # a type, to print by
            cursor.take()
        if not cursor.accept(";", ",") and not cursor.at("]"):
            raise cursor.unsupported(f"{cursor.shown()} among the locations")
    return found


def _proposition(cursor: Cursor) -> Proposition:
    return _several(cursor, "\\/", lambda c: _several(c, "/\\", _implies))


def _several(cursor: Cursor, sign: str, part: Callable[[Cursor], Proposition]) -> Proposition:
    parts = [part(cursor)]
    while cursor.accept(sign):
        parts.append(part(cursor))
    return parts[0] if len(parts) == 1 else Several(sign, parts)


def _implies(cursor: Cursor) -> Proposition:
    first = _single(cursor)
    if not cursor.accept("=>"):
        return first
    cursor.enter()
    then = _implies(cursor)
    cursor.leave()
    return Several("\\/", [Not(first), then])


def _single(cursor: Cursor) -> Proposition:
    cursor.enter()
    try:
        if cursor.accept("~", "not"):
            return Not(_single(cursor))
        if cursor.at("true", "false") and cursor.peek().text not in ("=", "==", "!=", ":"):
            return TRUE if cursor.take().text == "true" else Several("\\/", [])
        if cursor.accept("("):
            inner = _proposition(cursor)
            cursor.expect(")")
            return inner
        left = _location(cursor)
        if not cursor.at("=", "==", "!="):
            raise cursor.unsupported(f"{cursor.shown()} in a condition")
        differs = cursor.take().text == "!="
        return Atom(left, _right(cursor), differs)
    finally:
        cursor.leave()


def _right(cursor: Cursor) -> Value | Location:
    if cursor.token.kind == "number" and cursor.peek().text == ":":
        return _location(cursor)
    if cursor.token.kind == "number" or cursor.at("-"):
        return cursor.number()
    if cursor.at("*", "["):
        return _location(cursor)
    if _is_thread(cursor.token.text) and cursor.peek().text == ":":
        return _location(cursor)
    cursor.accept("&")
    name = cursor.name("a value")
    if cursor.at("[", ":"):
        raise cursor.unsupported("an array or a label as a value")
    return name


def _is_thread(text: str) -> bool:
    return text[:1] == "P" and text[1:].isdigit()


def _location(cursor: Cursor) -> Location:
    if cursor.accept("["):
        name = cursor.name("the name of a word")
        cursor.expect("]")
        return Location(-1, name)
    if cursor.accept("*"):
        return _location(cursor)
    token = cursor.token
    if token.kind == "number" or (_is_thread(token.text) and cursor.peek().text == ":"):
        cursor.take()
        number = int(token.text.removeprefix("P")[:9], 10) if token.text.removeprefix("P").isdigit() else -1
        cursor.expect(":")
        if number < 0:
            raise cursor.unsupported("this number of a thread", "not readable")
        return Location(number, cursor.name("a register").removeprefix("%"))
    name = cursor.name("a location")
    if cursor.at("[", ":"):
        raise cursor.unsupported("arrays and labels as locations")
    return Location(-1, name)
