"""What one worker holds in memory after 100,000 requests."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import pytest

from tests.support.programs import Served, pinned, serving
from tests.support.tokens import KeyPair, access_claims, sign
from tests.support.wire import OK, get

REQUESTS = 100_000
CONNECTIONS = 16
PIPELINED = 25
LIMIT_MIB = 64


class Answering(asyncio.Protocol):
    """An upstream that costs little: one answer for every head."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # of uvloop it has no such class

    def data_received(self, data: bytes) -> None:
        self.transport.write(OK * data.count(b"\r\n\r\n"))


async def load(served: Served, heads: list[bytes], number: int) -> None:
    """So many requests on one connection; every one is answered with 200."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    for begin in range(0, number, PIPELINED):
        writer.write(b"".join(heads[(begin + at) % len(heads)] for at in range(PIPELINED)))
        for _ in range(PIPELINED):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            assert await reader.readexactly(2) == b"ok"
    writer.close()


def resident_mib(served: Served) -> float:
    """The largest of its processes."""
    statuses = [Path(f"/proc/{pid}/status").read_text() for pid in served.pids]
    return max(int(text.partition("VmRSS:")[2].split()[0]) for text in statuses) / 1024


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
async def test_memory_after_many_requests(tmp_path: Path) -> None:
    key = KeyPair.generate("key-1")
    upstream = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{upstream.sockets[0].getsockname()[1]}"
    async with upstream, serving(tmp_path, upstream=url, pools=pinned(tmp_path, key)) as served:
        before = resident_mib(served)
        # Two hundred users, so that the cache of verified tokens is in use.
        tokens = [sign(key, access_claims(sub=f"user-{number}")).decode() for number in range(200)]
        heads = [get("/api/v1/config", f"Authorization: Bearer {token}") for token in tokens]
        share = REQUESTS // CONNECTIONS
        await asyncio.gather(*(load(served, heads, share) for _ in range(CONNECTIONS)))
        samples = await served.samples()
        served_requests = sum(value for name, value in samples.items() if "requests_total{" in name)
        assert served_requests >= REQUESTS
        after = resident_mib(served)
        print(f"{before:.1f} MiB before, {after:.1f} MiB after {served_requests:.0f} requests")
        assert after <= LIMIT_MIB
