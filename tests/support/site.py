"""A gateway in front of a local Cognito, and a browser over raw HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import html
import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from gateway.config.load import load
from gateway.observe.logs import configure
from gateway.serve.reload import ConfigurationSource
from gateway.serve.worker import Worker
from local_cognito import totp
from local_cognito.server import LocalCognito
from tests.support.local_cognito import serving
from tests.support.running import Stream
from tests.support.waiting import PATIENCE
from tests.support.wire import Reply, Upstream, get, once

POOL, CLIENT = "us-east-1_Pages1234", "pagesclient"
ALICE, PASSWORD, TEMPORARY = "alice@example.com", "Correct-Horse-1", "Temporary-1"
FLOWS = [
    "ALLOW_USER_AUTH",
    "ALLOW_USER_PASSWORD_AUTH",
    "ALLOW_USER_SRP_AUTH",
    "ALLOW_REFRESH_TOKEN_AUTH",
]
HTML = "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"


def seed(*users: Mapping[str, Any], pool: Mapping[str, Any] | None = None, **client: Any) -> dict[str, Any]:
    """Return a seed: one pool with e-mail addresses as usernames, one client, alice and `users`."""
    return {
        "UserPools": [
            {
                "Id": POOL,
                "PoolName": "pages",
                "UsernameAttributes": ["email"],
                "AutoVerifiedAttributes": ["email"],
                "Clients": [
                    {
                        "ClientId": CLIENT,
                        "ClientName": "pages",
                        "ExplicitAuthFlows": FLOWS,
                        "PreventUserExistenceErrors": "ENABLED",
                        **client,
                    }
                ],
                "Groups": [{"GroupName": "admins"}, {"GroupName": "editors"}],
                "Users": [
                    {
                        "Username": ALICE,
                        "Password": PASSWORD,
                        "Attributes": {"email_verified": "true", "name": "Alice Example"},
                        "Groups": ["admins", "editors"],
                    },
                    *users,
                ],
                **(pool or {}),
            }
        ]
    }


@dataclass
class Site:
    """The gateway, its Cognito and its log."""

    worker: Worker
    local: LocalCognito
    upstream: Upstream
    stream: Stream
    folder: Path
    source: ConfigurationSource

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.worker.port}"

    def log(self, *events: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.stream.data.splitlines()]
        return [line for line in lines if not events or line["event"] in events]

    async def logged(self, event: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait for `count` log lines of this event (a thread writes them), and return them."""
        async with asyncio.timeout(PATIENCE):
            while len(lines := self.log(event)) < count:
                await asyncio.sleep(0.01)
        return lines

    async def code(self, kind: str, count: int = 1) -> str:
        """Wait for the `count`-th message of this kind; return its code."""
        async with asyncio.timeout(PATIENCE):
            while len(sent := [each for each in self.local.state.outbox if each.kind == kind]) < count:
                await asyncio.sleep(0.01)
        return str(sent[count - 1].code)

    async def settled(self) -> None:
        """Wait until the pools' settings are known, or known to be unavailable."""
        portal = self.worker.app.portal
        assert portal is not None
        async with asyncio.timeout(PATIENCE):
            for pool in portal.pages.pools.values():
                pool.settings.begin()
                await pool.settings.settled.wait()

    def browser(self, address: str = "") -> Browser:
        return Browser(self.worker.port, address)


