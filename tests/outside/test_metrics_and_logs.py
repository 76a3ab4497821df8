"""What is counted and written, and what never is."""

from __future__ import annotations

import asyncio
import base64
import re
import time
from pathlib import Path

import pytest

from gateway.version import VERSION
from tests.support import local_cognito
from tests.support.programs import (
    DEMO_CLIENT,
    DEMO_PASSWORD,
    DEMO_POOL,
    DEMO_USER,
    POOL_FLAGS,
    SCRIPT,
    cognito,
    run,
    serving,
)
from tests.support.promises import Bench
from tests.support.tokens import CLIENT_ID, POOL_ID, access_claims
from tests.support.wire import Client, Upstream, get, once

METRICS = (
    *("requests_total", "request_duration_seconds", "upstream_duration_seconds", "requests_in_flight"),
    *("auth_decisions_total", "token_cache_hits_total", "token_cache_misses_total", "jwks_fetches_total"),
    *("jwks_keys", "jwks_last_success_timestamp_seconds", "upstream_errors_total", "config_reloads_total"),
    *("workers", "build_info"),
)
ACCESS_FIELDS = [
    *("timestamp", "level", "event", "request_id", "client", "method", "path", "status", "duration_ms"),
    *("request_bytes", "response_bytes", "upstream_ms", "subject", "pool", "decision", "reason"),
]


async def test_metrics(new_bench: Bench) -> None:
    await new_bench.bearer("/api/v1/config")
    await new_bench.bearer("/api/v1/config?x=1", exp=1)
    await new_bench.bearer("/broken")
    text = (await new_bench.served.probe("/metrics")).body.decode()
    families = set(re.findall(r"(?m)^# TYPE (\S+) ", text))
    # The promise; docs/metrics.md has those that came later.
    assert families >= {f"cognito_gateway_{name}" for name in METRICS}
    assert all(name.startswith("cognito_gateway_") for name in families)
    samples = await new_bench.served.samples()
    assert samples['cognito_gateway_requests_total{code="200",method="GET"}'] == 1
    assert samples['cognito_gateway_auth_decisions_total{reason="token_expired",result="refused"}'] == 1
    assert samples['cognito_gateway_upstream_errors_total{reason="upstream_broken"}'] == 1
    assert samples[f'cognito_gateway_jwks_keys{{pool="{POOL_ID}"}}'] == 1
    assert samples[f'cognito_gateway_build_info{{version="{VERSION}"}}'] == 1
    for chosen in ("api/v1", "alice", "key-1", access_claims()["sub"], CLIENT_ID, "127.0.0.1"):
        assert chosen not in text


async def test_metrics_labels_are_not_the_clients_to_choose(new_bench: Bench) -> None:
    for method in ("BREW", "PROPFIND", "X" * 60):
        async with await Client.connect(new_bench.served.port) as client:
            await client.ask(get("/", method=method))
    names = await new_bench.served.samples()
    methods = set(re.findall(r'method="(\w+)"', " ".join(names)))
    assert methods <= {"GET", "other"}


async def test_access_lines(new_bench: Bench) -> None:
    before = time.time()
    reply = await new_bench.bearer("/api/v1/config?password=swordfish")
    line = await new_bench.log(reply, "request")
    assert list(line) == ACCESS_FIELDS
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["timestamp"])
    assert line["timestamp"] >= time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(before))
    expected = {
        "level": "info",
        "client": "127.0.0.1",
        "method": "GET",
        "path": "/api/v1/config",
        "status": 200,
        "request_bytes": 0,
        "response_bytes": 2,
        "subject": access_claims()["sub"],
        "pool": POOL_ID,
        "decision": "allowed",
        "reason": "valid_token",
    }
    assert {name: line[name] for name in expected} == expected
    assert line["duration_ms"] >= line["upstream_ms"] >= 0
    success = await new_bench.log(reply, "auth_success")
    assert success["subject"] == access_claims()["sub"]


