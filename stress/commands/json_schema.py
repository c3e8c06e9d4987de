"""What `--json` prints as JSON Schema, made from the tables of keys (`stress.commands.json_keys`)."""

from __future__ import annotations

from typing import Any

from stress.commands.json_keys import KEYS, Key

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(command: str) -> dict[str, Any]:
    """The schema of one object that a command prints. Raises `KeyError` for a command that prints none.

    Keys that are not in the tables are allowed: a later version may print more.
    """
    made: dict[str, Any] = {"$schema": DIALECT, "title": f"pte-stress {command} --json", "type": "object"}
    for key in KEYS[command]:
        _enter(made, key)
    return made


def _enter(made: dict[str, Any], key: Key) -> None:
    """Put one value into the schema of the object that its path begins in."""
    parts = key.path.split(".")
    place = made
    for number, part in enumerate(parts):
        name, is_list = part.removesuffix("[]"), part.endswith("[]")
        place.setdefault("type", "object")
        if name == "*":
            inner = place.setdefault("additionalProperties", {})
        else:
            inner = place.setdefault("properties", {}).setdefault(name, {})
            required = place.setdefault("required", [])
            if key.always and name not in required:
                required.append(name)
        if is_list:
            inner["type"] = "array"
            inner = inner.setdefault("items", {})
        if number + 1 == len(parts):
            types = key.type.replace(" or ", ", ").split(", ")
            inner["type"] = types[0] if len(types) == 1 else types
            inner["description"] = key.what + (f", {key.unit}" if key.unit else "")
        place = inner


def file_name(command: str) -> str:
    """The name of a command's file in the folder of schemas: ``live-pid.schema.json``."""
    return f"{command.replace(' --', '-').replace(' ', '-')}.schema.json"
