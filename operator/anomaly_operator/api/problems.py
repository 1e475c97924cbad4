"""From what pydantic finds to problems a person can act on: path, value, what would be right.

Called by ``ApiModel.parse``; the operator, the worker and ``anomaly validate`` show the result.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from anomaly_operator.api.patterns import IN_WORDS
from anomaly_operator.errors import Problem

_MAX_SHOWN = 60
_LOOKS = 4  # an entry's field, then the entry, then its list, then nothing is left


def join(path: str, *parts: str | int) -> str:
    """Extend a field path: names after a dot, list positions in brackets.

    Examples
    --------
    >>> join("spec.detectors", 1, "customRules", 0)
    'spec.detectors[1].customRules[0]'
    """
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part.replace("_", "").isalnum():
            path = f"{path}.{part}" if path else part
        else:
            path += f'["{part}"]'
    return path


def every_problem(
    model: type[BaseModel], document: Mapping[str, Any], error: ValidationError
) -> list[Problem]:
    """Give every problem of ``document``, which failed with ``error``.

    What fields demand of each other is only looked at once each is sound by itself. So what is
    unsound is left out, and the rest is looked at again.
    """
    found = problems_in(error, model)
    rest: Any = document
    remainders: list[Remainder] = []
    for _ in range(_LOOKS):
        remainders.append(without(rest, error))
        rest = remainders[-1].document
        try:
            model.model_validate(rest, by_alias=True, by_name=False)
        except ValidationError as another:
            error = another
        else:
            break
        later = problems_in(error, model, only_laws=True)
        for remainder in reversed(remainders):
            later = list(remainder.original(later))
        found += not_echoes(later, found)
    return found


def problems_in(
    error: ValidationError, model: type[BaseModel], *, only_laws: bool = False
) -> list[Problem]:
    """Give every problem in a ValidationError of ``model``; or those between fields alone."""
    problems: list[Problem] = []
    for details in error.errors(include_url=False):
        cause = details.get("ctx", {}).get("error")
        if isinstance(cause, Located):
            here = join("", *_visible(details["loc"]))
            problems += [Problem(under(here, p.path), p.message) for p in cause.problems]
        elif not only_laws or details["type"] == "value_error":
            problems.append(_problem(details, model))
    return _without_echoes(problems)


def _without_echoes(problems: Sequence[Problem]) -> list[Problem]:
    """Drop "has 0 entries" about a list whose entries are there, but wrong themselves."""
    return [
        problem
        for problem in problems
        if not (
            problem.message.startswith("has 0 entries")
            and any(other.path.startswith(f"{problem.path}[") for other in problems)
        )
    ]


def not_echoes(later: Sequence[Problem], earlier: Sequence[Problem]) -> Iterator[Problem]:
    """Leave out later problems that only show because something unsound was left out before.

    That is so where the object that complains held an unsound part, or where the message speaks of
    a field that was unsound: its default now stands in for it.
    """
    suspects = {_letters(re.split(r"[.\[\]]+", p.path.rstrip("]"))[-1]) for p in earlier}
    for problem in later:
        held = any(
            found.path == problem.path
            or found.path.startswith((f"{problem.path}.", f"{problem.path}["))
            for found in earlier
        )
        spoken = {_letters(word) for word in re.findall(r"\w+", problem.message)}
        if not held and not suspects & spoken:
            yield problem


def _letters(name: str) -> str:
    return name.replace("_", "").lower()


@dataclass(frozen=True, slots=True)
class Remainder:
    """A document without its unsound parts, and which of a list's entries are left."""

    document: Any
    kept: Mapping[str, Sequence[int]]  # by the list's path in the remainder

    def original(self, problems: Sequence[Problem]) -> Iterator[Problem]:
        """Give problems of the remainder the paths that they have in the whole."""
        for problem in problems:
            path, end = "", 0
            for match in re.finditer(r"\[(\d+)\]", problem.path):
                kept = self.kept.get(problem.path[: match.start()])
                index = int(match.group(1))
                path += f"{problem.path[end : match.start()]}[{kept[index] if kept else index}]"
                end = match.end()
            yield Problem(path + problem.path[end:], problem.message)


def without(document: Any, error: ValidationError) -> Remainder:
    """Leave out everything that ``error`` points at."""
    places = {
        # What is missing takes its object along: without it the object stays unsound.
        _visible(details["loc"])[: -1 if details["type"] == "missing" else None]
        for details in error.errors(include_url=False)
    }
    around = {place[:length] for place in places for length in range(len(place))}
    bad = places - around  # a list with a bad entry stays, without the entry
    kept: dict[str, list[int]] = {}

    def copy(value: Any, loc: tuple[int | str, ...], path: str) -> Any:
        if isinstance(value, Mapping):
            return {
                key: copy(child, (*loc, key), join(path, str(key)))
                for key, child in value.items()
                if (*loc, key) not in bad
            }
        if isinstance(value, list | tuple):
            kept[path] = [i for i in range(len(value)) if (*loc, i) not in bad]
            return [copy(value[i], (*loc, i), join(path, at)) for at, i in enumerate(kept[path])]
        return value

    return Remainder(copy(document, (), ""), kept)


