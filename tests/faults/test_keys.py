"""The key endpoint is down for the whole run: who has keys feels nothing, who has none is told so."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import pytest

from tests.support.figures import Figure
from tests.support.key_server import KeyServer
from tests.support.load import (
    TWO,
    Clients,
    Kind,
    NamingUpstream,
    clients_of,
    replaced,
    stopped,
    tokens,
    watching,
    workers,
)
from tests.support.ports import free_port
from tests.support.programs import Served, pinned, serving, until
from tests.support.tokens import CLIENT_ID, POOL_ID, KeyPair, access_claims, key_set_document, sign

pytestmark = pytest.mark.slow

OPEN = "routes: [{path: /open, auth: none}]"


def pools(url: str) -> str:
    return f"  user_pools: [{{id: {POOL_ID}, client_ids: [{CLIENT_ID}], jwks_url: '{url}'}}]"


async def both_have_keys(served: Served) -> None:
    async def ready() -> bool:
        samples = await served.samples()
        keys = samples.get(f'cognito_gateway_jwks_keys{{pool="{POOL_ID}"}}')
        return samples.get("cognito_gateway_workers") == 2 and keys == 1

    await until(ready, seconds=90)


async def test_keys_from_a_file_need_no_endpoint(tmp_path: Path) -> None:
    key = KeyPair.generate("key-1")
    async with (
        NamingUpstream().running() as upstream,
        serving(tmp_path, upstream=upstream.url, pools=pinned(tmp_path, key), environ=TWO) as served,
    ):
        clients = Clients(served.port, tokens(key, 12))
        async with clients.running() as board:
            await clients.more(2000)
        print(f"keys from a file: {board}")
        assert board.failures == []


@pytest.mark.fault("keys known")
async def test_keys_once_fetched_outlive_their_endpoint(tmp_path: Path, figure: Figure) -> None:
    """Also while strangers' key ids ask for a fetch all the time."""
    key, stranger = KeyPair.generate("key-1"), KeyPair.generate("key-2")
    server = KeyServer(key_set_document(key))
    async with NamingUpstream().running() as upstream, contextlib.AsyncExitStack() as endpoint:
        await endpoint.enter_async_context(server.running())
        async with serving(tmp_path, upstream=upstream.url, pools=pools(server.url), environ=TWO) as served:
            await both_have_keys(served)
            clients = Clients(served.port, tokens(key, 12))
            asked = 0
            async with watching(served), clients.running() as board:
                for mode in ("hang", "error", "cut", "refuses"):
                    server.mode = mode
                    if mode == "refuses":
                        await endpoint.aclose()
                    unknown = [
                        sign(stranger, access_claims(), {"kid": f"{mode}-{each}"}) for each in range(10)
                    ]
                    replies = await asyncio.gather(*(served.bearer(token) for token in unknown))
                    assert {reply.status for reply in replies} <= {401, 503}
                    assert {reply.get("content-type") for reply in replies} == {"application/problem+json"}
                    asked += len(unknown)
                    await clients.more(500)
            print(f"endpoint down: {board}; {asked} unknown key ids; {server.fetches} fetches")
            assert board.failures == []
            figure(f"{board.good:,} requests; {asked} unknown key ids cost {server.fetches} fetches")
            assert await served.stop() == 0
            assert "Traceback" not in served.stdout + served.stderr


@pytest.mark.fault("keys and workers")
async def test_workers_killed_while_the_endpoint_is_down_are_followed_by_workers_with_keys(
    tmp_path: Path, figure: Figure
) -> None:
    """Lost is what they held; all others are served, in the end by workers that never read a key set."""
    key = KeyPair.generate("key-1")
    server = KeyServer(key_set_document(key))
    async with NamingUpstream().running() as upstream, server.running():
        async with serving(tmp_path, upstream=upstream.url, pools=pools(server.url), environ=TWO) as served:
            await both_have_keys(served)
            clients = Clients(served.port, tokens(key, 16))
            held: set[int] = set()
            async with watching(served), clients.running() as board:
                for mode in ("hang", "error", "cut", "hang"):
                    server.mode = mode
                    await clients.more(500)
                    victim = workers(served)[0]
                    # What it has accepted stays what it is until it is dead.
                    await stopped(victim)
                    held |= clients_of(victim, served.port)
                    os.kill(victim, signal.SIGKILL)
                    seconds = await replaced(served, victim)
                    print(f"killed, endpoint down ({mode}): replaced in {seconds:.2f} s")
                    await clients.more(500)
            print(f"killed, endpoint down: {board}; {len(held)} connections held")
            assert {failure.kind for failure in board.failures} <= {Kind.RESET, Kind.CUT}
            assert {failure.connection for failure in board.failures} <= held
            assert len(board.failures) <= len(held)
            assert board.statuses.keys() == {200}
            lost = f"{len(board.failures)} of {board.good:,} requests lost"
            figure(f"{lost}, all on the {len(held)} connections they held")
            assert await served.stop() == 0
            assert "Traceback" not in served.stdout + served.stderr


@pytest.mark.fault("no keys")
async def test_without_any_keys_every_answer_is_a_clean_503(tmp_path: Path, figure: Figure) -> None:
    key = KeyPair.generate("key-1")
    port = free_port()
    async with (
        NamingUpstream().running() as upstream,
        serving(
            tmp_path,
            upstream=upstream.url,
            pools=pools(f"http://127.0.0.1:{port}/.well-known/jwks.json"),
            more=OPEN,
            environ=TWO,
            ready=False,
        ) as served,
    ):
        # Load that is answered 503 and nothing else; the board counts any other answer as a failure.
        clients = Clients(served.port, tokens(key, 12), tolerated=frozenset({503}))
        async with clients.running() as board:

            async def many() -> bool:
                return board.statuses[503] >= 1000

            await until(many, seconds=120)
            # Requests that need no keys are served; those without a token get a 401.
            assert (await served.ask("/open")).status == 200
            assert (await served.ask("/api/1/none")).status == 401
            reply = await served.bearer(clients.tokens[0], "/api/1/none")
            assert (reply.status, reply.get("retry-after")) == (503, "10")
            assert (await served.probe()).status == 503
        print(f"no keys: {board}; {dict(board.statuses)}")
        assert board.failures == []
        assert board.good == 0
        figure(f"{board.statuses[503]:,} × 503 with `Retry-After`, open paths served; recovers by itself")
        # It comes up: the same processes serve, without anybody doing anything.
        server = KeyServer(
            key_set_document(key),
        )
        server.port = port
        async with server.running():
            await both_have_keys(served)
            after = Clients(served.port, tokens(key, 12))
            async with after.running() as board:
                await after.more(500)
            assert board.failures == []
        assert await served.stop() == 0
        assert "Traceback" not in served.stdout + served.stderr
