"""The rules of steps, helpers and checks that can be read off their source, before anything is compiled.

What breaks a rule is a `RuleBroken`: one line with the file, the line in it, and what to write instead. A rule refuses
only what Numba does not compile, or what would mean something else in machine code than in Python. What is left for
Numba to refuse is made into such a line by `stress.compiling.modules`.
"""

from __future__ import annotations

import ast
import builtins
import dis
import inspect
import random
import textwrap
from collections.abc import Callable, Collection, Iterator
from functools import cache
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NoReturn

import shm_layout.atomic
from shm_layout import structs
from shm_layout.errors import UsageError
from stress.declarations import helpers, is_step

Function = Callable[..., Any]
_MISSING = object()


class RuleBroken(UsageError, TypeError):
    """A step, helper or check that is written as none can be."""


class Reading:
    """A function as its source: its tree, and what its names stand for. ``what``: the word for it, such as "step"."""

    def __init__(self, function: Function, what: str, source: str | None = None) -> None:
        """Read a function; ``source`` where the file may have been edited since. Raises `RuleBroken`."""
        self.what = what
        self.name = getattr(function, "__name__", repr(function))
        unwrapped = inspect.unwrap(function)
        if not isinstance(unwrapped, FunctionType):
            raise RuleBroken(f"{what} {self.name} is no function of Python: write it with def")
        self.function = unwrapped
        self.code = unwrapped.__code__
        try:
            text = textwrap.dedent(source or inspect.getsource(unwrapped))
            nodes = ast.parse(text).body
        except (OSError, TypeError, SyntaxError):
            nodes = []
        if not nodes or not isinstance(nodes[0], ast.FunctionDef | ast.AsyncFunctionDef):
            self.refuse(None, "has no source of its own to be read: write it with def in a file")
        self.tree = nodes[0]
        parameters = [*self.tree.args.posonlyargs, *self.tree.args.args]
        self.parameters = [argument.arg for argument in parameters]

    def refuse(self, node: ast.AST | int | None, message: str) -> NoReturn:
        """Raise `RuleBroken` for a node, or for a line of the file."""
        line = self.code.co_firstlineno
        if isinstance(node, int):
            line = node
        elif node is not None:
            line += getattr(node, "lineno", 1) - 1
        raise RuleBroken(f"{self.code.co_filename}, line {line}: {self.what} {self.name} {message}")

    def is_local(self, name: str) -> bool:
        """Return whether a name is a parameter or is assigned in the function."""
        return name in self.code.co_varnames or name in self.code.co_cellvars

    def value(self, name: str) -> Any:
        """Return what a name stands for that is none of the function's own; `_MISSING` where nothing does."""
        closure = dict(zip(self.code.co_freevars, self.function.__closure__ or (), strict=True))
        if name in closure:
            try:
                return closure[name].cell_contents
            except ValueError:
                return _MISSING
        return self.function.__globals__.get(name, getattr(builtins, name, _MISSING))

    def resolve(self, node: ast.expr) -> Any:
        """Return what a name or a member of a module or class stands for; `_MISSING` where that is not known."""
        if isinstance(node, ast.Name):
            return _MISSING if self.is_local(node.id) else self.value(node.id)
        if isinstance(node, ast.Attribute):
            owner = self.resolve(node.value)
            return _MISSING if owner is _MISSING else getattr(owner, node.attr, _MISSING)
        return _MISSING

    def returns(self) -> Iterator[tuple[ast.Return, ast.expr | None]]:
        """Yield the values that are returned, both of a conditional expression."""
        for node in within(self.tree.body):
            if isinstance(node, ast.Return):
                pending = [node.value]
                while pending:
                    value = pending.pop()
                    if isinstance(value, ast.IfExp):
                        pending += [value.body, value.orelse]
                    else:
                        yield node, value


_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


def within(body: Collection[ast.AST]) -> Iterator[ast.AST]:
    """Yield all nodes of these statements, without what functions and classes that are defined there consist of."""
    pending = list(body)
    while pending:
        node = pending.pop(0)
        yield node
        if not isinstance(node, _SCOPES):
            pending[:0] = ast.iter_child_nodes(node)


# whether control reaches the end


def goes_on(body: Collection[ast.stmt]) -> bool:
    """Return whether control can come to the end of these statements, so that what follows is reached."""
    return all(_passes(statement) for statement in body)


