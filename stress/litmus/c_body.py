"""The body of one thread of a C litmus test: from statements to instructions, in one pass.

Supported: declarations, assignments, if and else, return, calls of the functions in `stress.litmus.kernel_functions`,
and C's expressions over whole numbers and pointers to words. Anything else raises `Unsupported`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from stress.litmus import instructions as i
from stress.litmus import kernel_functions as kernel
from stress.litmus.builder import Builder, Label
from stress.litmus.instructions import FIRST_CONSTANT, constant
from stress.litmus.source import Cursor, read_number
from stress.litmus.unsupported import Unsupported
from stress.litmus.values import MOST_NUMBER, address

_NO_STATEMENTS = {
    **dict.fromkeys(("while", "for", "do", "goto"), "loops"),
    **dict.fromkeys(("switch", "case", "break", "continue"), "switch"),
}
_BINARY = (
    {"|": i.OR},
    {"^": i.XOR},
    {"&": i.AND},
    {"==": i.EQUAL, "!=": i.DIFFER},
    {"<": i.LESS, "<=": i.LESS_OR_EQUAL, ">": i.GREATER, ">=": i.GREATER_OR_EQUAL},
    {"<<": i.SHIFT_LEFT, ">>": i.SHIFT_RIGHT},
    {"+": i.ADD, "-": i.SUB},
    {"*": i.MUL, "/": i.DIV, "%": i.MOD},
)
"""Binary operators that evaluate both operands, from those that bind least."""
_ASSIGNMENTS = {
    **{"+=": i.ADD, "-=": i.SUB, "*=": i.MUL, "/=": i.DIV, "%=": i.MOD, "&=": i.AND, "|=": i.OR, "^=": i.XOR},
    **{"<<=": i.SHIFT_LEFT, ">>=": i.SHIFT_RIGHT},
}

ASSIGNMENTS = frozenset(("=", *_ASSIGNMENTS))
"""Signs that assign to what stands before them."""
SRCU_INDEX = 1
"""``k`` of the MOVE that makes what srcu_read_lock() returns: a number that means nothing."""


class Expression(NamedTuple):
    """What an expression is: a value (an operand), a register, or the word that an operand points to."""

    kind: str
    """"value", "register" or "memory"."""
    operand: int


class Body:
    """Translates one body."""

    def __init__(
        self, cursor: Cursor, builder: Builder, parameters: dict[str, int], locks: set[int], domains: list[str]
    ) -> None:
        """Take the tokens of a body, without its braces.

        ``parameters``: the word that each parameter points to. ``locks``: words that are spin locks. ``domains``: the
        names of SRCU domains met so far, which grows.
        """
        self.cursor, self.builder = cursor, builder
        self.parameters, self.locks, self.domains = parameters, locks, domains
        self.end = Label()

    def read(self) -> None:
        """Translate all statements."""
        while self.cursor.token.kind != "end":
            self._statement()
        self.builder.put(self.end)

    # Statements

    def _mark(self) -> None:
        self.builder.place = self.cursor.source.place(self.cursor.token.at)

    def _statement(self) -> None:
        cursor = self.cursor
        self._mark()
        self.builder.statement()
        word = cursor.token.text if cursor.token.kind == "name" else ""
        if word in _NO_STATEMENTS:
            raise cursor.unsupported(_NO_STATEMENTS[word])
        if cursor.accept(";"):
            return
        if cursor.accept("{"):
            cursor.enter()
            while not cursor.accept("}"):
                if cursor.token.kind == "end":
                    raise cursor.unsupported("a brace that is not closed", "not readable")
                self._statement()
            cursor.leave()
        elif cursor.accept("if"):
            self._if()
        elif cursor.accept("return"):
            cursor.expect(";")
            self.builder.jump(self.end)
        elif self._declares():
            self._declaration()
        else:
            self._expression(used=False)
            cursor.expect(";")

    def _if(self) -> None:
        cursor, builder = self.cursor, self.builder
        cursor.enter()
        cursor.expect("(")
        otherwise, behind = Label(), Label()
        builder.jump_if_zero(self._value(self._expression()), otherwise)
        cursor.expect(")")
        self._statement()
        if cursor.accept("else"):
            builder.jump(behind)
            builder.put(otherwise)
            self._statement()
            builder.put(behind)
        else:
            builder.put(otherwise)
        cursor.leave()

    def _declares(self) -> bool:
        cursor = self.cursor
        if cursor.token.kind != "name":
            return False
        if cursor.token.text in kernel.TYPES:
            return True
        ahead = 1
        while cursor.peek(ahead).text == "*":
            ahead += 1
        return cursor.peek(ahead).kind == "name" and (ahead == 1 or cursor.peek(ahead + 1).text in ("=", ";", ","))

    def _declaration(self) -> None:
        cursor = self.cursor
        read_type(cursor)
        while True:
            while cursor.accept("*", "const", "volatile"):
                pass
            name = cursor.name("the name of a variable")
            if name in self.parameters:
                raise cursor.unsupported(f"a variable {name!r} that hides a parameter")
            if cursor.at("["):
                raise cursor.unsupported("arrays")
            register = self.builder.register(name)
            if cursor.accept("="):
                value = self._value(self._assignment())
                self.builder.move(register, value)
            if not cursor.accept(","):
                break
        cursor.expect(";")

    # Expressions

    def _value(self, expression: Expression) -> int:
        """Return the operand of an expression's value; a word of memory is loaded."""
        if expression.kind != "memory":
            return expression.operand
        self._no_lock(expression.operand)
        return self.builder.emit(i.LOAD, self.builder.temporary(), expression.operand)

    def _store(self, target: Expression, value: int) -> None:
        if target.kind == "value":
            raise self.cursor.unsupported("an assignment to what is no variable", "not readable")
        if target.kind == "register":
            self.builder.move(target.operand, value)
        else:
            self._no_lock(target.operand)
            self.builder.emit(i.STORE, 0, target.operand, value)

    def _no_lock(self, operand: int) -> None:
        if any(operand == constant(address(word)) for word in self.locks):
            raise self.cursor.unsupported("an access to a lock other than by the functions of locks")

    def _expression(self, *, used: bool = True) -> Expression:
        expression = self._assignment(used=used)
        while self.cursor.accept(","):
            expression = self._assignment(used=used)
        return expression

    def _assignment(self, *, used: bool = True) -> Expression:
        cursor = self.cursor
        cursor.enter()
        target = self._conditional(used=used)
        if cursor.accept("="):
            value = self._value(self._assignment())
            self._store(target, value)
            target = Expression("value", value if target.kind == "memory" else target.operand)
        elif cursor.token.text in _ASSIGNMENTS and cursor.token.kind == "sign":
            kind = _ASSIGNMENTS[cursor.take().text]
            right = self._value(self._assignment())
            value = self._alu(kind, self._value(target), right)
            self._store(target, value)
            target = Expression("value", value if target.kind == "memory" else target.operand)
        cursor.leave()
        return target

    def _conditional(self, *, used: bool = True) -> Expression:
        first = self._or(used=used)
        if not self.cursor.accept("?"):
            return first
        builder = self.builder
        self.cursor.enter()
        result, otherwise, behind = builder.temporary(), Label(), Label()
        builder.jump_if_zero(self._value(first), otherwise)
        builder.emit(i.MOVE, result, self._value(self._expression()))
        self.cursor.expect(":")
        builder.jump(behind)
        builder.put(otherwise)
        builder.emit(i.MOVE, result, self._value(self._conditional()))
        builder.put(behind)
        self.cursor.leave()
        return Expression("value", result)

    def _or(self, *, used: bool) -> Expression:
        return self._short_circuit("||", lambda: self._and(used=used))

    def _and(self, *, used: bool) -> Expression:
        return self._short_circuit("&&", lambda: self._binary(0, used=used))

    def _short_circuit(self, sign: str, part: Callable[[], Expression]) -> Expression:
        first = part()
        if not self.cursor.at(sign):
            return first
        builder = self.builder
        result, decided = builder.temporary(), Label()
        self._truth(result, first, sign)
        while self.cursor.accept(sign):
            builder.jump_if_zero(result, decided)
            self._truth(result, part(), sign)
        builder.put(decided)
        if sign == "||":
            builder.emit(i.NOT, result, result)
        return Expression("value", result)

    def _truth(self, result: int, part: Expression, sign: str) -> None:
        """Put 0 into ``result`` where a part of ``&&`` or ``||`` decides the whole, and 1 elsewhere."""
        if sign == "&&":
            self.builder.emit(i.ALU, result, self._value(part), constant(0), 0, i.DIFFER)
        else:
            self.builder.emit(i.NOT, result, self._value(part))

    def _binary(self, level: int, *, used: bool) -> Expression:
        if level == len(_BINARY):
            return self._unary(used=used)
        left = self._binary(level + 1, used=used)
        while self.cursor.token.kind == "sign" and self.cursor.token.text in _BINARY[level]:
            kind = _BINARY[level][self.cursor.take().text]
            first = self._value(left)
            left = Expression("value", self._alu(kind, first, self._value(self._binary(level + 1, used=True))))
        return left

    def _alu(self, kind: int, left: int, right: int) -> int:
        return self.builder.emit(i.ALU, self.builder.temporary(), left, right, 0, kind)

    def _unary(self, *, used: bool) -> Expression:
        cursor, builder = self.cursor, self.builder
        cursor.enter()
        try:
            if cursor.accept("*"):
                return Expression("memory", self._value(self._unary(used=True)))
            if cursor.accept("&"):
                inner = self._unary(used=True)
                if inner.kind != "memory":
                    raise cursor.unsupported("the address of what is no word of memory")
                return Expression("value", inner.operand)
            if cursor.accept("!"):
                return Expression(
                    "value", builder.emit(i.NOT, builder.temporary(), self._value(self._unary(used=True)))
                )
            if cursor.accept("-"):
                value = self._value(self._unary(used=True))
                if value >= FIRST_CONSTANT and abs(value - constant(0)) < MOST_NUMBER:
                    return Expression("value", constant(constant(0) - value))
                return Expression("value", self._alu(i.SUB, constant(0), value))
            if cursor.accept("+"):
                return Expression("value", self._value(self._unary(used=True)))
            if cursor.accept("~"):
                return Expression("value", self._alu(i.XOR, self._value(self._unary(used=True)), constant(-1)))
            if cursor.at("++", "--"):
                raise cursor.unsupported("++ and --")
            if cursor.at("(") and cursor.peek().text in kernel.TYPES:
                cursor.take()
                read_type(cursor)
                while cursor.accept("*", "const", "volatile"):
                    pass
                cursor.expect(")")
                inner = self._unary(used=used)
                return inner if inner.kind == "value" else Expression("value", self._value(inner))
            return self._postfix(used=used)
        finally:
            cursor.leave()

    def _postfix(self, *, used: bool) -> Expression:
        cursor = self.cursor
        token = cursor.token
        if cursor.accept("("):
            inner = self._expression(used=used)
            cursor.expect(")")
        elif token.kind == "number":
            if len(token.text) > 20:
                raise cursor.unsupported("a number as large as this")
            value = read_number(token.text)
            if value >= MOST_NUMBER:
                raise cursor.unsupported("a number as large as this")
            cursor.take()
            inner = Expression("value", constant(value))
        elif token.kind == "name" and token.text[0] not in "%$":
            if cursor.peek().text == "(":
                inner = self._call(used=used)
            elif token.text in ("NULL", "false", "true"):
                cursor.take()
                inner = Expression("value", constant(int(token.text == "true")))
            elif token.text in kernel.TYPES or token.text in _NO_STATEMENTS:
                raise cursor.unsupported(f"{token.text!r} in an expression")
            else:
                cursor.take()
                inner = self._named(token.text)
        else:
            raise cursor.unsupported(f"{cursor.shown()} in an expression")
        if cursor.at("++", "--"):
            raise cursor.unsupported("++ and --")
        if cursor.at("[", ".", "->"):
            raise cursor.unsupported("arrays and structures")
        if cursor.at("{", "("):
            raise cursor.unsupported(f"{cursor.shown()} in an expression")
        return inner

    def _named(self, name: str) -> Expression:
        if name in self.parameters and name not in self.builder.registers:
            return Expression("value", constant(address(self.parameters[name])))
        return Expression("register", self.builder.register(name))

    # Calls

    def _call(self, *, used: bool) -> Expression:
        cursor, builder = self.cursor, self.builder
        token = cursor.take()
        name = token.text
        cursor.expect("(")
        cursor.enter()
        arguments: list[Expression] = []
        while not cursor.accept(")"):
            arguments.append(self._assignment())
            if not cursor.accept(",") and not cursor.at(")"):
                raise cursor.unsupported(f"{cursor.shown()} among the arguments", "not readable")
        cursor.leave()
        where = builder.place
        builder.place = cursor.source.place(token.at)

        def need(count: int) -> None:
            if len(arguments) != count:
                raise Unsupported(f"{name} with {len(arguments)} arguments", builder.place)

        nothing = Expression("value", constant(0))
        result: Expression | None = None
        returned = True
        if name in kernel.FULL_BARRIERS | kernel.WRITE_BARRIERS | kernel.NO_BARRIERS:
            need(0)
            if name in kernel.FULL_BARRIERS:
                builder.emit(i.FENCE)
            elif name in kernel.WRITE_BARRIERS:
                builder.emit(i.WMB)
            result, returned = nothing, False
        elif name in kernel.LOADS_OF_LVALUE:
            need(1)
            result = Expression("value", self._value(self._memory(arguments[0], name)))
        elif name in kernel.LOADS_OF_POINTER:
            need(1)
            result = Expression("value", self._value(Expression("memory", self._value(arguments[0]))))
        elif name in kernel.STORES_TO_LVALUE | kernel.STORES_TO_POINTER:
            need(2)
            release = (kernel.STORES_TO_LVALUE | kernel.STORES_TO_POINTER)[name]
            if name in kernel.STORES_TO_LVALUE:
                target = self._memory(arguments[0], name).operand
            else:
                target = self._value(arguments[0])
            self._no_lock(target)
            builder.emit(i.STORE, 0, target, self._value(arguments[1]), 0, int(release))
            result, returned = nothing, False
        elif name in ("smp_store_mb", "set_mb"):
            need(2)
            target = self._memory(arguments[0], name).operand
            self._no_lock(target)
            builder.emit(i.STORE, 0, target, self._value(arguments[1]))
            builder.emit(i.FENCE)
            result, returned = nothing, False
        elif (locking := kernel.lock_call(name)) is not None:
            need(locking[1])
            result, returned = self._lock(locking[0], arguments[0], name), locking[0] in ("trylock", "is_locked")
        elif name in kernel.RCU:
            need(0)
            self._rcu(kernel.RCU[name], 0)
            result, returned = nothing, False
        elif name in kernel.SRCU:
            need(2 if kernel.SRCU[name] == "unlock" else 1)
            self._rcu(kernel.SRCU[name], self._domain(arguments[0], name))
            returned = kernel.SRCU[name] == "lock"
            index = (
                builder.emit(i.MOVE, builder.temporary(), constant(0), 0, 0, SRCU_INDEX) if returned else constant(0)
            )
            result = Expression("value", index)
        elif (atomic := kernel.atomic(name)) is not None:
            result, returned = self._atomic(atomic, arguments, need), atomic.returns != ""
        if result is None:
            raise Unsupported(f"{name}()", builder.place)
        if used and not returned:
            raise Unsupported(f"the value of {name}(), which has none", builder.place, "not readable")
        builder.place = where
        return result

    def _memory(self, argument: Expression, name: str) -> Expression:
        if argument.kind != "memory":
            raise Unsupported(f"{name}() of what is no word of memory", self.builder.place)
        return argument

    def _lock(self, what: str, argument: Expression, name: str) -> Expression:
        builder = self.builder
        known = {constant(address(word)): word for word in self.parameters.values()}
        operand = argument.operand
        if argument.kind != "value" or operand not in known:
            raise Unsupported(f"{name}() of a lock that is no parameter", builder.place)
        self.locks.add(known[operand])
        if what in ("lock", "unlock"):
            builder.emit(i.LOCK if what == "lock" else i.UNLOCK, 0, operand)
            return Expression("value", constant(0))
        return Expression(
            "value", builder.emit(i.TRYLOCK if what == "trylock" else i.IS_LOCKED, builder.temporary(), operand)
        )

    def _rcu(self, what: str, domain: int) -> None:
        if what == "synchronize":
            self.builder.emit(i.SYNC, k=domain)
            self.builder.emit(i.SYNC_WAIT, k=domain)
        else:
            self.builder.emit(i.RCU_LOCK if what == "lock" else i.RCU_UNLOCK, k=domain)

    def _domain(self, argument: Expression, name: str) -> int:
        known = {constant(address(word)): parameter for parameter, word in self.parameters.items()}
        if argument.kind != "value" or argument.operand not in known:
            raise Unsupported(f"{name}() of a domain that is no parameter", self.builder.place)
        domain = known[argument.operand]
        if domain not in self.domains:
            self.domains.append(domain)
        return 1 + self.domains.index(domain)

    def _atomic(self, atomic: kernel.Atomic, arguments: list[Expression], need: Callable[[int], None]) -> Expression:
        builder = self.builder
        values = [self._value(argument) for argument in arguments]
        zero = constant(0)

        def fresh() -> int:
            return builder.temporary()

        if atomic.form == "read":
            need(1)
            self._no_lock(values[0])
            return Expression("value", builder.emit(i.LOAD, fresh(), values[0]))
        if atomic.form == "set":
            need(2)
            self._no_lock(values[0])
            builder.emit(i.STORE, 0, values[0], values[1], 0, int(atomic.release))
            return Expression("value", zero)
        if atomic.form == "xchg":
            need(2)
            self._no_lock(values[0])
            return Expression("value", builder.emit(i.XCHG, fresh(), values[0], values[1]))
        if atomic.form == "cmpxchg":
            need(3)
            self._no_lock(values[0])
            return Expression("value", builder.emit(i.CMPXCHG, fresh(), *values))
        if atomic.form in ("unless", "fetch_unless"):
            need(1 if atomic.one else 3)
            if atomic.form == "fetch_unless":
                raise Unsupported("atomic_fetch_add_unless()", builder.place)
            if atomic.one:
                values += [constant(1), zero]
            self._no_lock(values[0])
            return Expression("value", builder.emit(i.ADD_UNLESS, fresh(), *values))
        need(1 if atomic.one else 2)
        value, target = (constant(1), values[0]) if atomic.one else (values[0], values[1])
        self._no_lock(target)
        if atomic.complement:
            value = self._alu(i.XOR, value, constant(-1))
        old = builder.emit(i.FETCH, fresh(), target, value, 0, atomic.kind)
        if atomic.returns in ("", "old"):
            return Expression("value", old)
        new = self._alu(atomic.kind, old, value)
        if atomic.returns == "new":
            return Expression("value", new)
        return Expression("value", self._alu(i.EQUAL if atomic.returns == "zero" else i.LESS, new, zero))


def read_type(cursor: Cursor) -> list[str]:
    """Take the words of a type, but for its stars. Raises `Unsupported` for types whose values would be cut."""
    words: list[str] = []
    if cursor.at("typeof", "__typeof__"):
        raise cursor.unsupported("typeof")
    while cursor.token.kind == "name" and (cursor.token.text in kernel.TYPES or not words):
        if cursor.token.text in kernel.NARROW:
            raise cursor.unsupported(f"the type {cursor.token.text}")
        words.append(cursor.take().text)
        if words[-1] == "struct":
            words.append(cursor.name("the name of a structure"))
    return words
