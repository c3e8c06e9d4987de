#!/usr/bin/env python3
"""Run `live --explain` and `live` on Debian's own kernels in QEMU, and hold what is said against what is measured.

    python scripts/kernels.py --packages FOLDER --cpus 2,8 --write docs/vmrss.md

FOLDER holds linux-image-*_amd64.deb of Debian; they are unpacked, not installed. A kernel runs without KVM, with this
machine's files below it read-only (virtme-ng, 9p). Python and what it needs are copied into the guest's memory, since
every file that is opened over 9p takes its time; machine code for a generic CPU is compiled beforehand.

For each kernel and number of CPUs it must hold that

- no error that `live` saw is beyond what `live --explain` says;
- pages held back on purpose come to at least half of the bound of each figure, or `live` says why they cannot;
- the way of counting that was learned is the one that the version is known for.

Exit status: 0 all held, or nothing could be run (the reason is printed: QEMU, a program or the packages are missing),
1 something did not hold, 2 wrong usage, 3 a kernel did not get through, 130 interrupted (what was seen is printed).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from tabulate import tabulate

import stress
from stress.live.reading.accounting import by_version
from stress.live.reading.machine import kernel_version

PROGRAMS = ("qemu-system-x86_64", "virtme-run", "busybox", "modprobe", "depmod", "dpkg-deb", "tar", "nice")
PACKAGES = ("numba", "llvmlite", "numpy", "numpy.libs", "click", "tabulate", "psutil")
"""What `live` imports, as it lies in site-packages."""
LEFT_OUT = ("test", "site-packages", "idlelib", "lib2to3", "tkinter", "config-*", "__pycache__")
THREADS = 3
"""That hold pages back; the main thread only waits. With two, the peak came to less than half of its bound on 6.1."""
TRIES = 2
"""Boots of a kernel: on a busy machine one in several does not get through."""
SEEN = ("<!-- kernels: begin, written by scripts/kernels.py -->", "<!-- kernels: end -->")
GUEST = """
exec > /mnt/log 2>&1
set -x
mount -t ramfs ramfs {tree}
tar xf /mnt/tree.tar -C {tree}
mkdir {tree}/tmp
export {environment} TMPDIR={tree}/tmp HOME={tree}
cd {tree}
{python} -m stress live --explain --threads {all_threads} --json > /mnt/explain.json
{python} -m stress live --rounds {rounds} --threads {threads} --seed 1 --json > /mnt/live.json
echo $? > /mnt/status
"""


@dataclass
class Boot:
    """One kernel with a number of CPUs, and what `live` printed there."""

    explain: dict[str, Any]
    live: dict[str, Any]
    status: int

    @property
    def name(self) -> str:
        """As tables have it."""
        return f"{self.live['kernel']}, {self.live['cpus']} CPUs"

    def figures(self) -> list[tuple[str, int, int, int, int]]:
        """Interface and name, worst error under load, held back on purpose, bound of live, bound of explain."""
        said = {(f["interface"], f["name"]): f["bound_pages"] for f in self.explain["figures"]}
        rows = []
        for interface in self.live["interfaces"]:
            for f in interface["figures"]:
                error = f["worst_error_pages"], f["held_back_error_pages"], f["bound_pages"]
                rows.append((f"{interface['name']} {f['name']}", *error, said[interface["name"], f["name"]]))
        for f in self.live["peaks"]:
            error = 0, f["held_back_error_pages"] or 0, f["bound_pages"]
            rows.append((f"{f['interface']} {f['name']}", *error, said[f["interface"], f["name"]]))
        return rows

    def problems(self) -> list[str]:
        """Return what does not hold, as sentences."""
        found = [] if self.status == 0 else [f"live ended with status {self.status}"]
        for name, worst, held, bound, said in self.figures():
            if max(worst, held) > said or bound != said:
                found.append(f"{name}: {max(worst, held)} pages seen, live says {bound}, explain says {said}")
            if 2 * held < bound and not self.live["held_back_less_because"]:
                found.append(f"{name}: {held} pages held back of {bound}, and no reason given")
        known = by_version(kernel_version(self.live["kernel"]), self.live["cpus"])
        for interface in ("stat", "statm", "status"):
            seen = self.live["accounting"][interface]["seen"]
            if seen != str(known[interface]):
                found.append(f"{interface}: counts {seen}, the version is known for {known[interface]}")
        return [f"{self.name}: {problem}" for problem in found]


def missing(packages: Path) -> str:
    """Return why nothing can be run here, empty when it can."""
    for program in PROGRAMS:
        if shutil.which(program) is None:
            return f"no {program}: install qemu-system-x86, busybox, kmod, and virtme-ng from PyPI"
    if not list(packages.glob("linux-image-*.deb")):
        return f"no linux-image-*.deb in {packages}: `apt-get download linux-image-6.1.0-50-amd64` there, and another"
    return ""


def stage(tree: Path) -> dict[str, str]:
    """Copy what `live` needs into `tree` and compile there for a generic CPU; the environment that it runs in."""
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    library = tree / "lib" / python
    shutil.copytree(sysconfig.get_path("stdlib"), library, ignore=shutil.ignore_patterns(*LEFT_OUT))
    site = Path(sysconfig.get_path("platlib"))
    for name in PACKAGES:
        if (site / name).is_dir():
            shutil.copytree(site / name, tree / "site" / name, ignore=shutil.ignore_patterns("tests", "__pycache__"))
        elif (site / f"{name}.py").is_file():
            shutil.copy2(site / f"{name}.py", tree / "site" / f"{name}.py")
    for package in ("stress", "shm_layout"):
        source = Path(stress.__file__).parents[1] / package
        shutil.copytree(source, tree / "site" / package, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {
        "PYTHONHOME": str(tree),
        "PYTHONPATH": str(tree / "site"),
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": "",
        "NUMBA_CACHE_DIR": str(tree / "cache"),
    }
    click.echo("compiling for a generic CPU ...", err=True)
    command = [sys._base_executable, "-m", "stress", "live", "--rounds", "1"]
    subprocess.run(command, env={**os.environ, **environment}, check=True, stdout=subprocess.DEVNULL, timeout=900)
    return environment


def unpack(package: Path, folder: Path) -> Path:
    """Unpack a kernel's package; the kernel in it."""
    subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
    if not (folder / "lib").exists():
        (folder / "lib").symlink_to("usr/lib")
    return next((folder / "boot").glob("vmlinuz-*"))