@contextlib.asynccontextmanager
async def site(
    folder: Path,
    *,
    seeded: Mapping[str, Any] | None = None,
    sign_in: str = "",
    pools: bool = True,
    more: str = "",
    upstream_lines: str = "",
    listen_lines: str = "",
    pool: Mapping[str, Any] | None = None,
) -> AsyncIterator[Site]:
    """Run a site. `sign_in`: the content of that section, in flow style; `pools` False: not yet configured;
    `pool`: further keys of each configured pool."""
    document = seeded or seed()
    upstream = Upstream()
    async with serving(document) as local, upstream.running():
        path = folder / "gateway.yaml"
        ids = [pool["Id"] for pool in document["UserPools"]] if pools else []
        clients = {pool["Id"]: pool["Clients"][0]["ClientId"] for pool in document["UserPools"]}
        identity = [pool["Id"] for pool in document.get("IdentityPools", [])]
        configured = [
            {
                "id": pool_id,
                "client_ids": [clients[pool_id]],
                "identity_pool_id": next(iter(identity), None),
                **(pool or {}),
            }
            for pool_id in ids
        ]
        path.write_text(
            "listen: {address: '127.0.0.1:0', drain_timeout: 1s"
            f"{listen_lines and ', ' + listen_lines}}}\n"
            "metrics: {address: '127.0.0.1:0'}\n"
            f"upstream: {{url: '{upstream.url}'{upstream_lines and ', ' + upstream_lines}}}\n"
            f"cognito: {{endpoint_url: '{local.url}', user_pools: {json.dumps(configured)}}}\n"
            f"sign_in: {{{sign_in}}}\n" + more
        )
        stream = Stream()
        source = ConfigurationSource(path, lambda: load(path, {}))
        config = source.load().config
        log = configure(config.log, stream)  # type: ignore[arg-type]  # a raw stream is all it needs
        worker = Worker(config, log=log)
        await worker.start()
        while pools and worker.app.unready():
            await asyncio.sleep(0.005)
        try:
            yield Site(worker, local, upstream, stream, folder, source)
        finally:
            await worker.stop()
            log.close()


@dataclass
class Browser:
    """Cookies, forms and redirects, over raw HTTP and without scripts."""

    port: int
    # The address in X-Forwarded-For, for a gateway with `trusted_proxies`; empty: no such header.
    address: str = ""
    cookies: dict[str, str] = field(default_factory=dict)
    location: str = "/"
    last: Reply | None = None
    # Where the gateway listens.
    at: str = "127.0.0.1"
    # What the browser calls the site.
    host: str = "api.test"

    @property
    def text(self) -> str:
        assert self.last is not None
        return self.last.body.decode()

    async def open(self, target: str, *lines: str) -> Reply:
        """GET a page, following redirects."""
        reply = await self._send(get(target, HTML, *self._cookie(), *lines, host=self.host))
        return await self._follow(target, reply, *lines)

    async def submit(self, *lines: str, form: int = 0, **fields: str) -> Reply:
        """Post form number `form` of the current page."""
        target, hidden = self.form(form)
        return await self.post(target, {**hidden, **fields}, *lines)

    async def post(self, target: str, fields: Mapping[str, str], *lines: str) -> Reply:
        body = urlencode(fields)
        head = get(
            target,
            HTML,
            *self._cookie(),
            "Content-Type: application/x-www-form-urlencoded",
            f"Content-Length: {len(body)}",
            *lines,
            method="POST",
            host=self.host,
        )
        reply = await self._send(head + body.encode("ascii"))
        return await self._follow(target, reply, *lines)

    def form(self, number: int = 0) -> tuple[str, dict[str, str]]:
        """Return the target of a form of the current page, and its hidden fields."""
        forms = list(re.finditer(r'<form method="post" action="([^"]+)".*?</form>', self.text, re.DOTALL))
        assert len(forms) > number, f"no such form on the page at {self.location}"
        hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', forms[number][0])
        fields = {name: html.unescape(value) for name, value in hidden}
        return html.unescape(forms[number][1]).partition("#")[0], fields

    async def _send(self, data: bytes) -> Reply:
        reply = await once(self.port, data, at=self.at)
        for line in reply.all("set-cookie"):
            name, _, rest = line.partition("=")
            value, _, attributes = rest.partition(";")
            if "Max-Age=0" in attributes:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return reply

    async def _follow(self, target: str, reply: Reply, *lines: str) -> Reply:
        # Browsers repeat these two headers with every redirect.
        repeated = [line for line in lines if line.startswith(("Sec-Fetch-Mode", "Sec-Fetch-Dest"))]
        for _ in range(5):
            if reply.status != 303:
                self.location, self.last = target, reply
                return reply
            target = reply.get("location") or ""
            if not target.startswith("/oauth2"):
                self.location, self.last = target, reply
                return reply
            reply = await self._send(get(target, HTML, *self._cookie(), *repeated, host=self.host))
        raise AssertionError("too many redirects")

    def _cookie(self) -> list[str]:
        pairs = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        cookie = [f"Cookie: {pairs}"] if pairs else []
        return [*cookie, f"X-Forwarded-For: {self.address}"] if self.address else cookie


