"""The command `pte-stress man`: the help of all commands as man pages."""

from __future__ import annotations

import re
from pathlib import Path

import click

from stress import __version__
from stress.commands.tasks import TASKS, lines_of
from stress.system.writing import cannot_write, write_file

SECTION = 1
"""Of the manual: programs."""
PROGRAM = "pte-stress"
LINES = dict(line for rows in TASKS.values() for line in lines_of(rows))
"""What each command does, by its name."""


def roff(text: str) -> str:
    """Escape a text for troff: backslashes, hyphens that are typed, lines that begin as a request does.

    >>> roff("--save")
    '\\\\-\\\\-save'
    """
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return re.sub(r"^\.", r"\\&.", text, flags=re.MULTILINE)


def _paragraphs(text: str) -> list[str]:
    lines = []
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text.strip())):
        lines += [".PP"] * (number > 0) + [roff(" ".join(paragraph.split()))]
    return lines


def man_page(command: click.Command, context: click.Context) -> str:
    """A man page, as troff's macros man have it: name, synopsis, description, options, commands of a group.

    ``context``: the command's own, with ``info_name`` as it is typed.
    """
    name = context.command_path
    group = isinstance(command, click.Group)
    line = command.get_short_help_str(200) if group else LINES[str(context.info_name)]
    pieces = " ".join(command.collect_usage_pieces(context))
    lines = [
        f'.TH "{roff(name.replace(" ", "-").upper())}" "{SECTION}" "" "pte\\-stress {__version__}" "pte\\-stress"',
        ".SH NAME",
        f"{roff(name.replace(' ', '-'))} \\- {roff(line.rstrip('.'))}",
        ".SH SYNOPSIS",
        f"\\fB{roff(name)}\\fR {roff(pieces)}",
        ".SH DESCRIPTION",
        *_paragraphs(command.help or ""),
        ".SH OPTIONS",
    ]
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and record[1]:
            lines += [".TP", f"\\fB{roff(record[0])}\\fR", roff(" ".join(record[1].split()))]
    if group:
        lines.append(".SH COMMANDS")
        for task, rows in TASKS.items():
            lines.append(f".SS {roff(task)}")
            for word, said in lines_of(rows):
                see = f"See \\fB{roff(name)}\\-{roff(word)}\\fR({SECTION})."
                lines += [".TP", f"\\fB{roff(word)}\\fR", f"{roff(said)} {see}"]
    else:
        lines += [".SH SEE ALSO", f"\\fBpte\\-stress\\fR({SECTION})"]
    return "\n".join(lines) + "\n"


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.pass_context
def man(context: click.Context, /, folder: Path) -> None:
    """Write man pages to FOLDER, one for the program and one for each command, made from their help.

    man looks in ~/.local/share/man/man1, and in share/man/man1 beside the bin of a virtual environment that is
    activated. So after `pte-stress man ~/.local/share/man/man1` both `man pte-stress` and `man pte-stress-explore`
    show them.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write("FOLDER", folder, error) from None
    root = context.find_root()
    main = root.command
    assert isinstance(main, click.Group)
    pages = {PROGRAM: man_page(main, click.Context(main, info_name=PROGRAM))}
    for name in LINES:
        command = main.get_command(root, name)
        assert command is not None
        pages[f"{PROGRAM}-{name}"] = man_page(command, click.Context(command, info_name=name, parent=root))
    for name, text in pages.items():
        write_file("FOLDER", folder / f"{name}.{SECTION}", text.encode())
    click.echo(f"{len(pages)} pages written to {folder}")
