"""The soak: millions of requests of every kind through one gateway, and whether its memory stays flat.

`python -m tests.faults.soak` runs it (`make soak`); tests/faults/test_soak.py runs a short one. Most of the
load is pipelined GETs with valid tokens; beside it run actors of every other kind: tokens never seen before,
refusals, bodies, WebSockets, a broken upstream, clients that leave, reloads. Every answer is checked.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

import httptools
import uvloop

from bench import procfs
from tests.support.load import OUTCOME, Answering, Fault, NamingUpstream, body_of, sockets_of
from tests.support.ports import free_port
from tests.support.programs import SCRIPT, Served, configuration, environment, pinned, until
from tests.support.tokens import KeyPair, access_claims, sign
from tests.support.wire import Client, get

MIB = 1024 * 1024
# Users whose tokens come again and again; more than a worker's cache of verified tokens need not hold.
USERS = 1500
PIPELINED, PER_CONNECTION = 25, 5_000
# Actor → how many of them, and the pause (seconds) between two of its acts.
CREW = {
    "bulk": (16, 0.0),
    **dict.fromkeys(("new_token", "refused", "body", "websocket", "fault", "leaver"), (2, 0.01)),
    "reload": (1, 0.0),
}
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 700\r\n\r\n" + b"x" * 700
# As it reaches the client.
PASSED_ON = PLAIN.replace(b"\r\n\r\n", b"\r\nVary: Authorization, Cookie\r\n\r\n")
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: a2V5",
)
# Samples of this first share of the run are warm-up: caches fill, the allocator finds its size.
WARM = 0.25


class Wrong(AssertionError):
    """An answer that is not the one the request must get."""


@dataclass
class Figures:
    requests: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    # (requests so far, resident bytes)
    memory: list[tuple[int, int]] = field(default_factory=list)
    descriptors: tuple[int, int] = (0, 0)
    lines: int = 0
    errors: list[bytes] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(self.requests.values())

    def share(self, begin: float, end: float) -> list[int]:
        """Resident memory while this share of the requests was served."""
        last = self.memory[-1][0]
        return [resident for at, resident in self.memory if begin * last <= at <= end * last]

    @property
    def growth(self) -> float:
        """Bytes from the quarter behind the warm-up to the last one, by their medians."""
        return statistics.median(self.share(0.75, 1)) - statistics.median(self.share(WARM, WARM + 0.25))

    def __str__(self) -> str:
        points = [statistics.median(self.share(at / 20, at / 20 + 0.05)) / MIB for at in range(20)]
        kinds = ", ".join(f"{number} {kind}" for kind, number in self.requests.most_common() if number)
        return (
            f"{self.total} requests in {self.seconds:.0f} s ({kinds})\n"
            f"resident memory, MiB, each twentieth of the run: {' '.join(f'{p:.1f}' for p in points)};"
            f" {self.growth / MIB:+.2f} from the second quarter to the last\n"
            f"sockets before and after: {self.descriptors}; {self.lines} lines of log"
        )


# --- the upstream -----------------------------------------------------------------------------------------


class _Soaked(Answering):
    """Plain answers fast; what load.py's upstream does; echoes of bodies' lengths and of tunnels."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes, though they do the same.
        self.transport = transport  # type: ignore[assignment]
        self._upstream.connections.add(self)
        self._tunnel = False
        self._upload: httptools.HttpRequestParser | None = None
        self._received = 0

    def data_received(self, data: bytes) -> None:
        if self._tunnel:
            self.transport.write(data)
        elif self._upload is not None:
            self._upload.feed_data(data)
        elif data.startswith(b"GET /plain"):
            self.answers += 1
            self.transport.write(PLAIN)
        elif data.startswith(b"GET /ws"):
            self._tunnel = True
            self.transport.write(SWITCH)
        elif data.startswith(b"POST "):
            self._received = 0
            self._upload = httptools.HttpRequestParser(self)
            self._upload.feed_data(data)
        else:
            super().data_received(data)

    def on_body(self, body: bytes) -> None:
        self._received += len(body)

    def on_message_complete(self) -> None:
        self._upload = None
        text = b"%d" % self._received
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text))


@dataclass
class _SoakUpstream(NamingUpstream):
    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Soaked(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]


# --- the actors: each does one thing once and gives the number of its requests ------------------------------


