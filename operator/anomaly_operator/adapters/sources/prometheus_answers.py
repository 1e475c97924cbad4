"""Reading what a Prometheus API answers: columns, or an error that says what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import orjson

from anomaly_operator.engine.contract import Floats
from anomaly_operator.errors import SourceUnavailable
from anomaly_operator.ports import Coverage

SHOWN_QUERY = 160  # characters of a query in a message
_TOO_LARGE = (
    "too many samples",
    "exceeded maximum resolution",
    "query timed out",
    "the query exceeded",
    "exceeds -search",
    "response size",
    "limit on number of",
)


class TooLarge(SourceUnavailable):
    """The server would not answer so much at once; a shorter span may pass."""


@dataclass(frozen=True, slots=True)
class Row:
    """One series of an answer, whose times are in order."""

    labels: Mapping[str, str]
    time_s: Floats
    value: Floats


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: its series, and what the server said about its completeness."""

    rows: tuple[Row, ...]
    problems: tuple[Coverage, ...] = ()


def answer_of(response: httpx.Response, *, place: str, query: str) -> Answer:
    """Translate a response. Raises SourceUnavailable, TooLarge among them."""
    shown = shortened(query)
    if response.status_code != httpx.codes.OK:
        raise refusal(response, place=place, query=query)
    try:
        document = orjson.loads(response.content)
        if document["status"] != "success":
            raise SourceUnavailable(
                f"{place}: {document.get('error', 'no reason given')} for {shown}"
            )
        result = document["data"]["result"]
        rows = tuple(row_of(one) for one in result)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, IndexError) as error:
        raise SourceUnavailable(
            f"{place}: the answer for {shown} is no Prometheus answer "
            f"({len(response.content)} bytes, {type(error).__name__}); "
            "check that the URL leads to a Prometheus API"
        ) from error
    return Answer(rows, told(document))


def row_of(one: Mapping[str, Any]) -> Row:
    """Read one series of a matrix or a vector."""
    pairs: Sequence[Sequence[Any]] = one["values"] if "values" in one else [one["value"]]
    count = len(pairs)
    return Row(
        labels={str(name): str(value) for name, value in one["metric"].items()},
        time_s=np.fromiter((pair[0] for pair in pairs), np.float64, count),
        value=np.fromiter((float(pair[1]) for pair in pairs), np.float64, count),
    )


def told(document: Mapping[str, Any]) -> tuple[Coverage, ...]:
    """Find what a server says is missing: warnings, or VictoriaMetrics' partial mark."""
    warnings = [str(warning) for warning in document.get("warnings") or ()]
    if document.get("isPartial"):
        warnings.append("the server marked its answer as partial")
    if not warnings:
        return ()
    return (Coverage("PartialCoverage", "; ".join(warnings)[:500]),)


def refusal(response: httpx.Response, *, place: str, query: str) -> SourceUnavailable:
    """Say why the server refused, in its own words where it has any."""
    code = response.status_code
    said = reason_given(response)
    message = f"{place}: {code} {said} for {shortened(query)}"
    if code in {401, 403}:
        return SourceUnavailable(f"{message}; check the source's auth", reason="Unauthorized")
    if code in {400, 413, 422, 503, 504} and any(one in said.lower() for one in _TOO_LARGE):
        return TooLarge(message)
    if code in {413, 504}:
        return TooLarge(message)
    if code in {301, 302, 307, 308}:
        return SourceUnavailable(f"{message}; use the address it redirects to", reason="Redirected")
    if code in {400, 404, 405}:
        return SourceUnavailable(f"{message}; check the URL and the query", reason="BadQuery")
    after_s = retry_after_s(response)
    if after_s is not None:
        message += f"; it asks to wait {after_s:g} s"
    reason = "RateLimited" if code == 429 else "SourceUnavailable"
    return SourceUnavailable(message, reason=reason, retry_after_s=after_s)


def reason_given(response: httpx.Response) -> str:
    """Error text of an answer, on one line and not too long."""
    try:
        text = str(orjson.loads(response.content)["error"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        kind = response.headers.get("content-type", "")
        text = "" if "html" in kind else response.text
    return " ".join((text or response.reason_phrase).split())[:300]


def retry_after_s(response: httpx.Response) -> float | None:
    """Seconds that a server asks to wait, bounded to an hour; None where it does not say."""
    header = response.headers.get("retry-after", "")
    return min(float(header), 3600.0) if header.isdigit() else None


def shortened(query: str) -> str:
    """Quote a query on one line, cut to what a condition can show."""
    line = " ".join(query.split())
    return f"'{line if len(line) <= SHOWN_QUERY else line[:SHOWN_QUERY] + '…'}'"
