"""The main job from outside: a token from Cognito, a request through the gateway; starts, ends, troubles."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import statistics
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from local_cognito import sample_api, seed
from tests.support import local_cognito
from tests.support.ports import free_port
from tests.support.programs import (
    DEMO_CLIENT,
    DEMO_PASSWORD,
    DEMO_POOL,
    DEMO_USER,
    SCRIPT,
    Served,
    cognito,
    configuration,
    pinned,
    run,
    serving,
    started,
    until,
)
from tests.support.tokens import KeyPair, access_claims, sign
from tests.support.wire import OK, Client, Received, Upstream, get

LATE_POOL = "us-east-1_LatePool1"


@pytest.fixture
async def api() -> AsyncIterator[str]:
    """The sample API's URL."""
    runner = web.AppRunner(sample_api.application(), access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def token_of(url: str) -> str:
    boto = local_cognito.client(url)
    answer: dict[str, Any] = await asyncio.to_thread(
        boto.initiate_auth,
        ClientId=DEMO_CLIENT,
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": DEMO_USER, "PASSWORD": DEMO_PASSWORD},
    )
    return str(answer["AuthenticationResult"]["AccessToken"])


def demo_pool(url: str) -> str:
    return f"  endpoint_url: {url}\n  user_pools: [{{id: {DEMO_POOL}, client_ids: [{DEMO_CLIENT}]}}]"


async def test_a_token_from_cognito_opens_the_api(tmp_path: Path, api: str) -> None:
    async with cognito(tmp_path) as (_, url), serving(tmp_path, upstream=api, pools=demo_pool(url)) as served:
        token = await token_of(url)
        for scheme in ("Bearer", "bearer", "BEARER"):
            reply = await served.ask(
                "/api/v1/config", "Content-Type: application/json", f"Authorization: {scheme} {token}"
            )
            assert reply.status == 200
            assert reply.get("Content-Type") == "application/json; charset=utf-8"
            answer = json.loads(reply.body)
            assert answer["service"] == "sample-api"
            assert answer["identity"]["groups"] == "admins,users"
        refused = await served.ask("/api/v1/config", "Content-Type: application/json")
        assert refused.status == 401
        assert re.match(r'Bearer realm="[^"]+", resource_metadata="', refused.get("WWW-Authenticate") or "")
        assert refused.get("Content-Type") == "application/problem+json"
        assert json.loads(refused.body)["status"] == 401

        boto = local_cognito.client(url)
        await asyncio.to_thread(boto.admin_user_global_sign_out, UserPoolId=DEMO_POOL, Username=DEMO_USER)
        with pytest.raises(boto.exceptions.NotAuthorizedException):
            await asyncio.to_thread(boto.get_user, AccessToken=token)
        # Until revocation.check_every is built a token holds until it expires.
        assert (await served.bearer(token, "/api/v1/config")).status == 200
        assert await served.stop() == 0
        assert served.stderr == ""


async def test_an_expired_token_of_cognito_is_refused(tmp_path: Path, api: str) -> None:
    """A Cognito whose clock is two hours behind gives tokens that are an hour past their end."""
    document = seed.read(seed.DEMO)
    document["UserPools"][0]["Id"] = LATE_POOL
    with local_cognito.running(document, local_cognito.Clock(int(time.time()) - 7200)) as local:
        pools = (
            f"  endpoint_url: {local.url}\n  user_pools: [{{id: {LATE_POOL}, client_ids: [{DEMO_CLIENT}]}}]"
        )
        async with serving(tmp_path, upstream=api, pools=pools) as served:
            reply = await served.bearer(await token_of(local.url))
            assert reply.status == 401
            assert 'error="invalid_token"' in (reply.get("WWW-Authenticate") or "")
            assert json.loads(reply.body)["detail"] == "The access token has expired."


# --- what is loaded ---


def imported(served: Served, *tops: str) -> set[str]:
    """Which of these packages the serving process imported, by `python -X importtime`."""
    names = {line.rpartition("|")[2].strip() for line in served.stderr.splitlines()}
    return {name for name in names if name.split(".")[0] in tops or name.startswith(tops)}


async def test_modules_that_no_request_needs_are_not_loaded(tmp_path: Path) -> None:
    key = KeyPair.generate("key-1")
    async with (
        Upstream().running() as upstream,
        serving(
            tmp_path,
            upstream=upstream.url,
            pools=pinned(tmp_path, key),
            command=[sys.executable, "-X", "importtime", "-m", "gateway"],
        ) as served,
    ):
        assert (await served.bearer(sign(key, access_claims()))).status == 200
        assert imported(served, "aiohttp")
        # Of gateway.aws only what has no part in calling AWS: the values that pages and adapters exchange.
        costly = (
            "cryptography.x509.base",
            "boto3",
            "botocore",
            "gateway.aws.cognito_client",
            "local_cognito",
            "hypothesis",
            "jinja2",
        )
        assert imported(served, *costly, "opentelemetry", "grpc", "redis") == set()
        assert imported(served, "prometheus_client") == set(), "only a scrape needs it"
        assert (await served.probe("/metrics")).status == 200
        assert imported(served, "prometheus_client")


def maps(served: Served) -> str:
    return "".join(Path(f"/proc/{pid}/maps").read_text() for pid in served.pids)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("installed", [True, False])
async def test_uvloop_where_it_is_and_asyncio_elsewhere(tmp_path: Path, *, installed: bool) -> None:
    key = KeyPair.generate("key-1")
    environ = {}
    if not installed:
        hidden = tmp_path / "hidden"
        hidden.mkdir()
        (hidden / "sitecustomize.py").write_text("import sys\nsys.modules['uvloop'] = None\n")
        environ["PYTHONPATH"] = str(hidden)
    async with (
        Upstream().running() as upstream,
        serving(tmp_path, upstream=upstream.url, pools=pinned(tmp_path, key), environ=environ) as served,
    ):
        assert ("uvloop/loop" in maps(served)) == installed
        assert (await served.bearer(sign(key, access_claims()))).status == 200
        assert (await served.ask("/")).status == 401
        assert await served.stop() == 0


# --- Cognito is down ---


async def test_it_starts_without_cognito_and_recovers(tmp_path: Path, api: str) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with serving(tmp_path, upstream=api, pools=demo_pool(url), ready=False) as served:

        async def failed() -> bool:
            return any(line["event"] == "key_set_fetch_failed" for line in served.log)

        await until(failed)
        probe = await served.probe()
        assert probe.status == 503
        reasons = json.loads(probe.body)["reasons"]
        assert [(each["component"], each["pool"]) for each in reasons] == [("keys", DEMO_POOL)]
        assert reasons[0]["reason"]
        assert (await served.probe("/healthz")).status == 200
        claims = access_claims(DEMO_POOL, DEMO_CLIENT, iss=f"{url}/{DEMO_POOL}")
        unknown = await served.bearer(sign(KeyPair.generate("key-1"), claims))
        assert unknown.status == 503
        assert int(unknown.get("Retry-After") or 0) > 0
        assert unknown.get("WWW-Authenticate") is None
        assert (await served.ask("/")).status == 401
        async with cognito(tmp_path, port):
            took = await until(served.is_ready)
            print(f"recovered {took:.1f} s after Cognito came back")
            assert (await served.bearer(await token_of(url), "/api/v1/config")).status == 200
        # Cognito is gone again: what is known goes on working.
        assert (await served.probe()).status == 200


@pytest.mark.slow
async def test_it_is_ready_soon(tmp_path: Path) -> None:
    """The bar is 0.8 s; the limit here leaves room for a machine that is busy."""
    key = KeyPair.generate("key-1")
    seconds = []
    for number in range(5):
        folder = tmp_path / str(number)
        folder.mkdir()
        port, metrics_port = free_port(), free_port()
        text = configuration(
            port=port,
            metrics_port=metrics_port,
            upstream="http://127.0.0.1:9",
            pools=pinned(folder, key),
        )
        (folder / "gateway.yaml").write_text(text)
        begun = time.monotonic()
        command: list[str | Path] = [SCRIPT, "serve", "--config", folder / "gateway.yaml"]
        async with started(folder, command) as program:
            served = Served(program.process, program.out, program.err, port, metrics_port)
            await until(served.is_ready, pause=0.005)
            seconds.append(time.monotonic() - begun)
    print(f"ready after {statistics.median(seconds):.2f} s (median of 5)")
    assert statistics.median(seconds) <= 4


# --- ends ---


async def test_sigterm_lets_a_request_finish(tmp_path: Path) -> None:
    key = KeyPair.generate("key-1")
    asked, answer = asyncio.Event(), asyncio.Event()

    async def script(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await answer.wait()
        writer.write(OK)

    async with (
        Upstream(script=script).running() as upstream,
        serving(tmp_path, upstream=upstream.url, pools=pinned(tmp_path, key)) as served,
    ):
        token = sign(key, access_claims()).decode()
        waiting = asyncio.create_task(served.bearer(token))
        await asyncio.wait_for(asked.wait(), 60)
        ending = asyncio.create_task(served.stop())
        await served.says('"draining"')

        async def refused() -> bool:
            try:
                async with await Client.connect(served.port):
                    return False
            except ConnectionError:
                return True

        await until(refused)
        assert served.process.poll() is None, "a request is in flight"
        answer.set()
        assert (await waiting).body == b"ok"
        assert await ending == 0
        assert served.stderr == ""


@pytest.mark.parametrize("which", ["listen.address", "metrics.address"])
async def test_a_taken_address_is_one_sentence(tmp_path: Path, which: str) -> None:
    key = KeyPair.generate("key-1")
    async with Upstream().running() as taken:
        ports = {"listen.address": free_port(), "metrics.address": free_port(), which: taken.port}
        text = configuration(
            port=ports["listen.address"],
            metrics_port=ports["metrics.address"],
            upstream="http://127.0.0.1:9",
            pools=pinned(tmp_path, key),
        )
        (tmp_path / "gateway.yaml").write_text(text)
        done = await asyncio.to_thread(
            run, SCRIPT, "serve", "--config", tmp_path / "gateway.yaml", cwd=tmp_path
        )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert which in done.stderr
    assert str(taken.port) in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


async def test_an_empty_file_serves_and_says_not_configured(tmp_path: Path) -> None:
    port, metrics_port = free_port(), free_port()
    (tmp_path / "gateway.yaml").touch()
    environ = {
        "COGNITO_GATEWAY_LISTEN__ADDRESS": f"127.0.0.1:{port}",
        "COGNITO_GATEWAY_METRICS__ADDRESS": f"127.0.0.1:{metrics_port}",
    }
    command: list[str | Path] = [SCRIPT, "serve", "--config", "gateway.yaml"]
    async with started(tmp_path, command, environ=environ) as program:
        served = Served(program.process, program.out, program.err, port, metrics_port)
        await until(served.is_listening)
        for lines in ([], ["Authorization: Bearer a.b.c"]):
            reply = await served.ask("/", *lines)
            assert reply.status == 503
            assert reply.get("Content-Type") == "application/problem+json"
            assert json.loads(reply.body)["title"] == "Not configured"
        assert await served.stop() == 0


async def test_variables_alone_configure_it(tmp_path: Path) -> None:
    port, metrics_port = free_port(), free_port()
    environ = {
        "COGNITO_GATEWAY_LISTEN__ADDRESS": f"127.0.0.1:{port}",
        "COGNITO_GATEWAY_METRICS__ADDRESS": f"127.0.0.1:{metrics_port}",
        "COGNITO_GATEWAY_COGNITO__USER_POOLS__0__ID": "ap-south-1_TestPool1",
        "COGNITO_GATEWAY_COGNITO__USER_POOLS__0__CLIENT_IDS__0": "1testing23456789",
        "COGNITO_GATEWAY_COGNITO__USER_POOLS__0__JWKS_URL": f"http://127.0.0.1:{free_port()}/",
    }
    async with (
        Upstream().running() as upstream,
        started(
            tmp_path,
            [SCRIPT, "serve"],
            environ=environ
            | {
                "COGNITO_GATEWAY_UPSTREAM__URL": upstream.url,
                "COGNITO_GATEWAY_ROUTES": "[{path: /status, auth: none}]",
            },
        ) as program,
    ):
        served = Served(program.process, program.out, program.err, port, metrics_port)
        await until(served.is_listening)
        assert (await served.ask("/status")).status == 200
        assert (await served.ask("/")).status == 401
        assert await served.stop() == 0


async def test_an_idle_connection_does_not_delay_the_end(tmp_path: Path) -> None:
    key = KeyPair.generate("key-1")
    async with (
        Upstream().running() as upstream,
        serving(
            tmp_path,
            upstream=upstream.url,
            pools=pinned(tmp_path, key),
            environ={"COGNITO_GATEWAY_LISTEN__DRAIN_TIMEOUT": "60s"},
        ) as served,
        contextlib.AsyncExitStack() as stack,
    ):
        client = await stack.enter_async_context(await Client.connect(served.port))
        assert (await client.ask(get("/"))).status == 401
        begun = time.monotonic()
        assert await served.stop() == 0
        assert time.monotonic() - begun < 50, "drain_timeout is 60 s"
        assert await client.closed()
