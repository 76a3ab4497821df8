"""Set-up where several workers serve: one code for all of them, and all of them take up the answer."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.support import local_cognito
from tests.support.programs import serving, until
from tests.support.site import ALICE, CLIENT, PASSWORD, POOL, Browser, seed
from tests.support.wire import Upstream, get, once


async def test_any_worker_accepts_the_code_and_all_serve_the_pool(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    upstream = Upstream()
    with local_cognito.running(seed()) as local:
        async with (
            upstream.running(),
            serving(
                tmp_path,
                upstream=upstream.url,
                pools=f"  endpoint_url: {local.url}",
                more="sign_in: {state_dir: state}",
                environ={"COGNITO_GATEWAY_LISTEN__WORKERS": "2"},
                ready=False,
            ) as served,
        ):
            (line,) = await served.logged("setup_code")
            browser = Browser(served.port)
            await browser.open("/oauth2/setup")
            await browser.submit(
                setup_code=line["setup_code"],
                region="us-east-1",
                user_pool_id=POOL,
                client_id=CLIENT,
                identity_pool_id="",
            )
            assert "Connecting" in browser.text
            await until(served.is_ready)

            async def connected() -> bool:
                # Whichever of the two answers.
                replies = await asyncio.gather(
                    *(once(served.port, get("/oauth2/setup?saved=5")) for _ in range(8))
                )
                return all(reply.status == 303 for reply in replies)

            await until(connected)
            await browser.open("/oauth2/sign_in")
            await browser.submit(username=ALICE, password=PASSWORD)
            assert browser.location == "/oauth2/"
            # The code opens nothing any more, in no worker, and the next one is in the log.
            assert (await browser.open("/oauth2/setup")).status == 404
            codes = [each["setup_code"] for each in await served.logged("setup_code", 2)]
            assert len(set(codes)) == len(codes) == 2
            (tmp_path / "state" / "connection.yaml").unlink()

            said = [each["setup_code"] for each in await served.logged("setup_code", 3)]
            assert said == [*codes, codes[1]], "said again now that it is good for something"

            async def refused() -> bool:
                replies = []
                for _ in range(4):
                    late = Browser(served.port)
                    await late.open("/oauth2/setup")
                    if late.last is None or late.last.status != 200:
                        return False
                    replies.append(await late.submit(setup_code=codes[0], region="us-east-1"))
                return all(reply.status == 400 and b"current setup code" in reply.body for reply in replies)

            await until(refused)
