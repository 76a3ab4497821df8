"""Envoy's gRPC ext_authz, asked by a real client on loopback, and what an Envoy would make of the answers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import grpc
import pytest

from gateway.config.load import load
from gateway.config.trusted_names import GROUPS
from gateway.envoy.ext_authz_pb2 import Address, CheckRequest, CheckResponse, Pipe
from gateway.errors import GatewayError
from gateway.serve.worker import Worker
from tests.support.envoy_client import GRPC, Stub, check, envoy
from tests.support.forward_auth import ROUTES, keyless
from tests.support.key_server import KeyServer
from tests.support.running import Running, logged, running


def sent_on(request: CheckRequest, response: CheckResponse) -> dict[str, str]:
    """The headers that Envoy sends upstream: sets, and then removes, as its filter does."""
    assert response.status.code == 0
    sent = request.attributes.request.http.headers
    headers = {each.key.decode(): each.value.decode() for each in sent}
    for option in response.ok_response.headers:
        key, value = option.header.key.lower(), option.header.value
        # Without this field Envoy would go by another one, whose default is to append.
        assert option.HasField("append")
        assert not option.append.value
        headers[key] = value
    for name in response.ok_response.headers_to_remove:
        headers.pop(name.lower(), None)
    return {name: value for name, value in headers.items() if not name.startswith(":")}


def bearer(gateway: Running, **changes: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {gateway.token(**changes)}"}


async def test_bytes_that_are_no_text_are_no_fault_of_ours(tmp_path: Path) -> None:
    trusted = "trusted_proxies: [192.0.2.0/24]"
    async with envoy(tmp_path, GRPC + "routes: [{path: /open, auth: none}]\n", listen_lines=trusted) as at:
        gateway, stub = at
        ours = [("cookie", b"cognito_gateway_session=x; a=\xff")]
        assert (await stub.Check(check("/open", raw=ours))).denied_response.status.code == 403
        theirs: list[tuple[str, str | bytes]] = [("cookie", b"a=\xff"), ("x-forwarded-for", b"\xff")]
        assert (await stub.Check(check("/open", raw=theirs))).status.code == 0
        assert len(await logged(gateway, "request", 2)) == 2
        assert not [line for line in gateway.log() if line["level"] == "error"]


async def test_the_routes_decide_as_they_do_everywhere(tmp_path: Path) -> None:
    async with envoy(tmp_path) as (gateway, stub):
        user, admin = bearer(gateway), bearer(gateway, **{"cognito:groups": ["admins"]})
        for path, method, headers, status in (
            ("/public/x", "GET", {}, 0),
            ("/public/x?y=/admin/", "DELETE", {}, 0),
            ("/form", "HEAD", {}, 0),
            ("/form", "POST", {}, 401),
            ("/maybe", "GET", {}, 0),
            ("/maybe", "GET", {"authorization": "Bearer x.y.z"}, 401),
            ("/api", "GET", {}, 401),
            ("/api?x=/public/", "GET", {}, 401),
            ("/api", "POST", user, 0),
            ("/admin/x", "GET", user, 403),
            ("/admin/x", "GET", admin, 0),
            ("/public/../admin/x", "GET", admin, 403),
            ("/public/%2e%2e/admin/x", "GET", {}, 403),
            ("//admin", "GET", user, 403),
            ("/admin#/public", "GET", user, 403),
            ("*", "OPTIONS", user, 403),
            ("", "GET", user, 403),
            ("/api", "CONNECT", user, 403),
            ("/api", "TRACE", user, 403),
            ("/form", "get", {}, 403),
            ("/api", "Post", user, 403),
            ("/api", "GET", {**user, "host": "other.test"}, 403),
            ("/api", "GET", {**user, "host": "api.test"}, 0),
            ("/api", "GET", {"authorization": f"{user['authorization']},{user['authorization']}"}, 401),
            ("/oauth2/auth", "GET", user, 403),
            ("/oauth2/auth/public/x", "GET", user, 403),
            ("/oauth2/sign_in", "GET", user, 403),
            # What other proxies say of an original request means nothing here.
            ("/api", "GET", {"x-original-url": "/public/x", "x-original-method": "GET"}, 401),
            ("/api", "GET", {"x-forwarded-uri": "/public/x", "x-forwarded-method": "GET"}, 401),
        ):
            response = await stub.Check(check(path, headers, method=method))
            seen = response.denied_response.status.code if response.HasField("denied_response") else 0
            assert (path, method, seen) == (path, method, status)
            assert (response.status.code == 0) is (status == 0)
            assert response.HasField("ok_response") is (status == 0)


async def test_the_upstream_gets_our_identity_and_no_spelling_of_the_clients(tmp_path: Path) -> None:
    spellings = (
        *("x-auth-request-user", "x_auth_request_user", "x.auth.request.user", "x-auth-request-email"),
        *("x-auth_request-groups", "x-auth-request-access-token", "x-tenant", "x_tenant"),
    )
    yaml = GRPC + ROUTES + "identity_headers: {claims: {X-Tenant: 'custom:tenant'}}\n"
    async with envoy(tmp_path, yaml) as (gateway, stub):
        token = bearer(gateway, **{"cognito:groups": ["admins", "a,b"], "custom:tenant": "acme"})
        request = check("/admin/x", {**dict.fromkeys(spellings, "root"), **token, "accept": "*/*"})
        upstream = sent_on(request, await stub.Check(request))
        assert upstream.pop("x-auth-request-user") not in {"", "root"}
        assert upstream.pop("x-auth-request-preferred-username") not in {"", "root"}
        assert upstream == {"accept": "*/*", "x-auth-request-groups": "admins,a%2Cb", "x-tenant": "acme"}
        for path, headers in (("/public/x", token), ("/maybe", {})):
            request = check(path, {**dict.fromkeys(spellings, "root"), **headers, "accept": "*/*"})
            assert sent_on(request, await stub.Check(request)) == {"accept": "*/*"}
        # Envoys that were told encode_raw_headers.
        raw = [(name, "root") for name in (*spellings, *spellings)] + [
            ("Authorization", token["authorization"])
        ]
        response = await stub.Check(check("/admin/x", raw=raw))
        ours = {option.header.key for option in response.ok_response.headers}
        assert set(response.ok_response.headers_to_remove) == {*spellings, "authorization"} - ours


async def test_headers_that_servers_trust_are_removed(tmp_path: Path) -> None:
    believed = [name for group in GROUPS for name in (*group.names, *group.known)]
    # Envoy's own word, written over what its client sent.
    envoys = {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-client-cert", "x-envoy-internal"}
    envoys |= {"x-envoy-external-address"}
    odd = [name.replace("-", "_") for name in believed if "-" in name] + ["api_key", "x.y"]
    async with envoy(tmp_path) as (_, stub):
        for names in (believed, odd):
            request = check("/public/x", {**dict.fromkeys(names, "evil"), "accept": "*/*", "te": "trailers"})
            upstream = sent_on(request, await stub.Check(request))
            assert {*upstream} - envoys == {"accept", "te"}
    trusted = "trusted_proxies: [192.0.2.0/24]"
    async with envoy(tmp_path, listen_lines=trusted) as (_, stub):
        request = check("/public/x", {name: "evil" for name in believed if name != "x-forwarded-host"})
        upstream = sent_on(request, await stub.Check(request))
        kept = {name for group in GROUPS if group.from_trusted for name in (*group.names, *group.known)}
        assert {*upstream} - envoys == kept - envoys - {"x-forwarded-host"}


async def test_our_cookies_stay_here_after_a_flood_of_header_names(tmp_path: Path) -> None:
    """More names than are remembered, before the first Cookie."""
    async with envoy(tmp_path) as (_, stub):
        for start in range(0, 2000, 50):
            names = {f"x-flood-{start + number}": "1" for number in range(50)}
            assert (await stub.Check(check("/public/x", names))).status.code == 0
        request = check("/public/x", {"cookie": "cognito_gateway_session=x; theirs=y"})
        assert sent_on(request, await stub.Check(request))["cookie"] == "theirs=y"


async def test_token_other_schemes_and_our_cookies(tmp_path: Path) -> None:
    async with envoy(tmp_path) as (gateway, stub):
        token = bearer(gateway)
        basic = {"authorization": "Basic YTpi"}
        for path, headers, stays in (
            ("/api", token, None),
            ("/public/x", token, None),
            ("/public/x", basic, "Basic YTpi"),
            ("/maybe", basic, "Basic YTpi"),
        ):
            request = check(path, headers)
            assert sent_on(request, await stub.Check(request)).get("authorization") == stays
        for cookie, stays in (
            ("a=1; cognito_gateway=x; b=2", "a=1; b=2"),
            ("__Host-cognito_gateway_state=x", None),
            ("a=1", "a=1"),
            # More than are parted: none of them is sent on.
            ("a=1; cognito_gateway=x; " + "b=2; " * 300, None),
        ):
            request = check("/public/x", {"cookie": cookie})
            assert sent_on(request, await stub.Check(request)).get("cookie") == stays
    async with envoy(tmp_path, upstream_lines="forward_token: true") as (gateway, stub):
        request = check("/api", bearer(gateway))
        assert "authorization" in sent_on(request, await stub.Check(request))


async def test_a_refusal_is_the_clients_answer_whole(tmp_path: Path) -> None:
    async with envoy(tmp_path) as (gateway, stub):
        response = await stub.Check(check("/api?x=1", {"x-request-id": "abc-1"}, host="api.test:8443"))
        denied = response.denied_response
        headers = {option.header.key: option.header.value for option in denied.headers}
        assert headers["WWW-Authenticate"] == (
            'Bearer realm="cognito-gateway", resource_metadata='
            '"https://api.test:8443/.well-known/oauth-protected-resource/api"'
        )
        assert headers["Content-Type"] == "application/problem+json"
        assert json.loads(denied.body)["request_id"] == headers["X-Request-Id"] == "abc-1"
        for host in ("a b", "a/b", "é", "user@a"):
            assert (await stub.Check(check("/public/x", host=host))).denied_response.status.code == 403
        lines = await logged(gateway, "request", 5)
        assert (lines[0]["method"], lines[0]["path"], lines[0]["status"]) == ("GET", "/api", 401)
        assert (lines[0]["client"], lines[0]["reason"]) == ("192.0.2.7", "no_credentials")


async def test_a_source_that_is_no_address_gets_no_verdict(tmp_path: Path) -> None:
    async with envoy(tmp_path) as (_, stub):
        for client in ("", "evil", "1.2.3.4.5"):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.Check(check("/public/x", client=client))
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        request = check("/public/x")
        request.attributes.source.address.CopyFrom(Address(pipe=Pipe(path="/run/envoy")))
        assert (await stub.Check(request)).status.code == 0


async def test_what_breaks_in_the_middle_is_refused(tmp_path: Path) -> None:
    async with envoy(tmp_path) as (gateway, stub):
        # A seam of ours made to raise: whatever it is, nobody passes.
        gateway.worker.app.gate.judge = None  # type: ignore[assignment,method-assign]
        response = await stub.Check(check("/public/x"))
        assert (response.status.code, response.denied_response.status.code) == (14, 500)
        assert gateway.worker.app.record.in_flight == 0


async def test_keys_that_are_slow_are_waited_for_and_without_any_it_is_503(tmp_path: Path) -> None:
    endpoint, folder = KeyServer(b"{}"), tmp_path / "second"
    folder.mkdir()
    async with running(tmp_path) as donor, endpoint.running():
        for mode, document, status in (
            ("good", b"{}", 503),
            ("slow", (tmp_path / "jwks.json").read_bytes(), 0),
        ):
            endpoint.mode, endpoint.document = mode, document
            async with keyless(folder, endpoint, GRPC) as worker:
                async with grpc.aio.insecure_channel(f"127.0.0.1:{worker.grpc_port}") as channel:
                    response = await Stub(channel).Check(check("/api", bearer(donor)))
            assert response.denied_response.status.code == status
            retry = [each for each in response.denied_response.headers if each.header.key == "Retry-After"]
            assert len(retry) == (status == 503)


async def test_a_reload_decides_the_next_check(tmp_path: Path) -> None:
    async with envoy(tmp_path) as (gateway, stub):
        assert (await stub.Check(check("/public/x"))).status.code == 0
        path = tmp_path / "gateway.yaml"
        path.write_text(path.read_text().replace("/public/**", "/open/**"))
        await gateway.worker.reload(load(path, {}).config)
        assert (await stub.Check(check("/public/x"))).denied_response.status.code == 401
        assert (await stub.Check(check("/open/x"))).status.code == 0


async def test_a_drain_finishes_the_checks_under_way_and_takes_no_more(tmp_path: Path) -> None:
    endpoint, folder = KeyServer(b"{}"), tmp_path / "second"
    folder.mkdir()
    async with running(tmp_path) as donor, endpoint.running():
        endpoint.mode, endpoint.document = "slow", (tmp_path / "jwks.json").read_bytes()
        endpoint.slowness = 0.5
        async with keyless(folder, endpoint, GRPC) as worker:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{worker.grpc_port}") as channel:
                waiting = asyncio.ensure_future(Stub(channel).Check(check("/api", bearer(donor))))
                while not worker.metrics.requests_in_flight:
                    await asyncio.sleep(0.01)
                await worker.stop()
                assert (await waiting).status.code == 0
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", worker.grpc_port)


async def test_an_address_that_is_taken_is_said_in_a_sentence(tmp_path: Path) -> None:
    async with envoy(tmp_path) as (gateway, _):
        path = tmp_path / "gateway.yaml"
        taken = f"127.0.0.1:{gateway.worker.grpc_port}"
        path.write_text(path.read_text().replace("grpc_address: '127.0.0.1:0'", f"grpc_address: '{taken}'"))
        with pytest.raises(GatewayError, match=rf"^ext_authz.grpc_address {taken} is taken: stop "):
            await Worker(load(path, {}).config, log=gateway.worker.log).start()


async def test_preflights_are_answered_and_refusals_made_readable_for_listed_origins(tmp_path: Path) -> None:
    origin = "https://app.example.com"
    yaml = GRPC + ROUTES + f"cors: {{allow_origins: ['{origin}']}}\n"
    async with envoy(tmp_path, yaml) as (_, stub):
        asked = {"origin": origin, "access-control-request-method": "PUT"}
        preflight = (await stub.Check(check("/admin/x", asked, method="OPTIONS"))).denied_response
        headers = {option.header.key: option.header.value for option in preflight.headers}
        assert preflight.status.code == 204
        assert headers["Access-Control-Allow-Origin"] == origin
        assert "Access-Control-Allow-Methods" in headers
        refused = (await stub.Check(check("/api", {"origin": origin}))).denied_response
        headers = {option.header.key: option.header.value for option in refused.headers}
        assert (refused.status.code, headers["Access-Control-Allow-Origin"]) == (401, origin)
        evil = await stub.Check(check("/api", {**asked, "origin": "https://evil.example"}, method="OPTIONS"))
        assert evil.denied_response.status.code == 403


async def test_questions_are_bounded_in_size(tmp_path: Path) -> None:
    """gRPC's own 4 MiB would be read in one turn of the event loop, in which nobody else is served."""
    async with envoy(tmp_path) as (gateway, stub):
        allowed = await stub.Check(check(headers=bearer(gateway) | {"x-large": "x" * 60_000}))
        assert allowed.status.code == 0
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Check(check(headers=bearer(gateway) | {"x-large": "x" * 200_000}))
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await stub.Check(check(headers=bearer(gateway)))).status.code == 0


async def test_questions_are_bounded_in_number(tmp_path: Path) -> None:
    """What is beyond is refused, which an Envoy takes for a no; afterwards all is as before."""
    async with envoy(tmp_path) as (gateway, stub):
        question = check(headers=bearer(gateway))
        answers = await asyncio.gather(*(stub.Check(question) for _ in range(200)))
        assert {answer.status.code for answer in answers} == {0}
        many = await asyncio.gather(*(stub.Check(question) for _ in range(2000)), return_exceptions=True)
        refused = [answer for answer in many if isinstance(answer, BaseException)]
        assert {answer.status.code for answer in many if not isinstance(answer, BaseException)} <= {0}
        refusals = {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE}
        assert all(isinstance(each, grpc.aio.AioRpcError) and each.code() in refusals for each in refused)
        assert refused
        assert (await stub.Check(question)).status.code == 0
