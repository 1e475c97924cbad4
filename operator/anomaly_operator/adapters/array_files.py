"""Named arrays as bytes: the one encoding under model snapshots and journal entries.

Plain numbers and a JSON header, so that a file can only ever hold data: pickle would let whoever
can write to the volume run code in the worker. Whoever stores the bytes adds the checksum.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[np.generic]]

_LENGTH = struct.Struct("<I")
_PLAIN_KINDS = "biufSU"  # bool, integers, floats, fixed-width text; never objects


class TornArrays(ValueError):
    """The bytes are not what was written."""


def encode(meta: Mapping[str, Any], arrays: Arrays) -> bytes:
    """Lay out a header (``meta`` and where each array lies), then the arrays one after another."""
    return b"".join(pieces(meta, arrays))


def pieces(meta: Mapping[str, Any], arrays: Arrays) -> list[bytes | memoryview]:
    """What ``encode`` joins, uncopied: the arrays' own memory, so to be written before it changes.

    A worker's models are hundreds of MiB; each copy made to write them would be as much again.
    """
    listing = []
    parts: list[bytes | memoryview] = []
    offset = 0
    for name, array in arrays.items():
        if array.dtype.kind not in _PLAIN_KINDS:
            raise TypeError(f"array {name!r}: dtype {array.dtype} is not plain data")
        data = _bytes_of(array)
        listing.append([name, array.dtype.str, list(array.shape), offset, len(data)])
        parts.append(data)
        offset += len(data)
    header = orjson.dumps({"meta": dict(meta), "arrays": listing})
    return [_LENGTH.pack(len(header)), header, *parts]


def decode(data: bytes | memoryview) -> tuple[dict[str, Any], dict[str, NDArray[np.generic]]]:
    """Read back what ``encode`` wrote; arrays are writable copies. Raises TornArrays."""
    view = memoryview(data)
    try:
        (header_bytes,) = _LENGTH.unpack_from(view)
        body = _LENGTH.size + header_bytes
        header = orjson.loads(view[_LENGTH.size : body])
        arrays: dict[str, NDArray[np.generic]] = {}
        for name, dtype_text, shape, offset, size in header["arrays"]:
            dtype = np.dtype(dtype_text)
            if dtype.kind not in _PLAIN_KINDS:
                raise TornArrays(f"array {name!r}: dtype {dtype} is not plain data")
            piece = view[body + offset : body + offset + size]
            arrays[name] = np.frombuffer(piece, dtype=dtype).reshape(shape).copy()
        return header["meta"], arrays
    except (struct.error, orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise TornArrays(str(error)) from error


def _bytes_of(array: NDArray[np.generic]) -> bytes | memoryview:
    if not array.nbytes:
        return b""  # no memory to look at
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def decode_meta(data: bytes | memoryview) -> dict[str, Any]:
    """Read the header alone, from as many of the first bytes as it needs. Raises TornArrays."""
    view = memoryview(data)
    try:
        (header_bytes,) = _LENGTH.unpack_from(view)
        meta: dict[str, Any] = orjson.loads(view[_LENGTH.size : _LENGTH.size + header_bytes])[
            "meta"
        ]
    except (struct.error, orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise TornArrays(str(error)) from error
    return meta
