"""Names of fields in CEL: identifiers of their own language, so some are escaped."""

from __future__ import annotations

import functools
import re

_KEYWORDS = {
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
}
_IDENTIFIER = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_ESCAPES = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}


@functools.lru_cache(maxsize=4096)
def cel_name(field: str) -> str | None:
    """Return the identifier rules use for a field, or None for one they cannot name."""
    if field in _KEYWORDS:
        return f"__{field}__"
    escaped = re.sub(r"__|[.\-/]", lambda match: _ESCAPES[match[0]], field)
    return escaped if _IDENTIFIER.match(escaped) else None
