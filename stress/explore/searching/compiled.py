"""The compiled functions of the engine, and what they are given of a model."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stress.explore.model import symmetry, transition
from stress.explore.model.image import P_OWN_STEPS, P_STEPS, P_UNDER_WAY
from stress.explore.model.model import Model
from stress.explore.model.step_table import addresses, missing, own_name
from stress.explore.searching import ends, expand, intern, state, walks
from stress.memory_model import SC
from stress.system.never_ends import watched

_NUMBERS = {"mask", "size", "count", "number", "runs", "depth"}
_Words = NDArray[np.int64]


@cache
def compiled() -> dict[str, Any]:
    """Return the compiled functions of the engine, by name."""
    from stress.compiling.modules import compiled_module
    from stress.explore.model import primitives_compiled  # noqa: F401

    functions: dict[str, Callable[..., Any]] = {
        "expand_": expand.expand,
        "rehash_": intern.rehash,
        "reindex_": state.reindex,
        "intern_block_": state.intern_block,
        "intern_registers_": state.intern_registers,
        "walk_": ends.walk,
        "behind_": ends.behind,
        "random_walk_": walks.random_walk,
        "pct_walk_": walks.pct_walk,
    }
    source = []
    for name in [key.removesuffix("_") for key in functions]:
        arguments = list(inspect.signature(functions[f"{name}_"]).parameters)
        passed = [a if a in _NUMBERS else f"pointer({a})" for a in arguments]
        source += ["@njit", f"def {name}({', '.join(arguments)}):", f"    return {name}_({', '.join(passed)})"]
    source.insert(0, "from stress.explore.model.primitives import pointer")
    return compiled_module("explore", "\n".join(source) + "\n", functions)


def _signature(function: Any) -> tuple[Any, ...]:
    """Return the types of the arguments of a compiled function of the engine, told by their names."""
    from numba import types

    def type_of(name: str) -> Any:
        return types.int64 if name in _NUMBERS else getattr(types, state.SMALL.get(name, "int64"))[::1]

    return tuple(type_of(name) for name in inspect.signature(function.py_func).parameters)


def _missing(names: Collection[str]) -> list[Callable[[], object]]:
    """Return what is to be done for these functions of the engine that are not on disk: compile them."""
    from stress.compiling.disk_cache import is_kept

    tasks: list[Callable[[], object]] = []
    for name in names:
        function = compiled()[name]
        if not function.signatures and not is_kept(function, _signature(function)):
            tasks.append(partial(function.compile, _signature(function)))
    return tasks


SEARCH = ("expand", "intern_block", "intern_registers", "reindex", "rehash")
"""The functions of the engine that every search calls; the one that takes longest to compile first."""


def _parts() -> list[Callable[[], object]]:
    """Compile those parts of the longest functions that come last in them."""
    from numba import types

    from stress.compiling.modules import dispatcher
    from stress.explore.model.primitives_compiled import WORDS

    return [
        partial(dispatcher(symmetry.put_in_order).compile, (WORDS,) * 4),
        partial(dispatcher(transition.transition).compile, (WORDS, WORDS, WORDS, types.int64)),
    ]


def get_ready(model: Model, names: Collection[str]) -> None:
    """Compile what is not on disk yet of these functions of the engine and of the steps of a model, on all CPUs."""
    from stress.compiling.beside import compile_all

    tasks = _missing(names)
    steps = missing(model.design, (step for _, step in model.rows), recorded=_recorded(model))
    compile_all([*tasks, *steps, *(_parts() if tasks else ())], "the explorer")


def _recorded(model: Model) -> bool:
    """Return whether all steps note their accesses: store buffers are made of them."""
    return model.memory_model.number != SC


def watched_of(model: Model, image: Callable[[], _Words], work: Callable[[Callable[[], None]], None]) -> None:
    """Do work on compiled functions of the engine, given an ``image``; see `stress.system.never_ends.watched`.

    Where the design brings no step and no check of the user's along, all of them end, and there is nothing to watch.
    """
    design = model.design
    if not design.own_steps and not design.own_checks:
        work(lambda: None)
        return
    watched(work, lambda: int(image()[P_UNDER_WAY]), lambda word: own_name(design, (word >> 8 & 0xFFFFFF) - 1))


def arrays(model: Model) -> tuple[_Words, _Words, _Words]:
    """Return what compiled code is given of a model: the image with the addresses of the steps, memory, registers."""
    image = [0 if isinstance(word, list) else word for word in model.p]
    steps = (step for _, step in model.rows)
    image[P_STEPS], image[P_OWN_STEPS] = addresses(model.design, steps, recorded=_recorded(model))
    return np.array(image, np.int64), np.array(model.memory, np.int64), np.array(model.registers, np.int64)
