"""A browser at the local Cognito's managed login."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import aiohttp

from local_cognito.server import LocalCognito
from tests.support.local_cognito import Clock

PASSWORD = "Correct-Horse-1"
CALLBACK = "http://127.0.0.1:8000/oauth2/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
SCOPES = ["openid", "email", "profile", "aws.cognito.signin.user.admin", "api/read"]


class Login:
    """The requests of a browser and an app; redirects are returned, not followed."""

    def __init__(self, local: LocalCognito, clock: Clock, session: aiohttp.ClientSession) -> None:
        self.local, self.clock, self.http = local, clock, session
        self.pool_id = local.call("CreateUserPool", PoolName="web")["UserPool"]["Id"]
        local.call("CreateUserPoolDomain", UserPoolId=self.pool_id, Domain="web")
        scopes = [{"ScopeName": "read", "ScopeDescription": "Reads"}]
        local.call(
            "CreateResourceServer", UserPoolId=self.pool_id, Identifier="api", Name="API", Scopes=scopes
        )
        self.client_id, _ = self.client()
        self.user("alice")

    def client(self, **settings: Any) -> tuple[str, str]:
        request = {
            "AllowedOAuthFlowsUserPoolClient": True,
            "AllowedOAuthFlows": ["code"],
            "AllowedOAuthScopes": SCOPES,
            "CallbackURLs": [CALLBACK],
            "LogoutURLs": ["http://127.0.0.1:8000/oauth2/"],
            **settings,
        }
        made = self.local.call("CreateUserPoolClient", UserPoolId=self.pool_id, ClientName="c", **request)
        return made["UserPoolClient"]["ClientId"], made["UserPoolClient"].get("ClientSecret", "")

    def user(self, name: str) -> None:
        where = {"UserPoolId": self.pool_id, "Username": name}
        email = {"Name": "email", "Value": f"{name}@example.com"}
        self.local.call("AdminCreateUser", **where, UserAttributes=[email])
        self.local.call("AdminSetUserPassword", **where, Password=PASSWORD, Permanent=True)

    def query(self, **changes: str | None) -> dict[str, str]:
        given = {
            "client_id": self.client_id,
            "response_type": "code",
            "redirect_uri": CALLBACK,
            "scope": "openid email",
            "state": "s t&te",
            "nonce": "n0nce",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **changes,
        }
        return {name: value for name, value in given.items() if value is not None}

    async def get(self, path: str, query: Mapping[str, str] | str = "") -> tuple[int, str, Mapping[str, str]]:
        text = query if isinstance(query, str) else urlencode(query)
        url = f"{self.local.url}{path}?{text}" if text else f"{self.local.url}{path}"
        async with self.http.get(url, allow_redirects=False) as answer:
            return answer.status, await answer.text(), answer.headers.copy()

    async def authorize(self, **changes: str | None) -> tuple[int, str, Mapping[str, str]]:
        return await self.get("/oauth2/authorize", self.query(**changes))

    async def submit(self, page: str, **values: str) -> tuple[int, str, Mapping[str, str]]:
        """Fill in the page's form and send it."""
        action = unescape(re.findall(r'action="([^"]*)"', page)[0])
        inputs = re.findall(r'<input[^>]*name="([^"]*)"[^>]*value="([^"]*)"', page)
        form = {unescape(name): unescape(value) for name, value in inputs} | values
        async with self.http.post(self.local.url + action, data=form, allow_redirects=False) as answer:
            return answer.status, await answer.text(), answer.headers.copy()

    async def sign_in(
        self, name: str = "alice", password: str = PASSWORD, /, **changes: str | None
    ) -> tuple[int, str, Mapping[str, str]]:
        """Sign in with a new browser."""
        self.http.cookie_jar.clear()
        status, _, headers = await self.authorize(**changes)
        assert status == 302
        _, page, _ = await self.get(headers["Location"])
        return await self.submit(page, username=name, password=password)

    async def code(self, **changes: str | None) -> str:
        _, _, headers = await self.sign_in(**changes)
        return dict(parse_qsl(urlsplit(headers["Location"]).query))["code"]

    async def post(self, path: str, form: Mapping[str, str] | str, **headers: str) -> tuple[int, Any]:
        data = form if isinstance(form, str) else urlencode(form)
        headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        async with self.http.post(self.local.url + path, data=data, headers=headers) as answer:
            text = await answer.text()
            assert answer.headers["Cache-Control"] == "no-store"
            return answer.status, (await answer.json()) if text else None

    def exchange(self, code: str, **changes: str | None) -> dict[str, str]:
        given = {
            "grant_type": "authorization_code",
            "client_id": self.client_id,
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
            **changes,
        }
        return {name: value for name, value in given.items() if value is not None}

    async def token(self, form: Mapping[str, str] | str, **headers: str) -> tuple[int, Any]:
        return await self.post("/oauth2/token", form, **headers)
