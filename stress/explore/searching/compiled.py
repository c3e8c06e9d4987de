"""The compiled functions of the engine, and what they are given of a model."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stress.explore.model import alone, symmetry, transition
from stress.explore.model.image import P_LOG, P_MOVE, P_ONE_MOVE, P_OWN_STEPS, P_STEPS, P_UNDER_WAY
from stress.explore.model.model import Model
from stress.explore.model.step_table import addresses, missing, own_name
from stress.explore.searching import ends, expand, intern, state, walks
from stress.memory_model import SC
from stress.system.never_ends import Worker, watched

_NUMBERS = {"mask", "size", "count", "number", "runs", "depth"}
_Words = NDArray[np.int64]


class _ByAddress:
    """A long function of the engine, called by its address from a short one that takes arrays.

    Were it linked into that one, it would be compiled twice. The short one takes arrays of the right types alone.
    """

    def __init__(self, function: Callable[..., Any], caller: Any) -> None:
        self.function, self.caller = function, caller

    @property
    def given(self) -> tuple[Any, ...]:
        """The types that the short one is given."""
        from numba import types

        return (types.int64, *_types(self.function))

    @cached_property
    def address(self) -> int:
        """Where its machine code lies: it is compiled now, or read from disk, and so is what calls it."""
        from stress.compiling.modules import pointer_to

        self.caller.compile(self.given)
        self.caller.disable_compile()
        return pointer_to(self.function, _types(self.function, pointers=True))

    def __call__(self, *arguments: Any) -> int:
        return int(self.caller(self.address, *arguments))


@cache
def compiled() -> dict[str, Any]:
    """Return the compiled functions of the engine, by name."""
    from stress.compiling.modules import compiled_module
    from stress.explore.model import primitives_compiled  # noqa: F401

    functions: dict[str, Callable[..., Any]] = {
        "rehash": intern.rehash,
        "reindex": state.reindex,
        "look_up": expand.look_up,
        "intern_block": state.intern_block,
        "intern_registers": state.intern_registers,
        "random_walk": walks.random_walk,
        "pct_walk": walks.pct_walk,
    }
    by_address: dict[str, Callable[..., Any]] = {
        "expand": expand.expand,
        "walk": ends.walk,
        "behind": ends.behind,
    }
    source = ["from stress.explore.model.primitives import pointer"]
    source += ["from stress.compiling.calling import call_at"]
    for name, function in {**functions, **by_address}.items():
        arguments = list(inspect.signature(function).parameters)
        passed = ", ".join(a if a in _NUMBERS else f"pointer({a})" for a in arguments)
        if name in functions:
            source += ["@njit", f"def {name}({', '.join(arguments)}):", f"    return {name}_({passed})"]
        else:
            source += ["@njit", f"def {name}(address, {', '.join(arguments)}):"]
            source += [f"    return call_at(address, ({passed}))"]
    space = compiled_module("explore", "\n".join(source) + "\n", {f"{name}_": f for name, f in functions.items()})
    return {**space, **{name: _ByAddress(function, space[name]) for name, function in by_address.items()}}


@cache
def _types(function: Callable[..., Any], *, pointers: bool = False) -> tuple[Any, ...]:
    """Return the types of the arguments of a function of the engine, told by their names: arrays, or pointers."""
    from numba import types

    pointer_to_one: Any = types.CPointer  # untyped

    def type_of(name: str) -> Any:
        if name in _NUMBERS:
            return types.int64
        of = getattr(types, state.SMALL.get(name, "int64"))
        return pointer_to_one(of) if pointers else of[::1]

    return tuple(type_of(name) for name in inspect.signature(function).parameters)


def _missing(names: Collection[str]) -> list[Callable[[], object]]:
    """Return what is to be done for these functions of the engine that are not on disk: compile them."""
    from stress.compiling.disk_cache import left_to_compile
    from stress.compiling.modules import dispatcher

    tasks: list[Callable[[], object]] = []
    for name in names:
        made = compiled()[name]
        if isinstance(made, _ByAddress):
            tasks += left_to_compile(dispatcher(made.function), _types(made.function, pointers=True))
            tasks += left_to_compile(made.caller, made.given)
        else:
            tasks += left_to_compile(made, _types(made.py_func))
    return tasks


SEARCH = ("expand", "intern_block", "intern_registers", "reindex", "rehash", "look_up")
"""The functions of the engine that every search calls; the one that takes longest to compile first."""


def get_ready(model: Model, names: Collection[str]) -> None:
    """Compile what is not on disk yet of these functions of the engine and of the steps of a model, on all CPUs."""
    from stress.compiling.beside import compile_all
    from stress.compiling.disk_cache import left_to_compile
    from stress.compiling.modules import dispatcher
    from stress.explore.model.primitives_compiled import MOVE, WORDS

    tasks = _missing(names)
    steps = missing(model.design, (step for _, step in model.rows), recorded=_recorded(model))
    # What comes last is what children begin with: long, and called by address or linked into the longest.
    last = left_to_compile(dispatcher(symmetry.put_in_order), (WORDS,) * 4) if tasks else []
    last += left_to_compile(dispatcher(transition.move), MOVE)
    if model.p[P_LOG]:
        last += left_to_compile(dispatcher(alone.move_on), MOVE)
    compile_all([*tasks, *steps, *last], "the explorer")


def _recorded(model: Model) -> bool:
    """Return whether all steps note their accesses: store buffers are made of them, and logs."""
    return model.memory_model.number != SC or model.p[P_LOG] != 0


def watched_of(
    model: Model,
    images: Callable[[], Mapping[Worker | None, _Words]],
    work: Callable[[Callable[[], None]], None],
) -> None:
    """Do work on compiled functions of the engine; see `stress.system.never_ends.watched`.

    ``images``: what those functions are given now, of the thread that does the work (None), or of those that it has.

    Where the design brings no step and no check of the user's along, all of them end, and there is nothing to watch.
    """
    design = model.design
    if not design.own_steps and not design.own_checks:
        work(lambda: None)
        return

    def under_way() -> dict[Worker | None, int]:
        return {who: int(image[P_UNDER_WAY]) for who, image in images().items()}

    watched(work, under_way, lambda word: own_name(design, (word >> 8 & 0xFFFFFF) - 1))


def arrays(model: Model) -> tuple[_Words, _Words, _Words]:
    """Return what compiled code is given of a model: the image with the addresses of the steps, memory, registers."""
    from stress.compiling.modules import pointer_to
    from stress.explore.model.primitives_compiled import MOVE

    image = [0 if isinstance(word, list) else word for word in model.p]
    steps = (step for _, step in model.rows)
    image[P_MOVE] = pointer_to(transition.move, MOVE)
    if image[P_LOG] != 0:
        image[P_ONE_MOVE], image[P_MOVE] = image[P_MOVE], pointer_to(alone.move_on, MOVE)
    image[P_STEPS], image[P_OWN_STEPS] = addresses(model.design, steps, recorded=_recorded(model))
    return np.array(image, np.int64), np.array(model.memory, np.int64), np.array(model.registers, np.int64)
