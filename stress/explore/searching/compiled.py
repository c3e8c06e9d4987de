"""The compiled functions of the engine, and what they are given of a model."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stress.explore.model import at_rest, check_bits, read_interval, symmetry, transition
from stress.explore.model.image import P_OWN_STEPS, P_STEPS, P_UNDER_WAY
from stress.explore.model.model import Model
from stress.explore.model.step_table import addresses, own_name
from stress.explore.searching import ends, expand, intern, state, walks
from stress.system.never_ends import watched

_NUMBERS = {"mask", "size", "count", "number", "runs", "depth"}
_Words = NDArray[np.int64]


@cache
def compiled() -> dict[str, Any]:
    """The compiled functions of the engine, by name."""
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
    # What these call is compiled into them: the hash that names the module must know it.
    functions |= {"part1_": read_interval.widen_read, "part2_": at_rest.judge_rest, "part3_": check_bits.oops_bits}
    functions |= {"part4_": transition.transition, "part5_": symmetry.put_in_order}
    source = []
    for name in [key.removesuffix("_") for key in functions if not key.startswith("part")]:
        arguments = list(inspect.signature(functions[f"{name}_"]).parameters)
        passed = [a if a in _NUMBERS else f"pointer({a})" for a in arguments]
        source += ["@njit", f"def {name}({', '.join(arguments)}):", f"    return {name}_({', '.join(passed)})"]
    source.insert(0, "from stress.explore.model.primitives import pointer")
    return compiled_module("explore", "\n".join(source) + "\n", functions)


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
    """What compiled code is given of a model: the image with the addresses of the steps, memory, registers."""
    image = [0 if isinstance(word, list) else word for word in model.p]
    image[P_STEPS], image[P_OWN_STEPS] = addresses(model.design)
    return np.array(image, np.int64), np.array(model.memory, np.int64), np.array(model.registers, np.int64)
