"""Client ID metadata documents: a URL that a policy matches is a client, by way of one app client."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from local_cognito.client_documents import DAY
from local_cognito.errors import AwsError
from local_cognito.oauth import documents
from tests.support.certificates import Authority, accepting
from tests.support.emulator import claims
from tests.support.emulator_login import CALLBACK, Login

APP = "http://127.0.0.1:8765/callback"


@dataclass
class Host:
    """A web server with documents, whose certificate this process trusts."""

    url: str = ""
    changes: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    answer: Callable[[], web.StreamResponse] | None = None
    asked: int = 0

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        if self.answer is not None:
            return self.answer()
        document = {
            "client_id": f"{self.url}{request.path}",
            "client_name": "An app",
            "redirect_uris": [APP],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
            **self.changes,
        }
        return web.json_response(document, headers=self.headers)


@contextlib.asynccontextmanager
async def serving_documents(folder: Path) -> AsyncIterator[Host]:
    host, authority = Host(), Authority(folder)
    app = web.Application()
    app.router.add_get("/{path:.*}", host.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    tls = accepting(authority.sign("host", "localhost"))
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    host.url = f"https://localhost:{runner.addresses[0][1]}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(authority.file))
        try:
            yield host
        finally:
            await runner.cleanup()


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    async with serving_documents(tmp_path) as host:
        yield host


def policy(login: Login, *patterns: str, **settings: Any) -> dict[str, Any]:
    given = {"UserPoolId": login.pool_id, "ClientId": login.client_id, "PolicyName": "apps", **settings}
    made = login.local.call("CreateCIMDPolicy", URLPatterns=list(patterns), **given)
    return dict(made["CIMDPolicy"])


async def refused(login: Login, client: str, **changes: str) -> str:
    """Return the error page's text."""
    status, text, _ = await login.authorize(client_id=client, redirect_uri=APP, **changes)
    assert status == 400
    return text


async def test_a_client_signs_a_user_in_without_registration(login: Login, host: Host) -> None:
    made = policy(login, f"{host.url}/apps/*")
    client = f"{host.url}/apps/one.json"
    which = {"client_id": client, "redirect_uri": APP}
    code = await login.code(**which, scope="openid api/read")
    status, tokens = await login.token(login.exchange(code, **which))
    assert status == 200
    assert claims(tokens["access_token"])["client_id"] == login.client_id
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    status, renewed = await login.token({**form, "client_id": client})
    assert (status, claims(renewed["access_token"])["scope"]) == (200, "openid api/read")
    # Neither the app client itself nor another document of the same policy has these tokens.
    for other in (login.client_id, f"{host.url}/apps/two.json"):
        assert (await login.token({**form, "client_id": other}))[0] == 400
    with pytest.raises(AwsError, match="Invalid Refresh Token"):
        login.local.call(
            "GetTokensFromRefreshToken", ClientId=login.client_id, RefreshToken=tokens["refresh_token"]
        )
    revoke = {"token": tokens["refresh_token"]}
    assert (await login.post("/oauth2/revoke", {**revoke, "client_id": login.client_id}))[0] == 400
    assert (await login.post("/oauth2/revoke", {**revoke, "client_id": client}))[0] == 200
    assert (await login.token({**form, "client_id": client}))[0] == 400
    where = {"UserPoolId": login.pool_id, "CIMDPolicyId": made["CIMDPolicyId"]}
    (kept,) = login.local.call("ListClientMetadataURLs", **where)["ClientMetadataURLs"]
    assert (kept["URL"], kept["ExpirationDate"] - kept["CachedDate"]) == (client, DAY)
    assert host.asked == 1


async def test_a_code_is_its_clients_alone(login: Login, host: Host) -> None:
    policy(login, f"{host.url}/*")
    mine, other = f"{host.url}/mine.json", f"{host.url}/other.json"
    await login.code(client_id=other, redirect_uri=APP)
    for client, uri in ((other, APP), (login.client_id, APP)):
        code = await login.code(client_id=mine, redirect_uri=APP)
        status, answer = await login.token(login.exchange(code, client_id=client, redirect_uri=uri))
        assert (status, answer["error"]) == (400, "invalid_grant")