def boot(kernel: Path, cpus: int, out: Path, minutes: float) -> Boot | None:
    """Boot a kernel and have it run the script in `out`; None when it did not get through."""
    for name in ("explain.json", "live.json", "status", "log"):
        (out / name).unlink(missing_ok=True)
    command = ["nice", "virtme-run", "--kimg", kernel, "--mods=auto", "--disable-kvm", "--force-9p"]
    command += ["--cpus", str(cpus), "--memory", "2G", f"--rwdir=/mnt={out}", "--script-sh", "bash /mnt/guest.sh"]
    click.echo(f"{kernel.name}, {cpus} CPUs ...", err=True)
    # A group of its own: QEMU is a grandchild, and would outlive its parent.
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0
    ) as run:
        try:
            run.wait(minutes * 60)
        except BaseException as why:
            os.killpg(run.pid, 9)
            if not isinstance(why, subprocess.TimeoutExpired):
                raise
    try:
        explain, live = (json.loads((out / name).read_text()) for name in ("explain.json", "live.json"))
        return Boot(explain, live, int((out / "status").read_text()))
    except (OSError, ValueError):
        log = out / "log"
        click.echo(log.read_text(errors="replace")[-2000:] if log.exists() else "it did not boot", err=True)
        return None


def report(boots: Sequence[Boot]) -> str:
    """Return what was seen, as Markdown."""
    rows = []
    for one in boots:
        for name, worst, held, bound, _ in one.figures():
            interface = name.partition(" ")[0]
            way = one.live["accounting"].get(interface, {}).get("decided", "as stat")
            rows.append([one.name, name, "as stat" if name == "status VmHWM" else way, worst, held, bound])
    heads = ["kernel", "figure", "counts", "worst under load", "held back", "bound"]
    said = [f"- {one.name}: {one.explain['recommendation']}" for one in boots]
    why = [
        f"- {one.name}: held back less because {one.live['held_back_less_because']}."
        for one in boots
        if one.live["held_back_less_because"]
    ]
    day = datetime.now(UTC).date()
    return "\n".join(
        [f"Last run: {day}. Errors in pages.", "", tabulate(rows, heads, tablefmt="github"), "", *said, *why]
    )


def write_into(path: Path, text: str) -> None:
    """Put `text` between the two marks of a document."""
    old = path.read_text(encoding="utf-8")
    before, _, rest = old.partition(SEEN[0])
    _, found, after = rest.partition(SEEN[1])
    if not found:
        raise click.UsageError(f"--write {path}: it lacks the lines {SEEN[0]} and {SEEN[1]}")
    path.write_text(f"{before}{SEEN[0]}\n{text}\n{SEEN[1]}{after}", encoding="utf-8")


@click.command()
@click.option("--packages", type=click.Path(path_type=Path), required=True, help="Folder of linux-image-*.deb.")
@click.option("--cpus", default="2,8", show_default=True, help="Numbers of CPUs.")
@click.option("--rounds", type=click.IntRange(min=1), default=10, show_default=True, help="Rounds of load.")
@click.option("--minutes", type=float, default=20.0, show_default=True, help="Time for each boot.")
@click.option("--write", type=click.Path(exists=True, path_type=Path), help="Put the tables into this document.")
def main(packages: Path, cpus: str, rounds: int, minutes: float, write: Path | None) -> None:
    """Run `live` on Debian's kernels in QEMU."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    why_not = missing(packages)
    if why_not:
        click.echo(f"skipped: {why_not}")
        return
    boots, lost, interrupted = [], False, False
    with tempfile.TemporaryDirectory(prefix="pte-stress-kernels-") as folder:
        work = Path(folder)
        tree, out = work / "tree", work / "out"
        tree.mkdir()
        out.mkdir()
        environment = stage(tree)
        subprocess.run(["tar", "cf", out / "tree.tar", "--format=posix", "-C", tree, "."], check=True)
        script = GUEST.format(
            tree=tree,
            environment=" ".join(f"{name}={value}" for name, value in environment.items()),
            python=sys._base_executable,
            threads=THREADS,
            all_threads=THREADS + 1,
            rounds=rounds,
        )
        (out / "guest.sh").write_text(script)
        try:
            for number, package in enumerate(sorted(packages.glob("linux-image-*.deb"))):
                kernel = unpack(package, work / f"kernel{number}")
                for count in cpus.split(","):
                    tries = (boot(kernel, int(count), out, minutes) for _ in range(TRIES))
                    seen = next(filter(None, tries), None)
                    lost = lost or seen is None
                    boots += [seen] if seen else []
        except KeyboardInterrupt:
            interrupted = True
    if boots:
        text = report(boots)
        click.echo(text)
        if write is not None:
            write_into(write, text)
    problems = [problem for one in boots for problem in one.problems()]
    for problem in problems:
        click.echo(problem, err=True)
    sys.exit(130 if interrupted else 1 if problems else 3 if lost else 0)


if __name__ == "__main__":
    main()
