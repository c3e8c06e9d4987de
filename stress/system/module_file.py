"""Import a Python file of the user's as a module, from its text and never from an old cache."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from types import ModuleType


def execute(spec: ModuleSpec, contents: bytes) -> ModuleType:
    """Import what a file holds under the name that the spec has; raises what the contents raise, and forgets it then.

    The loader is not used: it would take an old .pyc if the file was changed within a second and kept its size.
    """
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        exec(compile(contents, str(spec.origin), "exec", dont_inherit=True), vars(module))
    except BaseException:
        del sys.modules[spec.name]
        raise
    return module
