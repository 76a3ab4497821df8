"""A gateway with managed login of a local Cognito, and a browser that visits both."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import aiohttp
from aiohttp import web

from local_cognito.iam.roles import create_role
from local_cognito.iam.trust import trust_policy
from local_cognito.server import LocalCognito
from tests.support.local_cognito import serving
from tests.support.portal import Browser
from tests.support.running import Running, running
from tests.support.wire import Reply

PASSWORD = "Correct-Horse-1"
ORIGIN = "http://localhost:8000"
CALLBACK = f"{ORIGIN}/oauth2/callback"


@dataclass
class Site:
    gateway: Running
    local: LocalCognito
    pool_id: str
    client_id: str
    domain: str
    # The second pool, if `site` was asked for one.
    other_pool_id: str = ""
    other_client_id: str = ""

    def browser(self) -> Browser:
        return Browser(self.gateway.port, host="localhost:8000")

    async def leave(self, browser: Browser, return_to: str = "", **more: str) -> dict[str, str]:
        """Start a sign-in; return the parameters of the authorization request that the browser is redirected
        to."""
        asked = {**({"return_to": return_to} if return_to else {}), **more}
        reply = await browser.get(f"/oauth2/start{'?' if asked else ''}{urlencode(asked)}")
        assert reply.status == 303, reply.body
        location = urlsplit(reply.get("location") or "")
        assert f"{location.scheme}://{location.netloc}{location.path}" == f"{self.domain}/oauth2/authorize"
        return dict(parse_qsl(location.query))

    async def come_back(self, asked: dict[str, str], name: str = "alice") -> str:
        """Sign in at Cognito; return the target of the callback it redirects to."""
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
            url = f"{self.local.url}/oauth2/authorize?{urlencode(asked)}"
            async with http.get(url) as answer:
                page = await answer.text()
            action = unescape(re.findall(r'action="([^"]*)"', page)[0])
            inputs = re.findall(r'<input[^>]*name="([^"]*)"[^>]*value="([^"]*)"', page)
            form = {unescape(key): unescape(value) for key, value in inputs}
            form |= {"username": name, "password": PASSWORD}
            async with http.post(self.local.url + action, data=form, allow_redirects=False) as answer:
                location = answer.headers["Location"]
        assert location.startswith(CALLBACK), location
        return location.removeprefix(ORIGIN)

    async def sign_in(self, browser: Browser, return_to: str = "") -> Reply:
        return await browser.get(await self.come_back(await self.leave(browser, return_to)))


class Person:
    """A browser at Cognito's own pages, which keeps their cookies."""

    def __init__(self, local: LocalCognito, http: aiohttp.ClientSession) -> None:
        self.local, self.http = local, http
        self.page = ""

    async def open(self, asked: dict[str, str]) -> str:
        """Open the authorization request; return where it ends, or "" if a page is shown."""
        url = f"{self.local.url}/oauth2/authorize?{urlencode(asked)}"
        async with self.http.get(url, allow_redirects=False) as answer:
            there = await self._arrived(answer)
        if not there.startswith("/login?"):
            return there
        async with self.http.get(self.local.url + there) as answer:
            return await self._arrived(answer)

    async def submit(self, **values: str) -> str:
        """Fill in the page's form; return where it ends, or "" if another page is shown."""
        action = unescape(re.findall(r'action="([^"]*)"', self.page)[0])
        inputs = re.findall(r'<input[^>]*name="([^"]*)"[^>]*value="([^"]*)"', self.page)
        form = {unescape(key): unescape(value) for key, value in inputs} | values
        async with self.http.post(self.local.url + action, data=form, allow_redirects=False) as answer:
            return await self._arrived(answer)

    async def _arrived(self, answer: aiohttp.ClientResponse) -> str:
        self.page = await answer.text()
        return answer.headers.get("Location", "").removeprefix(ORIGIN)


@contextlib.asynccontextmanager
async def person(local: LocalCognito) -> AsyncIterator[Person]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        yield Person(local, http)


