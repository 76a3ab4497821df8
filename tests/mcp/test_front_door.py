"""The front door for MCP clients: discovery, registration, sign-in, consent, tokens, refresh."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from gateway.tokens.claims import decode
from tests.support import managed_login
from tests.support.mcp_client import (
    CALLBACK,
    MCP,
    RESOURCE,
    McpProgram,
    answer_of,
    asked,
    call,
    registered,
    tokens_of,
)
from tests.support.portal import HTML
from tests.support.site import ALICE, CLIENT, POOL, site
from tests.support.wire import get, once

SERVER = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"
PROTECTED = "/.well-known/oauth-protected-resource"


async def test_the_whole_way_with_our_own_pages(tmp_path: Path) -> None:
    async with site(tmp_path, more=MCP) as at:
        first = await once(at.worker.port, get("/mcp/call"))
        assert first.status == 401
        challenge = first.get("www-authenticate") or ""
        assert f'resource_metadata="https://api.test{PROTECTED}/mcp"' in challenge
        program, browser = await registered(at), at.browser()
        page = await asked(program, browser)
        assert page.status == 200
        reply = await browser.submit(decision="allow")
        assert (reply.get("location") or "").startswith(f"{CALLBACK}?")
        answer = answer_of(reply)
        assert answer["state"] == "a state"
        assert answer["iss"] == "https://api.test"
        got = await program.redeem(answer["code"])
        assert got.status == 200, got.body
        assert got.get("cache-control") == "no-store"
        tokens = json.loads(got.body)
        assert tokens["token_type"] == "Bearer"
        assert 0 < tokens["expires_in"] <= 3600
        for target in ("/mcp", "/mcp/call", "/mcp"):
            served = await call(at.worker.port, tokens["access_token"], target)
            assert served.status == 200, served.body
        assert at.upstream.last.get("X-Auth-Request-User")
        assert at.upstream.last.get("Authorization") is None
        # The browser itself is not signed in: the tokens are the client's alone.
        assert not [name for name in browser.cookies if name != "cognito_gateway_browser"]
        again = await program.refresh(tokens["refresh_token"])
        assert again.status == 200, again.body
        renewed = json.loads(again.body)
        assert renewed["access_token"] != tokens["access_token"]
        assert (await call(at.worker.port, renewed["access_token"])).status == 200
        await at.logged("mcp_tokens_renewed")
        assert {"mcp_sign_in", "mcp_consent", "mcp_tokens_issued"} <= {line["event"] for line in at.log()}
        text = at.stream.data.decode()
        for secret in (tokens["access_token"], tokens["refresh_token"], answer["code"]):
            assert secret not in text
        assert (await program.redeem(answer["code"])).status == 400
        assert at.worker.metrics.mcp_requests == {
            ("registration", "success"): 1,
            ("consent", "success"): 1,
            ("token", "success"): 2,
            ("token", "invalid_grant"): 1,
        }


async def test_with_managed_login_and_beside_a_session(tmp_path: Path) -> None:
    more = f"mcp: {{resource: '{managed_login.ORIGIN}/mcp'}}\n"
    async with managed_login.site(tmp_path, more) as place:
        browser = place.browser()
        await place.sign_in(browser)
        before = {name: value for name, value in browser.jar.items() if "session" in name}
        sub = json.loads((await browser.get("/oauth2/userinfo")).body)["sub"]
        program = McpProgram(place.gateway.port, resource=f"{managed_login.ORIGIN}/mcp")
        await program.register()
        away = await browser.get(program.authorize(), HTML)
        assert (away.get("location") or "").startswith("/oauth2/start?return_to=/oauth2/consent")
        left = await browser.get(away.get("location") or "", HTML)
        asked_for = dict(parse_qsl(urlsplit(left.get("location") or "").query))
        back = await browser.get(await place.come_back(asked_for), HTML)
        page = await browser.get(back.get("location") or "", HTML)
        assert page.status == 200
        hidden = dict(re.findall(rb'type="hidden" name="([^"]+)" value="([^"]*)"', page.body))
        fields = {name.decode(): value.decode() for name, value in hidden.items()}
        body = urlencode({**fields, "decision": "allow"})
        allowed = await browser.post("/oauth2/consent", body, HTML, origin=managed_login.ORIGIN)
        tokens = json.loads((await program.redeem(answer_of(allowed)["code"])).body)
        served = await call(place.gateway.port, tokens["access_token"])
        assert served.status == 200
        assert place.gateway.upstream.last.get("X-Auth-Request-User") == sub.encode()
        after = {name: value for name, value in browser.jar.items() if "session" in name}
        assert after == before, "the browser's own session is what it was"
        await browser.get("/oauth2/sign_out", HTML)
        assert (await program.refresh(tokens["refresh_token"])).status == 200


@pytest.mark.parametrize("path", [SERVER, f"{SERVER}/mcp", OPENID])
async def test_the_metadata_of_the_authorization_server(tmp_path: Path, path: str) -> None:
    more = MCP + "routes: [{path: /mcp/admin, scopes: [tools/admin]}]\n"
    async with site(tmp_path, more=more) as at:
        reply = await once(at.worker.port, get(path, "Origin: https://page.example"))
        assert reply.status == 200
        assert reply.all("access-control-allow-origin") == ["*"]
        assert reply.get("access-control-allow-credentials") is None
        document = json.loads(reply.body)
        assert document["issuer"] == "https://api.test"
        assert document["authorization_endpoint"] == "https://api.test/oauth2/authorize"
        assert document["token_endpoint"] == "https://api.test/oauth2/token"
        assert document["registration_endpoint"] == "https://api.test/oauth2/register"
        assert document["code_challenge_methods_supported"] == ["S256"]
        assert document["scopes_supported"] == ["tools/admin"]
        assert document["token_endpoint_auth_methods_supported"] == ["none"]


async def test_the_metadata_of_the_resource(tmp_path: Path) -> None:
    async with site(tmp_path, more=MCP) as at:
        for path in ("/mcp", "/mcp/deeper", ""):
            document = json.loads((await once(at.worker.port, get(PROTECTED + path))).body)
            assert document["resource"] == RESOURCE
            assert document["authorization_servers"] == ["https://api.test"]
        elsewhere = json.loads((await once(at.worker.port, get(f"{PROTECTED}/other"))).body)
        assert elsewhere["authorization_servers"] == [f"{at.local.url}/{POOL}"]


async def test_without_the_section_nothing_of_it_is_there(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        for path in (SERVER, OPENID):
            assert (await once(at.worker.port, get(path))).status == 401, "the upstream's, behind the gate"
        for path in ("/oauth2/authorize", "/oauth2/consent"):
            assert (await once(at.worker.port, get(path, HTML))).status == 404
        for path in ("/oauth2/register", "/oauth2/token"):
            assert (await McpProgram(at.worker.port).register()).status == 404, path


async def test_any_page_may_call_the_endpoints_beside_a_strict_cors_section(tmp_path: Path) -> None:
    more = MCP + "cors: {allow_origins: ['https://ours.example']}\n"
    async with site(tmp_path, more=more) as at:
        for path, method in (("/oauth2/token", "POST"), ("/oauth2/register", "POST"), (SERVER, "GET")):
            lines = ["Origin: https://any.example", f"Access-Control-Request-Method: {method}"]
            lines.append("Access-Control-Request-Headers: content-type, mcp-protocol-version")
            reply = await once(at.worker.port, get(path, *lines, method="OPTIONS"))
            assert reply.status == 204, path
            assert reply.all("access-control-allow-origin") == ["*"]
            assert "mcp-protocol-version" in (reply.get("access-control-allow-headers") or "")
        reply = await once(at.worker.port, get(SERVER, "Origin: https://ours.example"))
        assert reply.all("access-control-allow-origin") == ["*"]
        other = ["Origin: https://any.example", "Access-Control-Request-Method: GET"]
        assert (await once(at.worker.port, get("/mcp", *other, method="OPTIONS"))).status == 403


async def test_registration_accepts_only_redirects_that_are_allowed(tmp_path: Path) -> None:
    more = "mcp: {resource: 'https://api.test/mcp', redirect_uris: ['https://app.example/cb', 'cursor://x/cb']}\n"
    async with site(tmp_path, more=more) as at:
        program = McpProgram(at.worker.port)
        for uri in (
            "http://127.0.0.1:9/cb",
            "http://localhost/cb?x=1",
            "http://[::1]:1/",
            "https://app.example/cb",
            "cursor://x/cb",
        ):
            reply = await program.register(
                redirect_uris=[uri], token_endpoint_auth_method="client_secret_post"
            )
            assert reply.status == 201, (uri, reply.body)
            document = json.loads(reply.body)
            assert document["token_endpoint_auth_method"] == "none"
            assert "client_secret" not in document
            assert document["redirect_uris"] == [uri]
            assert reply.get("cache-control") == "no-store"
        for uris in (
            [],
            "http://127.0.0.1/cb",
            ["https://evil.example/cb"],
            ["https://app.example/cb/"],
            ["http://127.0.0.1:1@evil.example/"],
            ["http://localhost.evil.example/"],
            ["http://127.0.0.1/#f"],
            ["https://127.0.0.1/cb"],
            ["javascript:alert(1)"],
            ["http://127.0.0.1/" + "a" * 1100],
            [7],
            ["http://127.0.0.1/"] * 11,
        ):
            reply = await program.register(redirect_uris=uris)
            assert reply.status == 400, uris
            assert json.loads(reply.body)["error"] == "invalid_redirect_uri"


async def test_scopes_are_named_asked_for_and_kept_to(tmp_path: Path) -> None:
    routes = "routes: [{path: /mcp/admin, scopes: [aws.cognito.signin.user.admin]}]\n"
    async with site(tmp_path, more=MCP + routes) as at:
        refused = await once(at.worker.port, get("/mcp/admin"))
        assert 'scope="aws.cognito.signin.user.admin"' in (refused.get("www-authenticate") or "")
        program = await registered(at)
        tokens = await tokens_of(program, at.browser(), scope="aws.cognito.signin.user.admin unknown")
        assert tokens["scope"] == "aws.cognito.signin.user.admin"
        assert (await call(at.worker.port, tokens["access_token"], "/mcp/admin")).status == 200
        narrow = await program.refresh(tokens["refresh_token"], scope="more")
        assert json.loads(narrow.body)["error"] == "invalid_scope"
        less = await tokens_of(program, at.browser(), scope="unknown")
        assert "scope" not in less
        reply = await call(at.worker.port, less["access_token"], "/mcp/admin")
        assert reply.status == 403
        assert 'error="insufficient_scope"' in (reply.get("www-authenticate") or "")
        grown = await program.refresh(less["refresh_token"], scope="aws.cognito.signin.user.admin")
        assert json.loads(grown.body)["error"] == "invalid_scope"


async def test_the_upstream_hears_of_consented_scopes_alone(tmp_path: Path) -> None:
    more = MCP + "identity_headers: {claims: {X-Scope: scope}}\n"
    async with site(tmp_path, more=more) as at:
        tokens = await tokens_of(await registered(at), at.browser())
        assert (await call(at.worker.port, tokens["access_token"])).status == 200
        assert at.upstream.last.get("X-Scope") in {None, b""}


async def test_a_person_says_no(tmp_path: Path) -> None:
    async with site(tmp_path, more=MCP) as at:
        program, browser = await registered(at), at.browser()
        await asked(program, browser)
        answer = answer_of(await browser.submit(decision="deny"))
        assert answer == {"error": "access_denied", "state": "a state", "iss": "https://api.test"}
        assert at.worker.metrics.mcp_requests["consent", "denied"] == 1


async def test_the_consent_page_shows_a_clean_name_and_allows_only_its_form(tmp_path: Path) -> None:
    async with site(tmp_path, more=MCP) as at:
        name = "<b>Nice\x00\n</b> & \u202eapp " + "n" * 200
        program, browser = await registered(at, client_name=name), at.browser()
        page = await asked(program, browser)
        assert "&lt;b&gt;Nice &lt;/b&gt; &amp; app nnn" in browser.text
        assert "n" * 100 not in browser.text
        assert "\u202e" not in browser.text
        assert "127.0.0.1:3334" in browser.text
        assert RESOURCE in browser.text
        assert ALICE in browser.text
        assert "<script" not in browser.text
        policy = page.get("content-security-policy") or ""
        assert "script-src 'none'" in policy
        assert "form-action 'self' http://127.0.0.1:3334;" in policy
        assert "frame-ancestors 'none'" in policy
        assert page.get("x-frame-options") == "DENY"
        assert page.get("cache-control") == "no-store"


NAMES = {
    "\u3164\u2800\uffa0": "(none)",
    "Z" + "\u0301" * 90 + "oe": "Z" + "\u0301" * 3 + "oe",
    "\u202eevil\u2066": "evil",
    "\u200bA\u200b\ufeffB\u00ad": "A B",
    "\u05d0\u05d1": "\u05d0\u05d1",
    "\U000e0041X": "X",
}


async def test_names_that_would_hide_or_cover_something(tmp_path: Path) -> None:
    async with site(tmp_path, more=MCP) as at:
        for name, shown in NAMES.items():
            browser = at.browser()
            await asked(await registered(at, client_name=name), browser)
            assert f"<bdi>{shown}</bdi>" in browser.text


async def test_any_port_of_a_loopback_redirect(tmp_path: Path) -> None:
    async with site(tmp_path, more=MCP) as at:
        program = await registered(at)
        program.redirect_uri = "http://127.0.0.1:41234/callback"
        assert await tokens_of(program, at.browser())


async def test_sealed_tokens_take_the_checks_of_the_token_inside(tmp_path: Path) -> None:
    """Revocation, in step with the one that Cognito made: signed out there, refused here."""
    revocation = ", revocation: {check_every: 1s, first_use: check}"
    async with site(tmp_path, more=MCP) as at:
        path = tmp_path / "gateway.yaml"
        endpoint = f"endpoint_url: '{at.local.url}'"
        path.write_text(path.read_text().replace(endpoint, endpoint + revocation))
        await at.worker.reload(at.source.load().config)
        tokens = await tokens_of(await registered(at), at.browser())
        assert (await call(at.worker.port, tokens["access_token"])).status == 200
        at.local.call("AdminUserGlobalSignOut", UserPoolId=POOL, Username=ALICE)
        until = time.monotonic() + 30
        while (reply := await call(at.worker.port, tokens["access_token"])).status == 200:
            assert time.monotonic() < until
        assert reply.status == 401


async def test_cognitos_own_tokens_where_that_is_configured(tmp_path: Path) -> None:
    more = f"mcp: {{resource: '{RESOURCE}', tokens: cognito}}\n"
    async with site(tmp_path, more=more) as at:
        tokens = await tokens_of(await registered(at), at.browser())
        assert decode(tokens["access_token"].encode()).unverified_claims["client_id"] == CLIENT
        assert tokens["scope"] == "aws.cognito.signin.user.admin"
        assert (await call(at.worker.port, tokens["access_token"], "/other")).status == 200


async def test_paths_of_sealed_tokens_that_are_remembered_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.gate.judge._REMEMBERED_TARGETS", 3)
    async with site(tmp_path, more=MCP) as at:
        token = (await tokens_of(await registered(at), at.browser()))["access_token"]
        for number in (*range(8), *range(8)):
            assert (await call(at.worker.port, token, f"/mcp/{number}")).status == 200
            assert (await call(at.worker.port, token, f"/other/{number}")).status == 401
        # Longer than any that is remembered.
        for _ in range(2):
            assert (await call(at.worker.port, token, "/mcp/" + "a" * 400)).status == 200
            assert (await call(at.worker.port, token, "/other/" + "a" * 400)).status == 401


async def test_a_sealed_token_behind_several_spaces(tmp_path: Path) -> None:
    async with site(tmp_path, more=MCP) as at:
        token = (await tokens_of(await registered(at), at.browser()))["access_token"]
        for line in (f"Authorization: Bearer {token}", *[f"Authorization: Bearer   {token}"] * 2):
            assert (await once(at.worker.port, get("/mcp", line))).status == 200
            assert (await once(at.worker.port, get("/other", line))).status == 401


async def test_the_endpoints_count_towards_the_rate_limit(tmp_path: Path) -> None:
    limit = "rate_limit: {requests_per_second: 0.001, burst: 2}\n"
    async with site(tmp_path, more=MCP + limit) as at:
        answers = [(await once(at.worker.port, get(SERVER))).status for _ in range(3)]
    assert answers == [200, 200, 429]