class Located(ValueError):
    """Problems below the object whose validator raises this, each with its path from there."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, problems)))


def under(here: str, below: str) -> str:
    """Put a path below another."""
    if not here or not below:
        return here or below
    return here + below if below.startswith("[") else f"{here}.{below}"


def _visible(loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    return tuple(part for part in loc if part != "[key]")


def shown(value: object) -> str:
    """Spell a value for a message, cut where it is long."""
    text = f"'{value}'" if isinstance(value, str) else str(value)
    if isinstance(value, bool):
        text = str(value).lower()
    if value is None:
        text = "null"
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 3] + "..."


def _problem(details: ErrorDetails, model: type[BaseModel]) -> Problem:
    loc = _visible(details["loc"])
    where = join("", *loc)
    ctx = details.get("ctx", {})
    if details["type"] == "extra_forbidden":
        return Problem(where, _unknown(str(loc[-1]), fields_at(model, loc[:-1])))
    if details["type"] == "value_error":
        return Problem(where, str(ctx["error"]))
    spell = _MESSAGES.get(details["type"])
    if spell is None:
        return Problem(where, f"{shown(details['input'])}: {details['msg'].lower()}")
    return Problem(where, spell(shown(details["input"]), ctx))


def _unknown(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if not near:
        near = [k for k in known if k.lower() == name.replace("_", "").lower()]
    return f"unknown field; did you mean {near[0]}?" if near else "unknown field"


def fields_at(model: type[BaseModel], loc: Sequence[int | str]) -> list[str]:
    """Names that the object at ``loc`` below ``model`` may have; empty when it is not a model."""
    current: Any = model
    for part in loc:
        if _is_model(current):
            fields = current.model_fields.values()
            current = next((f.annotation for f in fields if f.alias == part), None)
        else:
            # A list's entry, or a map's value: the argument before `...`, or the last one.
            arguments = [arg for arg in get_args(current) if arg is not Ellipsis]
            current = arguments[-1] if arguments else None
        current = _bare(current)
    return (
        [f.alias or name for name, f in current.model_fields.items()] if _is_model(current) else []
    )


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _bare(annotation: Any) -> Any:
    """Take Annotated and ``| None`` off."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in {Union, UnionType}:
            annotation = next(arg for arg in get_args(annotation) if arg is not NoneType)
        else:
            return annotation


def _type(wanted: str) -> Callable[[str, Mapping[str, Any]], str]:
    return lambda value, _ctx: f"{value} is not {wanted}"


_MESSAGES: dict[str, Callable[[str, Mapping[str, Any]], str]] = {
    "missing": lambda _value, _ctx: "is required",
    "bool_type": _type("true or false"),
    "bool_parsing": _type("true or false"),
    "int_type": _type("a whole number"),
    "int_parsing": _type("a whole number"),
    "int_from_float": _type("a whole number"),
    "float_type": _type("a number"),
    "float_parsing": _type("a number"),
    "finite_number": _type("a finite number"),
    "string_type": _type("a string"),
    "tuple_type": _type("a list"),
    "list_type": _type("a list"),
    "dict_type": _type("an object"),
    "model_type": _type("an object"),
    "model_attributes_type": _type("an object"),
    "literal_error": lambda value, ctx: f"{value} is not one of {_choices(ctx['expected'])}",
    "enum": lambda value, ctx: f"{value} is not one of {_choices(ctx['expected'])}",
    "greater_than_equal": lambda value, ctx: f"{value} is less than {ctx['ge']}",
    "greater_than": lambda value, ctx: f"{value} is not greater than {ctx['gt']}",
    "less_than_equal": lambda value, ctx: f"{value} is greater than {ctx['le']}",
    "string_too_short": lambda value, ctx: (
        f"{value} is shorter than {ctx['min_length']} characters"
        if ctx["min_length"] > 1
        else "must not be empty"
    ),
    "string_too_long": lambda value, ctx: f"{value} has more than {ctx['max_length']} characters",
    "string_pattern_mismatch": lambda value, ctx: (
        f"{value} {IN_WORDS.get(ctx['pattern'], 'does not match ' + ctx['pattern'])}"
    ),
    "too_short": lambda _value, ctx: (
        f"has {ctx['actual_length']} entries; at least {ctx['min_length']} needed"
    ),
    "too_long": lambda _value, ctx: (
        f"has more than the {ctx['max_length']} entries that are allowed"
    ),
}


def _choices(expected: str) -> str:
    return expected.replace("'", "").replace(" or ", ", ")