def without_tokens(page: str) -> str:
    """Return the page without what differs from request to request."""
    page = re.sub(r'data-seconds="\d+"|\bin \d+ seconds', "", page)
    hidden = ('name="csrf"', 'name="missing"', 'name="step"')
    return "\n".join(line for line in page.splitlines() if not any(name in line for name in hidden))


# --- accounts with more than a password ---


SES = {"EmailSendingAccount": "DEVELOPER", "SourceArn": "arn:aws:ses:us-east-1:000000000000:identity/e.org"}
# A pool whose users may sign in with a code that is sent to them.
BY_CODE = {
    "EmailConfiguration": SES,
    "Policies": {"SignInPolicy": {"AllowedFirstAuthFactors": ["PASSWORD", "EMAIL_OTP"]}},
}
SMS = {"SmsConfiguration": {"SnsCallerArn": "arn:aws:iam::000000000000:role/sms"}}
PHONE = {"phone_number": "+15551239934", "phone_number_verified": "true"}


def second_factors(at: Site, setting: str = "OPTIONAL", *, email: bool = False) -> None:
    """Enable them for the pool: an app and text messages, also e-mail if the pool has SES."""
    at.local.call(
        "SetUserPoolMfaConfig",
        UserPoolId=POOL,
        MfaConfiguration=setting,
        SoftwareTokenMfaConfiguration={"Enabled": True},
        SmsMfaConfiguration=SMS,
        **({"EmailMfaConfiguration": {}} if email else {}),
    )


def track(at: Site) -> None:
    """Let the pool track its users' sessions."""
    at.local.call(
        "SetUserPoolSessionConfiguration",
        UserPoolId=POOL,
        UserSessionTracking="ENABLED",
        TokenSession={"MaxPerUser": 20},
    )


def prefer(at: Site, username: str = ALICE, **settings: Any) -> None:
    at.local.call("AdminSetUserMFAPreference", UserPoolId=POOL, Username=username, **settings)


def add_app(at: Site) -> str:
    """Give alice an authenticator app; return its secret."""
    parameters = {"USERNAME": ALICE, "PASSWORD": PASSWORD}
    flow = "USER_PASSWORD_AUTH"
    signed_in = at.local.call("InitiateAuth", ClientId=CLIENT, AuthFlow=flow, AuthParameters=parameters)
    access = {"AccessToken": signed_in["AuthenticationResult"]["AccessToken"]}
    secret = str(at.local.call("AssociateSoftwareToken", **access)["SecretCode"])
    # With the previous step's code: a step's code is accepted once, and the current one is left to the
    # browser.
    at.local.call("VerifySoftwareToken", **access, UserCode=app_code(secret, steps=-1))
    at.local.call("SetUserMFAPreference", **access, SoftwareTokenMfaSettings={"Enabled": True})
    return secret


def app_code(secret: str, *, steps: int = 0) -> str:
    """Return the current code; with steps=-1 the previous one, after waiting until it is valid for some more
    seconds."""
    left = 30 - time.time() % 30
    if steps < 0 and left < 3:
        time.sleep(left)
    return totp.code_at(secret, int(time.time()) // 30 + steps)


IDENTITY_POOL = "us-east-1:00000000-0000-4000-8000-0000000000ab"


def with_identity_pool(document: dict[str, Any]) -> dict[str, Any]:
    provider = {"ProviderName": f"cognito-idp.us-east-1.amazonaws.com/{POOL}", "ClientId": CLIENT}
    pool = {
        "Id": IDENTITY_POOL,
        "IdentityPoolName": "pages",
        "AllowUnauthenticatedIdentities": False,
        "CognitoIdentityProviders": [{**provider, "ServerSideTokenCheck": True}],
        "AuthenticatedRole": "pages-authenticated",
    }
    return {**document, "IdentityPools": [pool]}
