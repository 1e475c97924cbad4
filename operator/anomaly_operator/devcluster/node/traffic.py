"""Bytes that pods really send and receive, counted without network namespaces and without root.

A connection is a pod's when its local address is the pod's own (servers, and clients that bind it),
else when one of the pod's processes has been seen to hold it. Counters only grow. Payload of TCP is
counted; packet headers and UDP are not.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from anomaly_operator.devcluster.node import socket_diag

LOOKS_BEFORE_LOST = 20

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes since the pod started."""

    received_bytes: int = 0
    sent_bytes: int = 0

    def plus(self, received: int, sent: int) -> Traffic:
        """More of it."""
        return Traffic(self.received_bytes + received, self.sent_bytes + sent)


class TrafficMeter:
    """Adds up connections per pod, those included that begin and end between two looks."""

    def __init__(self) -> None:
        self.works = True
        self._pods_by_address: dict[str, str] = {}
        self._totals: dict[str, Traffic] = {}
        self._node_of: dict[str, str] = {}
        self._node_totals: dict[str, Traffic] = {}  # pods that are gone included
        self._owner: dict[int, str] = {}  # cookie -> pod's uid
        self._seen: dict[int, Traffic] = {}  # cookie -> counters already added
        self._missing: dict[int, int] = {}  # cookie -> looks that did not find it

    def enlist(self, pod_uid: str, address: str, *, node: str) -> None:
        """Start to count for a pod."""
        self._node_of[pod_uid] = node
        self._pods_by_address[address] = pod_uid
        self._totals[pod_uid] = Traffic()

    def dismiss(self, pod_uid: str, address: str) -> None:
        """Forget a pod."""
        self._pods_by_address.pop(address, None)
        self._totals.pop(pod_uid, None)
        self._node_of.pop(pod_uid, None)

    def total(self, pod_uid: str) -> Traffic | None:
        """Bytes of a pod so far; None where the kernel does not tell."""
        return self._totals.get(pod_uid) if self.works else None

    def node_total(self, node: str) -> Traffic | None:
        """Bytes of all pods a node has ever run."""
        return self._node_totals.get(node, Traffic()) if self.works else None

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take in the ends of connections while the context lasts."""
        try:
            listener = socket_diag.open_destructions()
        except OSError as error:
            self.works = False
            logger.warning("traffic is not counted", extra={"error": str(error)})
            yield
            return
        loop = asyncio.get_running_loop()

        def on_messages() -> None:
            for connection in socket_diag.read_destructions(listener):
                self._count(connection, ended=True)

        loop.add_reader(listener, on_messages)
        try:
            yield
        finally:
            loop.remove_reader(listener)
            listener.close()

    def look(self, pods_by_inode: Mapping[int, str]) -> None:
        """Add what has gone over open connections; sockets' holders help to tell whose they are."""
        if not self.works:
            return
        try:
            connections = list(socket_diag.dump_connections())
        except OSError as error:
            self.works = False
            logger.warning("traffic is not counted", extra={"error": str(error)})
            return
        for connection in connections:
            if connection.inode in pods_by_inode:
                self._owner.setdefault(connection.cookie, pods_by_inode[connection.inode])
            self._count(connection, ended=False)
        self._forget_lost(connection.cookie for connection in connections)

    def _forget_lost(self, present: Iterable[int]) -> None:
        # A connection that is missing has ended; the message of its end follows within moments
        # and needs what was seen before. Only one whose message was lost is missing for long.
        missing = (set(self._seen) | set(self._owner)) - set(present)
        self._missing = {cookie: self._missing.get(cookie, 0) + 1 for cookie in missing}
        for cookie, looks in self._missing.items():
            if looks > LOOKS_BEFORE_LOST:
                self._seen.pop(cookie, None)
                self._owner.pop(cookie, None)

    def _count(self, connection: socket_diag.Connection, *, ended: bool) -> None:
        cookie = connection.cookie
        pod = self._pods_by_address.get(connection.local) or self._owner.get(cookie)
        if pod in self._totals:
            before = self._seen.get(cookie, Traffic())
            received = connection.received_bytes - before.received_bytes
            sent = connection.sent_bytes - before.sent_bytes
            node = self._node_of[pod]
            self._totals[pod] = self._totals[pod].plus(received, sent)
            self._node_totals[node] = self._node_totals.get(node, Traffic()).plus(received, sent)
            self._seen[cookie] = Traffic(connection.received_bytes, connection.sent_bytes)
        if ended:
            self._seen.pop(cookie, None)
            self._owner.pop(cookie, None)
