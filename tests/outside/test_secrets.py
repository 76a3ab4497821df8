"""Nothing secret is printed: every flow at level debug, and all that it says of itself searched."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import json
import re
import signal
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from local_cognito import totp
from local_cognito.server import LocalCognito
from tests.support import local_cognito
from tests.support.collector import Collector
from tests.support.ports import free_port
from tests.support.programs import SCRIPT, Served, started, until
from tests.support.promises import by_path
from tests.support.recording import Relay
from tests.support.site import (
    ALICE,
    CLIENT,
    IDENTITY_POOL,
    PASSWORD,
    POOL,
    Browser,
    app_code,
    seed,
    with_identity_pool,
)
from tests.support.waiting import at_rest
from tests.support.wire import Reply, Upstream, get, once

BOB, NEW, WRONG = "bob@example.com", "Another-Horse-2", "Wrong-Horse-77"
CLIENT_SECRET = "1client2secret3of4the5pages6app7client8x"
SESSION_KEY = base64.b64encode(bytes(range(32))).decode()
REDIS_PASSWORD = "redis-hunter2-password"


@dataclass
class Said:
    """What must not be found, and where it is looked for."""

    secrets: dict[str, str] = field(default_factory=dict)
    # Forms carry these by design, and pages of errors hold forms.
    form_tokens: set[str] = field(default_factory=set)
    bodies: list[bytes] = field(default_factory=list)

    def token(self, text: str, name: str = "token") -> None:
        """Whole, each of its parts, and pieces of its signature of 16 characters."""
        parts = text.split(".")
        pieces = [parts[-1][at : at + 16] for at in range(0, len(parts[-1]) - 15, 16)]
        for piece in (text, *parts[1:], *pieces):
            if len(piece) >= 12:
                self.secrets[piece] = name

    def relayed(self, secrets: Mapping[str, str]) -> None:
        for value, name in secrets.items():
            if value.count(".") >= 2:
                self.token(value, name)
            else:
                self.secrets[value] = name
                # A cut secret is one all the same.
                if len(value) >= 48:
                    self.secrets[value[:24]] = self.secrets[value[-24:]] = name

    def reply(self, reply: Reply) -> Reply:
        for line in reply.all("set-cookie"):
            value = line.partition("=")[2].partition(";")[0]
            if len(value) >= 12:
                self.secrets[value] = "cookie"
        self.form_tokens |= {t.decode() for t in re.findall(rb'name="csrf" value="([^"]+)"', reply.body)}
        if reply.status >= 400:
            # A form that is shown again may keep something for its next step: a cookie's place is there.
            lines = [
                line for line in reply.head.split(b"\r\n") if not line.lower().startswith(b"set-cookie:")
            ]
            self.bodies.append(b"\r\n".join(lines) + reply.body)
        return reply

    def found(self, text: str, *, forms: bool) -> list[str]:
        """What of it is in the text. Short codes count only where they stand alone."""
        secrets = self.secrets | (dict.fromkeys(self.form_tokens, "csrf") if forms else {})
        found = []
        for value, name in secrets.items():
            bound = r"(?<![0-9A-Za-z.])%s(?![0-9A-Za-z])" if len(value) < 12 else "%s"
            if value in text and re.search(bound % re.escape(value), text):
                found.append(f"{name}: {value[:12]}…")
        return found


class Watched(Browser):
    """A browser whose cookies and forms are secrets."""

    said: Said

    async def _send(self, data: bytes) -> Reply:
        reply = await once(self.port, data)
        self.said.reply(reply)
        for line in reply.all("set-cookie"):
            name, _, rest = line.partition("=")
            value, _, attributes = rest.partition(";")
            if "Max-Age=0" in attributes:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return reply


@dataclass
class Stage:
    served: Served
    upstream: Upstream
    local: LocalCognito
    relay: Relay
    said: Said
    collector: Collector
    folder: Path

    def browser(self) -> Watched:
        browser = Watched(self.served.port)
        browser.said = self.said
        return browser

    async def ask(self, target: str, *lines: str, method: str = "GET") -> Reply:
        return self.said.reply(await self.served.ask(target, *lines, method=method))

    async def code(self, kind: str, count: int = 1) -> str:
        async with asyncio.timeout(30):
            while len(sent := [each for each in self.local.state.outbox if each.kind == kind]) < count:
                await asyncio.sleep(0.01)
        return str(sent[count - 1].code)


@contextlib.asynccontextmanager
async def stage(folder: Path, *, domain: bool) -> AsyncIterator[Stage]:
    document = with_identity_pool(seed(ClientSecret=CLIENT_SECRET))
    (folder / "client-secret").write_text(CLIENT_SECRET + "\n")
    (folder / "session-key").write_text(SESSION_KEY + "\n")
    for name in ("client-secret", "session-key"):
        (folder / name).chmod(0o600)
    port, metrics_port = free_port(), free_port()
    with local_cognito.running(document) as local:
        async with (
            Upstream(script=by_path).running() as upstream,
            Relay(local.url).running() as relay,
            Collector().running() as collector,
        ):
            if domain:
                offer_managed_login(local, f"http://localhost:{port}")
            pool = {
                "id": POOL,
                "client_ids": [CLIENT],
                "client_secret_file": "client-secret",
                "token_use": ["access", "id"],
                "issuers": [f"{local.url}/{POOL}"],
                "identity_pool_id": IDENTITY_POOL,
                "domain": relay.url if domain else None,
            }
            path, pages = folder / "gateway.yaml", "managed" if domain else "own"
            path.write_text(
                f"listen: {{address: '127.0.0.1:{port}', trusted_proxies: [127.0.0.1/32], drain_timeout: 5s"
                + (f", public_url: 'http://localhost:{port}'" if domain else "")
                + f"}}\nmetrics: {{address: '127.0.0.1:{metrics_port}'}}\n"
                f"upstream: {{url: '{upstream.url}', response_timeout: 2s, forward_token: true}}\n"
                f"cognito: {{endpoint_url: '{relay.url}', user_pools: [{json.dumps(pool)}],"
                " revocation: {check_every: 1s}}\n"
                f"sign_in: {{pages: {pages}, session: {{secret_file: session-key}}}}\n"
                f"tracing: {{otlp_endpoint: '{collector.url}'}}\n"
                "log: {level: debug}\n"
            )
            async with started(folder, [SCRIPT, "serve", "--config", path], name="serve") as program:
                served = Served(program.process, program.out, program.err, port, metrics_port)
                await until(served.is_ready)
                yield Stage(served, upstream, local, relay, Said(), collector, folder)


def offer_managed_login(local: LocalCognito, origin: str) -> None:
    local.call("CreateUserPoolDomain", UserPoolId=POOL, Domain="web")
    local.call(
        "UpdateUserPoolClient",
        UserPoolId=POOL,
        ClientId=CLIENT,
        ExplicitAuthFlows=["ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_PASSWORD_AUTH"],
        AllowedOAuthFlowsUserPoolClient=True,
        AllowedOAuthFlows=["code"],
        AllowedOAuthScopes=["openid", "email", "aws.cognito.signin.user.admin"],
        CallbackURLs=[f"{origin}/oauth2/callback"],
        LogoutURLs=[f"{origin}/oauth2/"],
    )


# --- the flows ---


async def _opens(browser: Browser, target: str) -> bool:
    return (await browser.open(target)).status == 200


async def accounts(at: Stage) -> None:
    """Sign-up, confirmation, a forgotten password."""
    browser = at.browser()
    # 503 until the pool's settings are known.
    await until(lambda: _opens(browser, "/oauth2/sign_up?return_to=/app"))
    await browser.submit(attribute_email=BOB, password="Weak-1234")
    await browser.submit(attribute_email=BOB, password=PASSWORD)
    await browser.submit(code="000000", action="confirm")
    await browser.submit(code=await at.code("sign-up"), action="confirm")
    browser = at.browser()
    await browser.open("/oauth2/forgot_password")
    await browser.submit(username=BOB)
    await browser.submit(code="000000", new_password=NEW)
    await browser.submit(code=await at.code("forgot-password"), new_password=NEW)
    browser = at.browser()
    await browser.open("/oauth2/sign_in")
    await browser.submit(username=BOB, password=NEW)
    assert browser.location == "/oauth2/"


async def sessions(at: Stage) -> str:
    """Wrong and right passwords, a second factor, what a session opens, sign-out; the access token it had."""
    at.local.call(
        "SetUserPoolMfaConfig",
        UserPoolId=POOL,
        MfaConfiguration="OPTIONAL",
        SoftwareTokenMfaConfiguration={"Enabled": True},
    )
    browser = at.browser()
    await browser.open("/oauth2/sign_in?return_to=/app")
    await browser.submit(username=ALICE, password=WRONG)
    await browser.submit(username=ALICE, password=PASSWORD)
    await browser.open("/app?code=whatever")
    authorization = (at.upstream.last.get("Authorization") or b"").decode()
    access = authorization.removeprefix("Bearer ")
    secret = str(at.local.call("AssociateSoftwareToken", AccessToken=access)["SecretCode"])
    at.said.secrets[secret] = "TOTP secret"
    first = app_code(secret, steps=-1)
    at.local.call("VerifySoftwareToken", AccessToken=access, UserCode=first)
    at.local.call("SetUserMFAPreference", AccessToken=access, SoftwareTokenMfaSettings={"Enabled": True})
    await browser.open("/oauth2/")
    form = browser.form()[1]
    for what in ("token", "credentials"):
        await browser.post("/oauth2/", {**form, "show": what})
    await browser.post("/oauth2/credentials", form)
    for target in ("/oauth2/userinfo", "/oauth2/credentials", "/oauth2/change_password"):
        await browser.open(target)
    await browser.submit(old_password=WRONG, new_password=NEW)
    # Another site's page, and a form that was not made for this browser.
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    await at.ask("/app", f"Cookie: {cookie}", "Origin: https://evil.example", method="POST")
    await browser.post("/oauth2/sign_out", {"csrf": "made-up-form-token"})
    await browser.open("/oauth2/")
    await browser.post("/oauth2/sign_out", {**browser.form(0)[1], "everywhere": "yes"})

    browser = at.browser()
    await browser.open("/oauth2/sign_in")
    await browser.submit(username=ALICE, password=PASSWORD)
    assert browser.location == "/oauth2/challenge"
    await browser.submit(code="000000")
    await browser.submit(code=totp.code_at(secret, int(time.time()) // 30))
    broken = {name: value[:-4] + "AAAA" for name, value in browser.cookies.items()}
    await at.ask("/app", "Cookie: " + "; ".join(f"{name}={value}" for name, value in broken.items()))
    return access


async def bearers(at: Stage, token: str, other: str) -> None:
    """Good and bad tokens, in every place where one may stand."""
    at.said.token(token)
    at.said.token(other)
    bad = f"{token[:-4]}AAAA"
    basic = base64.b64encode(f"{ALICE}:{PASSWORD}".encode()).decode()
    at.said.secrets[basic] = "Basic"
    for lines in (
        [f"Authorization: Bearer {token}"],
        [f"Authorization: Bearer {bad}"],
        [f"Authorization: Bearer {token}, Bearer {other}"],
        [f"Authorization: Bearer {token}", f"Authorization: Bearer {other}"],
        [f"Authorization: Basic {basic}"],
        [f"Authorization: {token}"],
        [f"Authorization: Bearer {token}", f"Bad Header {token}: 1"],
        [f"Cookie: cognito_gateway_session={token}", f"X-Request-Id: {token}"],
        [f"Host: {token}"],
        [f"Transfer-Encoding: {token}"],
        [f"Content-Length: {token}"],
        [f"traceparent: {token}", f"tracestate: {token}"],
        [f"X-Forwarded-For: {token[:60]}"],
    ):
        await at.ask(f"/api?access_token={token}&code={WRONG}", *lines)
    await at.ask("/", method=token[:20])
    await at.ask(f"/api/{token}/x", f"Authorization: Bearer {token}")
    for target in ("/silent", "/broken", "/gone"):
        await at.ask(f"{target}?token={token}", f"Authorization: Bearer {token}")
    # Another proxy asks, and hands on the whole URL that it was asked for.
    for lines in (
        [f"X-Original-URL: http://api.test/x?token={token}", "X-Original-Method: GET"],
        [f"X-Forwarded-Uri: /x?token={token}", f"Authorization: Bearer {bad}"],
        [f"X-Original-URL: {token}", f"Authorization: Bearer {token}"],
    ):
        await at.ask("/oauth2/auth", *lines)


async def managed(at: Stage) -> None:
    """Managed login: authorization code, PKCE, state, nonce; then again what came back, and made up."""
    browser = at.browser()
    host = f"Host: localhost:{at.served.port}"
    jar: dict[str, str] = {}

    async def visit(target: str) -> Reply:
        cookie = "; ".join(f"{name}={value}" for name, value in jar.items())
        request = get(target, f"Cookie: {cookie}", "Accept: text/html", host=host.removeprefix("Host: "))
        reply = at.said.reply(await once(browser.port, request))
        for line in reply.all("set-cookie"):
            name, _, rest = line.partition("=")
            jar[name] = rest.partition(";")[0]
        return reply

    asked = (await visit("/oauth2/start?return_to=/app")).get("location") or ""
    at.relay.look(asked.partition("?")[2].encode(), "urlencoded")
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        async with http.get(asked) as answer:
            page = await answer.text()
        action = re.findall(r'action="([^"]*)"', page)[0].replace("&amp;", "&")
        form = dict(re.findall(r'<input[^>]*name="([^"]*)"[^>]*value="([^"]*)"', page))
        form |= {"username": ALICE, "password": PASSWORD}
        async with http.post(at.relay.url + action, data=form, allow_redirects=False) as answer:
            location = answer.headers["Location"]
    at.relay.look(location.partition("?")[2].encode(), "urlencoded")
    target = "/" + location.split("/", 3)[3]
    assert target.startswith("/oauth2/callback?")
    await visit(target.replace("state=", "state=made-up-"))
    reply = await visit(target)
    assert reply.status in {302, 303}, reply.body
    assert reply.get("location") == "/app"
    await visit(target)  # once more
    await visit("/oauth2/userinfo")
    await visit("/oauth2/credentials")


async def reloads(at: Stage) -> None:
    """A good reload, and a broken one whose file holds a secret in the wrong place."""
    path = at.folder / "gateway.yaml"
    text = path.read_text()
    at.said.secrets[REDIS_PASSWORD] = "Redis password"
    for wrong in (
        f"rate_limit: {{requests_per_second: 5, redis_url: 'redis://:{REDIS_PASSWORD}@[::1'}}\n",
        f"rate_limit: {{redis_url: 'http://:{REDIS_PASSWORD}@localhost'}}\n",
    ):
        path.write_text(text + wrong)
        at.served.signal(signal.SIGHUP)
        await until(lambda: _reloads(at, "failure"))
    # Nobody listens there: each request finds that out.
    path.write_text(
        text
        + "rate_limit: {requests_per_second: 50, burst: 50, "
        + f"redis_url: 'redis://:{REDIS_PASSWORD}@127.0.0.1:{free_port()}'}}\n"
    )
    at.served.signal(signal.SIGHUP)
    await until(lambda: _reloads(at, "success"))
    await at.ask("/app")


async def _reloads(at: Stage, result: str) -> bool:
    samples = await at.served.samples()
    return samples[f'cognito_gateway_config_reloads_total{{result="{result}"}}'] > 0


# --- the search ---


async def search(at: Stage) -> dict[str, str]:
    metrics = (await at.served.probe("/metrics")).body.decode()
    readiness = (await at.served.probe("/readyz")).body.decode()

    async def spans_left() -> bool:
        return len(at.collector.spans) >= 5

    async def revocation_asked() -> bool:
        samples = await at.served.samples()
        return sum(n for name, n in samples.items() if "_revocation_checks_total" in name) > 0

    await until(spans_left)
    await until(revocation_asked)
    # They leave together, some times a second.
    await at_rest(lambda: len(at.collector.spans), pause=0.1)
    assert await at.served.stop() == 0
    at.said.relayed(at.relay.secrets)
    at.said.secrets |= dict.fromkeys((PASSWORD, NEW, WRONG), "password")
    at.said.secrets |= {CLIENT_SECRET: "client secret", SESSION_KEY: "session secret"}
    spans = b"".join(at.collector.raw).decode("latin-1")
    assert len(at.collector.spans) >= 5
    return {
        "stdout": at.served.stdout,
        "stderr": at.served.stderr,
        "metrics": metrics + readiness,
        "spans": spans,
    }


def assert_silent(at: Stage, texts: Mapping[str, str], kinds: Iterable[str]) -> None:
    seen = set(at.said.secrets.values())
    assert set(kinds) <= seen, "the flows did not show what they should: " + ", ".join(sorted(seen))
    for where, text in texts.items():
        assert at.said.found(text, forms=True) == [], where
    for body in at.said.bodies:
        assert at.said.found(body.decode("latin-1"), forms=False) == [], body


async def test_own_pages_tokens_and_failures(tmp_path: Path) -> None:
    async with stage(tmp_path, domain=False) as at:
        await accounts(at)
        access = await sessions(at)
        signed_in: Any = at.local.call(
            "InitiateAuth",
            ClientId=CLIENT,
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": BOB, "PASSWORD": NEW, "SECRET_HASH": secret_hash(BOB)},
        )["AuthenticationResult"]
        await bearers(at, signed_in["AccessToken"], signed_in["IdToken"])
        await bearers(at, access, signed_in["AccessToken"])
        await reloads(at)
        texts = await search(at)
    assert_silent(
        at,
        texts,
        {"cookie", "token", "password", "RefreshToken", "AccessToken", "IdToken", "ConfirmationCode"}
        | {"Session", "SOFTWARE_TOKEN_MFA_CODE", "SessionToken", "SecretKey", "TOTP secret"},
    )


async def test_managed_login(tmp_path: Path) -> None:
    async with stage(tmp_path, domain=True) as at:
        await managed(at)
        texts = await search(at)
    assert_silent(at, texts, {"cookie", "code", "code_verifier", "state", "nonce", "refresh_token"})


def secret_hash(username: str) -> str:
    digest = hmac.digest(CLIENT_SECRET.encode(), (username + CLIENT).encode(), "sha256")
    return base64.b64encode(digest).decode()


def test_the_search_finds_what_is_there() -> None:
    said = Said()
    said.token("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0xxxx." + "s" * 20 + "t" * 20)
    said.relayed({"123456": "code", "x" * 30 + "y" * 30: "RefreshToken"})
    for text in ("ssssssssssssssssssss", "payload eyJzdWIiOiJ4In0xxxx", 'code "123456"', "…" + "y" * 24):
        assert said.found(text, forms=False), text
    assert said.found("1234567 0.123456 a123456b", forms=False) == []
