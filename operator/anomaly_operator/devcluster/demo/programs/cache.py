"""A cache: holds memory that breathes around a size, and leaks once it is ordered to.

Variables: SIZE_MB held, BREATH_MB of ups and downs, LEAK_MB_S leaked when the order ``leak`` is on,
up to LEAK_LIMIT_MB.
"""

from __future__ import annotations

import os
import random
import time

from anomaly_operator.devcluster.demo.programs.surroundings import is_ordered

BLOCK_BYTES = 2**20 // 4
PAUSE_S = 0.5


def block() -> bytearray:
    """Memory that is really there: pages that are never written do not count."""
    return bytearray(os.urandom(1024) * (BLOCK_BYTES // 1024))


def main() -> None:
    """Hold, breathe, perhaps leak."""
    size, breath, leak, limit = (
        float(os.environ[name]) for name in ("SIZE_MB", "BREATH_MB", "LEAK_MB_S", "LEAK_LIMIT_MB")
    )
    held: list[bytearray] = []
    leaked: list[bytearray] = []
    owed = 0.0
    leaking = False
    while True:
        wanted = int((size + random.uniform(-breath, breath)) * 2**20 / BLOCK_BYTES)  # noqa: S311
        while len(held) < wanted:
            held.append(block())
        del held[wanted:]
        if leaking != is_ordered("leak"):
            leaking = not leaking
            print("leaking" if leaking else "sound again")  # noqa: T201 - a container's log
            if not leaking:
                leaked.clear()
        if leaking and len(leaked) * BLOCK_BYTES < limit * 2**20:
            owed += leak * PAUSE_S * 2**20 / BLOCK_BYTES
            leaked.extend(block() for _ in range(int(owed)))
            owed -= int(owed)
        time.sleep(PAUSE_S)


if __name__ == "__main__":
    main()
