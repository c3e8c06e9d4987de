"""Write the list of files into the README of each package that has more than ten.

    python scripts/package_readmes.py      # after a file was added, moved or described anew

What stands above the mark is written by hand: what the package is, and in which order to read it. Below it comes a line
for each file and folder, the first of its docstring. A test compares.
"""

from __future__ import annotations

import argparse
import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
MORE_THAN = 10
MARK = "<!-- Below: made by scripts/package_readmes.py from the first line of each file. -->"


def packages() -> list[Path]:
    """Return the folders of packages with more than ten files, relative to the repository."""
    folders = [p.parent for name in ("shm_layout", "stress") for p in (ROOT / name).rglob("__init__.py")]
    return sorted(f.relative_to(ROOT) for f in folders if len(list(f.glob("*.py"))) > MORE_THAN)


def first_line(path: Path) -> str:
    """Return the first line of a file's docstring."""
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return doc.partition("\n")[0].replace("|", "\\|").replace("*", "\\*").replace("<", "\\<")


def listing(folder: Path) -> list[str]:
    """Return the lines of the table: files in the order of their names, then folders."""
    files = sorted(p for p in folder.glob("*.py") if p.name != "__init__.py")
    folders = sorted(p.parent for p in folder.glob("*/__init__.py"))
    rows = [(p.name, first_line(p)) for p in files]
    rows += [(f"{p.name}/", first_line(p / "__init__.py")) for p in folders]
    return ["| file | what it is |", "|---|---|", *(f"| `{name}` | {what} |" for name, what in rows)]


def readme(folder: Path) -> str:
    """Return the README of a package: what was written by hand, and the list. Raises `SystemExit` without a mark."""
    path = folder / "README.md"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    by_hand, mark, _ = text.partition(MARK)
    if not mark:
        raise SystemExit(f"{path}: say what the package is and how to read it, then put this line: {MARK}")
    return "\n".join((by_hand + MARK, "", *listing(folder), ""))


def main() -> None:
    """Write all of them; with --check only say which are out of date, with exit status 1."""
    parser = argparse.ArgumentParser(description="Write the list of files into the READMEs of packages.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a README is out of date")
    check = parser.parse_args().check
    old = [folder for folder in packages() if readme(ROOT / folder) != (ROOT / folder / "README.md").read_text()]
    if check and old:
        raise SystemExit(f"out of date: {', '.join(map(str, old))}: run `python scripts/package_readmes.py`")
    for folder in old:
        (ROOT / folder / "README.md").write_text(readme(ROOT / folder), encoding="utf-8")


if __name__ == "__main__":
    main()
