"""A disk that is full: writes beyond a size fail, for this process, until the block ends."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def full_at(size_bytes: int) -> Iterator[None]:
    """No file may grow beyond this size; the system says "File too large", SQLite "disk is full".

    A small tmpfs would need root; the limit is the kernel's own, and a write that crosses it is
    taken in part first, just as on a disk that fills up.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
