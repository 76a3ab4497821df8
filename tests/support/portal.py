"""A browser with sessions created directly in the store, and its cookies."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.pages.csrf import Guard
from gateway.serve.worker import Worker
from gateway.sessions import session_cookies
from gateway.sessions.cookies import Cookies
from gateway.sessions.page_request import BROWSER, PageRequest
from gateway.sessions.session import Session
from tests.support.running import Running
from tests.support.tokens import CLIENT_ID, POOL_ID, KeyPair, access_claims, id_claims, sign
from tests.support.wire import Reply, get, once

HTML = "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"
SUB = "5e0d3a9c-70b1-70e4-5f1b-8f7d9c0f2a11"


def a_session(key: KeyPair, *, lifetime: float = 3600, now: float | None = None, **changes: Any) -> Session:
    """Return a session from a sign-in at `now`, with tokens valid for `lifetime` seconds; `changes` replace
    fields."""
    at = time.time() if now is None else now
    fields = {
        "id": secrets.token_hex(16),
        "pool_id": POOL_ID,
        "client_id": CLIENT_ID,
        "subject": SUB,
        "username": "alice",
        "created": at,
        "renewed": at,
        "expires": float(int(at) + int(lifetime)),
        "access": sign(key, access_claims(lifetime=lifetime, now=at)).decode(),
        "id_token": sign(key, id_claims(lifetime=lifetime, now=at)).decode(),
        "refresh": "refresh-token-" + "r" * 1800,
    }
    return Session(**{**fields, **changes})


@dataclass
class Browser:
    """Keeps cookies and sends them, with a connection per request, over http only."""

    port: int
    jar: dict[str, str] = field(default_factory=dict)
    host: str = "api.test"

    @property
    def cookie(self) -> str:
        return "Cookie: " + "; ".join(f"{name}={value}" for name, value in self.jar.items())

    def take(self, reply: Reply) -> Reply:
        for line in reply.all("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            if "Max-Age=0" in line:
                self.jar.pop(name, None)
            else:
                self.jar[name] = value
        return reply

    def copy(self) -> Browser:
        """Return another one with the same cookies: for a concurrent request, or a thief."""
        return Browser(self.port, dict(self.jar), self.host)

    async def get(self, target: str, *lines: str, method: str = "GET") -> Reply:
        sent = [self.cookie] if self.jar else []
        request = get(target, *sent, *lines, method=method, host=self.host)
        return self.take(await once(self.port, request, method=method))

    async def post(
        self, target: str, body: str = "", *lines: str, origin: str | None = "http://api.test"
    ) -> Reply:
        origin_line = [f"Origin: {origin}"] if origin is not None else []
        kind = "Content-Type: application/x-www-form-urlencoded"
        sent = [self.cookie] if self.jar else []
        head = get(target, *sent, *origin_line, kind, f"Content-Length: {len(body)}", *lines, method="POST")
        return self.take(await once(self.port, head + body.encode()))


async def signed_in(gateway: Running, session: Session | None = None) -> Browser:
    """Return a browser with a session in this gateway's store."""
    portal = gateway.worker.app.portal
    assert portal is not None
    made = session or a_session(gateway.key)
    ticket = await portal.store.keep(made, until=made.created + 12 * 3600)
    return Browser(gateway.port, jar_of(made, ticket))


def jar_of(session: Session, ticket: str) -> dict[str, str]:
    """Return a browser's cookies after a sign-in over http."""
    jar = {}
    for line in session_cookies.begun(Cookies([], secure=False), session, ticket, max_age=3600):
        match = re.match(rb"Set-Cookie: ([^=]+)=([^;]*)", line)
        assert match is not None
        jar[match[1].decode()] = match[2].decode()
    return jar


def ticket_of(jar: Mapping[str, str]) -> str:
    """Return the session ticket in this browser's cookies; empty if there is none."""
    pairs = [f"{name}={value}".encode() for name, value in jar.items()]
    sent = session_cookies.sent(Cookies(pairs, secure=False))
    return "" if sent is None else sent[1]


class Serves(Protocol):
    worker: Worker


async def form_token(gateway: Serves, browser: Browser) -> str:
    """Return the CSRF token that a page's form would have for this browser."""
    portal = gateway.worker.app.portal
    assert portal is not None
    sealers = portal.sealers
    guard = Guard(sealers.csrf)
    cookies = Cookies([f"{name}={value}".encode() for name, value in browser.jar.items()], secure=False)
    ticket = ticket_of(browser.jar)
    session = await portal.store.find(ticket, now=time.time()) if ticket else None
    page: Any = PageRequest(
        method="GET", path="/sign_out", query={}, origin="http://api.test", prefix="/oauth2", cookies=cookies,
        client="127.0.0.1", request_id="r", now=time.time(), request=None, make_token=guard.token,  # type: ignore[arg-type]
    )  # fmt: skip
    page.session = session
    token = str(page.csrf)
    browser.jar.setdefault(f"cognito_gateway_{BROWSER}", page.browser_id)
    return token
