"""A process that does nothing else, to measure memory in.

The servers that other tests have started live on as threads of the test process: whatever they
allocate while a test measures would be counted as what the test has made.
"""

from __future__ import annotations

import gc
import multiprocessing
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def alone() -> Iterator[ProcessPoolExecutor]:
    """Runs functions of modules in one process started afresh, one after the other."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        yield process


@dataclass(frozen=True, slots=True)
class Traced:
    """Bytes that were allocated and are still held, and the most that were held at once."""

    held: int
    peak: int


def traced(build: Callable[[], T]) -> tuple[T, Traced]:
    """What `build` returns, and what it took in the memory that Python and numpy know of."""
    tracemalloc.start()
    try:
        built = build()
        gc.collect()
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return built, Traced(held, peak)
