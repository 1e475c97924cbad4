"""Addresses, networks and URLs for CEL: maps that carry their kind, for CEL has no such types."""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import parse_qs, urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def address_of(text: str) -> Address:
    """Return the address; zones and IPv4-mapped forms are refused, as Kubernetes does."""
    found = ipaddress.ip_address(text)
    if isinstance(found, ipaddress.IPv6Address) and (found.ipv4_mapped or found.scope_id):
        raise ValueError(f"IPv4-mapped IPv6 addresses and zones are not allowed: {text}")
    return found


def network_of(text: str) -> Network:
    """Return the network of a CIDR text; host bits may be set."""
    if "/" not in text:
        raise ValueError(f"network address parse error: {text}")
    return ipaddress.ip_network(text, strict=False)


def ip(text: str) -> dict[str, Any]:
    """Return CEL's value for an address."""
    return {"kind": "ip", "text": str(address_of(text))}


def cidr(text: str) -> dict[str, Any]:
    """Return CEL's value for a network; the address keeps its host bits."""
    network_of(text)
    return {"kind": "cidr", "text": text}


def contains_ip(network: dict[str, Any], address: Any) -> bool:
    """Tell whether an address, given as text or value, is in the network."""
    text = address["text"] if isinstance(address, dict) else address
    return address_of(text) in network_of(network["text"])


def contains_cidr(network: dict[str, Any], inner: Any) -> bool:
    """Tell whether a whole network is within another."""
    text = inner["text"] if isinstance(inner, dict) else inner
    outer, found = network_of(network["text"]), network_of(text)
    if isinstance(outer, ipaddress.IPv4Network):
        return isinstance(found, ipaddress.IPv4Network) and found.subnet_of(outer)
    return isinstance(found, ipaddress.IPv6Network) and found.subnet_of(outer)


def url(text: str) -> dict[str, Any]:
    """Return CEL's value for an absolute URL or an absolute path."""
    parts = urlsplit(text)
    if not parts.scheme and not text.startswith("/"):
        raise ValueError(f"URL parse error during conversion from string: {text}")
    if any(character.isspace() for character in text):
        raise ValueError(f"URL parse error during conversion from string: {text}")
    return {
        "kind": "url",
        "scheme": parts.scheme,
        "host": parts.netloc.rpartition("@")[2],
        "hostname": parts.hostname or "",
        "port": str(parts.port or ""),
        "path": parts.path,
        "query": parse_qs(parts.query, keep_blank_values=True),
    }
