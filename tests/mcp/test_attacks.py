"""What strangers, other clients and other sites try at the front door for MCP clients."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import os
import re
from pathlib import Path

import pytest

from gateway.mcp.mcp_clients import McpClient
from tests.support.mcp_client import (
    CALLBACK,
    MCP,
    RESOURCE,
    McpProgram,
    answer_of,
    asked,
    call,
    code_of,
    post,
    registered,
    tokens_of,
)
from tests.support.portal import HTML
from tests.support.site import ALICE, PASSWORD, POOL, site
from tests.support.wire import Reply, get, once


def error_of(reply: Reply) -> str:
    assert reply.status in {400, 401}, reply.body
    assert reply.get("cache-control") == "no-store"
    return str(json.loads(reply.body)["error"])


# --- codes ---


async def test_a_code_works_once(tmp_path: Path) -> None:
    async with site(tmp_path, more=MCP) as at:
        program = await registered(at)
        code = await code_of(program, at.browser())
        answers = await asyncio.gather(*(program.redeem(code) for _ in range(8)))
        assert sorted(reply.status for reply in answers) == [200] + [400] * 7


WRONG_REDEMPTIONS: list[dict[str, str | None]] = [
    {"redirect_uri": "http://127.0.0.1:3335/callback"},
    {"redirect_uri": None},
    {"code_verifier": "v" * 43},
    {"code_verifier": None},
    {"code_verifier": ""},
    {"resource": "https://api.test/other"},
]


async def test_a_code_with_anything_else_is_refused_and_used_up(tmp_path: Path) -> None:
    async with site(tmp_path, more=MCP) as at:
        program = await registered(at)
        for changes in WRONG_REDEMPTIONS:
            code = await code_of(program, at.browser())
            refused = error_of(await program.redeem(code, **changes))
            assert refused in {"invalid_grant", "invalid_target"}, changes
            assert error_of(await program.redeem(code)) == "invalid_grant", changes


async def test_another_clients_code_and_refresh_token(tmp_path: Path) -> None:
    async with site(tmp_path, more=MCP) as at:
        program, thief = await registered(at), await registered(at, client_name="Thief")
        thief.verifier = program.verifier
        assert error_of(await thief.redeem(await code_of(program, at.browser()))) == "invalid_grant"
        tokens = await tokens_of(program, at.browser())
        assert error_of(await thief.refresh(tokens["refresh_token"])) == "invalid_grant"
        assert error_of(await program.refresh(tokens["access_token"])) == "invalid_grant"
        wrong = await program.refresh(tokens["refresh_token"], resource="https://other.example/mcp")
        assert error_of(wrong) == "invalid_target"
        assert (await program.refresh(tokens["refresh_token"])).status == 200


# --- the authorization request ---


WRONG_REQUESTS: list[tuple[dict[str, str | None], str]] = [
    ({"code_challenge": None}, "invalid_request"),
    ({"code_challenge_method": None}, "invalid_request"),
    ({"code_challenge_method": "plain"}, "invalid_request"),
    ({"code_challenge": "short"}, "invalid_request"),
    ({"resource": None}, "invalid_target"),
    ({"resource": "https://evil.example/mcp"}, "invalid_target"),
    ({"resource": "https://api.test/"}, "invalid_target"),
    ({"resource": "https://api.test/mcp/deeper"}, "invalid_target"),
    ({"response_type": "token"}, "unsupported_response_type"),
    ({"response_type": None}, "unsupported_response_type"),
]


async def test_errors_are_sent_to_the_clients_redirect(tmp_path: Path) -> None:
    async with site(tmp_path, more=MCP) as at:
        program = await registered(at)
        for changes, error in WRONG_REQUESTS:
            reply = await once(at.worker.port, get(program.authorize(**changes), HTML))
            assert (reply.get("location") or "").startswith("http://127.0.0.1:3334/callback?"), changes
            answer = answer_of(reply)
            assert answer["error"] == error, changes
            assert answer["state"] == "a state"
            assert answer["iss"] == "https://api.test"


WRONG_ADDRESSES: list[dict[str, str | None]] = [
    {"redirect_uri": "https://evil.example/"},
    {"redirect_uri": "http://127.0.0.1:3334/other"},
    {"redirect_uri": "http://127.0.0.1:3334/callback/"},
    {"redirect_uri": "http://localhost:3334/callback"},
    {"redirect_uri": "http://127.0.0.1:3334@evil.example/callback"},
    {"redirect_uri": "http://127.0.0.1:3334/callback?x=1"},
    {"redirect_uri": "//evil.example/"},
    {"redirect_uri": None},
    {"client_id": None},
    {"client_id": "mcp_client_AAAA"},
    {"client_id": "https://evil.example/client.json"},
]


async def test_no_open_redirect(tmp_path: Path) -> None:
    async with site(tmp_path, more=MCP) as at:
        program = await registered(at)
        for changes in WRONG_ADDRESSES:
            reply = await once(at.worker.port, get(program.authorize(**changes), HTML))
            assert reply.status == 400, changes
            assert reply.get("location") is None, changes
            assert b"evil" not in reply.body
            assert (reply.get("content-type") or "").startswith("text/html")


ODD = (
    "\u00e4",
    "\u65e5",
    "%",
    "\x01",
    "\r\nX-Evil: 1",
    "a" * 5000,
    "",
    " ",
    "mcp_client_",
    "mcp_rt_\u00e4",
    "[" * 500,
)


async def test_odd_values_of_every_parameter(tmp_path: Path) -> None:
    """Each is refused by a page, by a redirect to the client, or ignored; nothing breaks out of a header."""
    asks = ("client_id", "redirect_uri", "state", "scope", "resource", "code_challenge", "response_type")
    redeems = ("client_id", "code", "redirect_uri", "code_verifier", "resource", "grant_type", "scope")
    async with site(tmp_path, more=MCP) as at:
        program = await registered(at)
        for value in ODD:
            for name in (*asks, "code_challenge_method", "prompt", "response_mode", "request"):
                reply = await once(at.worker.port, get(program.authorize(**{name: value}), HTML))
                assert reply.status in {303, 400}, (name, value)
                assert reply.get("x-evil") is None
                location = reply.get("location") or "/oauth2/"
                assert location.startswith(("/oauth2/", f"{CALLBACK}?")), (name, value)
            for name in redeems:
                code: dict[str, str | None] = {"grant_type": "authorization_code", "code": "none"}
                reply = await program.token(**{**code, name: value})
                assert reply.status in {400, 401}, (name, value)
                refresh: dict[str, str | None] = {"grant_type": "refresh_token", "refresh_token": value}
                reply = await program.token(**{**refresh, name: value})
                assert reply.status in {400, 401}, (name, value)


async def test_nested_json(tmp_path: Path) -> None:
    async with site(tmp_path, more=MCP) as at:
        for body in (
            "[" * 16_000,
            '{"redirect_uris":' * 900 + "1" + "}" * 900,
            '{"client_name": ' + "9" * 9000 + "}",
        ):
            reply = await post(at.worker.port, "/oauth2/register", body, kind="application/json")
            assert error_of(reply), body[:20]


async def test_other_ways_to_authenticate_a_client(tmp_path: Path) -> None:
    """There are public clients alone: another client's name in a header takes nothing over."""
    async with site(tmp_path, more=MCP) as at:
        program, thief = await registered(at), await registered(at, client_name="Thief")
        code = await code_of(program, at.browser())
        basic = base64.b64encode(f"{program.client_id}:".encode()).decode()
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
        without = await thief.token(
            f"Authorization: Basic {basic}", **form, client_id=None, code_verifier=program.verifier
        )
        assert error_of(without) == "invalid_client"
        mixed = await thief.token(f"Authorization: Basic {basic}", **form, code_verifier=program.verifier)
        assert error_of(mixed) == "invalid_grant"


