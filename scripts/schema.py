"""Write schema/: a JSON Schema of what each command prints with --json.

    python scripts/schema.py            # after a change of stress/commands/json_keys.py

A test compares the folder with what this script writes, and what commands print with the schemas.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from stress.commands.json_keys import KEYS
from stress.commands.json_schema import file_name, schema

FOLDER = Path(__file__).parents[1] / "schema"


def main() -> None:
    """Write a file for each command."""
    parser = argparse.ArgumentParser(description="Write a JSON Schema for each command.")
    parser.add_argument("--into", type=Path, default=FOLDER, help="folder to write to")
    folder = parser.parse_args().into
    folder.mkdir(parents=True, exist_ok=True)
    for command in KEYS:
        text = json.dumps(schema(command), indent=1, ensure_ascii=False)
        (folder / file_name(command)).write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
