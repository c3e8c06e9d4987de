"""Pages for a browser: one file each, that needs no network. All have the stylesheet and the look of `base.html`."""

from __future__ import annotations

import re
import shlex
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from shm_layout.errors import UsageError
from stress.system.writing import write_file

TEMPLATES = files("stress.report") / "templates"


@cache
def _environment() -> Environment:
    """The templates of this package. What is put into a page is escaped; what a page needs and is not given raises."""

    def load(name: str) -> str:
        return (TEMPLATES / name).read_text(encoding="utf-8")

    environment = Environment(
        loader=FunctionLoader(load), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["with_links"] = _with_links
    environment.globals["included"] = lambda name: Markup(load(name))
    return environment


_STEP = re.compile(r"\bstep (\d+)\b")


def _with_links(text: str) -> Markup:
    """A sentence, escaped, in which ``step 7`` leads to that step."""
    return Markup(_STEP.sub(r'<a href="#step-\1" data-goto="\1">step \1</a>', str(escape(text))))


def rendered(template: str, *, title: str, command: str, **values: Any) -> str:
    """Fill in a template of this package. ``command``: what was typed to get the page.

    >>> rendered("report.html", title="2 < 3", command="pte-stress rss", sections=[], lead="", facts=[])
    '<!DOCTYPE html>...<title>2 &lt; 3</title>...'
    """
    try:
        number = version("pte-stress")
    except PackageNotFoundError:
        number = "of a folder"
    return _environment().get_template(template).render(title=title, command=command, version=number, **values)


def typed(*words: object) -> str:
    """A command as one types it: the words after ``pte-stress``, quoted where a shell needs it."""
    return shlex.join(("pte-stress", *map(str, words)))


def check_page_file(option: str, path: Path) -> None:
    """Raise `UsageError` when a file cannot be made at ``path``, before what goes into it has been computed."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise UsageError(f"{option} {path}: name a file, in a folder that is there")


def write_page(option: str, path: Path, text: str) -> None:
    """Write a page or a picture. Raises `UsageError` or `MachineError` when it cannot be written."""
    write_file(option, path, text.encode())