def _passes(node: ast.stmt) -> bool:
    match node:
        case ast.Return() | ast.Raise() | ast.Continue() | ast.Break():
            return False
        case ast.Assert():
            return not isinstance(node.test, ast.Constant) or bool(node.test.value)
        case ast.If():
            if isinstance(node.test, ast.Constant):
                return goes_on(node.body if node.test.value else node.orelse)
            return goes_on(node.body) or goes_on(node.orelse)
        case ast.While():
            if isinstance(node.test, ast.Constant) and node.test.value:
                return _breaks(node.body)
            return _breaks(node.body) or goes_on(node.orelse)
        case ast.For() | ast.AsyncFor():
            return _breaks(node.body) or goes_on(node.orelse)
        case ast.With() | ast.AsyncWith():
            return goes_on(node.body)
        case ast.Try() | ast.TryStar():
            if not goes_on(node.finalbody):
                return False
            return (goes_on(node.body) and goes_on(node.orelse)) or any(goes_on(h.body) for h in node.handlers)
        case ast.Match():
            return not _takes_all(node.cases[-1]) or any(goes_on(case.body) for case in node.cases)
        case _:
            return True


def _takes_all(case: ast.match_case) -> bool:
    pattern = case.pattern
    if isinstance(pattern, ast.MatchOr):
        pattern = pattern.patterns[-1]
    return case.guard is None and isinstance(pattern, ast.MatchAs) and pattern.pattern is None


def _breaks(body: Collection[ast.stmt]) -> bool:
    """Return whether a loop with this body is left by a break of its own."""
    return any(isinstance(node, ast.Break) or any(_breaks(part) for part in _parts(node)) for node in body)


def _parts(node: ast.stmt) -> Iterator[list[ast.stmt]]:
    """Yield the statements that a statement is made of, in which a break leaves the loop around it."""
    if isinstance(node, _SCOPES):
        return
    if not isinstance(node, ast.For | ast.AsyncFor | ast.While):
        yield getattr(node, "body", [])
    yield getattr(node, "orelse", [])
    yield getattr(node, "finalbody", [])
    for part in (*getattr(node, "handlers", []), *getattr(node, "cases", [])):
        yield part.body


# what Numba does not compile

_NOT_COMPILED: dict[type[ast.AST], str] = {
    ast.With: "with",
    ast.AsyncWith: "with",
    ast.AsyncFor: "async for",
    ast.Await: "await",
    ast.Import: "import within a function: import at the top of the file",
    ast.ImportFrom: "import within a function: import at the top of the file",
    ast.Delete: "del",
    ast.ClassDef: "a class within a function",
    ast.AsyncFunctionDef: "an async function",
    ast.TryStar: "except*",
    ast.Nonlocal: "nonlocal: a step keeps what it must know in registers or in memory",
    ast.GeneratorExp: "a generator expression: write a loop",
    ast.SetComp: "a set comprehension: write a loop",
    ast.Starred: "a starred name",
    ast.MatchSequence: "a pattern of a sequence: compare numbers",
    ast.MatchMapping: "a pattern of a mapping: compare numbers",
    ast.MatchClass: "a pattern of a class: compare numbers",
}
_CAUGHT = (Exception, _MISSING)
MUTABLE = (list, dict, set, bytearray)
PLAIN = frozenset((abs, min, max, range, len, int, bool, divmod, pow, sum, enumerate, zip, float, round, print))
"""Built-in functions that Numba knows, so that it need not be asked."""


def _check_statements(reading: Reading) -> None:
    for node in within(reading.tree.body):
        for kind, said in _NOT_COMPILED.items():
            if isinstance(node, kind):
                at = node if hasattr(node, "lineno") else None
                reading.refuse(at, f"uses {said}" + ("" if ":" in said else ", which is not compiled: leave it out"))
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.MatMult):
            reading.refuse(node, "uses @, which is not compiled: leave it out")
        if isinstance(node, ast.Global):
            _check_global(reading, node)
        elif isinstance(node, ast.ExceptHandler):
            if node.name or (node.type is not None and reading.resolve(node.type) not in _CAUGHT):
                reading.refuse(node, "catches one kind of exception: write except Exception, without a name")
        elif isinstance(node, ast.Raise) and (node.exc is None or node.cause is not None):
            reading.refuse(node, "raises again, or from another exception: write raise ValueError")
        elif isinstance(node, ast.Constant) and isinstance(node.value, int) and not -(1 << 63) <= node.value < 1 << 64:
            reading.refuse(node, f"has a number of {node.value.bit_length()} bits: a word has 64")
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id in reading.parameters[:2]:
                name = node.value.id
                reading.refuse(node, f"takes {name}.{node.attr}: {name} is words, and has nothing but {name}[...]")
        elif isinstance(node, ast.Call):
            _check_call(reading, node)


