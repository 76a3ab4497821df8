"""The pages in Chromium: by keyboard, without a script, with one; and looked at, in every shape."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from html import escape
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from gateway.observe.logs import configure
from gateway.serve.worker import Worker
from tests.support.chromium import chromium, looking
from tests.support.running import Stream
from tests.support.site import (
    ALICE,
    PASSWORD,
    POOL,
    Site,
    add_app,
    app_code,
    second_factors,
    seed,
    site,
)
from tests.support.waiting import until
from tests.support.wire import OK, Received, read_body

pytestmark = pytest.mark.engine


async def focused(page: Page) -> str:
    found: object = await page.evaluate(
        "() => { const at = document.activeElement; return at.id || at.textContent.trim(); }"
    )
    return str(found)


async def test_signing_in_takes_a_keyboard_only(tmp_path: Path) -> None:
    async with site(tmp_path) as at, chromium() as browser, looking(browser) as page:
        await page.goto(f"{at.url}/app")
        assert page.url == f"{at.url}/oauth2/sign_in?return_to=/app"
        # By the attribute autofocus, which takes effect when the page is drawn.
        await page.wait_for_function("document.activeElement.id === 'username'")
        await page.keyboard.type(ALICE)
        order = []
        for _ in range(3):
            await page.keyboard.press("Tab")
            order.append(await focused(page))
        assert order == ["password", "Show", "Forgot password?"]
        await page.keyboard.press("Shift+Tab")
        await page.keyboard.press("Shift+Tab")
        await page.keyboard.type("wrong")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("[role=alert]")
        assert "Incorrect" in await page.inner_text("[role=alert]")
        await page.wait_for_function("document.activeElement.id === 'password'")
        await page.keyboard.type(PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"{at.url}/app")
        assert b"/app" in [request.target for request in at.upstream.requests]


async def test_a_pressed_button_is_busy_until_there_is_an_answer(tmp_path: Path) -> None:
    async with site(tmp_path) as at, chromium() as browser, looking(browser) as page:
        await page.goto(f"{at.url}/oauth2/sign_in")
        # After the page's own listener; the next page can still read it.
        await page.evaluate(
            "addEventListener('submit', ({ submitter: { ariaBusy, ariaDisabled } }) => "
            "sessionStorage.setItem('pressed', `${ariaBusy} ${ariaDisabled}`))"
        )
        await page.click("main button[type=submit]")
        assert await page.locator("[aria-busy]").count() == 0, "a field is empty: nothing was sent"
        await page.fill("#username", ALICE)
        await page.fill("#password", PASSWORD)
        await page.click("main button[type=submit]")
        await page.wait_for_url(f"{at.url}/oauth2/")
        assert await page.evaluate("sessionStorage.getItem('pressed')") == "true true"
        await page.go_back()
        assert await page.locator("[aria-busy]").count() == 0


async def test_without_a_script_everything_is_there(tmp_path: Path) -> None:
    async with (
        site(tmp_path) as at,
        chromium() as browser,
        looking(browser, java_script_enabled=False) as page,
    ):
        second_factors(at)
        secret = add_app(at)
        await page.goto(f"{at.url}/oauth2/sign_in")
        assert not await page.is_visible(".inside")
        await page.fill("#username", ALICE)
        await page.fill("#password", PASSWORD)
        async with page.expect_navigation():
            await page.click("text=Sign in >> nth=-1")
        await page.fill("#code", app_code(secret))
        await page.click("text=Continue")
        await page.wait_for_selector("h1:text-is('Alice Example')")
        assert "expires at" in await page.inner_text("#token-title + p")
        await page.click("text=Show token")
        token = await page.input_value("#token")
        assert token.count(".") == 2
        assert not await page.is_visible("[data-copies]")
        await page.click("text=Sign out everywhere")
        await page.wait_for_selector("[role=status] >> text=You are signed out")
        await page.goto(f"{at.url}/oauth2/")
        assert page.url == f"{at.url}/oauth2/sign_in"


async def test_a_script_adds_what_is_convenient(tmp_path: Path) -> None:
    async with (
        site(tmp_path) as at,
        chromium() as browser,
        looking(browser, permissions=["clipboard-read", "clipboard-write"]) as page,
    ):
        await at.settled()
        await page.goto(f"{at.url}/oauth2/sign_up")
        await page.fill("#password", "Sunny-day")
        met = await page.locator(".rules li.met").all_inner_texts()
        assert met == ["8 characters or more", "an uppercase letter", "a lowercase letter", "a symbol"]
        await page.wait_for_selector("#password-rules-status:not(:empty)")
        assert await page.inner_text("#password-rules-status") == "Still needed: a number"
        await page.click(".inside")
        assert await page.get_attribute("#password", "type") == "text"
        await page.goto(f"{at.url}/oauth2/sign_in")
        await page.fill("#username", ALICE)
        await page.fill("#password", PASSWORD)
        await page.keyboard.press("Enter")
        await page.click("text=Show token")
        await page.click("[data-copies=token]")
        await page.wait_for_selector("#copied:not(:empty)")
        assert await page.inner_text("#copied") == "Access token copied"
        assert await page.evaluate("navigator.clipboard.readText()") == await page.input_value("#token")
        assert "expires in 59:" in await page.inner_text("#token-title + p")


@pytest.mark.parametrize("target", ["/wiki/[x]|y^z?p=C:\\Users&q=a|b", "/100%25/a'b?x=%25zz&y=[1]"])
async def test_signing_in_returns_to_every_page(tmp_path: Path, target: str) -> None:
    async with site(tmp_path) as at, chromium() as browser, looking(browser) as page:
        await page.goto(at.url + target)
        sent = await page.evaluate("new URLSearchParams(location.search).get('return_to')")
        await page.fill("#username", ALICE)
        await page.fill("#password", PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_function("!location.pathname.startsWith('/oauth2')")
        assert sent.encode() in [received.target for received in at.upstream.requests]


FORM = '<form method="post" action="ORIGIN/save"TARGET><input name="a" value="b"></form><script>FORM</script>'
PAGES = {
    # A page of the application with `Referrer-Policy: no-referrer`.
    "/strict": FORM.replace("TARGET", ""),
    # What strangers wrote, in a frame that must not act for its viewer.
    "/boxed": '<iframe sandbox="allow-forms allow-scripts" src="/inner"></iframe>',
    "/inner": FORM.replace("TARGET", ""),
    "/escaping": '<iframe sandbox="allow-forms allow-scripts allow-top-navigation" src="/outward"></iframe>',
    "/outward": FORM.replace("TARGET", ' target="_top"'),
    "/written-out": (
        '<iframe sandbox="allow-forms allow-scripts allow-top-navigation" srcdoc="'
        + escape(FORM.replace("TARGET", ' target="_top"'))
        + '"></iframe>'
    ),
}


async def test_forms_under_a_strict_referrer_policy_are_accepted_and_sandboxed_ones_are_not(
    tmp_path: Path,
) -> None:
    async with site(tmp_path) as at, chromium() as browser:
        saved: list[Received] = []

        async def script(
            received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await read_body(received.head, reader)
            if received.target == b"/save":
                saved.append(received)
            html = PAGES.get(received.target.decode(), "ok").replace("ORIGIN", at.url)
            html = html.replace("FORM", "document.forms[0].submit()")
            policy = "Referrer-Policy: no-referrer\r\nContent-Type: text/html\r\n"
            writer.write(f"HTTP/1.1 200 OK\r\n{policy}Content-Length: {len(html)}\r\n\r\n{html}".encode())

        at.upstream.script = script
        page = await (await browser.new_context()).new_page()
        asked: list[tuple[str | None, str | None, int]] = []

        async def seen(response: Any) -> None:
            if response.url.endswith("/save"):
                headers = await response.request.all_headers()
                asked.append((headers.get("sec-fetch-site"), headers.get("sec-fetch-dest"), response.status))

        page.context.on("response", seen)
        await page.goto(f"{at.url}/home")
        await page.fill("#username", ALICE)
        await page.fill("#password", PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"{at.url}/home")
        for count, path in enumerate(("/strict", "/boxed", "/escaping", "/written-out"), 1):
            window = await page.context.new_page()
            await window.goto(at.url + path, wait_until="commit")
            await until(lambda: len(asked) >= count)  # noqa: B023 - waited for in this turn
        # To Chromium what a sandboxed frame asks for is another site's: without the cookie (SameSite).
        assert [status for *_, status in asked] == [200, 401, 401, 401]
        assert asked[0][:2] == ("same-origin", "document")
        assert [received.get("Origin") for received in saved] == [b"null"]
        await page.context.close()


STEALS = """async () => {
  const page = await (await fetch('/oauth2/')).text();
  const csrf = page.match(/name="csrf" value="([^"]+)"/)[1];
  const asked = new URLSearchParams({csrf, show: 'token'});
  const fetched = await fetch('/oauth2/', {method: 'POST', body: asked});
  const seen = [page, fetched.status + await fetched.text()];
  const post = target => {
    const form = document.createElement('form');
    Object.assign(form, {method: 'POST', action: '/oauth2/', target});
    for (const [name, value] of asked) {
      const field = document.createElement('input');
      Object.assign(field, {name, value});
      form.append(field);
    }
    document.body.append(form);
    form.submit();
  };
  const frame = document.createElement('iframe');
  frame.name = 'inner';
  document.body.append(frame);
  const opened = window.open('', 'outer');
  post('inner');
  post('outer');
  for (let turn = 0; turn < 40; turn++) {
    await new Promise(done => setTimeout(done, 50));
    for (const each of [frame.contentWindow, opened]) {
      try { seen.push(each.document.documentElement.outerHTML); } catch (error) { seen.push(String(error)); }
    }
  }
  return seen;
}"""


@pytest.mark.parametrize("isolated", [b"", b"Cross-Origin-Opener-Policy: same-origin\r\n"])
async def test_a_script_on_the_apis_pages_sees_no_token(tmp_path: Path, isolated: bytes) -> None:
    async with site(tmp_path) as at, chromium() as browser:
        html = b"<!doctype html><title>app</title><body>app"
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
        at.upstream.answer = head + isolated + b"Content-Length: %d\r\n\r\n%b" % (len(html), html)
        page = await (await browser.new_context()).new_page()
        await page.goto(f"{at.url}/app")
        await page.fill("#username", ALICE)
        await page.fill("#password", PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"{at.url}/app")
        async with page.context.expect_page() as opening:
            seen = await page.evaluate(STEALS)
        assert "Alice Example" in seen[0]
        assert seen[1].startswith("403")
        assert not [text for text in seen if "eyJ" in text]
        # The window is there, and a person who looks at it sees what is theirs.
        window = await opening.value
        await window.wait_for_selector("#token")
        await page.context.close()


async def test_a_late_response_changes_no_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers, by their ports: a browser's cookies are of the host."""
    # Every request renews its session.
    monkeypatch.setattr("gateway.sessions.session._AHEAD", float("inf"))
    monkeypatch.setattr("gateway.sessions.session._SHARE", 1.0)
    (tmp_path / "keys").write_text("k" * 43 + "\n")
    bob = {"Username": "bob@example.com", "Password": PASSWORD, "Attributes": {"email_verified": "true"}}
    kept = f"session: {{secret_file: {tmp_path}/keys}}"
    async with (
        site(tmp_path, seeded=seed(bob), sign_in=kept) as at,
        another_worker(at) as other,
        chromium() as browser,
    ):
        users = at.local.call("AdminGetUser", UserPoolId=POOL, Username="bob@example.com")["UserAttributes"]
        sub = {each["Name"]: each["Value"] for each in users}["sub"].encode()
        late = False
        # On a busy machine the sign-out may overtake the renewal, which then brings nothing late.
        for _ in range(5):
            async with looking(browser) as page:
                sessions, seen = await signed_out_meanwhile(at, other, page)
            assert seen == [sub] * 2
            late = late or len(sessions) == 2
            if late:
                break
        assert late, "every renewal was overtaken"


