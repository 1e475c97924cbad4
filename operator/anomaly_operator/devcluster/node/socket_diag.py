"""The kernel's own account of TCP connections (NETLINK_SOCK_DIAG), readable without privileges.

Two ways to it: a dump of all sockets that are there, and messages about each that is destroyed,
with its final counters. Together no connection is missed, however short.

References
----------
.. [1] sock_diag(7); linux/inet_diag.h, linux/sock_diag.h, struct tcp_info in linux/tcp.h.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

NETLINK_SOCK_DIAG = 4
SOL_NETLINK = 270
NETLINK_ADD_MEMBERSHIP = 1
SOCK_DIAG_BY_FAMILY = 20
NLMSG_ERROR, NLMSG_DONE = 2, 3
REQUEST_DUMP = 0x1 | 0x300
GROUP_TCP4_DESTROY, GROUP_TCP6_DESTROY = 1, 3
INET_DIAG_INFO = 2
BYTES_ACKED_OFFSET = 120  # in struct tcp_info; bytes_received follows
LISTEN, TIME_WAIT = 10, 6
ALL_BUT_LISTEN = 0xFFF & ~(1 << LISTEN)
MESSAGE_HEADER, DIAG_BODY = 16, 72
# Destruction messages wait here while the event loop is busy: some ten thousand of them.
RECEIVE_BUFFER_BYTES = 8 * 2**20


@dataclass(frozen=True, slots=True)
class Connection:
    """One end of a TCP connection, and what has gone over it so far."""

    cookie: int  # the kernel's name of this socket, never given twice
    local: str
    inode: int  # 0 once no process holds it
    sent_bytes: int  # payload, acknowledged by the other end
    received_bytes: int


def open_destructions() -> socket.socket:
    """Socket on which the kernel tells of every TCP connection that ends; OSError if it cannot."""
    listener = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG)
    try:
        listener.bind((0, 0))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        for group in (GROUP_TCP4_DESTROY, GROUP_TCP6_DESTROY):
            listener.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
        listener.setblocking(False)  # noqa: FBT003 - the standard library has it so
    except OSError:
        listener.close()
        raise
    return listener


def read_destructions(listener: socket.socket) -> Iterator[Connection]:
    """Connections whose end has been told of since the last call."""
    while True:
        try:
            data = listener.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                continue  # some messages are lost; the last dump's counters of those stand
            raise
        yield from _connections(data)


def dump_connections() -> Iterator[Connection]:
    """All TCP connections of this network namespace as they are now."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as channel:
        for family in (socket.AF_INET, socket.AF_INET6):
            wanted = 1 << (INET_DIAG_INFO - 1)
            request = struct.pack(
                "=BBBBI", family, socket.IPPROTO_TCP, wanted, 0, ALL_BUT_LISTEN
            ) + bytes(48)
            header = struct.pack(
                "=IHHII", MESSAGE_HEADER + len(request), SOCK_DIAG_BY_FAMILY, REQUEST_DUMP, 1, 0
            )
            channel.send(header + request)
            done = False
            while not done:
                data = channel.recv(1 << 18)
                yield from _connections(data)
                done = _is_last(data)


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + MESSAGE_HEADER <= len(data):
        length, kind = struct.unpack_from("=IH", data, offset)
        yield kind, data[offset + MESSAGE_HEADER : offset + length]
        offset += (length + 3) & ~3


def _is_last(data: bytes) -> bool:
    for kind, body in _messages(data):
        if kind == NLMSG_ERROR:
            code = -struct.unpack_from("=i", body)[0]
            raise OSError(code, "the kernel refuses to list sockets")
        if kind == NLMSG_DONE:
            return True
    return False


def _connections(data: bytes) -> Iterator[Connection]:
    for kind, body in _messages(data):
        if kind != SOCK_DIAG_BY_FAMILY or len(body) < DIAG_BODY:
            continue
        info = _attribute(body[DIAG_BODY:], INET_DIAG_INFO)
        if info is None or len(info) < BYTES_ACKED_OFFSET + 16:
            continue  # a connection in TIME_WAIT or just being made has no counters
        sent, received = struct.unpack_from("=QQ", info, BYTES_ACKED_OFFSET)
        low, high = struct.unpack_from("=II", body, 44)
        yield Connection(
            cookie=high << 32 | low,
            local=_address(body[0], body[8:24]),
            inode=struct.unpack_from("=I", body, 68)[0],
            sent_bytes=sent,
            received_bytes=received,
        )


def _attribute(data: bytes, wanted: int) -> bytes | None:
    offset = 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        if kind == wanted:
            return data[offset + 4 : offset + length]
        offset += max((length + 3) & ~3, 4)
    return None


def _address(family: int, raw: bytes) -> str:
    if family == socket.AF_INET:
        return socket.inet_ntoa(raw[:4])
    address = ipaddress.IPv6Address(raw)
    return str(address.ipv4_mapped or address)
