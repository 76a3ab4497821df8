"""A container of 256 MiB, and all that strangers can have the gateway hold: the kernel kills nobody.

The chart's limit, in a real cgroup, with `listen.max_connections: auto`. One process meets one attack after
the other, for what an attack leaves behind is the next one's beginning. After each it serves as before.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench import procfs
from bench.certificate import write_self_signed
from bench.load.attack import HOLD
from bench.load.lines import connect, raise_file_limit
from tests.support.cgroup import MemoryGroup, memory_group
from tests.support.ports import free_port
from tests.support.programs import ROOT, SCRIPT, Served, configuration, pinned, started, until
from tests.support.tokens import KeyPair, access_claims, sign
from tests.support.wire import get, once

# Connecting some ten thousand times takes minutes on a busy machine.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

MIB = 1024 * 1024
LIMIT = 256 * MIB
# (what bench/load/attack.py calls it, connections)
PLAIN = (
    # More than `auto` admits (2,662), so that the bound is met.
    ("kept_head", 4_000),
    ("half_head", 3_000),
    ("pipelined", 3_000),
    ("slow_reader", 2_000),
    ("stuck_upload", 1_500),
    # Each has a connection to the upstream, of which there are 1,024.
    ("stalled_socket", 900),
)
TLS = (("hello", 3_000), ("idle_tls", 2_000))
# Of these the connections go on sending until nothing more is taken.
PUSHED = {"stuck_upload", "stalled_socket"}
# Seconds that an attack stays once it stands: the sweep has looked at it several times.
STAYS = 3.0
# Connections that are opened at the same time.
ATTACKERS = 32
_PIECE = bytes(64 * 1024)
_RESET = struct.pack("ii", 1, 0)


@contextlib.asynccontextmanager
async def contained(
    folder: Path, group: MemoryGroup, key: KeyPair, upstream: str, tls: Path | None = None
) -> AsyncIterator[Served]:
    port, metrics_port = free_port(), free_port()
    path = folder / "gateway.yaml"
    more = "log: {access: false, level: warning}"
    path.write_text(
        configuration(
            port=port, metrics_port=metrics_port, upstream=upstream, pools=pinned(folder, key), more=more
        )
    )
    # Longer than the attack, which would else be over by itself.
    environ = {"COGNITO_GATEWAY_LISTEN__HEADER_TIMEOUT": "2m"}
    if tls is not None:
        environ["COGNITO_GATEWAY_LISTEN__TLS__CERTIFICATE_FILE"] = str(tls)
        environ["COGNITO_GATEWAY_LISTEN__TLS__KEY_FILE"] = str(tls)
    command = group.command(SCRIPT, "serve", "--config", path)
    async with started(folder, command, name="serve", environ=environ) as program:
        served = Served(program.process, program.out, program.err, port, metrics_port)
        await until(served.is_ready, seconds=90)
        yield served


@contextlib.asynccontextmanager
async def stalling(folder: Path) -> AsyncIterator[str]:
    """The attacks' upstream, and its URL."""
    port = free_port()
    command = [sys.executable, "-m", "bench.stalling", str(port)]
    async with started(folder, command, name="upstream", cwd=ROOT):

        async def answers() -> bool:
            try:
                return (await once(port, get("/"))).status == 200
            except (ConnectionError, asyncio.IncompleteReadError):
                return False

        await until(answers, seconds=60)
        yield f"http://127.0.0.1:{port}"


def hold(port: int, kind: str, tokens: Sequence[str], connections: int) -> list[socket.socket]:
    """As many as the gateway lets stand; refused and ended ones are the attacker's loss."""

    def one(index: int) -> list[socket.socket]:
        held: list[socket.socket] = []
        with contextlib.suppress(OSError, ValueError):
            # One that has no answer within a second stands all the same.
            sock = connect(port, index, timeout=1.0)
            held.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            held[-1] = HOLD[kind](sock, tokens[index % len(tokens)]) or sock
        return held

    # Those that wait for an answer wait together.
    with ThreadPoolExecutor(ATTACKERS) as attackers:
        held = [sock for socks in attackers.map(one, range(connections)) for sock in socks]
    if kind in PUSHED:
        push(held)
    return held


def push(sockets: Sequence[socket.socket]) -> None:
    with selectors.DefaultSelector() as selector:
        for sock in sockets:
            sock.setblocking(False)
            selector.register(sock, selectors.EVENT_WRITE)
        end = time.monotonic() + 20
        while (ready := selector.select(0.5)) and time.monotonic() < end:
            for key, _ in ready:
                assert isinstance(key.fileobj, socket.socket)
                try:
                    key.fileobj.send(_PIECE)
                except BlockingIOError:
                    pass
                except OSError:
                    selector.unregister(key.fileobj)


async def attacked(
    served: Served, group: MemoryGroup, attacks: Sequence[tuple[str, int]], tokens: Sequence[str]
) -> None:
    for kind, wanted in attacks:
        sockets = await asyncio.to_thread(hold, served.port, kind, tokens, wanted)
        try:
            await asyncio.sleep(STAYS)
            assert (await served.probe("/healthz")).status == 200
            there = sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in served.pids)
            resident = sum(procfs.memory(pid).resident for pid in served.pids) / MIB
            print(
                f"{kind}: {wanted:,} wanted, {there:,} descriptors open, {resident:.0f} MiB resident, "
                f"{group.used / MIB:.0f} MiB of the cgroup, at most {group.peak / MIB:.0f} so far"
            )
        finally:
            for sock in sockets:
                sock.close()
        assert group.killed == 0
        assert served.process.poll() is None


async def test_nobody_is_killed_for_what_strangers_hold(tmp_path: Path) -> None:
    raise_file_limit()
    key = KeyPair.generate("key-1")
    tokens = [sign(key, access_claims(sub=f"user-{number}")).decode() for number in range(64)]
    with memory_group(LIMIT) as group:
        async with stalling(tmp_path) as url, contained(tmp_path, group, key, url) as served:
            await attacked(served, group, PLAIN, tokens)

            async def serves() -> bool:
                return (await served.bearer(tokens[0])).status == 200

            await until(serves, seconds=30)


async def test_nor_for_their_handshakes(tmp_path: Path) -> None:
    raise_file_limit()
    key = KeyPair.generate("key-1")
    pem = write_self_signed(tmp_path / "tls.pem")
    with memory_group(LIMIT) as group:
        async with stalling(tmp_path) as url, contained(tmp_path, group, key, url, pem) as served:
            await attacked(served, group, TLS, [""])
            await until(served.is_ready, seconds=30)
