"""The part of JSONPath that printer columns use: fields, indexes, ``[*]``, equality filters."""

from __future__ import annotations

import functools
import re
from typing import Any

import orjson

_STEP = re.compile(
    r"""\.(?P<name>(?:[^.\[\\]|\\.)+)            # .field, with \. for a dot in a name
      | \[\s*'(?P<quoted>[^']*)'\s*\]            # ['field']
      | \[\s*(?P<index>-?\d+)\s*\]               # [0]
      | \[\s*(?P<all>\*)\s*\]                    # [*]
      | \[\?\(\s*@\.(?P<key>[^=\s]+)\s*==\s*(?P<value>"[^"]*"|'[^']*'|[\w.]+)\s*\)\]  # filter
    """,
    re.VERBOSE,
)


@functools.lru_cache(maxsize=512)
def parse(path: str) -> tuple[dict[str, str], ...]:
    """Return the steps of a path such as ``.status.conditions[?(@.type=="Ready")].status``."""
    text = path.strip().removeprefix("{").removesuffix("}").removeprefix("$")
    if text and not text.startswith((".", "[")):
        text = f".{text}"
    steps: list[dict[str, str]] = []
    position = 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None:
            raise ValueError(f"cannot read JSON path {path!r} at {text[position:]!r}")
        steps.append(
            {name: value for name, value in match.groupdict().items() if value is not None}
        )
        position = match.end()
    return tuple(steps)


def find(document: Any, path: str) -> list[Any]:
    """Return every value at a path; none where something on the way is missing."""
    found = [document]
    for step in parse(path):
        found = [value for each in found for value in _take(each, step)]
    return found


def _take(value: Any, step: dict[str, str]) -> list[Any]:
    if "name" in step or "quoted" in step:
        name = step.get("quoted") or step["name"].replace("\\.", ".")
        return [value[name]] if isinstance(value, dict) and name in value else []
    if not isinstance(value, list):
        return list(value.values()) if isinstance(value, dict) and "all" in step else []
    if "all" in step:
        return value
    if "index" in step:
        index = int(step["index"])
        return [value[index]] if -len(value) <= index < len(value) else []
    wanted = _literal(step["value"])
    parts = step["key"].split(".")
    return [item for item in value if _deep(item, parts) == wanted]


def _literal(text: str) -> Any:
    if text[0] in "\"'":
        return text[1:-1]
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _deep(item: Any, parts: list[str]) -> Any:
    for part in parts:
        if not isinstance(item, dict):
            return None
        item = item.get(part)
    return item
