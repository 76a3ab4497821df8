"""Envoy itself, with both documented configurations: what it makes of them, of our answers, and of HTTP/2."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from gateway.config.load import load
from tests.support import recipes
from tests.support.assertions import curve, settings
from tests.support.behind import Front
from tests.support.forward_auth import ROUTES, TRUSTED, documented
from tests.support.fronts import OURS, Gateway, bootstrap, envoy, envoy_program, manager
from tests.support.http_2 import extended_connect
from tests.support.portal import signed_in
from tests.support.ports import free_port
from tests.support.programs import SCRIPT, Program, Served, configuration, pinned, started, until
from tests.support.running import running
from tests.support.tokens import KeyPair, access_claims, sign
from tests.support.wire import Upstream, get, once

pytestmark = pytest.mark.engine
# Tests with `front` run in its event loop.
shared = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["grpc", "http"])
async def front(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Front]:
    """One Envoy of each kind for all tests that leave it and its gateway as they were."""
    upstream, kind, folder = Upstream(), request.param, tmp_path_factory.mktemp("envoy")
    more = "ext_authz: {grpc_address: '127.0.0.1:0'}\ncors: {allow_origins: ['http://app.test']}\n"
    more += settings(folder, curve()) + ROUTES
    # Over gRPC the addresses that are trusted are those of Envoy's clients.
    trusted = TRUSTED if kind == "http" else ""
    async with running(folder, more, listen_lines=trusted) as gateway, upstream.running():
        worker = gateway.worker
        at = Gateway(worker.port, worker.grpc_port, worker.metrics_port)
        async with envoy(folder, kind, upstream.port, at) as port:
            yield Front(port, gateway, upstream, kind)


@shared
async def test_envoy_asks_and_serves(front: Front) -> None:
    await front.check_all()


@shared
async def test_neither_the_token_nor_our_cookies_reach_the_upstream(front: Front) -> None:
    signed = (await signed_in(front.gateway)).cookie
    folded = "; __Host-cognito_gateway=b; __Secure-Cognito.Gateway_1=c"
    for lines in ((f"{signed}; mine=1{folded}; theirs=2",), (f"{signed}; mine=1; theirs=2{folded}",)):
        assert (await front.ask("/api", *lines)).status == 200
        assert front.upstream.last.all("Cookie") == [b"mine=1; theirs=2"]
        assert b"cognito" not in front.upstream.last.head.lower()
    for target in ("/public/x", "/api"):
        assert (await front.ask(target, signed, front.gateway.bearer())).status in {200, 401}
        assert (await front.ask(target, front.gateway.bearer())).status == 200
        assert front.upstream.last.all("Authorization") == []
        assert (await front.ask(target, signed)).status == 200
        assert front.upstream.last.all("Cookie") == []


@shared
async def test_no_foreign_page_opens_a_websocket_over_http_2(front: Front) -> None:
    before = len(front.upstream.requests)
    for origin in ("http://evil.test", "null"):
        assert await extended_connect(front.port, front.gateway, origin) == 403
    assert len(front.upstream.requests) == before
    # Its own page's handshake reaches the upstream, which knows no WebSockets here.
    await extended_connect(front.port, front.gateway, "http://api.test")
    assert len(front.upstream.requests) == before + 1


@shared
async def test_pages_of_listed_origins_can_ask_and_read_refusals(front: Front) -> None:
    named, foreign = "Origin: http://app.test", "Origin: http://evil.test"
    asked = ("Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: authorization")
    before = len(front.upstream.requests)
    preflight = await front.ask("/api", named, *asked, method="OPTIONS")
    if front.kind == "grpc":
        assert (preflight.status, preflight.get("Access-Control-Allow-Origin")) == (204, "http://app.test")
    # Over HTTP, the API answers it.
    assert (preflight.status, len(front.upstream.requests) - before) in {(204, 0), (200, 1)}
    before = len(front.upstream.requests)
    assert (await front.ask("/api", foreign, *asked, method="OPTIONS")).status == 403
    for target, lines, status in (("/api", (), 401), ("/admin/x", (front.gateway.bearer(),), 403)):
        refusal = await front.ask(target, named, *lines)
        assert (refusal.status, refusal.get("Access-Control-Allow-Origin")) == (status, "http://app.test")
        assert "WWW-Authenticate" in (refusal.get("Access-Control-Expose-Headers") or "")
        assert "Origin" in (refusal.get("Vary") or "")
        assert json.loads(refusal.body)["status"] == status
        assert (await front.ask(target, foreign, *lines)).get("Access-Control-Allow-Origin") is None
    assert len(front.upstream.requests) == before


@shared
async def test_a_forwarded_host_of_the_clients_is_in_no_challenge(front: Front) -> None:
    names = (
        "X-Forwarded-Host",
        "X_Forwarded_Host",
        "X-Original-Host",
        "Forwarded",
        "X-Host",
    )
    for name in names:
        reply = await front.ask("/api", f"{name}: evil.example")
        assert reply.status == 401
        assert b"evil" not in reply.head + reply.body
        assert '"http://api.test/' in (reply.get("WWW-Authenticate") or "")


@shared
async def test_many_headers_pass_and_too_many_are_refused(front: Front) -> None:
    """Near its limit Envoy has no room for the identity headers: its own 500, and nothing is forwarded."""
    bearer = front.gateway.bearer()
    copies = ("X-Auth-Request-User: root", "Remote-User: root")
    for count in (98, 150, 185, *range(190, 202, 2), 250):
        lines = [f"X-Many-{number}: 1" for number in range(count - len(copies))]
        before = len(front.upstream.requests)
        assert (await front.ask("/api", *lines, *copies)).status in ({401, 431} if count > 185 else {401})
        assert len(front.upstream.requests) == before
        status = (await front.ask("/api", bearer, *lines, *copies)).status
        assert status in ({200} if count <= 185 else {200, 431, 500} if count < 250 else {431}), count
        assert len(front.upstream.requests) - before == (status == 200)
        if status == 200:
            assert b"root" not in front.upstream.last.head
            assert len(front.upstream.last.all("X-Auth-Request-User")) == 1


@contextlib.asynccontextmanager
async def served(folder: Path, at: Gateway, key: KeyPair) -> AsyncIterator[Program]:
    """Run a gateway as a process of its own; yields once it is ready."""
    folder.mkdir(exist_ok=True)
    more = f"ext_authz: {{grpc_address: '127.0.0.1:{at.grpc_port}'}}\n" + ROUTES
    upstream = "http://127.0.0.1:1"
    text = configuration(
        port=at.port, metrics_port=at.metrics_port, upstream=upstream, pools=pinned(folder, key), more=more
    )
    (folder / "gateway.yaml").write_text(text.replace("drain_timeout: 10s", TRUSTED))
    command: list[str | Path] = [SCRIPT, "serve", "--config", folder / "gateway.yaml"]
    async with started(folder, command, name="serve") as program:
        probed = Served(program.process, program.out, program.err, at.port, at.metrics_port)
        await until(probed.is_ready)
        yield program


@pytest.mark.parametrize("kind", ["grpc", "http"])
async def test_a_killed_or_hanging_gateway_is_a_503_and_another_takes_over(tmp_path: Path, kind: str) -> None:
    first, second = (Gateway(free_port(), free_port(), free_port()) for _ in range(2))
    upstream, key = Upstream(), KeyPair.generate("key-1")
    bearer = f"Authorization: Bearer {sign(key, access_claims()).decode('ascii')}"

    async def status(target: str = "/api") -> int:
        return (await once(port, get(target, bearer, "Connection: close"))).status

    async def decides() -> bool:
        return await status() == 200

    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(upstream.running())
        killed = await stack.enter_async_context(served(tmp_path / "first", first, key))
        async with served(tmp_path / "second", second, key) as other:
            port = await stack.enter_async_context(envoy(tmp_path, kind, upstream.port, first, second))
            await until(decides)
            os.killpg(killed.pid, signal.SIGKILL)
            # Health checks and outlier detection have this long.
            await asyncio.sleep(2)
            failed = [each for each in [await status() for _ in range(200)] if each != 200]
            assert len(failed) < 2, failed
            before = len(upstream.requests)
            os.killpg(other.pid, signal.SIGSTOP)
            assert set(await asyncio.gather(status("/public/x"), status())) == {503}
            assert len(upstream.requests) == before
            os.killpg(other.pid, signal.SIGCONT)
            await until(decides)
        before = len(upstream.requests)
        assert set(await asyncio.gather(status("/public/x"), status())) == {503}
        assert len(upstream.requests) == before
        async with served(tmp_path / "second", second, key):
            await until(decides)


def validated(folder: Path, config: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """What Envoy says of a configuration that it does not serve with."""
    (folder / "envoy.yaml").write_text(yaml.safe_dump(config))
    command: list[str | Path] = [
        envoy_program(),
        "--mode",
        "validate",
        "-c",
        folder / "envoy.yaml",
        "-l",
        "error",
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("kind", ["grpc", "http"])
def test_envoy_takes_the_configuration_and_no_unknown_field(tmp_path: Path, kind: str) -> None:
    config = bootstrap(kind)
    done = validated(tmp_path, config)
    assert done.returncode == 0, done.stderr
    for part in (config, manager(config), manager(config)["http_filters"][-2]["typed_config"]):
        part["http_filter"] = []
        done = validated(tmp_path, config)
        assert done.returncode != 0
        assert "http_filter" in done.stderr
        del part["http_filter"]


def test_the_grpc_configuration_fails_closed_and_asks_the_gateway(tmp_path: Path) -> None:
    config = bootstrap("grpc")
    authz, router = manager(config)["http_filters"]
    assert (authz["name"], router["name"]) == ("envoy.filters.http.ext_authz", "envoy.filters.http.router")
    assert authz["typed_config"]["failure_mode_allow"] is False
    clusters = {each["name"]: each for each in config["static_resources"]["clusters"]}
    asked = clusters[authz["typed_config"]["grpc_service"]["envoy_grpc"]["cluster_name"]]
    address = asked["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
    (tmp_path / "gateway.yaml").write_text(documented("yaml", OURS))
    ours = load(tmp_path / "gateway.yaml", {}).config.ext_authz.grpc_address
    assert "{address}:{port_value}".format(**address["socket_address"]) == str(ours)
    # Only what the gateway itself answers goes around the filter.
    endpoint_of_ours, *routes = manager(config)["route_config"]["virtual_hosts"][0]["routes"]
    assert endpoint_of_ours["match"] == {"safe_regex": {"regex": "/oauth2/auth(-or-sign-in)?(/.*)?"}}
    assert endpoint_of_ours["direct_response"] == {"status": 404}
    for route in routes:
        around = "typed_per_filter_config" in route
        assert route["route"] == {"cluster": "gateway" if around else "api"}


def test_the_http_filters_fail_closed_and_the_clients_copies_end_before_the_question() -> None:
    mutation, authz, token, cookies, router = manager(bootstrap("http"))["http_filters"]
    assert cookies["name"] == "without-cookies"
    assert token["typed_config"]["mutations"] == {"request_mutations": [{"remove": "authorization"}]}
    assert router["name"] == "envoy.filters.http.router"
    mutations = mutation["typed_config"]["mutations"]["request_mutations"]
    assert {name for each in mutations for name in each} == {"remove", "remove_on_match"}
    assert len(mutations) == len(recipes.envoy().splitlines())
    assert authz["typed_config"]["failure_mode_allow"] is False
    service = authz["typed_config"]["http_service"]
    assert service["path_prefix"] == "/oauth2/auth"
    patterns = service["authorization_response"]["allowed_upstream_headers"]["patterns"]
    assert patterns == [{"prefix": "x-auth-request-"}, {"exact": "x-gateway-jwt-assertion"}]