async def test_a_document_allows_what_it_says_and_the_app_client_too(login: Login, host: Host) -> None:
    policy(login, f"{host.url}/*")
    client = f"{host.url}/one.json"
    host.changes = {"grant_types": ["authorization_code"]}
    code = await login.code(client_id=client, redirect_uri=APP)
    _, tokens = await login.token(login.exchange(code, client_id=client, redirect_uri=APP))
    assert "refresh_token" not in tokens
    assert "redirect_mismatch" in (await login.authorize(client_id=client, redirect_uri=CALLBACK))[1]
    without = await login.authorize(
        client_id=client, redirect_uri=APP, code_challenge=None, code_challenge_method=None
    )
    assert "error=invalid_request" in without[2]["Location"]
    for grant in ("client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"):
        _, answer = await login.token({"grant_type": grant, "client_id": client})
        assert answer["error"] == "unauthorized_client"
    secret = {"grant_type": "refresh_token", "refresh_token": "x", "client_secret": "s" * 24}
    assert (await login.token({**secret, "client_id": client}))[1]["error"] == "invalid_client"
    host.changes = {"grant_types": ["refresh_token"]}
    status, _, headers = await login.authorize(client_id=f"{host.url}/two.json", redirect_uri=APP)
    assert (status, "error=unauthorized_client" in headers["Location"]) == (302, True)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"client_id": "https://other.example/one.json"}, "another client"),
        ({"client_id": None}, "client_id"),
        ({"redirect_uris": []}, "redirect_uris"),
        ({"redirect_uris": ["http://evil.example/"]}, "http protocol"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "public client"),
        ({"client_name": "x" * 6000}, "more than"),
    ],
)
async def test_a_wrong_document_is_no_client(
    login: Login, host: Host, changes: dict[str, Any], why: str
) -> None:
    policy(login, f"{host.url}/*")
    host.changes = changes
    assert why in await refused(login, f"{host.url}/one.json")


async def test_what_does_not_answer_with_a_document_is_no_client(login: Login, host: Host) -> None:
    policy(login, f"{host.url}/*")
    answers: list[Callable[[], web.StreamResponse]] = [
        lambda: web.Response(status=302, headers={"Location": f"{host.url}/other.json"}),
        lambda: web.Response(status=404),
        lambda: web.Response(text="{}", content_type="text/html"),
        lambda: web.Response(text="{", content_type="application/json"),
        lambda: web.Response(text="[]", content_type="application/json"),
    ]
    for number, answer in enumerate(answers, 1):
        host.answer = answer
        assert "client metadata document" in await refused(login, f"{host.url}/one.json")
        assert host.asked == number


@pytest.mark.parametrize(
    ("pattern", "url"),
    [
        ("https://apps.example.com/*", "https://apps.example.org/one.json"),
        ("https://apps.example.com/*", "https://apps.example.com.evil.example/one.json"),
        ("https://*.example.com/one.json", "https://evil.example/.example.com/one.json"),
        ("https://*.example.com/one.json", "https://evil.example?.example.com/one.json"),
        ("https://apps.example.com/one.json", "https://apps.example.com/one.json?two"),
        ("https://apps.example.com/one.json", "https://apps.example.com/oneXjson"),
    ],
)
async def test_a_url_that_no_policy_matches_is_not_fetched(login: Login, pattern: str, url: str) -> None:
    policy(login, pattern)
    assert "no CIMD policy" in await refused(login, url)