@dataclass
class Actors:
    served: Served
    key: KeyPair
    tokens: list[str]
    folder: Path
    figures: Figures
    over: asyncio.Event

    def bearer(self) -> str:
        return f"Authorization: Bearer {random.choice(self.tokens)}"

    async def bulk(self) -> int:
        """One connection's life: pipelined GETs, the answers compared byte by byte."""
        heads = [get("/plain", f"Authorization: Bearer {token}") for token in self.tokens]
        reader, writer = await asyncio.open_connection("127.0.0.1", self.served.port, limit=2**20)
        try:
            at = random.randrange(len(heads))
            for _ in range(PER_CONNECTION // PIPELINED):
                if self.over.is_set():
                    break
                writer.write(b"".join(heads[(at + step) % len(heads)] for step in range(PIPELINED)))
                at += PIPELINED
                async with asyncio.timeout(30):
                    answer = await reader.readexactly(len(PASSED_ON) * PIPELINED)
                if answer != PASSED_ON * PIPELINED:
                    raise Wrong(answer[:500])
                self.figures.requests["plain"] += PIPELINED
        finally:
            writer.transport.abort()
        return 0

    async def new_token(self) -> int:
        token = sign(self.key, access_claims(sub=f"user-{random.getrandbits(64)}"))
        reply = await self.served.bearer(token, "/plain")
        return _counted(reply.status == 200 and len(reply.body) == 700, reply)

    async def refused(self) -> int:
        junk = self.tokens[0][:-20] + f"{random.getrandbits(80):020x}"
        bearer = f"Authorization: Bearer {junk}"
        for target, lines, status in (
            ("/plain", [bearer], 401),
            (f"/{random.getrandbits(64)}", [], 401),
            (f"/a/%2e%2e/{random.getrandbits(64)}", [self.bearer()], 400),
            ("/plain", [self.bearer(), bearer], 400),
            ("/oauth2/nothing", [], 404),
            ("/" + "a" * 40_000, [], 431),
        ):
            reply = await self.served.ask(target, *lines)
            _counted(reply.status == status, reply)
        return 6

    async def body(self) -> int:
        size = random.choice((0, 1, 1000, 70_000, 300_000))
        data = random.randbytes(size)
        if random.random() < 0.5:
            sent = get("/up", self.bearer(), f"Content-Length: {size}", method="POST") + data
        else:
            chunks = [data[at : at + 16_000] for at in range(0, size, 16_000)] + [b""]
            framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
            sent = get("/up", self.bearer(), "Transfer-Encoding: chunked", method="POST") + framed
        async with await Client.connect(self.served.port) as client:
            for _ in range(3):
                reply = await client.ask(sent)
                _counted(reply.status == 200 and reply.body == b"%d" % size, reply)
        return 3

    async def websocket(self) -> int:
        async with await Client.connect(self.served.port) as client:
            reply = await client.ask(get("/ws", self.bearer(), *UPGRADE))
            _counted(reply.status == 101, reply)
            for size in (0, 5, 125, 60_000):
                short = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
                frame = b"\x82" + short + random.randbytes(size)
                await client.send(frame)
                async with asyncio.timeout(30):
                    if await client.reader.readexactly(len(frame)) != frame:
                        raise Wrong("a frame came back changed")
            if random.random() < 0.5:
                client.writer.transport.abort()
        return 1

    async def fault(self) -> int:
        kind = random.choice([each for each in Fault if each is not Fault.HANG])
        target = f"/api/{random.getrandbits(64)}/{kind}"
        reply = await self.served.ask(target, self.bearer())
        wanted = OUTCOME[kind]
        if wanted == 200:
            return _counted(reply.status == 200 and reply.body == body_of(target.encode()), reply)
        return _counted(reply.status == wanted if wanted else not reply.whole, reply)

    async def leaver(self) -> int:
        async with await Client.connect(self.served.port) as client:
            sent = random.choice(
                (
                    get("/api/1/hang", self.bearer()),
                    get("/plain", self.bearer()),
                    get("/up", self.bearer(), "Content-Length: 100000", method="POST") + b"x" * 5000,
                    get("/ws", self.bearer(), *UPGRADE),
                    get("/plain", self.bearer())[:-9],
                )
            )
            await client.send(sent)
            await asyncio.sleep(random.random() * 0.02)
            client.writer.transport.abort()
        return 1

    async def reload(self) -> int:
        path = self.folder / "gateway.yaml"
        text = path.read_text().partition("identity_headers")[0]
        path.write_text(f"{text}identity_headers: {{user: X-User-{random.getrandbits(16)}}}\n")
        self.served.signal(signal.SIGHUP)
        await asyncio.sleep(3)
        return 0


def _counted(right: bool, reply: object) -> int:
    if not right:
        raise Wrong(str(reply)[:1000])
    return 1


# --- the run ----------------------------------------------------------------------------------------------


async def soak(folder: Path, requests: int, without: Collection[str] = ()) -> Figures:
    """So many requests through one worker. Raises Wrong for the first answer that is not right.

    `without`: actors that have the day off, to find what makes memory grow.
    """
    key = KeyPair.generate("key-1")
    figures = Figures()
    tokens = [sign(key, access_claims(sub=f"user-{each}")).decode() for each in range(USERS)]
    async with _SoakUpstream().running() as upstream, _gateway(folder, upstream, key, figures) as served:
        over = asyncio.Event()
        actors = Actors(served, key, tokens, folder, figures, over)
        before = len(sockets_of(served.pid))
        began = time.monotonic()

        async def act(name: str, once: Callable[[], Awaitable[int]], pause: float) -> None:
            while not over.is_set():
                number = await once()  # first: others count meanwhile
                figures.requests[name] += number
                await asyncio.sleep(pause)

        async def watch() -> None:
            while not over.is_set():
                figures.memory.append((figures.total, procfs.memory(served.pid).resident))
                await asyncio.sleep(0.2)
                if figures.total >= requests:
                    over.set()

        async with asyncio.TaskGroup() as group:
            group.create_task(watch())
            for name, (number, pause) in CREW.items():
                for _ in range(0 if name in without else number):
                    group.create_task(act(name, getattr(actors, name), pause))
        figures.seconds = time.monotonic() - began
        await until(lambda: _at_rest(served, upstream), seconds=90)

        def sockets() -> int:
            # Without the pool's idle connections, which are closed a minute later.
            return len(sockets_of(served.pid)) - len(upstream.connections)

        async def closed() -> bool:
            return sockets() <= before

        with contextlib.suppress(TimeoutError):
            await until(closed, seconds=60)
        figures.descriptors = (before, sockets())
        if await served.stop() != 0:
            raise Wrong("it did not end with 0")
    return figures


async def _at_rest(served: Served, upstream: NamingUpstream) -> bool:
    return (await served.samples())["cognito_gateway_requests_in_flight"] == 0


@contextlib.asynccontextmanager
async def _gateway(
    folder: Path, upstream: NamingUpstream, key: KeyPair, figures: Figures
) -> AsyncIterator[Served]:
    """`serve` with its access log on, which a thread reads away and looks through for errors."""
    port, metrics_port = free_port(), free_port()
    path = folder / "gateway.yaml"
    path.write_text(
        configuration(port=port, metrics_port=metrics_port, upstream=upstream.url, pools=pinned(folder, key))
    )
    process = subprocess.Popen(
        [SCRIPT, "serve", "--config", path],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            figures.lines += 1
            if b'"level":"error"' in line or not line.startswith(b"{"):
                figures.errors.append(line)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        served = Served(process, Path(os.devnull), Path(os.devnull), port, metrics_port)
        await until(served.is_ready, seconds=90)
        yield served
    finally:
        process.kill()
        process.wait()
        reader.join()
        assert process.stdout is not None
        process.stdout.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--requests", type=int, default=2_000_000)
    parser.add_argument("--growth", type=float, default=4.0, help="MiB of growth that fail it")
    parser.add_argument("--without", nargs="*", default=(), choices=CREW, help="leave these kinds out")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            figures = runner.run(soak(Path(folder), arguments.requests, arguments.without))
    print(figures)
    if figures.errors:
        print(f"{len(figures.errors)} lines of error, the first: {figures.errors[0]!r}", file=sys.stderr)
    if figures.growth > arguments.growth * MIB:
        print(f"memory is not flat: more than {arguments.growth} MiB", file=sys.stderr)
    return int(bool(figures.errors) or figures.growth > arguments.growth * MIB)


if __name__ == "__main__":
    sys.exit(main())
