"""Turns the engine's inner loops into machine code, once per machine where that can be kept.

Every kernel is a plain Python function first; ``kernel.py_func`` is that function, so the tests can
hold the compiled answer against the interpreted one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile for repeatable answers: one thread, IEEE arithmetic, the interpreter's lock released.

    Decision: no ``fastmath`` and no ``parallel``. Both may reorder sums, and then two machines or
    two runs would disagree in the last bit, which a replayed journal must not.
    """
    options = {"nogil": True, "error_model": "numpy", "fastmath": False}
    try:
        kernel = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no place to keep the code: a read-only image with an unwritable home
        kernel = numba.njit(**options)(function)
    return cast("F", kernel)


def inlined(function: F) -> F:
    """Compile a building block of kernels; it has no cache of its own."""
    return cast("F", numba.njit(nogil=True, error_model="numpy", fastmath=False)(function))
