"""From what the user names to a design: one that comes with the program, or ``my_design.py:MINE``."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import stat
import sys
from pathlib import Path
from types import ModuleType

from shm_layout.errors import UsageError
from stress import designs
from stress.design import Design
from stress.design_rules import check_design
from stress.report.words import did_you_mean
from stress.step_rules import RuleBroken
from stress.system.module_file import execute
from stress.system.neighbours import has_neighbours, importing_from

_OWN = "pte_stress_user_"
"""Begins the names of modules that are users' files."""


def resolve_design(name: str, *, named_in: tuple[Path, str] | None = None) -> Design:
    """Return the design that ``name`` stands for.

    ``named_in``: the data file that names it, where nobody else does, and how to name a design on the command line: a
    Python file is not run then.

    Raises `UsageError` for an unknown name (with the nearest one), and for a file that is not there, does not
    import, defines no such design, or one that breaks the rules of designs and steps, or must not be run.
    """
    if ":" in name or name.endswith(".py"):
        if named_in is not None:
            path, option = named_in
            raise UsageError(
                f"{path} names the design {name}: that Python file would be run. If you trust it, name it yourself with"
                f" `{option} {name}`, or add --allow-code"
            )
        return _from_file(name)
    try:
        return designs.get(name)
    except KeyError:
        raise UsageError(
            f"no design is called {name!r} (one in a file is my_design.py:MINE){did_you_mean(name, designs.names())}"
        ) from None


def import_file(path: Path) -> ModuleType:
    """Import a Python file under a name of its own, once. Raises `UsageError`, one line, when it does not import.

    The name is that of its contents: a file that was copied or moved is the same one, and is not compiled again. In
    another folder it is another one if it has neighbours there, which it may import.
    """
    try:
        path = Path(os.path.realpath(path))
        there = stat.S_ISREG(path.stat().st_mode)
        contents = path.read_bytes() if there else b""
    except FileNotFoundError:
        raise UsageError(f"no design file {path}: name an existing one, as my_design.py:MINE") from None
    except OSError as e:
        raise UsageError(f"cannot read {path} ({e.strerror}): name a file that you may read") from None
    except ValueError as e:  # a NUL in a path that a file names
        raise UsageError(f"no design file is called {str(path)!r} ({e}): name one, as my_design.py:MINE") from None
    if not there:
        raise UsageError(f"{path} is no file: name one, as my_design.py:MINE")
    module_name = f"{_OWN}{hashlib.sha256(contents).hexdigest()[:12]}"
    made = sys.modules.get(module_name)
    before = Path(str(made.__file__)).parent if made is not None else path.parent
    if before != path.parent and has_neighbours(before, _OWN):
        module_name += f"_{hashlib.sha256(os.fsencode(path.parent)).hexdigest()[:8]}"
        made = sys.modules.get(module_name)
    if made is not None:
        return made
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is no Python file: a design file ends in .py")
    try:
        with contextlib.redirect_stdout(sys.stderr), importing_from(path.parent, _OWN):  # stdout is for what was asked
            return execute(spec, contents)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        if isinstance(error, RuleBroken) and str(path) in str(error):
            raise
        place = _line_in(path, error)
        said = ""
        with contextlib.suppress(Exception):  # of a __str__ of the user's own
            said = str(error)
        reason = " ".join(said.split()) or "no message"
        kind = "TypeError" if isinstance(error, RuleBroken) else type(error).__name__
        raise UsageError(f"{path}{place} does not import: {kind}: {reason}") from None


def _line_in(path: Path, error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f", line {error.lineno}," if error.filename == str(path) else ""
    line = 0
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f", line {line}," if line else ""


def _from_file(name: str) -> Design:
    file, colon, attribute = name.rpartition(":")
    if not colon or not attribute or attribute.endswith(".py"):
        file = name.rstrip(":")
        raise UsageError(f"which design of {file}? Name it as {file}:MINE")
    module = import_file(Path(file))
    found = getattr(module, attribute, None)
    if isinstance(found, Design):
        check_design(found)
        return found
    there = [key for key, value in vars(module).items() if isinstance(value, Design)]
    hint = f"it defines {', '.join(there)}" if there else "it defines none"
    raise UsageError(f"{file} defines no design {attribute}; {hint}")
