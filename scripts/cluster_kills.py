#!/usr/bin/env python3
"""Kill workers, what performs their shards, and the scheduler of a cluster at random, while litmus tests are searched.

    python scripts/cluster_kills.py [--kills 200] [--seed N]

A scheduler and two workers are started here. Every result has to come back once, in order, and be what a search in
this process found; nothing may be left in /dev/shm. Exit status 1 when that is not so.
"""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import psutil

from shm_layout.leftovers import clean
from stress.cluster.connecting import connected
from stress.cluster.shards import Shards
from stress.commands.litmus_search import Search, Texts, search_texts, text_of

GALLERY = Path(__file__).resolve().parents[1] / "examples"
OPTIONS = dict.fromkeys(("promela", "design", "on_machine", "seconds", "max_states", "max_memory"))
TOGETHER = 4
"""Tests in a shard."""
WORKERS = 2
STARTED_WITHIN = 3.0
"""Seconds that what was started anew has before the next kill."""


def free_port() -> int:
    """Return a port that nobody uses just now."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


class Victims:
    """A scheduler and its workers, and what is killed of them."""

    def __init__(self, folder: str, chance: random.Random) -> None:
        """Start them."""
        self.folder, self.chance = folder, chance
        self.port = free_port()
        self.kills = {"scheduler": 0, "worker": 0, "process": 0}
        self.scheduler = self._start("dask_scheduler", "--host", "127.0.0.1", "--port", str(self.port))
        self.workers = [self._worker() for _ in range(WORKERS)]

    @property
    def address(self) -> str:
        """Where the scheduler is found."""
        return f"tcp://127.0.0.1:{self.port}"

    def _start(self, module: str, *words: str) -> psutil.Popen:
        command = [sys.executable, "-P", "-m", f"distributed.cli.{module}", *words, "--no-dashboard"]
        quiet = subprocess.DEVNULL
        return psutil.Popen(command, stdout=quiet, stderr=quiet, cwd=self.folder, start_new_session=True)

    def _worker(self) -> psutil.Popen:
        return self._start("dask_worker", self.address, "--nthreads", "1", "--death-timeout", "60")

    def kill_one(self) -> None:
        """Kill the scheduler now and then, mostly a worker, or a process that performs shards for one."""
        nanny = self.chance.choice(self.workers)
        if self.chance.random() < 0.05:
            self.kills["scheduler"] += 1
            self.scheduler.kill()
            self.scheduler.wait()
            time.sleep(self.chance.uniform(0, 1))
            self.scheduler = self._start("dask_scheduler", "--host", "127.0.0.1", "--port", str(self.port))
            for number, worker in enumerate(self.workers):
                self._end(worker)
                self.workers[number] = self._worker()
            time.sleep(STARTED_WITHIN)
            return
        below: list[Any] = []
        with suppress(psutil.Error):
            below = nanny.children(recursive=True)
        named = [(process, self._words(process)) for process in below]
        shards = [process for process, words in named if "stress.cluster.apart" in words]
        workers = [process for process, words in named if "multiprocessing.spawn" in words]
        kind = self.chance.choice(("worker", "process"))
        victims = workers if kind == "worker" else shards
        if victims:
            self.kills[kind] += 1
            with suppress(psutil.Error):
                self.chance.choice(victims).kill()

    @staticmethod
    def _words(process: Any) -> str:
        with suppress(psutil.Error):
            return " ".join(process.cmdline())
        return ""

    @staticmethod
    def _end(process: psutil.Popen) -> None:
        """End a worker by itself, so that it leaves nothing; kill what does not."""
        with suppress(psutil.Error):
            process.terminate()
            process.wait(10)
        with suppress(psutil.Error):
            process.kill()
            process.wait()

    def end(self) -> None:
        """End all that is there."""
        for process in (*self.workers, self.scheduler):
            self._end(process)


def kill_until(victims: Victims, kills: int, done: threading.Event) -> None:
    """Kill at random moments, so many times or until all is done."""
    while sum(victims.kills.values()) < kills and not done.is_set():
        time.sleep(victims.chance.uniform(0.2, 1.5))
        victims.kill_one()


@click.command()
@click.option("--kills", type=click.IntRange(1), default=200, show_default=True, help="How many.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of what is killed, and when.")
def main(kills: int, seed: int) -> None:
    """Hold what a cluster finds against a search here while parts of it are killed."""
    files = sorted(str(file) for file in GALLERY.rglob("*.litmus"))
    search = Search("tso", OPTIONS, [], None)
    texts = [
        Texts(search, tuple((file, text_of(file)) for file in files[at : at + TOGETHER]))
        for at in range(0, len(files), TOGETHER)
    ]
    wanted = [[told[0].observation for told in search_texts(some)] for some in texts]
    before = set(os.listdir("/dev/shm"))
    rounds = wrong = 0
    began = time.monotonic()
    with TemporaryDirectory() as folder:
        victims = Victims(folder, random.Random(seed))
        over = threading.Event()
        killer = threading.Thread(target=kill_until, args=(victims, kills, over))
        try:
            with connected(victims.address) as cluster:
                killer.start()
                while killer.is_alive():
                    shards: Shards[Texts, Any] = Shards(cluster, search_texts)
                    came = list(shards.in_order(texts))
                    found = [[told[0].observation for told in result()] for _, result in came]
                    wrong += [item for item, _ in came] != texts or found != wanted
                    rounds += 1
        finally:
            over.set()
            if killer.ident is not None:
                killer.join()
            victims.end()
    left = [*set(os.listdir("/dev/shm")) - before, *(segment.name for segment in clean())]
    told = ", ".join(f"{count} of a {kind}" for kind, count in victims.kills.items())
    took = time.monotonic() - began
    click.echo(f"{told}: {rounds} times {len(files)} tests, {wrong} times not the same; left: {left or 'nothing'}")
    click.echo(f"{took:.0f} s, seed {seed}")
    sys.exit(1 if wrong or left else 0)


if __name__ == "__main__":
    main()
