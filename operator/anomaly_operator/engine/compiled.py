"""Turns the engine's inner loops into machine code, once per machine where that can be kept.

Every kernel is a plain Python function first; ``kernel.py_func`` is that function, so the tests can
hold the compiled answer against the interpreted one.
"""

from __future__ import annotations

import inspect
import sys
import zlib
from collections.abc import Callable
from typing import TypeVar, cast

import numba

from anomaly_operator.engine import layout

F = TypeVar("F", bound=Callable[..., object])
# Modules that kernels are made of, as far as imported, and the numbers they index with.
_sources: set[str] = {layout.__name__}


def compiled(function: F) -> F:
    """Compile for repeatable answers: one thread, IEEE arithmetic, the interpreter's lock released.

    Decision: no ``fastmath`` and no ``parallel``. Both may reorder sums, and then two machines or
    two runs would disagree in the last bit, which a replayed journal must not.
    """
    _sources.add(function.__module__)
    texts = sorted(inspect.getsource(sys.modules[name]) for name in _sources)
    # The cache looks only at the kernel's own file; its name must tell of the parts' files too.
    function.__qualname__ += f"_{zlib.crc32(''.join(texts).encode()):08x}"
    try:
        kernel = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # no place to keep the code: a read-only image with an unwritable home
        kernel = numba.njit(nogil=True, error_model="numpy")(function)
    return cast("F", kernel)


def inlined(function: F) -> F:
    """Compile a building block of kernels; it has no cache of its own."""
    _sources.add(function.__module__)
    return cast("F", numba.njit(nogil=True, error_model="numpy")(function))
