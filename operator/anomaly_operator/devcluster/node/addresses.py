"""A loopback address for each pod, so that pods may all listen on the same port.

Linux answers on the whole of 127.0.0.0/8 without any set-up. Addresses are drawn at random, so that
two clusters on one machine (tests run in parallel) hardly ever meet; 127.0.x.y is left to others.
"""

from __future__ import annotations

import secrets


class AddressPool:
    """Hands out addresses that this process has not handed out before."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self) -> str:
        """Give a free address."""
        while True:
            octets = (1 + secrets.randbelow(254) for _ in range(3))
            address = "127." + ".".join(map(str, octets))
            if address not in self._taken:
                self._taken.add(address)
                return address

    def keep(self, address: str) -> None:
        """Mark an address as in use, as found in the status of a pod that was there before us."""
        self._taken.add(address)

    def give_back(self, address: str) -> None:
        """Free an address."""
        self._taken.discard(address)
