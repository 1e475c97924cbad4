"""Docstrings under the members of an enum, which Python itself does not keep."""

from __future__ import annotations

import ast
import inspect
import textwrap
from enum import StrEnum
from itertools import pairwise


def member_docs(enum: type[StrEnum]) -> dict[str, str]:
    """Give each member's value and the text under it, in the order of the source."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(enum))).body[0]
    if not isinstance(tree, ast.ClassDef):
        message = f"{enum} is not a class in its source"
        raise TypeError(message)
    docs: dict[str, str] = {}
    for statement, following in pairwise(tree.body):
        if not isinstance(statement, ast.Assign) or not isinstance(following, ast.Expr):
            continue
        name, text = statement.targets[0], following.value
        if isinstance(name, ast.Name) and isinstance(text, ast.Constant):
            docs[enum[name.id].value] = " ".join(str(text.value).split())
    return docs
