"""A sign-out that one worker sees ends the session, and its streams, at the others."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from tests.support.portal import Browser, form_token, signed_in
from tests.support.programs import pinned, serving, until
from tests.support.running import running
from tests.support.streams import FAREWELL, upstream
from tests.support.tokens import POOL_ID, issuer_of
from tests.support.tunnels import UPGRADE
from tests.support.wire import Client, Upstream, get

# One worker has all of them once in 2,000 runs, and then the test shows less.
STREAMS = 12


async def test_a_sign_out_ends_the_streams_at_all_workers(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s" * 43 + "\n")
    sign_in = f"sign_in: {{session: {{secret_file: {tmp_path}/secret}}}}\n"
    other = tmp_path / "other"
    other.mkdir()
    async with Upstream(script=upstream).running() as api, running(other, sign_in) as maker:
        browser = await signed_in(maker)
        form = await form_token(maker, browser)
        # Nobody answers there: the sign-out is ours alone.
        pools = "  endpoint_url: http://127.0.0.1:1\n" + pinned(tmp_path, maker.key)
        pools = pools.replace("jwks_file", f"issuers: ['{issuer_of(POOL_ID)}'], jwks_file")
        async with serving(
            tmp_path,
            upstream=api.url,
            pools=pools,
            more=sign_in,
            environ={"COGNITO_GATEWAY_LISTEN__WORKERS": "2"},
        ) as served:

            async def both() -> bool:
                return (await served.samples())["cognito_gateway_workers"] == 2

            await until(both)
            async with contextlib.AsyncExitStack() as stack:
                clients = [
                    await stack.enter_async_context(await Client.connect(served.port)) for _ in range(STREAMS)
                ]
                for client in clients:
                    await client.send(get("/ws", browser.cookie, *UPGRADE, "Origin: http://api.test"))
                    assert (await client.reply()).status == 101
                copies = [Browser(served.port, dict(browser.jar)) for _ in range(STREAMS)]
                assert {(await copy.get("/")).status for copy in copies} == {200}
                reply = await Browser(served.port, browser.jar).post("/oauth2/sign_out", f"csrf={form}")
                assert reply.status == 502, "Cognito could not be told"
                ends = await asyncio.wait_for(asyncio.gather(*(each.reader.read() for each in clients)), 20)
                assert set(ends) == {FAREWELL}
                # Nobody is told by Redis here: the supervisor passes it on.
                assert {(await copy.get("/")).status for copy in copies} == {401}
