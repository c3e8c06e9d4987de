"""The text of a litmus file: places in it, its comments, and its tokens."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NamedTuple

from stress.litmus.unsupported import Place, Unsupported


class Token(NamedTuple):
    """A token: its kind (name, number, sign, end), its text, and where it begins, as an offset."""

    kind: str
    text: str
    at: int


_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<name>[%$]?[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<number>0[xX][0-9a-fA-F]+|\d+)(?![A-Za-z_0-9])[uUlL]*"
    r"|(?P<sign>/\\|\\/|=>|->|\+\+|--|<<=|>>=|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|.)",
    re.DOTALL,
)


class Source:
    """A file's text, and the places in it."""

    def __init__(self, text: str) -> None:
        """Note where the lines of the text begin."""
        self.text = text
        self._lines = [0, *(match.end() for match in re.finditer("\n", text))]

    def place(self, at: int) -> Place:
        """Return the line and the column of an offset."""
        line = bisect_right(self._lines, at)
        return Place(line, at - self._lines[line - 1] + 1)

    def blank_comments(self, begin: int, *, ml: bool, until: str = "") -> int:
        """Overwrite comments from ``begin`` on with blanks: ``//``, ``/* */`` and, if ``ml``, ``(* *)``, nested.

        Goes on up to one of the characters ``until`` outside of comments, or to the end; returns where that is.
        """
        searched = "|".join([*(re.escape(c) for c in until), *([r"\(\*"] if ml else []), r"/\*", "//"])
        pattern = re.compile(searched)
        at, end = begin, len(self.text)
        while (match := pattern.search(self.text, at)) is not None:
            start = match.start()
            if match[0] in until:
                return start
            if match[0] == "//":
                stop = self.text.find("\n", start)
                stop = end if stop < 0 else stop
            elif match[0] == "/*":
                stop = self.text.find("*/", start + 2) + 2
                if stop < 2:
                    raise Unsupported("a comment that does not end", self.place(start), "not readable")
            else:
                stop = self._end_of_ml(start, end)
            self.text = self.text[:start] + re.sub(r"[^\n]", " ", self.text[start:stop]) + self.text[stop:]
            at = stop
        return end

    def skip_leading_comments(self) -> None:
        """Overwrite comments before the first line of a test with blanks."""
        while (match := re.compile(r"\s*(?=\(\*)").match(self.text)) is not None:
            stop = self._end_of_ml(match.end(), len(self.text))
            self.text = re.sub(r"[^\n]", " ", self.text[:stop]) + self.text[stop:]

    def header_end(self, begin: int) -> int:
        """Return the offset of the brace that opens the initial values, past comments and strings of the header."""
        pattern = re.compile(r"\(\*|\"[^\"\n]*\"|\{")
        at = begin
        while (match := pattern.search(self.text, at)) is not None:
            if match[0] == "{":
                return match.start()
            at = self._end_of_ml(match.start(), len(self.text)) if match[0] == "(*" else match.end()
        raise Unsupported("no block of initial values in braces", self.place(begin), "not readable")

    def block(self, opening: int, *, ml: bool) -> int:
        """Overwrite the comments of a block in braces with blanks; return where the closing brace is."""
        depth, at = 1, opening + 1
        while depth:
            at = self.blank_comments(at, ml=ml, until="{}")
            if at >= len(self.text):
                raise Unsupported("a brace that is not closed", self.place(opening), "not readable")
            depth += 1 if self.text[at] == "{" else -1
            at += 1
        return at - 1

    def _end_of_ml(self, start: int, end: int) -> int:
        depth, at = 1, start + 2
        while depth:
            opening, closing = self.text.find("(*", at, end), self.text.find("*)", at, end)
            if closing < 0:
                raise Unsupported("a comment that does not end", self.place(start), "not readable")
            if 0 <= opening < closing:
                depth, at = depth + 1, opening + 2
            else:
                depth, at = depth - 1, closing + 2
        return at

    def tokens(self, begin: int, end: int) -> list[Token]:
        """Return the tokens between two offsets, and one of kind "end" behind them."""
        found = []
        at = begin
        while at < end:
            match = _TOKEN.match(self.text, at, end)
            assert match is not None
            kind = str(match.lastgroup)
            if kind != "space":
                found.append(Token(kind, match[kind], at))
            at = match.end()
        return [*found, Token("end", "", end)]


class Cursor:
    """Tokens, taken one after the other."""

    DEEPEST = 60
    """Nested parentheses, at most."""

    def __init__(self, source: Source, tokens: list[Token]) -> None:
        """Begin with the first token."""
        self.source = source
        self.tokens = tokens
        self.next = 0
        self.depth = 0

    @property
    def token(self) -> Token:
        """The token that is next."""
        return self.tokens[self.next]

    def peek(self, ahead: int = 1) -> Token:
        """Return a token behind the next one."""
        return self.tokens[min(self.next + ahead, len(self.tokens) - 1)]

    def take(self) -> Token:
        """Return the next token, and go on."""
        token = self.token
        self.next = min(self.next + 1, len(self.tokens) - 1)
        return token

    def at(self, *texts: str) -> bool:
        """Whether the next token is one of these names or signs."""
        return self.token.kind in ("sign", "name") and self.token.text in texts

    def accept(self, *texts: str) -> Token | None:
        """Take the next token if it is one of these names or signs."""
        return self.take() if self.at(*texts) else None

    def expect(self, text: str) -> Token:
        """Take this name or sign. Raises `Unsupported` where another stands."""
        if not self.at(text):
            raise self.unsupported(f"{self.shown()} where {text!r} should stand", "not readable")
        return self.take()

    def name(self, what: str) -> str:
        """Take a name. ``what`` it should be, for the error."""
        if self.token.kind != "name":
            raise self.unsupported(f"{self.shown()} where {what} should stand", "not readable")
        return self.take().text

    def number(self) -> int:
        """Take a whole number, maybe with a sign."""
        sign = -1 if self.accept("-") else 1
        if self.token.kind != "number":
            raise self.unsupported(f"{self.shown()} where a number should stand", "not readable")
        if len(self.token.text) > 20:
            raise self.unsupported("a number as large as this")
        return sign * read_number(self.take().text)

    def shown(self) -> str:
        """Return the next token, for an error."""
        return repr(self.token.text[:40]) if self.token.kind != "end" else "the end"

    def unsupported(self, reason: str, what: str = "not supported") -> Unsupported:
        """Return an error with the place of the next token."""
        return Unsupported(reason, self.source.place(self.token.at), what)

    def enter(self) -> None:
        """Count a nested part. Raises `Unsupported` where there are too many."""
        self.depth += 1
        if self.depth > self.DEEPEST:
            raise self.unsupported("parts nested as deeply as this")

    def leave(self) -> None:
        """Count the end of a nested part."""
        self.depth -= 1


def read_number(text: str) -> int:
    """Return the value of a number as C writes it: decimal, octal or hexadecimal."""
    if text[:2] in ("0x", "0X"):
        return int(text, 16)
    if text[0] == "0" and text.isdigit() and set(text) <= set("01234567"):
        return int(text, 8)
    return int(text)
