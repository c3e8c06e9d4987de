"""Where the finds of a hunt are kept, so that they are tried first the next time: here, and where others look, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis.database import (
    DirectoryBasedExampleDatabase,
    ExampleDatabase,
    InMemoryExampleDatabase,
    MultiplexedDatabase,
)

from shm_layout.errors import MachineError, UsageError
from stress.design import Design
from stress.system.cache_home import cache_home

REDIS = ("redis://", "rediss://", "unix://")
"""What the address of a Redis server begins with."""
ANSWERS_WITHIN = 5.0
"""Seconds."""


def _called(design: Design, memory: str) -> str:
    return design.name if memory == "sc" else f"{design.name} {memory}"


def example_database(design: Design, memory: str = "sc") -> ExampleDatabase:
    """Return where the finds of a design under a memory model are kept between hunts.

    Below XDG_CACHE_HOME or ~/.cache; without a home nowhere.
    """
    try:
        return DirectoryBasedExampleDatabase(cache_home() / "pte-stress" / "hunts" / _called(design, memory))
    except MachineError:
        return InMemoryExampleDatabase()


def shared_database(where: str, design: Design, memory: str = "sc") -> ExampleDatabase:
    """Return a database that is kept here and in a place that others share: a folder, or a Redis server by its address.

    Raises `UsageError` for a folder that cannot be used, or without the package redis, `MachineError` when no server
    answers.
    """
    return MultiplexedDatabase(example_database(design, memory), _shared(where, _called(design, memory)))


def _shared(where: str, name: str) -> ExampleDatabase:
    if not where.startswith(REDIS):
        folder = Path(where)
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"--database {where} is no folder: name one, or a server as redis://host:6379")
        try:
            (folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--database {where}: {error.strerror}: name a folder that can be written") from None
        return DirectoryBasedExampleDatabase(folder / name)
    try:
        import redis
        from hypothesis.extra.redis import RedisExampleDatabase
    except ImportError:
        needs = "needs the extra `redis`: pip install 'pte-stress[redis]'"
        raise UsageError(f"--database {where} {needs}") from None
    try:
        server: Any = redis.Redis.from_url(where, socket_timeout=ANSWERS_WITHIN, socket_connect_timeout=ANSWERS_WITHIN)
        server.ping()
    except ValueError as error:
        raise UsageError(f"--database {where}: {error}") from None
    except redis.RedisError as error:
        raise MachineError(f"--database {where}: no server answers: {error}") from None
    return RedisExampleDatabase(server, key_prefix=f"pte-stress:{name}:".encode())
