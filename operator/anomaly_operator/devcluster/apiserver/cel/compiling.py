"""Compiles rules: once against the schema's types, to find mistakes, and once to run over maps."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_bindings, ext_encoders, ext_math, ext_optional, ext_strings

from anomaly_operator.devcluster.apiserver.cel.declared_types import DeclaredTypes
from anomaly_operator.devcluster.apiserver.cel.functions import kubernetes_functions
from anomaly_operator.devcluster.apiserver.documents import Document
from anomaly_operator.devcluster.apiserver.schema_nodes import SchemaNode

_USES_OLD = re.compile(r"\boldSelf\b")
# Literals are not code: a rule may well talk of oldSelf in a string.
_LITERALS = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"")
_NOISE = re.compile(r"^[A-Z_]+: | \[[A-Z_]+\]$")


class RuleError(Exception):
    """A rule does not compile, or fails when it runs; the text is CEL's."""


def uses_old_self(expression: str) -> bool:
    """Tell whether the expression is about a change."""
    return bool(_USES_OLD.search(_LITERALS.sub("''", expression)))


def _extensions() -> list[Any]:
    return [
        ext_strings.ExtStrings(),
        ext_math.ExtMath(),
        ext_optional.ExtOptional(),
        ext_bindings.ExtBindings(),
        ext_encoders.ExtEncoders(),
        # Last: an extension may add overloads to functions of the ones before it, not the reverse.
        cel.CelExtension("kubernetes", list(kubernetes_functions())),
    ]


@functools.cache
def _running() -> Any:
    """Return the environment rules run in: everything dynamic."""
    names = ("self", "oldSelf", "oldValue", "oldPresent")
    variables = dict.fromkeys(names, cel.Type.DYN)
    return cel.NewEnv(variables=variables, extensions=_extensions())


@functools.lru_cache(maxsize=1024)
def _program(expression: str, *, optional_old: bool) -> Any:
    if optional_old:
        # The binding makes an optional of the two variables a host can pass.
        bound = "oldPresent ? optional.of(oldValue) : optional.none()"
        expression = f"cel.bind(oldSelf, {bound}, ({expression}))"
    try:
        return _running().compile(expression)
    except RuntimeError as problem:
        raise RuleError(_clean(problem)) from problem


def _clean(problem: Exception | str) -> str:
    text = str(problem)
    while _NOISE.search(text):
        text = _NOISE.sub("", text)
    return re.sub(r"(undefined field '[^']*') not found in struct '[^']*'", r"\1", text)


def evaluate(expression: str, values: Mapping[str, Any], *, optional_old: bool = False) -> Any:
    """Return the value of an expression, or raise with what CEL says."""
    program = _program(expression, optional_old=optional_old)
    result = program.eval(data=dict(values))
    if result.type() == cel.Type.ERROR:
        raise RuleError(_run_time_text(_clean(str(result.value()))))
    return result.value()


def _run_time_text(text: str) -> str:
    """Return an error in the words of cel-go, which is what users of a real cluster know."""
    missing = re.match(r'Key not found in map : "?([^"]*)"?', text)
    return f"no such key: {missing[1]}" if missing else text


class Checker:
    """Checks expressions against the types of one schema node."""

    def __init__(self, schema: SchemaNode) -> None:
        self._types = DeclaredTypes(schema)

    def problem(self, rule: Document, expression: str, *, wanted: str) -> str | None:
        """Return what is wrong with an expression of type ``wanted`` (bool, string), or None."""
        optional = bool(rule.get("optionalOldSelf"))
        known = self._types.type
        try:
            old = cel.Type(f"optional_type({known.name()})") if optional else known
        except (RuntimeError, ValueError, TypeError):
            old = cel.Type.DYN
        environment = cel.NewEnv(
            self._types.pool,
            variables={"self": known, "oldSelf": old},
            extensions=_extensions(),
        )
        try:
            compiled = environment.compile(expression)
            _program(expression, optional_old=optional and uses_old_self(expression))
        except RuntimeError as problem:
            return f"compilation failed: ERROR: {_clean(problem)}"
        except RuleError as problem:
            return f"compilation failed: {problem}"
        found = compiled.return_type()
        expected = cel.Type.BOOL if wanted == "bool" else cel.Type.STRING
        if found not in (expected, cel.Type.DYN):
            if wanted == "bool":
                return "cel expression must evaluate to a bool"
            return "messageExpression must evaluate to a string"
        return None
