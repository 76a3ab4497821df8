"""Accepting when places or descriptors run out: who came first feels nothing, who comes is answered."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.loops import on_both_loops
from tests.support.programs import SCRIPT, pinned, serving, until
from tests.support.running import logged, running
from tests.support.tokens import KeyPair
from tests.support.waiting import until as until_true
from tests.support.wire import Client, Upstream, get, once

OPEN = "routes: [{path: /open, auth: none}]\n"


@contextlib.contextmanager
def no_descriptor_left() -> Iterator[None]:
    """This process can open nothing more inside."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    next_one = os.open(os.devnull, os.O_RDONLY)
    os.close(next_one)
    resource.setrlimit(resource.RLIMIT_NOFILE, (next_one, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def waiting_clients(port: int, count: int) -> list[socket.socket]:
    """Connections that the kernel has accepted and the gateway, whose turn it is not, has not."""
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
    for client in clients:
        client.sendall(get("/open"))
        client.setblocking(False)
    return clients


@on_both_loops
async def test_without_descriptors_clients_are_answered_and_it_goes_on_by_itself(tmp_path: Path) -> None:
    async with running(tmp_path, OPEN) as gateway:
        loop = asyncio.get_running_loop()
        async with await Client.connect(gateway.port) as first:
            assert (await first.ask(get("/open"))).status == 200
            clients = waiting_clients(gateway.port, 40)
            with no_descriptor_left():
                for client in clients:
                    answer = await asyncio.wait_for(loop.sock_recv(client, 65536), 60)
                    assert answer.startswith(b"HTTP/1.1 503 ")
                    assert b"\r\nRetry-After: 1\r\n" in answer
                # Who was there before feels nothing.
                assert (await first.ask(get("/open"))).status == 200
            for client in clients:
                client.close()
            assert gateway.worker.metrics.limits_reached["descriptors"] == 40
            assert (await once(gateway.port, get("/open"))).status == 200
            ready = await once(gateway.worker.metrics_port, get("/readyz"))
            assert (ready.status, b'"component": "descriptors"' in ready.body) == (503, True)
        (event,) = await logged(gateway, "descriptors_exhausted", 1)
        assert event["level"] == "error"
        assert "raise the limit of open files" in str(event["exact"])

        async def recovered() -> bool:
            return (await once(gateway.worker.metrics_port, get("/readyz"))).status == 200

        await until(recovered)
        await logged(gateway, "descriptors_recovered", 1)


@on_both_loops
async def test_far_more_clients_than_places_are_answered_without_one(tmp_path: Path) -> None:
    """The gateway gives its own refusal to some, and never more descriptors than that to the rest."""
    async with running(tmp_path, OPEN, listen_lines="max_connections: 2") as gateway:
        loop = asyncio.get_running_loop()
        async with await Client.connect(gateway.port) as first, await Client.connect(gateway.port) as second:
            assert (await first.ask(get("/open"))).status == 200
            assert (await second.ask(get("/open"))).status == 200
            clients = waiting_clients(gateway.port, 200)
            for client in clients:
                answer = await asyncio.wait_for(loop.sock_recv(client, 65536), 60)
                assert answer.startswith(b"HTTP/1.1 503 ")
            assert len(gateway.worker.connections) <= 2 + 64
            assert (await first.ask(get("/open"))).status == 200
            for client in clients:
                client.close()
        assert gateway.worker.metrics.limits_reached["listen.max_connections"] == 200
        await until_true(lambda: not gateway.worker.connections)
        assert (await once(gateway.port, get("/open"))).status == 200


@pytest.mark.parametrize("workers", [{}, {"COGNITO_GATEWAY_LISTEN__WORKERS": "2"}], ids=["alone", "two"])
async def test_a_soft_limit_is_raised_and_a_hard_one_lowers_the_connections(
    tmp_path: Path, workers: dict[str, str]
) -> None:
    key = KeyPair.generate("key-1")
    limited: list[str | Path] = ["/bin/sh", "-c", 'ulimit -Sn 64; ulimit -Hn 200; exec "$0" "$@"', SCRIPT]
    async with (
        Upstream().running() as upstream,
        serving(
            tmp_path,
            upstream=upstream.url,
            pools=pinned(tmp_path, key),
            more=OPEN,
            command=limited,
            environ={"COGNITO_GATEWAY_LISTEN__MAX_CONNECTIONS": "5000", **workers},
        ) as served,
    ):
        clients = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(500)]
        for path in ("/healthz", "/readyz", "/metrics"):
            assert (await served.probe(path)).status == 200
        for client in clients:
            client.close()

        async def served_again() -> bool:
            return (await served.ask("/open")).status == 200

        await until(served_again)
        # The second worker may still be starting.
        count = 2 if workers else 1
        events = await served.logged("connections_limited", count)
        assert len(events) == count
        assert "a limit of 200 open files leaves room for 36 client connections, not 5000" in str(
            events[0]["exact"]
        )
