"""Responses that reach the browser after a sign-out, or after another's sign-in: two workers, every store."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.aws.values import CognitoRefused
from gateway.sessions import session_cookies
from gateway.sessions.cookies import Cookies
from tests.support.played_cognito import Cognito, old, play
from tests.support.portal import Browser, a_session, form_token, signed_in
from tests.support.redis_server import redis_server
from tests.support.running import Running, running
from tests.support.tokens import access_claims, id_claims, sign
from tests.support.waiting import until
from tests.support.wire import OK, Received, Reply

STORES = ["cookie", "cookie and redis", "memory", "redis"]
BOB = "b0b00000-70b1-70e4-5f1b-8f7d9c0f2a11"


@dataclass
class Workers:
    """`one` and `two` share a secret and a store; memory is of one process, which is both."""

    one: Running
    two: Running
    cognito: Cognito
    held: asyncio.Event = field(default_factory=asyncio.Event)

    async def slow(self, browser: Browser) -> asyncio.Task[Reply]:
        """A request of this browser at the first worker, under way until `held` is set."""
        before = len(self.one.upstream.requests)
        task = asyncio.create_task(browser.copy().get("/slow"))
        await until(lambda: len(self.one.upstream.requests) > before)
        return task

    async def who(self, browser: Browser) -> list[bytes | None]:
        """Whom each worker takes this browser for; None: nobody."""
        seen = []
        for gateway in (self.one, self.two):
            browser.port = gateway.port
            reply = await browser.copy().get("/api")
            user = gateway.upstream.last.get("X-Auth-Request-User") if reply.status == 200 else None
            seen.append(user)
        return seen

    async def bob_signs_in(self, browser: Browser) -> None:
        """At the second worker, in the same browser."""
        portal = self.two.worker.app.portal
        assert portal is not None
        key = self.two.key
        session = a_session(
            key, subject=BOB, username="bob",
            access=sign(key, access_claims(sub=BOB, username="bob")).decode(),
            id_token=sign(key, id_claims(sub=BOB)).decode(),
        )  # fmt: skip
        ticket = await portal.store.keep(session, until=session.created + 3600)
        pairs = [f"{name}={value}".encode() for name, value in browser.jar.items()]
        lines = session_cookies.begun(Cookies(pairs, secure=False), session, ticket, max_age=3600)
        browser.take(Reply(200, b"HTTP/1.1 200 OK\r\n" + b"".join(lines) + b"\r\n", b""))

    async def sign_out(self, browser: Browser) -> None:
        browser.port = self.two.port
        token = await form_token(self.two, browser)
        assert (await browser.post("/oauth2/sign_out", f"csrf={token}")).status == 303
        assert not [name for name in browser.jar if "session" in name]


@contextlib.asynccontextmanager
async def workers(tmp_path: Path, store: str) -> AsyncIterator[Workers]:
    (tmp_path / "keys").write_text("k" * 43 + "\n")
    kept = store.partition(" ")[0]
    async with contextlib.AsyncExitStack() as stack:
        more = ""
        if "redis" in store:
            (tmp_path / "redis").mkdir()
            more = f", redis_url: '{stack.enter_context(redis_server(tmp_path / 'redis')).url}'"
        yaml = f"sign_in: {{session: {{store: {kept}, secret_file: {tmp_path}/keys{more}}}}}\n"
        one = await stack.enter_async_context(running(tmp_path, yaml))
        two = one if kept == "memory" else await stack.enter_async_context(running(tmp_path, yaml))
        cognito = Cognito(one)
        play(one, cognito)
        play(two, cognito)
        at = Workers(one, two, cognito)

        async def script(received: Received, _: object, writer: asyncio.StreamWriter) -> None:
            if received.target == b"/slow":
                await at.held.wait()
            writer.write(OK)

        for gateway in (one, two):
            gateway.upstream.script = script
        yield at


@pytest.mark.parametrize("store", STORES)
async def test_a_late_renewal_revives_no_session(tmp_path: Path, store: str) -> None:
    async with workers(tmp_path, store) as at:
        browser = await signed_in(at.one, old(at.one))
        slow = await at.slow(browser)
        assert len(at.cognito.renewed) == 1
        await at.sign_out(browser)
        at.held.set()
        browser.take(await slow)
        assert await at.who(browser) == [None, None]


@pytest.mark.parametrize("store", STORES)
async def test_a_late_renewal_leaves_the_next_persons_session_alone(tmp_path: Path, store: str) -> None:
    async with workers(tmp_path, store) as at:
        browser = await signed_in(at.one, old(at.one))
        slow = await at.slow(browser)
        await at.sign_out(browser)
        await at.bob_signs_in(browser)
        at.held.set()
        reply = browser.take(await slow)
        assert reply.status == 200
        assert bool(reply.all("set-cookie")) == (store.startswith("cookie")), "the others' tickets stay"
        assert await at.who(browser) == [BOB.encode()] * 2
        # Our own pages take away what the late response left.
        browser.port = at.two.port
        await browser.get("/oauth2/userinfo")
        assert len({name.split("_")[3] for name in browser.jar if "session_" in name}) == 1
        assert await at.who(browser) == [BOB.encode()] * 2


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("page", ["/api", "/oauth2/userinfo"])
async def test_a_late_response_to_a_dead_session_leaves_the_next_one_alone(
    tmp_path: Path, store: str, page: str
) -> None:
    async with workers(tmp_path, store) as at:
        browser = await signed_in(at.one, a_session(at.one.key, lifetime=-5))
        at.cognito.wait, at.cognito.error = 0.5, CognitoRefused("NotAuthorizedException", "refused")
        slow = asyncio.create_task(browser.copy().get(page))
        await until(lambda: at.cognito.renewed)
        await at.bob_signs_in(browser)
        reply = browser.take(await slow)
        assert reply.status == 401
        assert await at.who(browser) == [BOB.encode()] * 2


@pytest.mark.parametrize("store", STORES)
async def test_only_our_pages_clear_dead_cookies(tmp_path: Path, store: str) -> None:
    async with workers(tmp_path, store) as at:
        browser = await signed_in(at.one, a_session(at.one.key, lifetime=-5))
        at.cognito.error = CognitoRefused("NotAuthorizedException", "refused")
        assert (await browser.get("/api")).all("set-cookie") == []
        assert len(at.cognito.renewed) == 1
        cleared = await browser.get("/oauth2/userinfo")
        assert bool(cleared.all("set-cookie")) == store.startswith("cookie"), (
            "a name without a trace may be another's"
        )
        assert len(at.cognito.renewed) == 1


async def test_a_ticket_under_another_sessions_name_opens_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        alice = await signed_in(gateway)
        bob = await signed_in(gateway)
        name = bob.jar["cognito_gateway_session"]
        mixed = {"cognito_gateway_session": name}
        for cookie, value in alice.jar.items():
            mixed[cookie.replace(alice.jar["cognito_gateway_session"], name)] = value
        mixed["cognito_gateway_session"] = name
        assert (await Browser(gateway.port, mixed).get("/api")).status == 401
        del alice.jar["cognito_gateway_session"]
        assert (await alice.get("/api")).status == 401, "without its name a ticket is not looked at"


async def test_hundreds_of_names_are_not_all_cleared(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        jar = {f"cognito_gateway_session_{number}": "" for number in range(200)}
        reply = await Browser(gateway.port, jar).get("/oauth2/userinfo")
        assert len(reply.all("set-cookie")) == 40
