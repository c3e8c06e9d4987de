"""Compare what a document shows of a command's output with what the command prints."""

import re


def plain(line):
    """A line without what may differ from run to run: seconds, and how wide a column is."""
    return " ".join(re.sub(r"\d+\.\d+", "#", line).split())


def is_shown(shown, printed):
    """Whether these lines were printed, one after the other; ``...`` stands for any lines."""
    printed = [plain(line) for line in printed if line.strip()]
    place, skip = 0, False
    for line in map(plain, shown):
        if line == "...":
            skip = True
            continue
        if skip and line not in printed[place:]:
            return False
        place = printed.index(line, place) if skip else place
        if place >= len(printed) or printed[place] != line:
            return False
        place, skip = place + 1, False
    return skip or place == len(printed)
