"""What a reload keeps, what https changes, and what is loaded when."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.config.model import Route
from tests.support.played_cognito import old, play, served
from tests.support.portal import Browser, a_session, form_token, signed_in
from tests.support.running import running
from tests.support.waiting import until
from tests.support.wire import get, once


@pytest.mark.parametrize("store", ["cookie", "memory"])
async def test_a_reload_keeps_sessions_and_sign_outs(tmp_path: Path, store: str) -> None:
    async with served(tmp_path, store) as (gateway, cognito):
        browser, ended = await signed_in(gateway), await signed_in(gateway)
        renewed = await signed_in(gateway, old(gateway))
        late = renewed.copy()
        await renewed.get("/api")
        thief = ended.copy()
        await ended.post("/oauth2/sign_out", f"csrf={await form_token(gateway, ended)}")
        config = gateway.worker.config
        await gateway.worker.reload(dataclasses.replace(config, routes=(Route("/open/**", None, "none"),)))
        play(gateway, cognito)
        assert (await browser.get("/api")).status == 200
        assert (await thief.get("/api")).status == 401
        assert (await late.get("/api")).status == 200
        assert len(cognito.renewed) == 1, "the newest tokens are known still"


async def test_a_rotated_secret_opens_old_cookies_and_seals_new_ones(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("o" * 43 + "\n")
    yaml = f"sign_in: {{session: {{secret_file: {keys}}}}}\n"
    async with running(tmp_path, yaml) as gateway:
        before = await signed_in(gateway)
        keys.write_text("n" * 43 + "\n" + "o" * 43 + "\n")
        await gateway.worker.reload(gateway.worker.config)
        assert (await before.get("/api")).status == 200
        after = await signed_in(gateway)
        assert (await before.get("/api")).status == 200
        keys.write_text("n" * 43 + "\n")
        await gateway.worker.reload(gateway.worker.config)
        assert (await after.get("/api")).status == 200
        assert (await before.get("/api")).status == 401, "remembered or not"


async def test_on_https_cookies_are_for_this_host_alone(tmp_path: Path) -> None:
    lines = "public_url: 'https://api.test'"
    pool = "domain: 'http://127.0.0.1:1'"
    async with running(tmp_path, listen_lines=lines, pool_lines=pool) as gateway:
        reply = await once(gateway.port, get("/oauth2/start"))
        (cookie,) = reply.all("set-cookie")
        name, _, rest = cookie.partition("=")
        assert re.fullmatch(r"__Host-cognito_gateway_login_[0-9a-f]{16}", name)
        assert rest.partition("; ")[2] == "Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=900"
        browser = await signed_in(gateway)
        assert (await browser.get("/api")).status == 401, "a cookie without the prefix is a neighbour's"
        safe = Browser(gateway.port, {f"__Host-{name}": value for name, value in browser.jar.items()})
        assert (await safe.get("/api")).status == 200
        posted = await safe.get("/api", "Content-Length: 0", "Origin: https://api.test", method="POST")
        assert posted.status == 200


def test_bearers_load_neither_pages_nor_aws(tmp_path: Path) -> None:
    """In an interpreter of its own: this one has loaded everything."""
    program = """
import sys
from pathlib import Path
from gateway.config.load import load
from gateway.observe.logs import configure
from gateway.observe.metrics import WorkerMetrics
from gateway.serve.app import Gateway
Path("c.yaml").write_text(sys.argv[1])
config = load(Path("c.yaml"), {}).config
Gateway(config, metrics=WorkerMetrics(), log=configure(config.log))
loaded = {name.partition(".")[0] for name in sys.modules}
costly = loaded & {"boto3", "botocore", "jinja2", "redis", "segno"}
print(sorted(costly), "gateway.pages.portal" in sys.modules)
"""
    for yaml, expected in (("", "[] True"), ("sign_in: {enabled: false}\n", "[] False")):
        done = subprocess.run(
            [sys.executable, "-c", program, yaml], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == expected


async def test_a_secret_file_that_cannot_be_read_keeps_the_last_good(tmp_path: Path) -> None:
    from gateway.errors import GatewayError

    keys = tmp_path / "keys"
    keys.write_text("o" * 43 + "\n")
    async with running(tmp_path, f"sign_in: {{session: {{secret_file: {keys}}}}}\n") as gateway:
        browser = await signed_in(gateway, a_session(gateway.key))
        keys.write_text("short\n")
        with pytest.raises(GatewayError, match="shorter than 32"):
            await gateway.worker.reload(gateway.worker.config)
        assert (await browser.get("/api")).status == 200


@pytest.mark.parametrize("store", ["cookie", "memory"])
async def test_a_renewal_under_way_outlives_a_reload(tmp_path: Path, store: str) -> None:
    """Where refresh tokens rotate, one that is dropped half-way has used up the only one there is."""
    async with served(tmp_path, store) as (gateway, cognito):
        cognito.wait = 1.5
        browser = await signed_in(gateway, a_session(gateway.key, lifetime=-5))
        other = browser.copy()
        leaver = asyncio.create_task(browser.copy().get("/api"))
        await until(lambda: cognito.renewed)
        await gateway.worker.reload(
            dataclasses.replace(gateway.worker.config, routes=(Route("/open/**", None, "none"),))
        )
        play(gateway, cognito)
        waiting = asyncio.create_task(other.get("/api"))
        leaver.cancel()
        # Nobody uses the old configuration any more.
        await until(lambda: not gateway.worker.server.replaced)
        assert not waiting.done()
        assert (await waiting).status == 200
        assert len(cognito.renewed) == 1