async def test_redirects_to_the_client_are_neither_stored_nor_leaked_by_a_referrer(tmp_path: Path) -> None:
    async with site(tmp_path, more=MCP) as at:
        program, browser = await registered(at), at.browser()
        await asked(program, browser)
        reply = await browser.submit(decision="allow")
        assert reply.status == 303
        assert reply.get("cache-control") == "no-store"
        assert reply.get("referrer-policy") in {"no-referrer", "same-origin"}


async def test_a_parameter_twice(tmp_path: Path) -> None:
    async with site(tmp_path, more=MCP) as at:
        program = await registered(at)
        for more in ("&redirect_uri=https%3A%2F%2Fevil.example", "&resource=https%3A%2F%2Fevil.example"):
            reply = await once(at.worker.port, get(program.authorize() + more, HTML))
            assert (reply.status, reply.get("location")) == (400, None)


async def test_a_redirect_that_the_configuration_lists_no_more(tmp_path: Path) -> None:
    listed = f"mcp: {{resource: '{RESOURCE}', redirect_uris: ['https://app.example/cb']}}\n"
    async with site(tmp_path, more=listed, sign_in=_secret(tmp_path)) as at:
        program = await registered(at, redirect_uris=["https://app.example/cb"])
        program.redirect_uri = "https://app.example/cb"
        waiting, signing_in = at.browser(), at.browser()
        await asked(program, waiting)
        await signing_in.open(program.authorize())
        path = tmp_path / "gateway.yaml"
        path.write_text(path.read_text().replace(listed, MCP))
        await at.worker.reload(at.source.load().config)
        assert (await once(at.worker.port, get(program.authorize(), HTML))).status == 400
        # Nor where somebody is on the way already, whatever they decide.
        target, hidden = waiting.form()
        for decision in ("allow", "deny"):
            reply = await waiting.post(target, {**hidden, "decision": decision})
            assert (reply.status, reply.get("location")) == (400, None)
        reply = await signing_in.submit(username=ALICE, password=PASSWORD)
        assert (reply.status, reply.get("location")) == (400, None)


