"""The string formats a CRD schema may name; unknown formats are ignored, as the server does."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from anomaly_operator.devcluster.apiserver.documents import parse_time

_DURATION_UNIT_S = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
_DURATION = re.compile(r"([0-9]*(?:\.[0-9]*)?)(ns|us|µs|μs|ms|s|m|h)")
_DNS1123_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
_DNS1123_SUBDOMAIN = re.compile(
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
)
_EMAIL = re.compile(r"^[^@\s]+@[^@\s]+\.[^@\s]+$")
_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}$")
_UUID = re.compile(r"(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$")
_HOSTNAME = re.compile(r"^[a-zA-Z0-9]([-a-zA-Z0-9.]{0,253}[a-zA-Z0-9])?$")


def parse_go_duration(text: str) -> float | None:
    """Return the seconds of a Go duration such as ``1h30m`` or ``-250ms``, or None."""
    sign, rest = (-1.0, text[1:]) if text[:1] == "-" else (1.0, text.removeprefix("+"))
    if rest == "0":
        return 0.0
    position, total = 0, 0.0
    while position < len(rest):
        match = _DURATION.match(rest, position)
        if match is None or match[1] in {"", "."}:
            return None
        total += float(match[1]) * _DURATION_UNIT_S[match[2]]
        position = match.end()
    return sign * total if rest else None


def is_dns_label(text: str) -> bool:
    """Tell whether the text can name a namespace or a port's host part (RFC 1123 label)."""
    return len(text) <= 63 and bool(_DNS1123_LABEL.match(text))


def is_dns_subdomain(text: str) -> bool:
    """Tell whether the text can name most objects (RFC 1123 subdomain)."""
    return len(text) <= 253 and bool(_DNS1123_SUBDOMAIN.match(text))


def _parses(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def test(text: str) -> bool:
        try:
            parse(text)
        except (ValueError, binascii.Error):
            return False
        return True

    return test


def _is_uri(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme) or text.startswith("/")


FORMATS: Mapping[str, Callable[[str], bool]] = {
    "date-time": lambda text: parse_time(text) is not None,
    "date": lambda text: bool(_DATE.match(text)),
    "duration": lambda text: parse_go_duration(text) is not None,
    "byte": _parses(lambda text: base64.b64decode(text, validate=True)),
    "ipv4": _parses(ipaddress.IPv4Address),
    "ipv6": _parses(ipaddress.IPv6Address),
    "cidr": _parses(lambda text: ipaddress.ip_network(text, strict=False)),
    "uri": _is_uri,
    "email": lambda text: bool(_EMAIL.match(text)),
    "hostname": lambda text: bool(_HOSTNAME.match(text)),
    "uuid": lambda text: bool(_UUID.match(text)),
}
