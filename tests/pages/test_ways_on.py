"""Places where people got stuck, in Chromium: each has a way on that works."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Page

from gateway.serve.reload import Reloader
from tests.support.chromium import chromium, looking
from tests.support.looks import wrong_with
from tests.support.site import ALICE, BY_CODE, CLIENT, PASSWORD, POOL, Site, second_factors, seed, site
from tests.support.wire import OK, Received

pytestmark = pytest.mark.engine
OTHER = "us-east-1_Other12345"


@asynccontextmanager
async def opened(folder: Path, **settings: Any) -> AsyncIterator[tuple[Site, Page]]:
    async with site(folder, **settings) as at, chromium() as browser, looking(browser) as page:
        yield at, page


async def enter(page: Page, password: str = PASSWORD) -> None:
    await page.fill("#username", ALICE)
    await page.fill("#password", password)
    await page.keyboard.press("Enter")


async def test_signing_in_from_the_front_page_returns_there(tmp_path: Path) -> None:
    async with opened(tmp_path) as (at, page):
        await page.goto(f"{at.url}/")
        await enter(page)
        await page.wait_for_url(f"{at.url}/")
        assert b"/" in [received.target for received in at.upstream.requests]
        # Who asked for no page is shown the portal, which leads on.
        await page.goto(f"{at.url}/oauth2/")
        await page.click("text=Open the application")
        await page.wait_for_url(f"{at.url}/")


async def test_choice_based_sign_in_has_a_way_for_forgotten_passwords(tmp_path: Path) -> None:
    async with opened(tmp_path, sign_in="auth_flow: USER_AUTH") as (at, page):
        await page.goto(f"{at.url}/oauth2/sign_in")
        assert await page.is_visible("text=Forgot password?")
        await page.fill("#username", ALICE)
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#password")
        await page.click("text=Forgot password?")
        await page.wait_for_url(re.compile("/oauth2/forgot_password"))


@pytest.mark.parametrize(
    ("target", "status", "heading", "button"),
    [
        ("/admin", 403, "You don't have access", "Your account"),
        ("/a%00b", 400, "This address isn't valid", "Open the application"),
        ("/broken", 502, "The application isn't responding", "Try again"),
        ("/slow", 504, "The application isn't responding", "Try again"),
    ],
)
async def test_a_browser_at_the_api_gets_a_page(
    tmp_path: Path, target: str, status: int, heading: str, button: str
) -> None:
    routes = "routes: [{path: /admin, groups: [nobody]}]\n"
    lines = "response_timeout: 1s"
    async with opened(tmp_path, more=routes, upstream_lines=lines) as (at, page):

        async def script(received: Received, _: object, writer: asyncio.StreamWriter) -> None:
            if received.target == b"/slow":
                await asyncio.sleep(3)
            writer.write(b"what?\r\n\r\n" if received.target == b"/broken" else OK)

        at.upstream.script = script
        await page.goto(f"{at.url}/oauth2/sign_in")
        await enter(page)
        await page.wait_for_selector("text=Sign out everywhere")
        response = await page.goto(at.url + target)
        assert response is not None
        assert (response.status, await page.inner_text("h1")) == (status, heading)
        assert await page.inner_text("a.button") == button
        assert await wrong_with(page) == []
        shown = await page.inner_text("main")
        assert f"Request {response.headers['x-request-id']}" in shown
        # Programs still get what they can read.
        plain = await page.evaluate(
            "async target => (await fetch(target)).headers.get('content-type')", target
        )
        assert plain == "application/problem+json"


async def test_a_form_without_a_session_explains_what_happened(tmp_path: Path) -> None:
    async with opened(tmp_path, more="routes: [{path: /form, auth: none}]\n") as (at, page):

        async def script(received: Received, _: object, writer: asyncio.StreamWriter) -> None:
            body = b'<form method="post" action="/send"><button>Send</button></form>'
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(body)
            writer.write(head + body)

        at.upstream.script = script
        await page.goto(f"{at.url}/form")
        await page.click("text=Send")
        await page.wait_for_selector("h1:text-is('Sign in to continue')")
        await page.click("a.button")
        await page.wait_for_url("**/oauth2/sign_in")


async def second_tab(context: BrowserContext, address: str) -> Page:
    page = await context.new_page()
    await page.goto(address)
    return page


async def test_signing_in_on_two_tabs(tmp_path: Path) -> None:
    async with opened(tmp_path) as (at, page):
        await page.goto(f"{at.url}/one")
        other = await second_tab(page.context, f"{at.url}/two")
        await enter(page)
        await page.wait_for_url(f"{at.url}/one")
        await enter(other)
        await other.wait_for_url(f"{at.url}/two")


@pytest.mark.parametrize("what", ["Sign out", "Change password", "Show token"])
async def test_a_page_of_a_session_that_is_over(tmp_path: Path, what: str) -> None:
    async with opened(tmp_path) as (at, page):
        await page.goto(f"{at.url}/oauth2/sign_in")
        await enter(page)
        await page.wait_for_selector("text=Sign out everywhere")
        if what == "Change password":
            await page.goto(f"{at.url}/oauth2/change_password")
            await page.wait_for_selector("#new_password")
        cookies = await page.context.cookies()
        await page.context.clear_cookies()
        await page.context.add_cookies([each for each in cookies if "session" not in each["name"]])  # type: ignore[misc]
        if what == "Change password":
            await page.fill("#password", PASSWORD)
            await page.fill("#new_password", "Another-Horse-1")
            await page.keyboard.press("Enter")
        else:
            await page.click(f"button:text-is('{what}')")
        await page.wait_for_url(re.compile(r"/oauth2/sign_in\?.*notice="))
        said = await page.inner_text("[role=status]")
        wanted = "You are signed out" if what == "Sign out" else "Your session has expired"
        assert wanted in said
        if what == "Change password":
            await enter(page)
            await page.wait_for_url("**/oauth2/change_password")


async def test_the_authenticators_key_can_be_read_and_opened(tmp_path: Path) -> None:
    async with site(tmp_path) as at, chromium() as browser:
        second_factors(at, "ON")
        async with looking(browser, viewport={"width": 320, "height": 700}) as page:
            await page.goto(f"{at.url}/oauth2/sign_in")
            await enter(page)
            await page.wait_for_selector("#secret")
            cut = await page.evaluate(
                "() => { const at = document.querySelector('#secret');"
                " return at.scrollWidth > at.clientWidth || at.scrollHeight > at.clientHeight + 1; }"
            )
            assert not cut
            key = (await page.input_value("#secret")).replace(" ", "")
            address = await page.get_attribute("a[href^='otpauth:']", "href")
            assert address is not None
            assert address.startswith("otpauth://totp/")
            assert f"secret={key}&" in address


async def test_a_required_password_reset_sends_a_code(tmp_path: Path) -> None:
    async with opened(tmp_path) as (at, page):
        at.local.call("AdminResetUserPassword", UserPoolId=POOL, Username=ALICE)
        sent = len(at.local.state.outbox)
        await page.goto(f"{at.url}/wanted")
        await enter(page)
        await page.wait_for_url("**/oauth2/reset_password*")
        assert "We've sent you a code" in await page.inner_text("[role=status]")
        assert len(at.local.state.outbox) == sent + 1
        code = at.local.state.outbox[-1].code
        assert code is not None
        await page.fill("#code", code)
        await page.fill("#new_password", "Another-Horse-1")
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"{at.url}/wanted")


async def test_a_limit_of_requests_is_a_page(tmp_path: Path) -> None:
    limits = "rate_limit: {requests_per_second: 1, burst: 1}\nroutes: [{path: /open, auth: none}]\n"
    async with opened(tmp_path, more=limits) as (at, page):
        await page.goto(f"{at.url}/open")
        response = await page.goto(f"{at.url}/open")
        while response is not None and response.status != 429:
            response = await page.goto(f"{at.url}/open")
        assert await page.inner_text("h1") == "Too many requests"
        assert "Try again in" in await page.inner_text("main")


async def test_going_back_after_a_wrong_and_a_right_password(tmp_path: Path) -> None:
    async with opened(tmp_path) as (at, page):
        await page.goto(f"{at.url}/app")
        await enter(page, "wrong")
        await page.wait_for_selector("[role=alert]")
        # The page that says so is nothing that a reload would send again.
        await page.reload()
        assert not await page.is_visible("[role=alert]")
        await enter(page, "wrong")
        await page.wait_for_selector("[role=alert]")
        assert await page.input_value("#username") == ALICE
        await enter(page)
        await page.wait_for_url(f"{at.url}/app")
        await page.go_back()
        assert page.url.startswith(at.url), "not the browser's question whether to send a form again"


async def test_a_shown_token_is_not_asked_for_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as (at, page):
        await page.goto(f"{at.url}/oauth2/sign_in")
        await enter(page)
        await page.click("text=Show token")
        await page.wait_for_selector("#token")
        await page.click("text=Open the application")
        await page.wait_for_url(f"{at.url}/")
        await page.go_back()
        assert page.url.startswith(f"{at.url}/oauth2/")
        await page.reload()
        await page.wait_for_selector("text=Show token")
        assert not await page.is_visible("#token")


async def test_a_taken_username_is_said_to_be(tmp_path: Path) -> None:
    document = seed(pool={"UsernameAttributes": []})
    document["UserPools"][0]["Users"] = [
        {"Username": "alice", "Password": PASSWORD, "Attributes": {"email": ALICE, "email_verified": "true"}}
    ]
    async with opened(tmp_path, seeded=document) as (at, page):
        await at.settled()
        await page.goto(f"{at.url}/oauth2/sign_up")
        await page.fill("#attribute_username", "alice")
        await page.fill("#attribute_email", "other@example.com")
        await page.fill("#password", PASSWORD)
        await page.keyboard.press("Enter")
        error = "#attribute_username-error"
        await page.wait_for_selector(error)
        assert await page.inner_text(error) == "This username is taken. Choose another."
        assert await page.input_value("#attribute_email") == "other@example.com"
        await page.fill("#attribute_username", "somebody")
        await page.fill("#password", PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/oauth2/confirm")


async def test_a_confirmed_account_is_signed_in(tmp_path: Path) -> None:
    async with opened(tmp_path, seeded=seed(pool=BY_CODE)) as (at, page):
        await at.settled()
        await page.goto(f"{at.url}/oauth2/sign_up?return_to=/app")
        await page.fill("[type=email]", "bob@example.com")
        await page.fill("#password", PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#code")
        await page.fill("#code", await at.code("sign-up"))
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"{at.url}/app")
        assert b"/app" in [received.target for received in at.upstream.requests]


async def test_another_browser_gets_another_code(tmp_path: Path) -> None:
    new = {"Username": "new@example.com", "Password": PASSWORD, "Status": "UNCONFIRMED"}
    async with opened(tmp_path, seeded=seed(new)) as (at, page):
        await page.goto(f"{at.url}/oauth2/confirm")
        await page.fill("#username", "new@example.com")
        await page.click("text=Send another")
        await page.wait_for_selector("[role=status] >> text=another code")
        assert [message.username for message in at.local.state.outbox]


async def test_a_connection_that_does_not_fit_can_be_corrected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without AWS credentials nobody can tell which pool a client belongs to.
    monkeypatch.setattr("gateway.aws.clients.is_loopback", lambda url: False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    document = seed()
    first = document["UserPools"][0]
    bob = {"Username": "bob@example.com", "Password": PASSWORD, "Attributes": {"email_verified": "true"}}
    clients = [{**first["Clients"][0], "ClientId": "otherclient"}]
    document["UserPools"].append({**first, "Id": OTHER, "Users": [bob], "Groups": [], "Clients": clients})
    (tmp_path / "state").mkdir()
    async with opened(tmp_path, seeded=document, pools=False, sign_in="state_dir: state") as (at, page):
        reloader = Reloader(at.source, at.worker)
        reloader.start()
        (line,) = await at.logged("setup_code")
        await page.goto(f"{at.url}/oauth2/setup")
        await page.fill("#setup_code", line["setup_code"])
        await page.fill("#user_pool_id", POOL)
        await page.fill("#client_id", "otherclient")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#username")
        # A user of the client's pool learns what does not fit; one of the other pool finds the way back.
        await page.fill("#username", "bob@example.com")
        await page.fill("#password", PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_selector("[role=alert]")
        said = await page.inner_text("[role=alert]")
        assert f"the app client belongs to the user pool {OTHER}, not to {POOL}" in said
        await page.click("text=Check the connection")
        # The browser that stored it needs no code.
        assert await page.input_value("#client_id") == "otherclient"
        assert not await page.is_visible("#setup_code")
        await page.fill("#client_id", CLIENT)
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#username")
        assert "connected" in await page.inner_text("[role=status]")
        await enter(page)
        await page.wait_for_selector("text=Sign out everywhere")
        # From now on the form is closed: after a restart too, since it is recorded beside the connection.
        response = await page.goto(f"{at.url}/oauth2/setup")
        assert response is not None
        assert response.status == 404
        assert (tmp_path / "state" / "signed-in").exists()
        await reloader.stop()