async def test_a_client_id_of_another_gateway(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    async with site(tmp_path, more=MCP) as at, site(tmp_path / "other", more=MCP) as other:
        stranger = await registered(other)
        stranger.port = at.worker.port
        assert (await once(at.worker.port, get(stranger.authorize(), HTML))).status == 400
        reply = await stranger.redeem("x")
        assert (reply.status, error_of(reply)) == (401, "invalid_client")
        tokens = await tokens_of(await registered(other), other.browser())
        assert (await call(other.worker.port, tokens["access_token"])).status == 200
        refused = await call(at.worker.port, tokens["access_token"])
        assert refused.status == 401
        assert 'error="invalid_token"' in (refused.get("www-authenticate") or "")


# --- consent ---


async def test_consent_by_a_form_of_another_site(tmp_path: Path) -> None:
    async with site(tmp_path, more=MCP) as at:
        program, browser = await registered(at), at.browser()
        await asked(program, browser)
        target, hidden = browser.form()
        fields = {**hidden, "decision": "allow"}
        for lines in (
            ["Origin: https://evil.example", "Sec-Fetch-Site: cross-site"],
            ["Origin: null", "Sec-Fetch-Site: cross-site"],
        ):
            reply = await browser.post(target, fields, *lines)
            assert (reply.status, reply.get("location")) == (403, None)
        for wrong in ({**fields, "csrf": ""}, {**fields, "csrf": "AAAA"}):
            assert (await browser.post(target, wrong)).status == 403
        # Nor does a link decide anything, or a form without a decision.
        query = f"?request={hidden['request']}&decision=allow"
        reply = await browser.open(target + query)
        assert (reply.status, reply.get("location")) == (200, None)
        assert answer_of(await browser.post(target, hidden))["error"] == "access_denied"


async def test_an_authorization_is_the_browsers_that_began_it(tmp_path: Path) -> None:
    async with site(tmp_path, more=MCP) as at:
        program, victim, attacker = await registered(at), at.browser(), at.browser()
        await asked(program, attacker)
        _, hidden = attacker.form()
        await victim.open("/oauth2/sign_in")
        reply = await victim.open(f"/oauth2/consent?request={hidden['request']}")
        assert reply.status == 400
        # With the attacker's cookie in another browser it opens nothing either.
        stolen = {name: value for name, value in attacker.cookies.items() if "_mcp_" in name}
        victim.cookies.update(stolen)
        assert (await victim.open(f"/oauth2/consent?request={hidden['request']}")).status == 400


async def test_a_session_is_not_a_consent(tmp_path: Path) -> None:
    """Who is signed in already signs in once more: the client never gets the browser's own tokens."""
    async with site(tmp_path, more=MCP) as at:
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        await browser.submit(username=ALICE, password=PASSWORD)
        assert [name for name in browser.cookies if "session" in name]
        before = {name: value for name, value in browser.cookies.items() if "session" in name}
        program = await registered(at)
        await browser.open(program.authorize())
        assert 'name="password"' in browser.text
        tab = re.search(r"consent%3Frequest%3D([0-9a-f]{16})", browser.location)
        assert tab is not None
        await browser.open(f"/oauth2/consent?request={tab[1]}")
        assert 'name="password"' in browser.text, "without a sign-in for it there is nothing to consent to"
        await browser.submit(username=ALICE, password=PASSWORD)
        tokens = json.loads(
            (await program.redeem(answer_of(await browser.submit(decision="allow"))["code"])).body
        )
        assert (await call(at.worker.port, tokens["access_token"])).status == 200
        after = {name: value for name, value in browser.cookies.items() if "session" in name}
        assert after == before


async def test_pending_authorizations_of_a_browser_are_bounded(tmp_path: Path) -> None:
    async with site(tmp_path, more=MCP) as at:
        program, browser = await registered(at), at.browser()
        for number in range(6):
            await browser.open(program.authorize(state=f"{number}" * 900))
        names = {name for name in browser.cookies if "_mcp_" in name}
        assert len(names) <= 3
        await browser.submit(username=ALICE, password=PASSWORD)
        assert answer_of(await browser.submit(decision="allow"))["state"] == "5" * 900


# --- tokens ---


async def test_a_sealed_token_is_good_for_its_resource_alone(tmp_path: Path) -> None:
    async with site(tmp_path, more=MCP + "routes: [{path: /open, auth: optional}]\n") as at:
        tokens = await tokens_of(await registered(at), at.browser())
        token = tokens["access_token"]
        assert (await call(at.worker.port, token, "/mcp/x")).status == 200
        for warm in range(2):
            for target in ("/", "/api", "/mcpx", "/open", "/oauth2/auth"):
                reply = await call(at.worker.port, token, target)
                assert reply.status == 401, (target, warm)
                assert 'error="invalid_token"' in (reply.get("www-authenticate") or "")
            for target in ("/oauth2/userinfo", "/oauth2/credentials"):
                assert (await call(at.worker.port, token, target)).status in {400, 401, 403, 404}, target
        refused = await at.logged("auth_failure")
        assert {line["reason"] for line in refused} >= {"wrong_audience"}


async def test_sealed_tokens_that_were_changed(tmp_path: Path) -> None:
    async with site(tmp_path, more=MCP) as at:
        token = (await tokens_of(await registered(at), at.browser()))["access_token"]
        middle = len(token) // 2
        other = "A" if token[middle] != "A" else "B"
        for bad in (
            token[:middle] + other + token[middle + 1 :],
            token[:-1],
            token + "A",
            "mcp_at_",
            "mcp_at_!",
            "mcp_at_" + "A" * 4000,
            token.removeprefix("mcp_at_"),
            "mcp_at_" + token,
        ):
            reply = await call(at.worker.port, bad, "/mcp")
            assert reply.status == 401, bad
        assert (await call(at.worker.port, token)).status == 200


def _secret(folder: Path, *keys: str) -> str:
    """Write the secrets' file; the lines of `sign_in` that name it."""
    (folder / "secret").write_text("\n".join(keys or ("a" * 44,)) + "\n")
    return f"session: {{secret_file: '{folder}/secret'}}"


async def test_rotation_of_the_secret(tmp_path: Path) -> None:
    async with site(tmp_path, more=MCP, sign_in=_secret(tmp_path)) as at:
        program = await registered(at)
        tokens = await tokens_of(program, at.browser())
        assert (await call(at.worker.port, tokens["access_token"])).status == 200
        _secret(tmp_path, "b" * 44, "a" * 44)
        await at.worker.reload(at.source.load().config)
        assert (await call(at.worker.port, tokens["access_token"])).status == 200
        assert (await program.refresh(tokens["refresh_token"])).status == 200
        # What it sealed ends with the key, remembered or not.
        _secret(tmp_path, "b" * 44)
        await at.worker.reload(at.source.load().config)
        assert (await call(at.worker.port, tokens["access_token"])).status == 401
        assert error_of(await program.refresh(tokens["refresh_token"])) == "invalid_client"


async def test_another_resource_ends_what_was_sealed_for_the_one_before(tmp_path: Path) -> None:
    async with site(tmp_path, more=MCP, sign_in=_secret(tmp_path)) as at:
        program = await registered(at)
        tokens = await tokens_of(program, at.browser())
        path = tmp_path / "gateway.yaml"
        path.write_text(path.read_text().replace("api.test/mcp", "api.test/mcp2"))
        await at.worker.reload(at.source.load().config)
        for target in ("/mcp", "/mcp2"):
            assert (await call(at.worker.port, tokens["access_token"], target)).status == 401
        assert error_of(await program.refresh(tokens["refresh_token"])) == "invalid_grant"


async def test_a_user_who_is_gone_gets_no_more_tokens(tmp_path: Path) -> None:
    async with site(tmp_path, more=MCP) as at:
        program = await registered(at)
        tokens = await tokens_of(program, at.browser())
        at.local.call("AdminUserGlobalSignOut", UserPoolId=POOL, Username=ALICE)
        assert error_of(await program.refresh(tokens["refresh_token"])) == "invalid_grant"


async def test_refreshing_in_circles_is_bounded(tmp_path: Path) -> None:
    async with site(tmp_path, more=MCP) as at:
        program = await registered(at)
        token = (await tokens_of(program, at.browser()))["refresh_token"]
        assert (await program.refresh(token)).status == 200
        # At once: one after the other, a slow machine would send them over more than the limit's window.
        replies = await asyncio.gather(*(program.refresh(token) for _ in range(100)))
        assert 429 in {reply.status for reply in replies}


# --- floods ---


async def test_a_flood_of_registrations_leaves_nothing(tmp_path: Path) -> None:
    """A replica that has never heard of a client knows it: there is nothing to hold."""
    (tmp_path / "other").mkdir()
    shared = _secret(tmp_path)
    async with site(tmp_path, more=MCP, sign_in=shared) as at:
        program = McpProgram(at.worker.port)
        for number in range(300):
            assert (await program.register(client_name=f"{number}" + "x" * 90)).status == 201
        gc.collect()
        assert not [each for each in gc.get_objects() if isinstance(each, McpClient)]
        async with site(tmp_path / "other", more=MCP, sign_in=shared) as replica:
            assert (await once(replica.worker.port, get(program.authorize(), HTML))).status == 303


@pytest.mark.parametrize(
    ("target", "kind"),
    [("/oauth2/register", "application/json"), ("/oauth2/token", "application/x-www-form-urlencoded")],
)
async def test_bodies_are_bounded_and_strict(tmp_path: Path, target: str, kind: str) -> None:
    async with site(tmp_path, more=MCP) as at:
        port = at.worker.port
        assert (await post(port, target, "x" * 70_000, kind=kind)).status == 413
        assert error_of(await post(port, target, "{}", kind="text/plain"))
        for body in (
            "",
            "[]",
            "{",
            '{"redirect_uris": ["http://127.0.0.1/"], "redirect_uris": []}',
            "a=1&a=2",
        ):
            assert error_of(await post(port, target, body, kind=kind)), body
        for method in ("GET", "PUT", "DELETE"):
            reply = await once(port, get(target, method=method))
            assert reply.status == 405
            assert reply.get("allow") == "POST, OPTIONS"


async def test_a_confused_form_at_the_token_endpoint(tmp_path: Path) -> None:
    async with site(tmp_path, more=MCP) as at:
        program = await registered(at)
        assert error_of(await program.token()) == "unsupported_grant_type"
        assert error_of(await program.token(grant_type="password")) == "unsupported_grant_type"
        assert error_of(await program.token(grant_type="client_credentials")) == "unsupported_grant_type"
        assert error_of(await program.redeem(os.urandom(16).hex())) == "invalid_grant"
        assert error_of(await program.redeem("")) == "invalid_grant"
        assert error_of(await program.refresh("mcp_rt_AAAA")) == "invalid_grant"


async def test_other_readings_of_the_endpoints_are_ours_and_nothing(tmp_path: Path) -> None:
    async with site(tmp_path, more=MCP) as at:
        before = len(at.upstream.requests)
        for path in (
            "/oauth2/token/",
            "/oauth2/register/x",
            "/.well-known/openid-configuration/x",
            "/.well-known/oauth-authorization-server/%2e%2e/x",
        ):
            reply = await once(at.worker.port, get(path))
            assert reply.status in {400, 401, 404}, path
        assert len(at.upstream.requests) == before
