"""A web server: answers ``GET /bytes/<n>`` with n bytes, and takes any amount by POST."""

from __future__ import annotations

import asyncio

from anomaly_operator.devcluster.demo.programs.surroundings import PORT, pod_address

LARGEST_BYTES = 64 * 2**20


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer requests on one connection until the other end has had enough."""
    try:
        while line := await reader.readline():
            length = 0
            while (header := await reader.readline()).strip():
                name, _, value = header.decode().partition(":")
                if name.strip().lower() == "content-length":
                    length = int(value)
            while length > 0:
                length -= len(await reader.read(min(length, 1 << 16)))
            path = line.split()[1].decode()
            size = int(path.rpartition("/")[2]) if path.startswith("/bytes/") else 2
            size = min(size, LARGEST_BYTES)
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
            writer.write(b"." * size)
            await writer.drain()
    except (ConnectionError, ValueError, IndexError):
        pass  # a peer that went away or spoke no HTTP has nothing to be told
    finally:
        writer.close()


async def main() -> None:
    """Serve until ended."""
    server = await asyncio.start_server(serve, pod_address(), PORT)
    print(f"serving on {pod_address()}:{PORT}")  # noqa: T201 - a container's log
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