def _check_global(reading: Reading, node: ast.Global) -> None:
    stores = ("STORE_GLOBAL", "DELETE_GLOBAL")
    stored = {ins.argval for ins in dis.get_instructions(reading.code) if ins.opname in stores}
    for name in node.names:
        if name in stored:
            reading.refuse(node, f"changes the global {name}: keep it in a field of the memory, or in a register")


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _check_names(reading: Reading) -> None:
    for code in _codes(reading.code):
        for instruction in dis.get_instructions(code):
            if instruction.opname not in ("LOAD_GLOBAL", "LOAD_NAME"):
                continue
            name = instruction.argval
            place = instruction.positions and instruction.positions.lineno
            line = place or code.co_firstlineno
            value = reading.value(name)
            if value is _MISSING:
                reading.refuse(line, f"takes {name}, which is defined nowhere: import or define it")
            if isinstance(value, MUTABLE):
                said = f"takes {name}, a {type(value).__name__}, which may change"
                reading.refuse(line, f"{said}: use a tuple of numbers, or a field of the memory")


def _check_call(reading: Reading, node: ast.Call) -> None:
    called = reading.resolve(node.func)
    named = ast.unparse(node.func)
    if called is _MISSING:
        if isinstance(node.func, ast.Attribute):
            owner = reading.resolve(node.func.value)
            if owner is not _MISSING:
                reading.refuse(node, f"calls {named}, which is not there")
        return
    if isinstance(getattr(called, "__self__", None), random.Random) or _module(called) in _BY_CHANCE:
        reading.refuse(node, f"calls {named}: a step does the same each time; let workloads differ")
    if (_hashable(called) and called in PLAIN) or (isinstance(called, type) and issubclass(called, BaseException)):
        return
    if isinstance(called, FunctionType):
        if is_step(called):
            reading.refuse(node, f"calls the step {named}: only programs call steps; put what both need in a @helper")
        if not _compiles(called):
            reading.refuse(node, f"calls {named}, which is not compiled: declare it with @helper from stress.step")
        if (_is_atomic(called) or called is structs.at) and node.keywords:
            reading.refuse(node, f"calls {named} with {node.keywords[0].arg}=: pass its arguments by their places")
        if called is structs.at:
            _check_stride(reading, node)
        _check_arguments(reading, node, called, named)
    elif not _compiles(called):
        reading.refuse(node, f"calls {named}, which is not compiled: call @helper functions and shm_layout.atomic")


def _check_stride(reading: Reading, node: ast.Call) -> None:
    """Refuse ``at(m, FIELD, STRIDE, instance)`` with the stride of another structure than the field's."""
    if len(node.args) != 4:
        return
    field, stride = (reading.resolve(argument) for argument in node.args[1:3])
    for struct in structs.STRUCTS.values():
        for known in struct.fields:
            if known.constant == field and stride is not _MISSING and stride != struct.stride:
                m, name, instance = (ast.unparse(node.args[place]) for place in (0, 1, 3))
                said = f"gives {name}, a field of {struct.name}, the stride {ast.unparse(node.args[2])}"
                reading.refuse(node, f"{said}: write at({m}, {name}, {instance})")


_BY_CHANCE = ("random", "numpy.random", "secrets", "time", "os")
"""Modules of functions that do not do the same each time."""


def _module(called: Any) -> str:
    owner = getattr(called, "__self__", None)
    if isinstance(owner, ModuleType):
        return owner.__name__
    module = getattr(called, "__module__", None) or type(owner).__module__
    return "numpy.random" if str(module).startswith("numpy.random") else str(module)


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _check_arguments(reading: Reading, node: ast.Call, called: FunctionType, named: str) -> None:
    if any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords):
        return
    signature = inspect.signature(called)
    try:
        signature.bind(*node.args, **{str(k.arg): k.value for k in node.keywords})
    except TypeError:
        takes = ", ".join(signature.parameters)
        reading.refuse(node, f"calls {named} with {len(node.args) + len(node.keywords)} arguments: it takes ({takes})")


def _is_atomic(called: FunctionType) -> bool:
    return called.__module__ == shm_layout.atomic.__name__


def _compiles(called: Any) -> bool:
    """Return whether Numba can compile a call of this: a helper, an atomic operation, or what Numba knows itself."""
    if isinstance(called, FunctionType):
        if called in helpers() or called is structs.at or _is_atomic(called):
            return True
    elif not isinstance(called, BuiltinFunctionType | MethodType | type):
        return True
    return _known_to_numba(called)


def _known_to_numba(called: Any) -> bool:
    from numba.core.errors import NumbaError
    from numba.core.registry import cpu_target

    typing: Any = cpu_target.typing_context
    typing.refresh()
    try:
        typing.resolve_value_type(called)
    except (NumbaError, ValueError):
        return False
    return True