async def signed_out_meanwhile(at: Site, other: str, page: Page) -> tuple[set[str], list[bytes | None]]:
    """A slow response to Alice, who signs out in another tab, where Bob signs in.

    Returns the sessions of which the browser then has cookies, and who asks at either worker.
    """
    held = asyncio.Event()

    async def script(received: Received, _: object, writer: asyncio.StreamWriter) -> None:
        if received.target == b"/slow":
            await held.wait()
        writer.write(OK)

    at.upstream.script = script

    async def signs_in(name: str, url: str, page: Page) -> None:
        await page.goto(f"{url}/oauth2/sign_in?return_to=/home")
        await page.fill("#username", name)
        await page.fill("#password", PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"{url}/home")

    await signs_in(ALICE, at.url, page)
    asked = len(at.upstream.requests)
    await page.evaluate("() => { window.slow = fetch('/slow').then(answer => answer.status); }")
    await until(lambda: [each for each in at.upstream.requests[asked:] if each.target == b"/slow"])
    second = await page.context.new_page()
    await second.goto(f"{other}/oauth2/sign_out")
    await second.click("button:text-is('Sign out')")
    await second.wait_for_selector("#username")
    await signs_in("bob@example.com", other, second)
    held.set()
    assert await page.evaluate("() => window.slow") == 200
    names = [each["name"] for each in await page.context.cookies()]
    seen = []
    for url in (at.url, other):
        await page.goto(f"{url}/mine")
        seen.append(at.upstream.last.get("X-Auth-Request-User"))
    return {name.split("_")[3] for name in names if "session_" in name}, seen


@contextlib.asynccontextmanager
async def another_worker(at: Site) -> AsyncIterator[str]:
    """A second one with the same configuration; its URL."""
    stream = Stream()
    config = at.source.load().config
    log = configure(config.log, stream)  # type: ignore[arg-type]  # a raw stream is all it needs
    worker = Worker(config, log=log)
    await worker.start()
    try:
        await until(lambda: not worker.app.unready())
        yield f"http://127.0.0.1:{worker.port}"
    finally:
        await worker.stop()
        log.close()
