"""Traffic of pods is what really went over their connections."""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from anomaly_operator.devcluster.node.addresses import AddressPool
from anomaly_operator.devcluster.node.processes import socket_inodes
from anomaly_operator.devcluster.node.traffic import Traffic, TrafficMeter

MEBIBYTE = 2**20


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read a request of the announced size, answer with the announced size, close."""
    take, give = map(int, (await reader.readline()).split())
    await reader.readexactly(take)
    writer.write(bytes(give))
    await writer.drain()
    writer.close()


async def exchange(address: str, port: int, *, send: int, receive: int, bind: str | None) -> None:
    local = (bind, 0) if bind else None
    reader, writer = await asyncio.open_connection(address, port, local_addr=local)
    writer.write(f"{send} {receive}\n".encode() + bytes(send))
    assert len(await reader.read(-1)) == receive
    writer.close()
    await writer.wait_closed()


async def settled(meter: TrafficMeter, pod: str, *, received: int) -> Traffic:
    deadline = time.monotonic() + 5
    while True:
        meter.look({})
        total = meter.total(pod)
        assert total is not None, "this kernel does not tell of traffic"
        if total.received_bytes >= received or time.monotonic() > deadline:
            return total
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("connections", [1, 40], ids=["one long", "many short"])
async def test_counts_what_a_server_and_a_client_really_exchange(connections: int) -> None:
    """Within 1 % (in fact a byte a connection), also where no look falls into a connection."""
    pool, meter = AddressPool(), TrafficMeter()
    server_address, client_address = pool.take(), pool.take()
    meter.enlist("server", server_address, node="n")
    meter.enlist("client", client_address, node="n")
    with meter.listening():
        server = await asyncio.start_server(serve, server_address, 0)
        port = server.sockets[0].getsockname()[1]
        up, down = 3 * MEBIBYTE // connections, MEBIBYTE // connections
        for _ in range(connections):
            await exchange(server_address, port, send=up, receive=down, bind=client_address)
        served = await settled(meter, "server", received=up * connections)
        asked = await settled(meter, "client", received=down * connections)
        server.close()
    assert served.received_bytes == pytest.approx(3 * MEBIBYTE, rel=0.01)
    assert served.sent_bytes == pytest.approx(MEBIBYTE, rel=0.01)
    assert asked.received_bytes == pytest.approx(MEBIBYTE, rel=0.01)
    assert asked.sent_bytes == pytest.approx(3 * MEBIBYTE, rel=0.01)
    node = meter.node_total("n")
    assert node is not None
    assert node.received_bytes == served.received_bytes + asked.received_bytes


async def test_a_client_that_binds_nothing_is_known_by_the_socket_its_process_holds() -> None:
    pool, meter = AddressPool(), TrafficMeter()
    address = pool.take()
    meter.enlist("client", "127.255.0.1", node="n")
    with meter.listening():
        hold = asyncio.Event()

        async def serve_once(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(bytes(MEBIBYTE))
            await writer.drain()
            await hold.wait()
            writer.close()

        server = await asyncio.start_server(serve_once, address, 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        await reader.readexactly(MEBIBYTE)
        own_socket = os.fstat(writer.get_extra_info("socket").fileno()).st_ino
        assert own_socket in socket_inodes([os.getpid()])
        meter.look({own_socket: "client"})
        hold.set()
        writer.close()
        server.close()
        total = await settled(meter, "client", received=MEBIBYTE)
    assert total.received_bytes == pytest.approx(MEBIBYTE, rel=0.01)


async def test_counters_never_fall_and_no_byte_is_counted_twice() -> None:
    """Looks while connections come and go add up to what one look at the end would tell."""
    pool, meter = AddressPool(), TrafficMeter()
    address = pool.take()
    meter.enlist("server", address, node="n")
    seen = [0]
    with meter.listening():
        server = await asyncio.start_server(serve, address, 0)
        port = server.sockets[0].getsockname()[1]
        for _ in range(30):
            await exchange(address, port, send=10_000, receive=100, bind=None)
            meter.look({})
            total = meter.total("server")
            assert total is not None
            seen.append(total.received_bytes)
        total = await settled(meter, "server", received=300_000)
        await asyncio.sleep(0.1)
        meter.look({})
        server.close()
    assert seen == sorted(seen)
    assert meter.total("server") == total
    # Beside the payload each exchange has a line that announces it, and its closing byte.
    assert total.received_bytes == pytest.approx(30 * (10_000 + len("10000 100\n")), abs=60)
