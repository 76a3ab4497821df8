"""Load with every answer checked: keep-alive clients, an upstream that echoes the target, and statistics.

A client sends one request after another, each with its own ID, and the answer must be exactly the one for
that ID. Failures are kept with their time and connection, so that a test can separate those that a fault
explains from the others. A request may also ask the upstream for a fault by name (Fault); then only that
fault's outcome is correct.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import itertools
import os
import random
import signal
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from tests.support.programs import Served, until
from tests.support.tokens import KeyPair, access_claims, sign
from tests.support.wire import read_body, read_head

TWO = {"COGNITO_GATEWAY_LISTEN__WORKERS": "2"}

# The limit for any request, whatever happens (seconds): a hung worker is replaced after 3 s on an idle
# machine.
PATIENCE = 40.0


def tokens(key: KeyPair, number: int) -> list[str]:
    return [sign(key, access_claims(sub=f"user-{each}")).decode() for each in range(number)]


def body_of(target: bytes) -> bytes:
    """Return the only correct body: long enough to be cut, different for every target."""
    return (target + b";") * 20


class Fault(enum.StrEnum):
    """The upstream's behaviour for a request, by the last segment of its target."""

    NONE = "none"
    HANG = "hang"
    DRIP = "drip"
    RESET = "reset"
    CUT = "cut"
    GARBAGE = "garbage"


# The status that the client must get; None: an answer that visibly ends early.
OUTCOME: dict[Fault, int | None] = {
    Fault.NONE: 200,
    Fault.HANG: 504,
    Fault.DRIP: 200,
    Fault.RESET: 502,
    Fault.CUT: None,
    Fault.GARBAGE: 502,
}


class Kind(enum.StrEnum):
    REFUSED = "refused connect"
    RESET = "reset before any answer byte"
    CUT = "cut answer"
    STATUS = "wrong status"
    BODY = "wrong body"
    HUNG = "no answer in time"


@dataclass(frozen=True)
class Failure:
    kind: Kind
    began: float
    ended: float
    # The client's port, which identifies the connection, and the number of answers on it so far.
    connection: int
    answers: int
    detail: str


class _Failed(Exception):
    def __init__(self, kind: Kind, detail: str = "") -> None:
        super().__init__(kind, detail)
        self.kind, self.detail = kind, detail


