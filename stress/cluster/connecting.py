"""The cluster that work is handed out to: one that is there, by its scheduler's address, or one started here."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from tempfile import TemporaryDirectory
from typing import Any

from shm_layout.errors import MachineError, UsageError
from stress.cluster.identity import differences, identity
from stress.system.cpus import available_cores

LOCAL = "local"
"""In the place of an address: start a cluster on this machine."""
ANSWERS_WITHIN = 5.0
"""Seconds that a scheduler has to answer."""
COMES_BACK_WITHIN = 120.0
"""Seconds that a scheduler that went away has to come back, and that the first worker has to come."""
COUNTED_EVERY = 2.0
"""Seconds between two looks at how many workers there are."""


class Cluster:
    """A connection to a scheduler: ``client`` is dask's own."""

    def __init__(self, address: str, said: str) -> None:
        """Connect. ``said``: the address as the user named it.

        Raises `UsageError` for what is no address, or a worker of another version; `MachineError` when no scheduler
        answers, or no worker comes.
        """
        self.address, self._said = address, said
        self.client: Any = self._connected()
        self._slots, self._counted = 0, 0.0
        self._checked: set[str] = set()
        try:
            self._wait_for_workers()
        except BaseException:
            self.close()
            raise

    def _connected(self) -> Any:
        import distributed

        client: Any = distributed.Client  # not annotated
        try:
            return client(self.address, timeout=ANSWERS_WITHIN, set_as_default=False)
        except (OSError, TimeoutError):
            raise MachineError(f"--dask {self._said}: no scheduler answers there; start one: dask scheduler") from None

    def _wait_for_workers(self) -> None:
        end = time.monotonic() + COMES_BACK_WITHIN
        while self.slots == 0:
            if time.monotonic() > end:
                raise MachineError(f"--dask {self._said}: no worker has come; start some: dask worker {self.address}")
            time.sleep(0.2)
            self._counted = 0.0

    def _check(self, workers: Collection[str]) -> None:
        """Raise `UsageError` for a worker that came and is not as this machine is."""
        if not workers:
            return
        for worker, theirs in self.client.run(identity, workers=list(workers), on_error="return").items():
            if isinstance(theirs, OSError):
                continue  # it went away meanwhile
            if not isinstance(theirs, dict):
                said = f"worker {worker} cannot run pte-stress: {theirs}; install it there, too"
                raise UsageError(f"--dask {self._said}: {said}")
            if said := differences(theirs):
                raise UsageError(f"--dask {self._said}: worker {worker} differs: {said}; install the same there")
            self._checked.add(worker)

    @property
    def slots(self) -> int:
        """How many shards can be under way at once; workers may come and go.

        Raises `UsageError` when one came that is of another version.
        """
        if time.monotonic() - self._counted > COUNTED_EVERY:
            self._counted = time.monotonic()
            with suppress(OSError, TimeoutError):
                there: dict[str, int] = self.client.nthreads()
                self._check(there.keys() - self._checked)
                self._slots = sum(there.values())
        return self._slots

    def reconnect(self) -> None:
        """Connect again to a scheduler that went away, once it is back. Raises `MachineError` when it does not come."""
        self.close()
        end = time.monotonic() + COMES_BACK_WITHIN
        while True:
            try:
                self.client = self._connected()
                break
            except MachineError:
                if time.monotonic() > end:
                    raise
        self._counted = 0.0
        self._wait_for_workers()

    def close(self) -> None:
        """End the connection."""
        with suppress(OSError, TimeoutError):
            self.client.close(timeout=ANSWERS_WITHIN)


def check_address(address: str) -> None:
    """Raise `UsageError` for what is no address of a scheduler."""
    from distributed import comm
    from distributed.comm import registry

    known: Any = comm  # not annotated
    backends: Any = registry
    try:
        scheme, place = known.parse_address(address, strict=True)
        backends.get_backend(scheme)
        known.parse_host_port(place)
    except ValueError as error:
        raise UsageError(f"--dask {address}: {error}; name a scheduler as tcp://HOST:8786, or local") from None


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Processes that are started meanwhile ignore Ctrl-C: it is for this one, which ends them.

    One that comes meanwhile, within a second or so, is lost. To block it instead does not do: multiprocessing
    unblocks it in the thread that starts processes.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _started(workers: int) -> Iterator[str]:
    """Start a cluster on this machine, give its address, and end it after, with all files that it made."""
    import dask.config
    import distributed

    local: Any = distributed.LocalCluster  # not annotated
    with TemporaryDirectory(prefix="pte-stress-cluster-") as folder, ExitStack() as stack:
        with dask.config.set({"temporary-directory": folder}), _without_ctrl_c():
            made = local(
                n_workers=workers,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                memory_limit=0,
                silence_logs=logging.CRITICAL,
            )
            stack.enter_context(made)
        yield made.scheduler_address


@contextmanager
def connected(address: str, jobs: int | None = None) -> Iterator[Cluster]:
    """Connect to the cluster of a scheduler; `LOCAL`: start one here, and end it after.

    ``jobs``: how many workers are started, as many as there are CPUs when it is None. Raises what `Cluster` does, and
    `UsageError` without the package distributed, and for ``jobs`` where none are started.
    """
    try:
        import distributed  # noqa: F401
    except ImportError:
        needs = "needs the extra `cluster`: pip install 'pte-stress[cluster]'"
        raise UsageError(f"--dask {address} {needs}") from None
    for name in ("distributed", "tornado", "asyncio"):
        for logger in (name, *(each for each in logging.root.manager.loggerDict if each.startswith(f"{name}."))):
            logging.getLogger(logger).setLevel(logging.CRITICAL + 1)  # what goes wrong is said in our own words
    with ExitStack() as stack:
        scheduler = address
        if address == LOCAL:
            scheduler = stack.enter_context(_started(jobs or available_cores()))
        else:
            check_address(address)
            if jobs is not None:
                raise UsageError(f"--jobs says how many workers --dask local starts, and --dask {address} starts none")
        yield stack.enter_context(closing(Cluster(scheduler, address)))
