"""Build sdist and wheel for a package index: with the project's home in the metadata, and absolute links in the README.

    python scripts/release.py --home https://example.org/pte-stress --into dist

Where the project lies is not written down in it, so that a fork has no wrong link; whoever publishes says it.
A link such as `docs/tutorial.md` becomes HOME/blob/main/docs/tutorial.md; --pages gives another beginning.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import click

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(\[[^\]]*\]\()(?![a-z]+:|#)([^)\s]+)\)")


def absolute(text: str, pages: str) -> str:
    """Give relative links of a Markdown text a beginning.

    >>> absolute("see [this](docs/a.md#b) and [that](https://x.org)", "https://h/blob/main")
    'see [this](https://h/blob/main/docs/a.md#b) and [that](https://x.org)'
    """
    return LINK.sub(lambda found: f"{found[1]}{pages}/{found[2]})", text)


def with_urls(project: str, home: str, pages: str) -> str:
    """Give a pyproject.toml the project's URLs."""
    urls = {"Homepage": home, "Documentation": f"{pages}/docs/tutorial.md", "Changelog": f"{pages}/CHANGELOG.md"}
    lines = [f'{name} = "{url}"' for name, url in {**urls, "Issues": f"{home}/issues"}.items()]
    table = "\n".join(("[project.urls]", *lines, ""))
    if "[project.scripts]" not in project:
        raise ValueError("no [project.scripts] in pyproject.toml")
    return project.replace("[project.scripts]", f"{table}\n[project.scripts]", 1)


@click.command(help=__doc__)
@click.option("--home", required=True, metavar="URL", help="Where the project lies.")
@click.option("--pages", metavar="URL", help="What links to files begin with.  [default: HOME/blob/main]")
@click.option("--into", type=click.Path(path_type=Path), default=Path("dist"), show_default=True, help="Folder.")
def main(home: str, pages: str | None, into: Path) -> None:
    """Build a copy of what is committed."""
    home = home.rstrip("/")
    pages = (pages or f"{home}/blob/main").rstrip("/")
    if not re.fullmatch(r"https?://\S+", home):
        raise click.UsageError(f"--home {home}: give a URL, as https://example.org/pte-stress")
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / "copy"
        subprocess.run(["git", "clone", "-q", ROOT, copy], check=True)
        for name in ("README.md", "CHANGELOG.md"):
            (copy / name).write_text(absolute((ROOT / name).read_text(), pages))
        project = (ROOT / "pyproject.toml").read_text()
        (copy / "pyproject.toml").write_text(with_urls(project, home, pages))
        command = [sys.executable, "-P", "-m", "build", "-q", "--outdir", into.resolve(), copy]
        done = subprocess.run(command, check=False)
        if done.returncode:
            raise click.ClickException("the build failed: see above (it needs `pip install build`)")


if __name__ == "__main__":
    main()