@dataclass
class Board:
    """The statistics of all clients."""

    good: int = 0
    connections: int = 0
    slowest: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    # Requests with the correct outcome, by fault.
    faults: Counter[Fault] = field(default_factory=Counter)
    # Tolerated answers: (began, ended), by time.monotonic().
    tolerated: list[tuple[float, float]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def __str__(self) -> str:
        kinds = dict(Counter(str(failure.kind) for failure in self.failures))
        return f"{self.good} good on {self.connections} connections, slowest {self.slowest:.3f} s, {kinds}"


@dataclass
class Clients:
    """Load for the duration of `running`.

    `leave_when_told`: a client ends after an answer with `Connection: close`, as if a load balancer sent its
    next connection elsewhere. Otherwise it continues on a new connection, as it also does every
    `per_connection` requests.
    """

    port: int
    tokens: Sequence[str]
    host: str = "127.0.0.1"
    # With a body where it is one that has one.
    method: bytes = b"GET"
    pause: float = 0.005
    per_connection: int = 100
    leave_when_told: bool = False
    # Further statuses allowed while the whole run is the fault, besides 200.
    tolerated: frozenset[int] = frozenset()
    # The faults to request, with their weights.
    mix: Mapping[Fault, int] = field(default_factory=lambda: {Fault.NONE: 1})
    board: Board = field(default_factory=Board)
    stopping: bool = False
    _ids: itertools.count[int] = field(default_factory=itertools.count)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Board]:
        tasks = [asyncio.create_task(self._client(token)) for token in self.tokens]
        try:
            yield self.board
            self.stopping = True
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def more(self, number: int, seconds: float = 120) -> None:
        """Wait for this number of further good answers."""
        goal = self.board.good + number

        async def enough() -> bool:
            return self.board.good >= goal

        await until(enough, seconds=seconds)

    async def _client(self, token: str) -> None:
        while not self.stopping:
            began = time.monotonic()
            try:
                async with asyncio.timeout(PATIENCE):
                    reader, writer = await asyncio.open_connection(self.host, self.port)
            except OSError as error:
                if self.leave_when_told:
                    return
                self._failed(_Failed(Kind.REFUSED, str(error)), began, 0, 0)
                await asyncio.sleep(0.05)
                continue
            self.board.connections += 1
            try:
                if await self._connection(token, reader, writer) and self.leave_when_told:
                    return
            finally:
                writer.transport.abort()

    async def _connection(
        self, token: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Send requests on one connection; return whether the gateway announced that it closes."""
        port = writer.get_extra_info("sockname")[1]
        for answers in range(self.per_connection):
            if self.stopping:
                return False
            began = time.monotonic()
            try:
                async with asyncio.timeout(PATIENCE):
                    closes = await self._request(token, reader, writer)
            except TimeoutError:
                self._failed(_Failed(Kind.HUNG), began, port, answers)
                return False
            except _Failed as failed:
                self._failed(failed, began, port, answers)
                return False
            self.board.slowest = max(self.board.slowest, time.monotonic() - began)
            if closes:
                return True
            await asyncio.sleep(self.pause)
        return False

    async def _request(self, token: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        began = time.monotonic()
        (fault,) = random.choices(list(self.mix), list(self.mix.values()))
        target = b"/api/%d/%b" % (next(self._ids), fault.encode())
        sent = body_of(target) if self.method == b"POST" else b""
        length = b"Content-Length: %d\r\n" % len(sent) if sent else b""
        writer.write(
            b"%b %b HTTP/1.1\r\nHost: api.test\r\nAuthorization: Bearer %b\r\n%b\r\n%b"
            % (self.method, target, token.encode(), length, sent)
        )
        try:
            head = await read_head(reader)
            while head.startswith(b"HTTP/1.1 10"):
                head = await read_head(reader)
        except asyncio.IncompleteReadError as end:
            raise _Failed(Kind.CUT if end.partial else Kind.RESET, "closed") from end
        except ConnectionError as error:
            raise _Failed(Kind.RESET, str(error)) from error
        try:
            body = await read_body(head, reader)
        except (asyncio.IncompleteReadError, ConnectionError, ValueError) as error:
            if fault is Fault.CUT and head.startswith(b"HTTP/1.1 200 "):
                self.board.faults[fault] += 1
                return True
            raise _Failed(Kind.CUT, f"{fault} {error}") from error
        status = int(head[9:12])
        self.board.statuses[status] += 1
        wanted = OUTCOME[fault]
        if status == 200 == wanted:
            if body != body_of(target):
                raise _Failed(Kind.BODY, f"{target!r}: {body[:100]!r}")
            self.board.good += 1
        else:
            clean = b"application/problem+json" in head and target not in body
            if not clean or (status != wanted and status not in self.tolerated):
                raise _Failed(Kind.STATUS, f"{fault} {status} {body!r}")
            if status in self.tolerated:
                self.board.tolerated.append((began, time.monotonic()))
        self.board.faults[fault] += 1
        return b"\r\nconnection: close\r\n" in head.lower()

    def _failed(self, failed: _Failed, began: float, connection: int, answers: int) -> None:
        self.board.failures.append(
            Failure(failed.kind, began, time.monotonic(), connection, answers, failed.detail)
        )


# --- an upstream ------------------------------------------------------------------------------------------


# None of them is a response head (RFC 9112 sections 4, 5 and 6.1).
GARBAGE = (
    b"\x00\xff\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.2p1\r\n",
    b"HTTP/1.1 2OO OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-A: b\rX-C: d\r\n\r\n",
    b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
)


class Answering(asyncio.Protocol):
    def __init__(self, upstream: NamingUpstream) -> None:
        self._upstream = upstream
        self.answers = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass
        self._upstream.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._upstream.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        # GETs of one client: the gateway sends a head in one write, and never two at once.
        target = data.split(b" ", 2)[1]
        body = body_of(target)
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        self.answers += 1
        match target.rpartition(b"/")[2].decode():
            case Fault.HANG:
                pass
            case Fault.DRIP:
                self._drip(answer)
            case Fault.RESET:
                self.reset()
            case Fault.CUT:
                self.transport.write(answer[: len(answer) // 2])
                random.choice((self.reset, self.transport.close))()
            case Fault.GARBAGE:
                self.transport.write(random.choice(GARBAGE))
            case _:
                self.transport.write(answer)

    def _drip(self, left: bytes) -> None:
        self.transport.write(left[:25])
        if left[25:] and not self.transport.is_closing():
            asyncio.get_running_loop().call_later(0.002, self._drip, left[25:])

    def reset(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()


@dataclass
class NamingUpstream:
    """Answers every GET with the body, or the fault, that its target names; restarts on the same port."""

    port: int = 0
    connections: set[Answering] = field(default_factory=set)
    _server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[NamingUpstream]:
        await self.start()
        try:
            yield self
        finally:
            self.stop()

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Answering(self), "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Stop as if killed: the port refuses, every connection is reset."""
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.reset()

    def drop(self) -> None:
        """Reset every connection that has answered before; the port stays open."""
        for connection in list(self.connections):
            if connection.answers:
                connection.reset()


# --- what /proc shows -------------------------------------------------------------------------------------


def sockets_of(pid: int) -> set[str]:
    """Return the inodes of a process's sockets."""
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            name = str(link.readlink())
            if name.startswith("socket:["):
                found.add(name[8:-1])
    return found


def tcp(pid: int) -> list[tuple[int, int]]:
    """Return (local port, remote port) of the process's IPv4 connections, accepted or dialled."""
    own = sockets_of(pid)
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [
        (int(row[1].split(":")[1], 16), int(row[2].split(":")[1], 16))
        for row in rows
        if row[9] in own and row[3] != "0A"
    ]


def clients_of(pid: int, port: int) -> set[int]:
    """Return the client ports of the connections a worker has accepted on the gateway's port."""
    return {remote for local, remote in tcp(pid) if local == port}


def workers(served: Served) -> list[int]:
    return [pid for pid in served.pids if pid != served.pid]


# --- killed workers ---------------------------------------------------------------------------------------


async def stopped(pid: int) -> None:
    """Send SIGSTOP and wait until the process is stopped, so that its accepted connections no longer
    change."""
    os.kill(pid, signal.SIGSTOP)

    async def still() -> bool:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    await until(still, seconds=20, pause=0.001)


async def replaced(served: Served, victim: int) -> float:
    """Wait until two workers serve without the victim; return the seconds it took."""

    async def two() -> bool:
        now = workers(served)
        if victim in now or len(now) != 2:
            return False
        return (await served.samples()).get("cognito_gateway_workers") == 2

    return await until(two, seconds=60)


# --- metrics ----------------------------------------------------------------------------------------------


@dataclass
class Watch:
    """The result of continuous scraping; `backwards`: counters that decreased or disappeared."""

    scrapes: int = 0
    slowest: float = 0.0
    backwards: list[str] = field(default_factory=list)
    last: dict[str, float] = field(default_factory=dict)


@contextlib.asynccontextmanager
async def watching(served: Served, pause: float = 0.05) -> AsyncIterator[Watch]:
    watch = Watch()
    # Not cancelled: Python 3.11's wait_for may swallow the cancellation, and the poll would never end.
    stop = asyncio.Event()

    async def poll() -> None:
        while not stop.is_set():
            began = time.monotonic()
            samples = await served.samples()
            watch.slowest = max(watch.slowest, time.monotonic() - began)
            watch.scrapes += 1
            for name, before in watch.last.items():
                counts = name.partition("{")[0].endswith(("_total", "_count", "_sum", "_bucket"))
                if counts and samples.get(name, -1.0) < before:
                    watch.backwards.append(f"{name}: {before} → {samples.get(name)}")
            watch.last = samples
            await asyncio.sleep(pause)

    task = asyncio.create_task(poll())
    try:
        yield watch
        assert not task.done(), "the poll ended"
        assert watch.scrapes > 0
        assert watch.backwards == []
    finally:
        stop.set()
        await asyncio.wait((task,), timeout=PATIENCE)
