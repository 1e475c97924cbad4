"""Custom URLs of a job, filled in from one of its results.

``$earliest$`` and ``$latest$`` become the time around the result (RFC 3339, UTC), ``$<field>$`` the
result's field of that name. A field that the result does not have stays as it is written: a reader
sees what is wrong with the address, where an empty one would lead anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from anomaly_operator.api.quantities import format_time, parse_duration
from anomaly_operator.api.v1alpha1.settings import CustomUrl

AUTO = "auto"
_TOKEN = re.compile(r"\$([A-Za-z0-9_./-]+)\$")
_SCHEMES = frozenset({"", "http", "https"})  # a link that runs a script is none


def links_of(
    urls: Iterable[CustomUrl], result: Mapping[str, object], *, start_s: float, span_s: float
) -> list[dict[str, str]]:
    """Links beside a result whose bucket starts at ``start_s`` and lasts ``span_s``.

    Examples
    --------
    >>> url = CustomUrl(url_name="Logs", url_value="https://logs/?pod=$pod$&from=$earliest$")
    >>> links_of([url], {"pod": "web 1"}, start_s=1800.0, span_s=900.0)
    [{'name': 'Logs', 'url': 'https://logs/?pod=web%201&from=1970-01-01T00:15:00Z'}]
    """
    links = []
    for url in urls:
        around_s = span_s
        if url.time_range not in {None, AUTO}:
            around_s = parse_duration(str(url.time_range)).total_seconds()
        times = {
            "earliest": _time(start_s - around_s),
            "latest": _time(start_s + span_s + around_s),
        }
        address = filled(url.url_value, {**result, **times})
        if urlsplit(address).scheme in _SCHEMES:
            links.append({"name": url.url_name, "url": address})
    return links


def filled(template: str, values: Mapping[str, object]) -> str:
    """Put values in the place of their tokens, spelled as an address needs them."""

    def value_of(match: re.Match[str]) -> str:
        value = values.get(match[1])
        if isinstance(value, list | tuple):  # actual and typical are lists of one
            value = value[0] if value else None
        return match[0] if value in {None, ""} else quote(str(value), safe=":")

    return _TOKEN.sub(value_of, template)


def _time(time_s: float) -> str:
    return format_time(datetime.fromtimestamp(time_s, UTC))
