"""Machine code on disk: where it is kept, and how it is written and read.

It is kept below `stress.system.cache_home.code_base`, in a folder named after a hash of this package's own sources and
of the versions of what compiles them. It is read with pickle, which runs what it reads: so the folders belong to the
caller, nobody else may write to them, and files of others are not read. Each file begins with a hash of the rest: one
that is damaged is as good as none, and is written anew.

Several processes may write at once. Numba keeps an index of a function's signatures beside the code of each. To add
one it reads the index, takes the next free number and writes index and code, without a lock: of two processes that
add different signatures at once both take the same number, and what stays is an index that names the other one's code
for good (seen with Numba 0.68; its issue 10128 is of the same kind). Several signatures are common, since Numba
compiles for each literal argument.

Numba names a compiled function after the Python function and a number that it counts up from 1 in each process. What
two processes compiled from two closures of one factory can then bear one name, and where both are read from disk the
linker takes one for the other, without a word (Numba's issue 10486). So each process counts from a number of its own.

Importing this module imports numba.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import os
import pickle
import secrets
import stat
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core.bytecode import FunctionIdentity
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile, UserProvidedCacheLocator
from numba.core.ccallback import CFunc

from shm_layout.errors import MachineError
from stress.system.cache_home import ADVICE, code_base
from stress.system.own_sources import ROOT, hash_of, source_files
from stress.system.private_folder import NotPrivate, make_private, others_write
from stress.system.writing import replace_file


def _count_from_own_number() -> None:
    """Have Numba begin its numbers at random, so that no other process gives a function the same name."""
    identity: Any = FunctionIdentity
    identity._unique_ids = itertools.count(secrets.randbits(60))


_count_from_own_number()
os.register_at_fork(after_in_child=_count_from_own_number)

DIGEST = hashlib.sha256().digest_size


NEVER_COMPILED = frozenset(("__main__.py", "cli.py", "commands", "examples", "findings", "reference", "testing"))
"""Files and folders of ``stress`` that no compiled code takes anything from: an edit there leaves it as it is."""


@cache
def own_files() -> frozenset[Path]:
    """Return all files of both packages that compiled functions lie in, or take numbers from."""
    return frozenset(source_files(NEVER_COMPILED))


# Taken at once: a file that is edited while the program runs must not lend its hash to code that was loaded before.
_SOURCES = hash_of(sorted(own_files()), (sys.version, numba.__version__, llvmlite.__version__))
"""A hash of these files, and of the versions of what compiles them."""


def _private(folder: Path) -> Path:
    """Make a folder for compiled code. Raises `MachineError` when it cannot be, or others may write to it."""
    try:
        return make_private(folder)
    except NotPrivate as why:
        raise MachineError(f"{why}, so compiled code cannot be kept there: remove it, or {ADVICE}") from None
    except OSError as error:
        raise MachineError(f"no folder {folder} for compiled code ({error.strerror}): {ADVICE}") from None


@cache
def cache_folder() -> Path:
    """Return where generated source and machine code are kept: a folder of these sources below `code_base`.

    Raises `MachineError` when nothing can be written there, or another user may write there.
    """
    folder = _private(code_base() / "pte-stress" / _SOURCES)
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise MachineError(f"no permission for {folder}, where compiled code is kept: {ADVICE}")
    return folder


def _keep(path: Path, data: bytes) -> None:
    try:
        replace_file(path, data, 0o600)
    except OSError as error:
        raise MachineError(
            f"cannot keep compiled code in {path.parent} ({error.strerror}): make room there, or {ADVICE}"
        ) from None


def keep_source(path: Path, source: bytes) -> None:
    """Write generated source into `cache_folder`, unless it lies there already."""
    try:
        if path.read_bytes() == source:
            return
    except OSError:
        pass
    _keep(path, source)


class _Locator(UserProvidedCacheLocator):
    """Numba's folder for the functions of one file, below `cache_folder`.

    That is named after what this package's files say, not after where they lie or when they were written: a copy of
    the package, installed elsewhere, finds what another one has compiled.
    """

    def __init__(self, function: Callable[..., Any], file: str) -> None:
        self._is_own = Path(file) in own_files()
        super().__init__(function, file)  # type: ignore[no-untyped-call]

    @classmethod
    def get_suitable_cache_subpath(cls, file: str) -> str:
        path = Path(file)
        if path in own_files():
            return ".".join(path.relative_to(ROOT).with_suffix("").parts)
        return str(super().get_suitable_cache_subpath(file))  # type: ignore[no-untyped-call]

    def get_source_stamp(self) -> Any:
        return None if self._is_own else super().get_source_stamp()  # type: ignore[no-untyped-call]

    def ensure_cache_path(self) -> None:
        _private(Path(self.get_cache_path()))  # type: ignore[no-untyped-call]


class _Results(CompileResultCacheImpl):
    """How compiled functions are put into files."""

    _locator_classes = [_Locator]  # noqa: RUF012


class _Files(IndexDataCacheFile):
    """Numba's files for one function, each with a hash in front."""

    def _read(self, path: str) -> Any:
        """Return what a file holds. Raises `OSError` for one that is not there, not the caller's, or damaged."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(fd, "rb") as file:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or others_write(found):
                raise OSError(f"{path} may be another user's")
            data = file.read()
        if hashlib.sha256(data[DIGEST:]).digest() != data[:DIGEST]:
            raise OSError(f"{path} is damaged")
        return pickle.loads(data[DIGEST:])

    def _write(self, path: str, content: Any) -> None:
        data = self._dump(content)  # type: ignore[no-untyped-call]
        _keep(Path(path), hashlib.sha256(data).digest() + data)

    def _load_index(self) -> Any:
        try:
            version, stamp, overloads = self._read(self._index_path)
        except OSError:
            return {}
        return overloads if (version, stamp) == (self._version, self._source_stamp) else {}

    def _save_index(self, overloads: Any) -> None:
        self._write(self._index_path, (self._version, self._source_stamp, overloads))

    def _load_data(self, name: str) -> Any:
        return self._read(self._data_path(name))  # type: ignore[no-untyped-call]

    def _save_data(self, name: str, data: Any) -> None:
        self._write(self._data_path(name), data)  # type: ignore[no-untyped-call]


@cache
def _refresh(target_context: Any) -> None:
    """Have Numba load what it registers when it first compiles; done once."""
    target_context.refresh()


class _Kept(FunctionCache):
    """The machine code of one function. One process at a time writes into a folder; readers need no lock."""

    _impl_class = _Results

    def __init__(self, function: Callable[..., Any]) -> None:
        numba.config.CACHE_DIR = str(cache_folder())  # type: ignore[attr-defined]
        super().__init__(function)  # type: ignore[no-untyped-call]
        files: Any = _Files  # untyped
        self._cache_file = files(self.cache_path, self._impl.filename_base, self._impl.locator.get_source_stamp())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        # Without Numba's look for new registries each time, which takes as long as the rest.
        _refresh(target_context)
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)  # type: ignore[no-untyped-call]

    def save_overload(self, sig: Any, data: Any) -> None:
        folder = os.open(self.cache_path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]
        finally:
            os.close(folder)


def is_kept(made: Any, arguments: tuple[Any, ...]) -> bool:
    """Return whether a function that `njit_kept` made needs no compiling for arguments of these types.

    It was loaded before, or its machine code is on disk.
    """
    kept = made._cache
    return arguments in made.overloads or (
        kept._index_key(arguments, made.targetctx.codegen()) in kept._cache_file._load_index()
    )


def left_to_compile(made: Any, arguments: tuple[Any, ...]) -> list[Callable[[], object]]:
    """Return what is to be done for such a function: to compile it; nothing when it `is_kept`."""
    return [] if is_kept(made, arguments) else [partial(made.compile, arguments)]


def njit_kept(function: Callable[..., Any], **options: Any) -> Any:
    """Compile as ``numba.njit(cache=True, **options)(function)``, and keep the machine code as this module says."""
    made: Any = numba.njit(**options)(function)
    made._cache = _Kept(function)
    return made


def cfunc_kept(signature: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile as ``numba.cfunc(signature, cache=True)``, and keep the machine code as this module says."""

    def make(function: Callable[..., Any]) -> Any:
        made: Any = CFunc(function, (signature.args, signature.return_type), locals={}, options={})
        made._cache = _Kept(function)
        made.compile()
        return made

    return make