@contextlib.asynccontextmanager
async def site(
    folder: Path,
    yaml: str = "",
    *,
    identity_pool: bool = False,
    domain: str | None = None,
    another: bool = False,
    pool_lines: str = "",
    providers: Mapping[str, str] | None = None,
    **client: Any,
) -> AsyncIterator[Site]:
    """Run a site, with `sign_in: {pages: managed}` unless `yaml` has that section.

    `client`: settings of the app client; `identity_pool`: with one that accepts its tokens; `domain`: the URL
    in place of Cognito's; `another`: with a second pool; `pool_lines`: more of the pool's configuration;
    `providers`: identity providers of the pools that the client allows, name → type.
    """
    allowed = providers or {}
    async with serving() as local:
        pool_id, client_id, secret = _user_pool(local, "web", client, allowed)
        more, domain = f", {pool_lines}" if pool_lines else "", domain or local.url
        if secret:
            (folder / "secret").write_text(secret + "\n")
            more += f", client_secret_file: {folder}/secret"
        if identity_pool:
            more += f", identity_pool_id: '{_identity_pool(local, pool_id, client_id)}'"
        pools = f"{{id: {pool_id}, client_ids: [{client_id}], domain: '{domain}'{more}}}"
        other = _user_pool(local, "other", client, allowed) if another else ("", "", None)
        if another:
            pools += f", {{id: {other[0]}, client_ids: [{other[1]}], domain: '{domain}'}}"
        cognito = f"cognito: {{endpoint_url: '{local.url}', user_pools: [{pools}]}}\n"
        lines = f"public_url: '{ORIGIN}'"
        yaml += "" if "sign_in:" in yaml else "sign_in: {pages: managed}\n"
        async with running(folder, yaml, cognito=cognito, listen_lines=lines) as gateway:
            yield Site(gateway, local, pool_id, client_id, domain, other[0], other[1])


def _user_pool(
    local: LocalCognito, name: str, client: dict[str, Any], providers: Mapping[str, str]
) -> tuple[str, str, str | None]:
    """Create a pool with alice and bob; return its ID, its client's ID and secret."""
    pool_id = str(local.call("CreateUserPool", PoolName=name)["UserPool"]["Id"])
    local.call("CreateUserPoolDomain", UserPoolId=pool_id, Domain=name)
    for each, kind in providers.items():
        provider = {"ProviderName": each, "ProviderType": kind, "ProviderDetails": {}}
        local.call("CreateIdentityProvider", UserPoolId=pool_id, **provider)
    settings = {
        "SupportedIdentityProviders": ["COGNITO", *providers],
        "AllowedOAuthFlowsUserPoolClient": True,
        "AllowedOAuthFlows": ["code"],
        "AllowedOAuthScopes": ["openid", "email", "aws.cognito.signin.user.admin"],
        "CallbackURLs": [CALLBACK],
        "LogoutURLs": [f"{ORIGIN}/oauth2/"],
        "ExplicitAuthFlows": ["ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_PASSWORD_AUTH"],
        **client,
    }
    made = local.call("CreateUserPoolClient", UserPoolId=pool_id, ClientName="c", **settings)
    for user in ("alice", "bob"):
        email = {"Name": "email", "Value": f"{user}@example.com"}
        local.call("AdminCreateUser", UserPoolId=pool_id, Username=user, UserAttributes=[email])
        local.call(
            "AdminSetUserPassword", UserPoolId=pool_id, Username=user, Password=PASSWORD, Permanent=True
        )
    return pool_id, made["UserPoolClient"]["ClientId"], made["UserPoolClient"].get("ClientSecret")


class TokenEndpoint:
    """A proxy of Cognito's token endpoint that replaces the access token with `access`."""

    def __init__(self) -> None:
        self.url, self.cognito, self.access = "", "", ""
        # The status to answer instead, unless 0.
        self.failing = 0

    async def token(self, request: web.Request) -> web.Response:
        if self.failing:
            return web.Response(status=self.failing)
        async with aiohttp.ClientSession() as http:
            form = dict(await request.post())
            async with http.post(f"{self.cognito}/oauth2/token", data=form) as answer:
                given = await answer.json()
        return web.json_response({**given, **({"access_token": self.access} if self.access else {})})


@contextlib.asynccontextmanager
async def token_endpoint() -> AsyncIterator[TokenEndpoint]:
    made, app = TokenEndpoint(), web.Application()
    app.router.add_post("/oauth2/token", made.token)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield made
    finally:
        await runner.cleanup()


def _identity_pool(local: LocalCognito, pool_id: str, client_id: str) -> str:
    provider = f"cognito-idp.us-east-1.amazonaws.com/{pool_id}"
    accepted = {"ProviderName": provider, "ClientId": client_id, "ServerSideTokenCheck": True}
    made = local.call(
        "CreateIdentityPool",
        IdentityPoolName="p",
        AllowUnauthenticatedIdentities=False,
        CognitoIdentityProviders=[accepted],
    )
    document = json.dumps(trust_policy(made["IdentityPoolId"]))
    role = create_role(local.state, {"RoleName": "signed-in", "AssumeRolePolicyDocument": document}, 0.0)
    assert role is not None
    roles = {"authenticated": role["Role"]["Arn"]}
    local.call("SetIdentityPoolRoles", IdentityPoolId=made["IdentityPoolId"], Roles=roles)
    return str(made["IdentityPoolId"])