async def test_documents_are_kept_as_long_as_policy_and_document_say(login: Login, host: Host) -> None:
    made = policy(login, f"{host.url}/*", CacheDuration=2 * DAY)
    where = {"UserPoolId": login.pool_id, "CIMDPolicyId": made["CIMDPolicyId"]}
    client = f"{host.url}/one.json"

    async def ask() -> int:
        assert (await login.authorize(client_id=client, redirect_uri=APP))[0] == 302
        return host.asked

    assert [await ask(), await ask()] == [1, 1]
    login.clock.forward(2 * DAY)
    # Shorter than a day: the policy's duration counts.
    host.headers = {"Cache-Control": "public, max-age=60"}
    assert [await ask(), await ask()] == [2, 2]
    for action in ("REFRESH", "INVALIDATE"):
        login.local.call("UpdateClientMetadataURLState", **where, URL=client, Action=action)
        with pytest.raises(AwsError, match="no cached client metadata document"):
            login.local.call("UpdateClientMetadataURLState", **where, URL=client, Action=action)
        await ask()
    host.headers = {"Cache-Control": f"max-age={3 * DAY}"}
    login.clock.forward(2 * DAY)
    await ask()
    (kept,) = login.local.call("ListClientMetadataURLs", **where)["ClientMetadataURLs"]
    assert kept["ExpirationDate"] - kept["CachedDate"] == 3 * DAY


async def test_policies_are_managed(login: Login, host: Host) -> None:
    made = policy(login, f"{host.url}/*")
    where = {"UserPoolId": login.pool_id, "CIMDPolicyId": made["CIMDPolicyId"]}
    call = login.local.call
    assert call("DescribeCIMDPolicy", **where)["CIMDPolicy"] == made
    assert (await login.authorize(client_id=f"{host.url}/a", redirect_uri=APP))[0] == 302
    changed = call(
        "UpdateCIMDPolicy", **where, ClientId=login.client_id, URLPatterns=["https://apps.example/*"]
    )["CIMDPolicy"]
    assert (changed["PolicyName"], changed["CacheDuration"]) == ("apps", DAY)
    assert call("ListClientMetadataURLs", **where)["ClientMetadataURLs"] == []
    assert "no CIMD policy" in await refused(login, f"{host.url}/a")
    (listed,) = call("ListCIMDPolicies", UserPoolId=login.pool_id)["CIMDPolicies"]
    assert (listed["CIMDPolicyId"], "URLPatterns" in listed) == (made["CIMDPolicyId"], False)
    call("DeleteUserPoolClient", UserPoolId=login.pool_id, ClientId=login.client_id)
    assert "ClientId" not in call("DescribeCIMDPolicy", **where)["CIMDPolicy"]
    assert "no CIMD policy" in await refused(login, "https://apps.example/a")
    call("DeleteCIMDPolicy", **where)
    with pytest.raises(AwsError, match="does not exist"):
        call("DescribeCIMDPolicy", **where)


async def test_a_policy_is_refused_as_cognito_refuses_it(login: Login) -> None:
    for patterns in ([], ["http://apps.example/*"], ["https://a.example/*"] * 6, ["https://a.example/ x"]):
        with pytest.raises(AwsError, match="validation error"):
            policy(login, *patterns)
    with pytest.raises(AwsError, match="validation error"):
        policy(login, "https://a.example/*", CacheDuration=DAY - 1)
    with pytest.raises(AwsError, match="does not exist"):
        policy(login, "https://a.example/*", ClientId="another")
    lite = login.local.call("CreateUserPool", PoolName="p", UserPoolTier="LITE")["UserPool"]["Id"]
    with pytest.raises(AwsError, match="Essentials"):
        policy(login, "https://a.example/*", UserPoolId=lite)


async def test_a_silent_host_costs_a_bounded_time(login: Login, monkeypatch: pytest.MonkeyPatch) -> None:
    """The document's host accepts and says nothing; the error comes all the same."""
    monkeypatch.setattr(documents, "LONGEST", 0.05)
    opened: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: opened.append(writer), "127.0.0.1", 0)
    url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
    policy(login, f"{url}/*")
    try:
        assert "client metadata document" in await refused(login, f"{url}/one.json")
    finally:
        for writer in opened:
            writer.close()
        server.close()
