"""The cost of a request in the gateway's own code, without kernel, network and load generator.

`python -m bench.inprocess [--quick] [--profile]`: real connections of the gateway on transports that discard
their output; the upstream's response is injected. Prints µs per request, the minimum of many rounds, which a
busy machine affects least; the kernel's share is not included. `--profile`: cProfile's list for a new token.

Invariant: every counted answer was written to the client completely.
"""

from __future__ import annotations

import asyncio
import cProfile
import pstats
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from bench.contestants.base import ORIGINAL
from bench.tokens import CLIENT_ID, ISSUER, POOL_ID, Mint
from bench.upstream import PATH, body
from gateway.client.connection import ClientConnection
from gateway.config.load import load
from gateway.observe.logs import configure
from gateway.observe.metrics import WorkerMetrics
from gateway.serve import loops
from gateway.serve.server import Server
from gateway.upstream.connection import UpstreamConnection

ROUNDS = 250
ROUNDS_QUICK = 3
# As many connections as the benchmark's load.
LANES = 32
# Concurrent requests, each on its own client and upstream connection.
AT_ONCE = (1, LANES, 1_000)
ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Tue, 24 Nov 2026 20:20:20 GMT\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\nConnection: keep-alive\r\n\r\n" % len(body())
) + body()


class Swallowing(asyncio.Transport):
    """A transport that keeps only the last write."""

    def __init__(self) -> None:
        super().__init__()
        self.last = b""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else default

    def write(self, data: Any) -> None:
        self.last = data

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Do nothing: nothing is buffered."""

    def abort(self) -> None:
        """Do nothing: nothing is open."""


class Lane:
    """A client connection and an upstream connection, which the pool holds."""

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self.client, self.sink = ClientConnection(server, loop), Swallowing()
        self.client.connection_made(self.sink)
        self.upstream = UpstreamConnection(give_back=server.app.pool.give_back, lost=server.app.pool.lost)
        self.upstream.connection_made(Swallowing())
        server.app.pool.give_back(self.upstream)


async def prepared(directory: Path, key_set: bytes, more: str = "") -> Server:
    """Return a server without sockets that has its keys."""
    (directory / "jwks.json").write_bytes(key_set)
    file = directory / "gateway.yaml"
    # keep_alive_timeout: what a busy machine leaves idle for longer would be replaced by a real connection.
    file.write_text(
        "metrics: {address: '127.0.0.1:0'}\nlog: {access: false, level: warning}\n"
        "upstream: {keep_alive_timeout: 60s}\ncognito: {user_pools: [{"
        f"id: {POOL_ID}, client_ids: [{CLIENT_ID}], issuers: ['{ISSUER}'], jwks_file: {directory}/jwks.json"
        "}]}\n" + more
    )
    config = load(file, {}).config
    server = Server(config, metrics=WorkerMetrics(), log=configure(config.log))
    await server.start([])
    while server.app.unready():
        await asyncio.sleep(0.005)
    return server


def turn(server: Server, lanes: Sequence[Lane], requests: Sequence[bytes]) -> None:
    """Serve one request per lane: all requests, then all answers, like two turns of the event loop."""
    ask(server, lanes, requests)
    for lane in lanes:
        lane.upstream.data_received(ANSWER)
    server.outbox.flush()


def ask(server: Server, lanes: Sequence[Lane], requests: Sequence[bytes]) -> None:
    """Send one request per lane; what needs no upstream is answered."""
    for lane, request in zip(lanes, requests, strict=True):
        lane.client.get_buffer(-1)[: len(request)] = request
        lane.client.buffer_updated(len(request))
    server.batch.flush()
    server.outbox.flush()


def request(token: str) -> bytes:
    """Return the head of a request with this token."""
    return f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


def asking(proxied: bytes) -> bytes:
    """Return the request for a decision about this one, with the headers that nginx sends."""
    named = "".join(f"{name}: {value}\r\n" for name, value in ORIGINAL.items())
    return proxied.replace(PATH.encode(), b"/oauth2/auth", 1).removesuffix(b"\r\n") + f"{named}\r\n".encode()


async def decisions(directory: Path, mint: Mint, rounds: int, warm: bytes) -> None:
    """Compare a decision for a proxy with the same request proxied; no head of a trusted proxy is kept."""
    loop = asyncio.get_running_loop()
    server = await prepared(directory, mint.key_set(), "listen: {trusted_proxies: [127.0.0.1]}\n")
    lanes = [Lane(server, loop) for _ in range(LANES)]
    about = asking(warm)
    loops.settle()
    proxied, decided = [], []
    for _ in range(rounds * 4):
        start = perf_counter_ns()
        turn(server, lanes, [warm] * LANES)
        proxied.append((perf_counter_ns() - start) / LANES / 1e3)
        assert all(lane.sink.last.endswith(body()) for lane in lanes)
        start = perf_counter_ns()
        ask(server, lanes, [about] * LANES)
        decided.append((perf_counter_ns() - start) / LANES / 1e3)
        assert all(lane.sink.last.startswith(b"HTTP/1.1 200") for lane in lanes)
        await asyncio.sleep(0)
    print(f"one warm token from a trusted proxy, {LANES} at once: {min(proxied):.1f} µs")
    print(f"a decision about it for that proxy, {LANES} at once: {min(decided):.1f} µs")


async def measure(directory: Path, *, rounds: int, profile: bool) -> None:
    loop, mint = asyncio.get_running_loop(), Mint()
    mint.write(directory / "tokens", rounds * LANES + 1)
    requests = [request(token) for token in (directory / "tokens").read_text().split()]
    warm, new = requests[0], iter(requests[1:])
    server = await prepared(directory, mint.key_set())
    for count in AT_ONCE:
        lanes = [Lane(server, loop) for _ in range(count)]
        loops.settle()
        times = []
        for _ in range(max(ROUNDS_QUICK, rounds * LANES // count)):
            start = perf_counter_ns()
            turn(server, lanes, [warm] * count)
            times.append((perf_counter_ns() - start) / count / 1e3)
            await asyncio.sleep(0)
        assert all(lane.sink.last.endswith(body()) for lane in lanes)
        print(f"one warm token, {count} at once: {min(times):.1f} µs")
        server.app.pool.close()
        server.connections.clear()
        server = await prepared(directory, mint.key_set())
    lanes = [Lane(server, loop) for _ in range(LANES)]
    turn(server, lanes, [warm] * LANES)
    profiler = cProfile.Profile()
    times = []
    for _ in range(rounds):
        fresh = [next(new) for _ in lanes]
        if profile:
            profiler.enable()
        start = perf_counter_ns()
        turn(server, lanes, fresh)
        times.append((perf_counter_ns() - start) / LANES / 1e3)
        profiler.disable()
        await asyncio.sleep(0)
    print(f"every token new, {LANES} at once: {min(times):.1f} µs")
    await decisions(directory, mint, rounds, warm)
    if profile:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(50)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        wanted = ROUNDS_QUICK if "--quick" in sys.argv else ROUNDS
        loops.run(measure(Path(name), rounds=wanted, profile="--profile" in sys.argv))
