"""Real HTTP clients with the same work for each: two hundred requests over a few connections."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.engines import engine, starts
from tests.support.peers import PROGRAMS, go_program, jars, java, python_of_peers
from tests.support.programs import started
from tests.support.wire import accepting

CLIENTS = (
    *("curl", "java", "apache", "fetch", "node", "go"),
    *("requests", "httpx", "aiohttp"),
)
# Connections that each keeps open at once.
AT_ONCE = 4


@dataclass(frozen=True)
class Work:
    """A request: `how` is plain, expect (100-continue) or stream (in chunks, of unknown length);
    `credentials` are none, token or retry (a token after a 401).
    """

    method: str
    path: str
    size: int
    how: str
    credentials: str

    @property
    def body(self) -> bytes:
        """Its own path, again and again."""
        line = self.path.encode() + b"\n"
        return (line * (self.size // len(line) + 1))[: self.size]

    @property
    def statuses(self) -> str:
        return "401,200" if self.credentials == "retry" else "200"


def work(kinds: int = 20) -> list[Work]:
    """Return `kinds` times ten requests, no two with the same path."""
    found = []
    for number in range(kinds):
        found += [
            Work("GET", f"/public/{number}", 0, "plain", "none"),
            Work("GET", f"/any/{number}/get", 0, "plain", "token"),
            Work("POST", f"/any/{number}/small", 1_000, "plain", "token"),
            Work("POST", f"/any/{number}/large", 100_000, "plain", "token"),
            Work("POST", f"/any/{number}/expect", 65_536, "expect", "token"),
            Work("POST", f"/any/{number}/stream", 65_536, "stream", "token"),
            Work("GET", f"/any/{number}/retry", 0, "plain", "retry"),
            Work("PUT", f"/any/{number}/put", 1_000, "plain", "retry"),
            Work("POST", f"/any/{number}/expect-retry", 65_536, "expect", "retry"),
            Work("DELETE" if number % 2 else "HEAD", f"/any/{number}/last", 0, "plain", "token"),
        ]
    return found


def _command(name: str, folder: Path) -> tuple[list[str], list[str]]:
    """Return the command before the arguments that all clients have, and further arguments."""
    starts(name)
    if name == "java":
        return [*java(folder, "Work.java", "ClientJdk.java"), "ClientJdk"], []
    if name == "apache":
        return [*java(folder, "Work.java", "ClientApache.java", path=jars()), "ClientApache"], []
    if name in {"fetch", "node"}:
        return [engine("node", "nodejs"), str(PROGRAMS / "client.mjs")], [name]
    if name == "go":
        return [go_program(folder, "client.go")], []
    python = python_of_peers() if name == "httpx" else sys.executable
    return [python, str(PROGRAMS / f"client_{name}.py")], [engine("curl")] if name == "curl" else []


async def answers_to(
    folder: Path, name: str, url: str, token: str, todo: list[Work]
) -> dict[str, tuple[str, str]]:
    """Let the client do the work; return statuses and SHA-256 of the last answer by path."""
    command, more = await asyncio.to_thread(_command, name, folder)
    file = folder / "work"
    file.write_text(
        "".join(f"{each.method} {each.path} {each.size} {each.how} {each.credentials}\n" for each in todo)
    )
    async with started(folder, [*command, url, token, file, *more], name="client") as program:
        code = await program.end(240)
        assert code == 0, program.stdout[-2000:] + program.stderr[-4000:]
        lines = [line.split() for line in program.stdout.splitlines()]
    assert len(lines) == len(todo)
    return {path: (statuses, digest) for path, statuses, digest in lines}


class Door:
    """Counts the connections that clients make to a port."""

    def __init__(self, target: int) -> None:
        self._target = target
        self.port = 0
        self.connections = 0

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Door]:
        """Pass all bytes on to the target while this is entered."""
        async with accepting(self._relay) as accept:
            server = await asyncio.start_server(accept, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            try:
                yield self
            finally:
                server.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
        finally:
            writer.close()
            inner_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