def is_own(function: Function) -> bool:
    """Return whether a function lies in this package, whose functions are held to the rules by its tests."""
    return str(getattr(function, "__module__", "")).startswith(("stress.", "shm_layout."))


def check_body(reading: Reading, seen: set[Function] | None = None) -> None:
    """Hold what a function and the user's helpers that it calls say to the rules. Raises `RuleBroken`."""
    seen = set() if seen is None else seen
    seen.add(reading.function)
    _check_names(reading)
    _check_statements(reading)
    for node in within(reading.tree.body):
        called = reading.resolve(node.func) if isinstance(node, ast.Call) else None
        if isinstance(called, FunctionType) and called not in seen and called in helpers() and not is_own(called):
            check_signature(called, "helper", None)
            check_body(Reading(called, "helper"), seen)


def check_signature(function: Function, what: str, counts: tuple[int, ...] | None) -> None:
    """See that a function is plain, and can be called with one of these numbers of arguments, None: any.

    Raises `RuleBroken`.
    """
    name = getattr(function, "__name__", repr(function))
    code = getattr(inspect.unwrap(function), "__code__", None)
    if not isinstance(code, CodeType):
        raise RuleBroken(f"{what} {name} is no function of Python: write it with def")
    place = f"{code.co_filename}, line {code.co_firstlineno}: {what} {name}"
    if name == "<lambda>" and counts == (2,):
        raise RuleBroken(f"{place} is a lambda: write it with def, so that it has a name")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise RuleBroken(f"{place} is async: write it with def alone")
    if inspect.isgeneratorfunction(function):
        raise RuleBroken(f"{place} yields: return the outcome, do not yield it")
    if counts is None:
        return
    signature = inspect.signature(function)
    if not any(_binds(signature, count) for count in counts):
        written = f"def {name}(m) or def {name}(m, w)" if 1 in counts else f"def {name}(m, r)"
        raise RuleBroken(f"{place} takes ({', '.join(signature.parameters)}): write {written}")


def _binds(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


# checks at rest


@cache
def check_check(function: Function) -> None:
    """Hold a check at rest to the rules. Raises `RuleBroken`."""
    if is_own(function):
        return
    check_signature(function, "check", (1, 2))
    if getattr(function, "__name__", "") == "<lambda>":
        return  # its source is a part of a line; what it returns is looked at when it is compiled
    reading = Reading(function, "check")
    check_body(reading)
    for node, value in reading.returns():
        if said := _no_number(value):
            reading.refuse(node, f"returns {said}: return HOLDS, or the number of what breaks it")
    if goes_on(reading.tree.body):
        reading.refuse(None, "can end without a return: return HOLDS, or the number of what breaks it")


def _no_number(value: ast.expr | None) -> str:
    """Return what a check returns that can be no number, as it is written; "" for what may be one."""
    if value is None:
        return "nothing"
    constant = isinstance(value, ast.Constant) and type(value.value) is not int
    truth = isinstance(value, ast.Compare) or (isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.Not))
    truth = truth or (isinstance(value, ast.BoolOp) and all(_no_number(part) for part in value.values))
    division = isinstance(value, ast.BinOp) and isinstance(value.op, ast.Div)
    other = isinstance(value, ast.Tuple | ast.List | ast.Dict | ast.Set | ast.JoinedStr | ast.Lambda)
    if truth:
        return f"{ast.unparse(value)}, which is True or False"
    return ast.unparse(value) if constant or division or other else ""


# what a step may change

_WRITERS = frozenset(
    getattr(shm_layout.atomic, name)
    for name in dir(shm_layout.atomic)
    if name.startswith(("write", "store", "xchg", "cmpxchg", "fetch_", "and_"))
)


def may_change(function: Function, kept: int) -> bool:
    """Return whether a step, or what it calls, may write to the memory, or to a register below ``kept``."""
    pending, seen = [function], {function}
    for one in pending:  # which grows
        try:
            reading = Reading(one, "step")
        except RuleBroken:
            return True
        for node in within(reading.tree.body):
            if isinstance(node, ast.Call):
                called = reading.resolve(node.func)
                if called is _MISSING or called in _WRITERS:
                    return True
                if isinstance(called, FunctionType) and not _is_atomic(called) and called not in seen:
                    seen.add(called)
                    pending.append(called)
            elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
                register = node.slice.value if isinstance(node.slice, ast.Constant) else reading.resolve(node.slice)
                words = node.value.id if isinstance(node.value, ast.Name) else ""
                if words != "r" or not isinstance(register, int) or 0 <= register < kept:
                    return True
    return False
