"""Run the commands of README.md, or of further pages, as they are typed, from a clone or from a wheel.

    python scripts/readme_commands.py --of clone
    python scripts/readme_commands.py --of wheel
    python scripts/readme_commands.py --of clone docs/litmus.md docs/vmrss.md

They run in their order, in a new environment, which README says how to make. Takes minutes: packages are installed, and
all code is compiled anew. The tests run the same commands in the environment that they are in; what sets up and runs
the tests is left to `.ci/run`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import click

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(
    r"^(<!-- tests -->\n)?```(\w+)\n((?:.*\n)*?)```$|^    \$ (.*)$|`(pte-stress \S+ [^`]*)`", re.MULTILINE
)
ACTIVATE = ". .venv/bin/activate"
"""The line that README gives for whoever types `pte-stress` alone."""
FAILS = ("first.py:LRU_FIRST", "explore v12 ", "sb.py:SB")
"""What is named in commands that end with status 1: a check breaks, as the document says."""


class Command(NamedTuple):
    """A command as it is typed. ``sets_up``: it makes the environment first."""

    text: str
    sets_up: bool


def commands(text: str) -> list[Command]:
    """The commands of a document in their order, without the one that tests, those of placeholders, and mere names.

    >>> commands("`pte-stress list checks` and `pte-stress examples FOLDER`")
    [Command(text='pte-stress list checks', sets_up=False)]
    """
    found = []
    for tests, language, block, prompt, span in BLOCK.findall(text):
        if tests or (language and language != "sh"):
            continue
        typed = " ".join((block.strip() or prompt or span).split())
        typed = typed if block else re.sub(r"\s+", " ", typed)
        if not re.search(r"(?<![\w:./])[A-Z]{4,}\b", typed) and "..." not in typed:
            found.append(Command(typed, typed.startswith("python3 -m venv")))
    return found


def files(text: str) -> dict[str, str]:
    """The files that a document shows, by name."""
    return dict(re.findall(r"^```python\n# (\S+\.py)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))


def expected(command: str) -> int:
    """The status that a command ends with."""
    return int(any(name in command for name in FAILS))


def _run(command: str, folder: Path, environment: dict[str, str]) -> bool:
    began = time.monotonic()
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    fine = done.returncode == expected(command) and "Traceback" not in done.stderr
    click.echo(f"{'fine  ' if fine else 'FAILED'} {time.monotonic() - began:6.1f} s  {command}")
    if not fine:
        click.echo(done.stdout[-2000:] + done.stderr[-2000:])
    return fine


@click.command(help=__doc__)
@click.option("--of", "source", type=click.Choice(["clone", "wheel"]), required=True, help="What is installed.")
@click.argument("pages", nargs=-1, type=click.Path(path_type=Path))
def main(source: str, pages: tuple[Path, ...]) -> None:
    """Set up as README says, and run the rest, or what ``pages`` say."""
    readme = (ROOT / "README.md").read_text()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "here"
        kept = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
        environment = {**kept, "NUMBA_CACHE_DIR": f"{temporary}/numba", "HOME": f"{temporary}/home"}
        Path(environment["HOME"]).mkdir()
        ok = True
        if source == "clone":
            subprocess.run(["git", "clone", "-q", ROOT, folder], check=True)
        else:
            folder.mkdir()
            wheel = [sys.executable, "-P", "-m", "build", "-q", "--wheel", "--outdir", temporary, ROOT]
            subprocess.run(wheel, check=True, capture_output=True)
            (name,) = Path(temporary).glob("*.whl")
            ok &= _run(f"python3 -m venv .venv && .venv/bin/pip install -q {name}", folder, environment)
        texts = [page.read_text() for page in pages]
        set_up = [command for command in commands(readme) if command.sets_up]
        asked = [*set_up, *(command for text in texts for command in commands(text))] if pages else commands(readme)
        for name, body in [item for text in texts or [readme] for item in files(text).items()]:
            (folder / name).write_text(body)
        for command in asked:
            typed = command.text
            if command.sets_up and source == "wheel":
                typed = typed.rpartition(" && ")[2]
            ok &= _run(typed if command.sets_up else f"{ACTIVATE} && {typed}", folder, environment)
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
