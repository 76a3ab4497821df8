"""Two gateways on one host name: browsers send both the cookies of both."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.http.own_cookies import OwnCookies
from gateway.sessions import session_cookies
from gateway.sessions.cookies import Cookies
from tests.support.portal import Browser, a_session, signed_in
from tests.support.running import Running, running
from tests.support.wire import Reply


async def named_session(gateway: Running, browser: Browser, base: str) -> None:
    """Signed in at this gateway, whose cookies begin so, in this browser."""
    portal = gateway.worker.app.portal
    assert portal is not None
    session = a_session(gateway.key)
    ticket = await portal.store.keep(session, until=session.created + 3600)
    pairs = [f"{name}={value}".encode() for name, value in browser.jar.items()]
    cookies = Cookies(pairs, secure=False, base=base)
    lines = session_cookies.begun(cookies, session, ticket, max_age=3600)
    browser.take(Reply(200, b"HTTP/1.1 200 OK\r\n" + b"".join(lines) + b"\r\n", b""))


@pytest.mark.parametrize("base", ["cognito_gateway-2", "api2", "API_two"])
async def test_distinct_cookie_names_keep_both_sessions(tmp_path: Path, base: str) -> None:
    other = f"sign_in: {{session: {{cookie_name: {base}}}}}\n"
    async with running(tmp_path) as one, running(tmp_path, other) as two:
        browser = Browser(one.port)
        await named_session(one, browser, "cognito_gateway")
        await named_session(two, browser, base)
        browser.jar["theirs"] = "1"
        for gateway in (one, two, one, two):
            browser.port = gateway.port
            assert (await browser.get("/api")).status == 200
            await browser.get("/oauth2/userinfo")
        browser.port = two.port
        page = await browser.get("/oauth2/sign_in", "Accept: text/html")
        assert all(line.startswith(f"{base}_") for line in page.all("set-cookie"))
        assert two.upstream.last.get("Cookie") == b"theirs=1", (
            "the other gateway's session is nobody's business"
        )


async def test_a_session_that_does_not_open_is_left_to_the_gateway_it_is_of(tmp_path: Path) -> None:
    async with running(tmp_path) as one, running(tmp_path) as two:
        browser = await signed_in(one)
        browser.port = two.port
        for path in ("/api", "/oauth2/userinfo", "/oauth2/sign_in"):
            reply = await browser.get(path)
            assert not [line for line in reply.all("set-cookie") if "session" in line]
        browser.port = one.port
        assert (await browser.get("/api")).status == 200


@pytest.mark.parametrize("name", ["a", "api-2", "session"])
def test_a_cookie_name_leaves_the_upstreams_cookies_alone(name: str) -> None:
    theirs = f"{name}b=1; x{name}_session=2; {name[:-1]}=3; c={name}_session".encode()
    assert OwnCookies(name).part(theirs) == (theirs, [])


@pytest.mark.parametrize("spelling", ["api_2_session", "API-2_session", "api.2.session", "__Host-api 2_x"])
def test_every_spelling_of_the_name_stays_here(spelling: str) -> None:
    assert OwnCookies("api-2").part(f"a=1; {spelling}=s".encode()) == (b"a=1", [f"{spelling}=s".encode()])
    assert OwnCookies("api-2").part(b"a=1; cognito_gateway_session=s")[0] == b"a=1"