async def test_every_line_of_the_log_is_json_with_its_three_first_fields(new_bench: Bench) -> None:
    await new_bench.bearer("/%0d%0aevent", "X-Request-Id: a\tb")
    await new_bench.served.ask("/<script>")
    await once(new_bench.served.port, b"\x16\x03\x01nonsense\r\n\r\n")
    assert await new_bench.served.stop() == 0
    lines = new_bench.served.log
    assert len(new_bench.served.stdout.splitlines()) == len(lines)
    assert all(list(line)[:3] == ["timestamp", "level", "event"] for line in lines)
    events = {line["event"] for line in lines}
    assert {"started", "key_set_loaded", "request", "draining", "stopped"} <= events
    assert new_bench.served.stderr == ""


async def test_nothing_secret_is_printed_anywhere(tmp_path: Path) -> None:
    wrong = "Wrong-Password-77"
    async with Upstream().running() as upstream, cognito(tmp_path) as (program, url):
        pools = f"  endpoint_url: {url}\n  user_pools: [{{id: {DEMO_POOL}, client_ids: [{DEMO_CLIENT}]}}]"
        debug = "log: {level: debug}"
        async with serving(tmp_path, upstream=upstream.url, pools=pools, more=debug) as served:
            boto = local_cognito.client(url)

            def sign_in(password: str) -> dict[str, str]:
                answer = boto.initiate_auth(
                    ClientId=DEMO_CLIENT,
                    AuthFlow="USER_PASSWORD_AUTH",
                    AuthParameters={"USERNAME": DEMO_USER, "PASSWORD": password},
                )
                return dict(answer["AuthenticationResult"])

            with pytest.raises(boto.exceptions.NotAuthorizedException):
                await asyncio.to_thread(sign_in, wrong)
            tokens = await asyncio.to_thread(sign_in, DEMO_PASSWORD)
            access, identity = tokens["AccessToken"], tokens["IdToken"]
            basic = base64.b64encode(f"{DEMO_USER}:{DEMO_PASSWORD}".encode()).decode()
            for lines in (
                [f"Authorization: Bearer {access}"],
                [f"Authorization: Bearer {identity}"],
                [f"Authorization: Bearer {access[:-4]}AAAA"],
                [f"Authorization: Bearer {access}, Bearer {identity}"],
                [f"Authorization: Basic {basic}"],
                [f"Authorization: {access}"],
                [f"Authorization: Bearer {access}", f"Bad Header {access}: 1"],
                [f"Cookie: cognito_gateway_session={tokens['RefreshToken']}", f"X-Request-Id: {access}"],
                [f"Host: {access}"],
                [f"Transfer-Encoding: {access}"],
            ):
                await served.ask(f"/api?access_token={access}&code={wrong}", *lines)
            await once(served.port, get("/", method=access[:20]))
            await served.ask(f"/api/{access}/x", f"Authorization: Bearer {access}")
            command = (SCRIPT, *POOL_FLAGS, "--username", DEMO_USER, "--endpoint-url", url)
            done = [
                await asyncio.to_thread(run, *command, cwd=tmp_path, stdin=password + "\n")
                for password in (wrong, DEMO_PASSWORD)
            ]
            assert [each.returncode for each in done] == [1, 0]
            assert done[0].stdout == ""
            assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+\n", done[1].stdout), "the token and nothing else"
            assert await served.stop() == 0
        assert await program.stop() == 0
    printed = "".join(each.stdout + each.stderr for each in (served, program))
    printed += "".join(each.stderr for each in done)
    assert len(served.log) > 10
    secrets = {wrong, DEMO_PASSWORD, basic, tokens["RefreshToken"][:40], tokens["RefreshToken"][-40:]}
    for token in (access, identity, done[1].stdout.strip()):
        _, payload, signature = token.split(".")
        secrets |= {payload[:20], payload[20:60], signature[:20], signature[-20:]}
    assert [secret for secret in secrets if secret in printed] == []
