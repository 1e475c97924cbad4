"""Which shard a series belongs to: rendezvous hashing of (partition, workload).

Every shard computes the same answer without asking the others, and growing from n to n + 1 shards
moves only the 1/(n + 1) of the series that the new one wins. A whole workload stays together, for
its replicas share what they have learnt.
"""

from __future__ import annotations

import hashlib


def shard_of(partition: str, family: str, shards: int) -> int:
    """Return the shard with the highest weight for this workload.

    Examples
    --------
    >>> shard_of("", "shop/cart", 1)
    0
    >>> {shard_of("", f"shop/app-{i}", 3) for i in range(20)} == {0, 1, 2}
    True
    """
    if shards <= 1:
        return 0
    return max(range(shards), key=lambda shard: _weight(shard, partition, family))


def _weight(shard: int, partition: str, family: str) -> bytes:
    text = f"{shard}\n{partition}\n{family}".encode()
    return hashlib.blake2b(text, digest_size=8).digest()
