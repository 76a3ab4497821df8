"""A worker that can read no keys itself goes on with those that another one has read."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from tests.support.key_server import KeyServer
from tests.support.processes import Fleet, Slow
from tests.support.programs import pinned, serving, until
from tests.support.tokens import CLIENT_ID, POOL_ID, KeyPair, access_claims, key_set_document, sign
from tests.support.wire import Upstream

ONE, TWO = KeyPair.generate("key-1"), KeyPair.generate("key-2")
TOKEN = sign(ONE, access_claims())
READ_AT = f'cognito_gateway_jwks_last_success_timestamp_seconds{{pool="{POOL_ID}"}}'
KEYS = f'cognito_gateway_jwks_keys{{pool="{POOL_ID}"}}'


def pools(url: str) -> str:
    return f"  user_pools: [{{id: {POOL_ID}, client_ids: [{CLIENT_ID}], jwks_url: '{url}'}}]"


@dataclass
class Kept(Fleet):
    """Two workers that have their keys."""

    async def statuses(self, token: bytes = TOKEN, times: int = 20) -> set[int]:
        """On connections of their own: both workers get some."""
        return {(await self.served.bearer(token)).status for _ in range(times)}

    async def replace_all(self) -> None:
        """kill -9 of every worker, one after the other: nobody is left who has ever read a key set."""
        for victim in self.workers:
            os.kill(victim, signal.SIGKILL)
            await self._without(victim)

    async def reload(self, old: str, new: str) -> None:
        """The file changed so, and served by all."""
        before = await self.reloads("success")
        self.rewrite(old, new)
        self.served.signal(signal.SIGHUP)

        async def done() -> bool:
            return await self.reloads("success") > before

        await until(done)

    async def _without(self, victim: int) -> None:
        async def replaced() -> bool:
            samples = await self.served.samples()
            return victim not in self.workers and samples["cognito_gateway_workers"] == 2

        await until(replaced)


@contextlib.asynccontextmanager
async def kept(folder: Path, pools: str) -> AsyncIterator[Kept]:
    slow = Slow()
    upstream = Upstream(script=slow)
    two = {"COGNITO_GATEWAY_LISTEN__WORKERS": "2"}
    async with (
        upstream.running(),
        serving(folder, upstream=upstream.url, pools=pools, environ=two) as served,
    ):
        running = Kept(served, upstream, slow, folder / "gateway.yaml")
        await running.serving(2)
        await until(served.is_ready)
        # Not before both have reported them.
        await running.counted(KEYS, 1)
        yield running
        assert await served.stop() == 0
        assert "Traceback" not in served.stdout + served.stderr


async def test_workers_that_follow_others_have_their_keys_and_their_keys_age(tmp_path: Path) -> None:
    server = KeyServer(key_set_document(ONE))
    async with server.running(), kept(tmp_path, pools(server.url)) as running:
        read_at = (await running.served.samples())[READ_AT]
        # Of two that start together, the slower one may have been given what the other had read by then.
        before = len(running.events("key_set_adopted"))
        server.mode = "hang"
        hung_at = time.time()
        # The second time from somebody who had them handed over as well.
        for times in (1, 2):
            await running.replace_all()
            # It may say that workers end early, not that one has no keys.
            assert b'"keys"' not in (await running.served.probe()).body
            assert await running.statuses() == {200}
            taken = await running.event("key_set_adopted", before + 2 * times)
            assert (taken["pool"], taken["keys"]) == (POOL_ID, 1)
        samples = await running.served.samples()
        assert samples[KEYS] == 1
        # The other worker may have read them after the first sample.
        assert read_at - 1 < samples[READ_AT] < hung_at
        assert [line["keys"] for line in running.events("key_set_loaded")] == [1] * (2 - before)
        # Each asks for itself at its start, and a key that was withdrawn is gone with the first answer.
        server.document = key_set_document(TWO)
        server.mode = "good"

        async def gone() -> bool:
            return await running.statuses() == {401}

        await until(gone)
        assert await running.statuses(sign(TWO, access_claims())) == {200}
        assert (await running.served.samples())[READ_AT] > read_at


class Once(KeyServer):
    """Goes down when it has answered once."""

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        answer = await super()._answer(request)
        if self.fetches == 1:
            self.mode = "error"
        return answer


async def test_a_worker_that_never_had_keys_gets_those_that_another_has_read(tmp_path: Path) -> None:
    server = Once(key_set_document(ONE))
    async with server.running(), kept(tmp_path, pools(server.url)) as running:
        taken = await running.event("key_set_adopted")
        assert (taken["pool"], taken["keys"]) == (POOL_ID, 1)
        assert await running.statuses() == {200}
        # It goes on asking, as the other one does, and what it reads itself replaces what it was given.
        server.document = key_set_document(TWO)
        server.mode = "good"
        await running.event("key_set_loaded", 2)

        async def new() -> bool:
            return 200 in await running.statuses(sign(TWO, access_claims()))

        await until(new)
        assert len(running.events("key_set_adopted")) == 1


async def test_a_place_that_was_left_with_a_reload_gives_no_keys(tmp_path: Path) -> None:
    server = KeyServer(key_set_document(ONE))
    async with server.running(), kept(tmp_path, pools(server.url)) as running:
        server.mode = "error"
        # A worker that started late may have begun with what its sibling had read.
        before = len(running.events("key_set_adopted"))
        here, other = (f"//{host}:{server.port}/" for host in ("127.0.0.1", "localhost"))
        await running.reload(here, other)
        # Back again: a worker that lives through both has forgotten them, and so has the supervisor.
        await running.reload(other, here)
        assert await running.statuses() == {503}
        await running.replace_all()
        assert await running.statuses() == {503}
        assert len(running.events("key_set_adopted")) == before
        server.mode = "good"
        await until(running.served.is_ready)
        assert await running.statuses() == {200}


async def test_a_reload_that_leaves_the_place_keeps_the_keys_for_later_workers(tmp_path: Path) -> None:
    server = KeyServer(key_set_document(ONE))
    async with server.running(), kept(tmp_path, pools(server.url)) as running:
        server.mode = "error"
        await running.reload(CLIENT_ID, f"{CLIENT_ID}, another1client")
        await running.replace_all()
        assert await running.statuses() == {200}


async def test_a_pinned_file_that_broke_is_as_an_endpoint_that_is_down(tmp_path: Path) -> None:
    async with kept(tmp_path, pinned(tmp_path, ONE)) as running:
        (tmp_path / "jwks.json").write_text("half a docum")
        await running.replace_all()
        assert await running.statuses() == {200}
        # What is in the file counts as soon as it can be read.
        (tmp_path / "jwks.json").write_bytes(key_set_document(TWO))

        async def gone() -> bool:
            return await running.statuses() == {401}

        await until(gone)
