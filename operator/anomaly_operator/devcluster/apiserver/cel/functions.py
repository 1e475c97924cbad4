"""The CEL functions Kubernetes adds to the language, declared for Google's implementation.

Values CEL has no type for (quantities, addresses, URLs) are maps with a ``kind``: what rules do
with them goes through the functions here, and equality of the maps is equality of the values.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

from cel_expr_python import cel

from anomaly_operator.devcluster.apiserver.cel import networks
from anomaly_operator.reconcile.quantities import parse_quantity

_T = cel.Type
_OPAQUE = _T.Map(_T.STRING, _T.DYN)
# A parameter declared DYN matches nothing at run time, so each kind of value is declared by itself.
_ANY = {
    "int": _T.INT,
    "double": _T.DOUBLE,
    "string": _T.STRING,
    "bool": _T.BOOL,
    "map": _T.MAP,
    "list": _T.LIST,
    "timestamp": _T.TIMESTAMP,
    "duration": _T.DURATION,
}
Overload = tuple[str, Sequence[Any], Any, Callable[..., Any]]


def _declare(name: str, overloads: Sequence[Overload], *, member: bool = True) -> Any:
    return cel.FunctionDecl(
        name,
        [
            cel.Overload(
                f"k8s_{name.replace('.', '_')}_{suffix}",
                return_type=result,
                parameters=list(parameters),
                is_member=member,
                impl=implementation,
            )
            for suffix, parameters, result, implementation in overloads
        ],
    )


def _member(name: str, parameters: Sequence[Any], result: Any, *, run: Callable[..., Any]) -> Any:
    return _declare(name, [("member", parameters, result, run)])


def _plain(name: str, parameters: Sequence[Any], result: Any, *, run: Callable[..., Any]) -> Any:
    return _declare(name, [("plain", parameters, result, run)], member=False)


def _succeeds(parse: Callable[[str], Any]) -> Callable[[str], bool]:
    def test(text: str) -> bool:
        try:
            return parse(text) is not None
        except ValueError:
            return False

    return test


def _quantity(text: str) -> dict[str, Any]:
    try:
        return _as_quantity(parse_quantity(text))
    except ValueError:
        raise ValueError(
            "quantities must match the regular expression "
            "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        ) from None


def _as_quantity(number: Decimal) -> dict[str, Any]:
    return {"kind": "quantity", "value": format(number.normalize(), "f")}


def _number(quantity: Any) -> Decimal:
    return Decimal(quantity["value"] if isinstance(quantity, dict) else quantity)


def _sign(quantity: Any) -> int:
    number = _number(quantity)
    return (number > 0) - (number < 0)


def _compare(one: Any, other: Any) -> int:
    first, second = _number(one), _number(other)
    return (first > second) - (first < second)


def _whole(quantity: Any) -> int:
    number = _number(quantity)
    if number != number.to_integral_value():
        raise ValueError("cannot convert value to integer")
    return int(number)


def _quantity_functions() -> list[Any]:
    combine = {
        "add": lambda one, other: _as_quantity(_number(one) + _number(other)),
        "sub": lambda one, other: _as_quantity(_number(one) - _number(other)),
    }
    found = [
        _declare(
            name,
            [
                ("quantity", [_OPAQUE, _OPAQUE], _OPAQUE, run),
                ("int", [_OPAQUE, _T.INT], _OPAQUE, run),
            ],
        )
        for name, run in combine.items()
    ]
    return [
        *found,
        _plain("quantity", [_T.STRING], _OPAQUE, run=_quantity),
        _plain("isQuantity", [_T.STRING], _T.BOOL, run=_succeeds(parse_quantity)),
        _member("sign", [_OPAQUE], _T.INT, run=_sign),
        _member("isInteger", [_OPAQUE], _T.BOOL, run=_succeeds(_whole)),
        _member("asInteger", [_OPAQUE], _T.INT, run=_whole),
        _member("asApproximateFloat", [_OPAQUE], _T.DOUBLE, run=lambda it: float(_number(it))),
        _member("compareTo", [_OPAQUE, _OPAQUE], _T.INT, run=_compare),
        _member("isLessThan", [_OPAQUE] * 2, _T.BOOL, run=lambda one, two: _compare(one, two) < 0),
        _member(
            "isGreaterThan", [_OPAQUE] * 2, _T.BOOL, run=lambda one, two: _compare(one, two) > 0
        ),
    ]


def _is_sorted(items: list[Any]) -> bool:
    return all(one <= two for one, two in pairwise(items))


def _extreme(choose: Callable[[list[Any]], Any], name: str) -> Callable[[list[Any]], Any]:
    def run(items: list[Any]) -> Any:
        if not items:
            raise ValueError(f"{name} called on empty list")
        return choose(items)

    return run


def _index_of(items: list[Any], wanted: Any) -> int:
    return next((index for index, item in enumerate(items) if item == wanted), -1)


def _last_index_of(items: list[Any], wanted: Any) -> int:
    return next((i for i in range(len(items) - 1, -1, -1) if items[i] == wanted), -1)


def _list_functions() -> list[Any]:
    def search(name: str, run: Callable[[list[Any], Any], int]) -> Any:
        return _declare(
            name, [(f"list_{each}", [_T.LIST, kind], _T.INT, run) for each, kind in _ANY.items()]
        )

    pair = [_T.LIST, _T.LIST]
    return [
        _member("isSorted", [_T.LIST], _T.BOOL, run=_is_sorted),
        _member(
            "sum", [_T.LIST], _T.DYN, run=lambda items: sum(items[1:], items[0]) if items else 0
        ),
        _member("min", [_T.LIST], _T.DYN, run=_extreme(min, "min")),
        _member("max", [_T.LIST], _T.DYN, run=_extreme(max, "max")),
        search("indexOf", _index_of),
        search("lastIndexOf", _last_index_of),
        _plain("sets.contains", pair, _T.BOOL, run=lambda one, two: all(x in one for x in two)),
        _plain("sets.intersects", pair, _T.BOOL, run=lambda one, two: any(x in one for x in two)),
        _plain(
            "sets.equivalent",
            pair,
            _T.BOOL,
            run=lambda one, two: all(x in one for x in two) and all(x in two for x in one),
        ),
    ]


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found = [match[0] for match in re.finditer(pattern, text)]
    return found if limit < 0 else found[:limit]


def _text_functions() -> list[Any]:
    text = _T.STRING
    texts = _T.List(_T.STRING)
    return [
        _member(
            "find",
            [text, text],
            text,
            run=lambda where, what: match[0] if (match := re.search(what, where)) else "",
        ),
        _declare(
            "findAll",
            [
                ("all", [text, text], texts, _find_all),
                ("some", [text, text, _T.INT], texts, _find_all),
            ],
        ),
    ]


def _network_functions() -> list[Any]:
    def part(name: str, key: str) -> Any:
        result = _T.Map(_T.STRING, _T.List(_T.STRING)) if key == "query" else _T.STRING
        return _member(name, [_OPAQUE], result, run=lambda it: it[key])

    def about(name: str, read: Callable[[networks.Address], Any], result: Any = _T.BOOL) -> Any:
        return _member(
            name, [_OPAQUE], result, run=lambda it: read(networks.address_of(it["text"]))
        )

    def within(name: str, run: Callable[..., bool]) -> Any:
        return _declare(
            name,
            [("value", [_OPAQUE] * 2, _T.BOOL, run), ("text", [_OPAQUE, _T.STRING], _T.BOOL, run)],
        )

    return [
        _plain("url", [_T.STRING], _OPAQUE, run=networks.url),
        _plain("isURL", [_T.STRING], _T.BOOL, run=_succeeds(networks.url)),
        part("getScheme", "scheme"),
        part("getHost", "host"),
        part("getHostname", "hostname"),
        part("getPort", "port"),
        part("getEscapedPath", "path"),
        part("getQuery", "query"),
        _declare("ip", [("plain", [_T.STRING], _OPAQUE, networks.ip)], member=False),
        _plain("isIP", [_T.STRING], _T.BOOL, run=_succeeds(networks.address_of)),
        _plain("cidr", [_T.STRING], _OPAQUE, run=networks.cidr),
        _plain("isCIDR", [_T.STRING], _T.BOOL, run=_succeeds(networks.network_of)),
        about("family", lambda it: it.version, _T.INT),
        about("isUnspecified", lambda it: it.is_unspecified),
        about("isLoopback", lambda it: it.is_loopback),
        about("isLinkLocalUnicast", lambda it: it.is_link_local),
        about(
            "isGlobalUnicast",
            lambda it: not (it.is_multicast or it.is_loopback or it.is_unspecified),
        ),
        within("containsIP", networks.contains_ip),
        within("containsCIDR", networks.contains_cidr),
        _member(
            "prefixLength",
            [_OPAQUE],
            _T.INT,
            run=lambda it: networks.network_of(it["text"]).prefixlen,
        ),
        _member(
            "masked",
            [_OPAQUE],
            _OPAQUE,
            run=lambda it: networks.cidr(str(networks.network_of(it["text"]))),
        ),
    ]


@functools.cache
def kubernetes_functions() -> tuple[Any, ...]:
    """Return the declarations of all added functions."""
    return (
        *_quantity_functions(),
        *_list_functions(),
        *_text_functions(),
        *_network_functions(),
    )
