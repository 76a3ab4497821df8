"""Journeys through every page of the gateway, as a person takes them in Chromium, in whatever language.

Each shows its pages to an eye, one after another, and presses nothing by its text. A page that says what the
form before has led to is shown once: `lasting` False.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

from playwright.async_api import Page

from tests.support.mcp_client import McpProgram
from tests.support.passkeys import FACTORS, local_name, relying_party
from tests.support.site import (
    ALICE,
    CLIENT,
    PASSWORD,
    PHONE,
    POOL,
    SES,
    TEMPORARY,
    Site,
    second_factors,
    seed,
    site,
    track,
    with_identity_pool,
)
from tests.support.virtual_passkeys import virtual_passkeys
from tests.support.wire import OK, Received

NEW = "new@example.com"
OTHER = "us-east-1_Other12345"
FIRST = {"Policies": {"SignInPolicy": {"AllowedFirstAuthFactors": ["PASSWORD", "EMAIL_OTP"]}}}


class Eye(Protocol):
    """Looks at the page that is open, under the name of what it shows."""

    async def __call__(self, name: str, *, lasting: bool = True) -> None: ...


class Journey(Protocol):
    """Walks through pages of a site whose `sign_in` has these lines."""

    async def __call__(self, page: Page, eye: Eye, lines: str) -> None: ...


async def accounts(page: Page, eye: Eye, lines: str) -> None:
    """From signing up to signing out, with the account's own pages."""
    document = with_identity_pool(seed(pool={"EmailConfiguration": SES}))
    document["UserPools"][0]["Users"][0]["Attributes"] |= PHONE
    async with _site(lines, seeded=document) as at:
        second_factors(at, email=True)
        track(at)
        # Somewhere else.
        password = {"USERNAME": ALICE, "PASSWORD": PASSWORD}
        at.local.call("InitiateAuth", ClientId=CLIENT, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=password)
        await at.settled()
        await page.goto(f"{at.url}/oauth2/sign_in")
        await eye("sign-in")
        await _sign_in(page, ALICE, "wrong")
        await eye("sign-in-refused", lasting=False)
        await page.goto(f"{at.url}/oauth2/forgot_password")
        await eye("forgot-password")
        await page.fill("#username", ALICE)
        await _submit(page, "#username")
        await eye("reset-password")
        await page.goto(f"{at.url}/oauth2/sign_up")
        await eye("sign-up")
        await page.fill("#password", "Sunny-day")
        await page.fill("#attribute_email", "bob@example.com")
        await eye("sign-up-typed", lasting=False)
        await page.fill("#password", PASSWORD)
        await _submit(page, "#password")
        await eye("confirm")
        await page.goto(f"{at.url}/oauth2/sign_in")
        await _sign_in(page, ALICE, PASSWORD)
        await eye("portal")
        await _press(page, "#access form button")
        await eye("portal-token", lasting=False)
        await _press(page, "#aws form button")
        await eye("portal-aws", lasting=False)
        await page.goto(f"{at.url}/oauth2/change_password")
        await eye("change-password")
        for name in ("account", "sessions", "profile", "authenticator", "delete_account"):
            await page.goto(f"{at.url}/oauth2/{name}")
            await eye(f"own-{name.replace('_', '-')}")
        await page.fill("#name", "someone else")
        await _submit(page, "#name")
        await eye("own-delete-refused", lasting=False)
        await page.goto(f"{at.url}/oauth2/profile")
        await page.fill("#attribute_email", "alice@new.example")
        await _submit(page, "#attribute_email")
        await eye("own-code")
        await page.goto(f"{at.url}/oauth2/sign_out?return_to=/app")
        await eye("sign-out")
        await _press(page, "main form button")
        await eye("signed-out", lasting=False)


async def challenges(page: Page, eye: Eye, lines: str) -> None:
    """A first sign-in, and one that has to set up an authenticator app."""
    new = {"Username": NEW, "Password": TEMPORARY, "Status": "FORCE_CHANGE_PASSWORD"}
    async with _site(lines, seeded=seed(new)) as at:
        second_factors(at, "ON")
        await page.goto(f"{at.url}/oauth2/sign_in")
        await _sign_in(page, NEW, TEMPORARY)
        await eye("new-password")
        await page.goto(f"{at.url}/oauth2/sign_in")
        await _sign_in(page, ALICE, PASSWORD)
        await eye("authenticator")
        await page.fill("#code", "000000")
        await _submit(page, "#code")
        await eye("authenticator-refused", lasting=False)


async def choice(page: Page, eye: Eye, lines: str) -> None:
    """Sign-in by choice: password or a code."""
    pool = {"EmailConfiguration": SES, **FIRST}
    async with _site(_and(lines, "auth_flow: USER_AUTH"), seeded=seed(pool=pool)) as at:
        await page.goto(f"{at.url}/oauth2/sign_in")
        await page.fill("#username", ALICE)
        await _submit(page, "#username")
        await eye("choice")
        await _press(page, "button[value=EMAIL_OTP]")
        await eye("code")


async def passkeys(page: Page, eye: Eye, lines: str) -> None:
    """A passkey is added, and asked for."""
    async with _site(_and(lines, "auth_flow: USER_AUTH"), seeded=seed(pool=FACTORS)) as at:
        relying_party(at)
        await at.settled()
        await virtual_passkeys(page)
        url = local_name(at)
        await page.goto(f"{url}/oauth2/sign_in?return_to=/oauth2/add_passkey")
        await page.fill("#username", ALICE)
        await _submit(page, "#username")
        await page.fill("#password", PASSWORD)
        await _submit(page, "#password")
        await eye("add-passkey")
        await _press(page, "form[data-passkey=create] button")
        await eye("passkeys")
        await page.context.clear_cookies()
        await page.goto(f"{url}/oauth2/sign_in")
        await page.fill("#username", ALICE)
        await _submit(page, "#username")
        await eye("passkey-choice")


async def setup(page: Page, eye: Eye, lines: str) -> None:
    """A gateway is connected with a pool."""
    async with _site(lines, pools=False) as at:
        await page.goto(f"{at.url}/oauth2/")
        await eye("not-connected")
        await page.goto(f"{at.url}/oauth2/setup")
        await page.fill("#region", "us-east-1")
        await page.fill("#user_pool_id", "us-east-1_Unknown00")
        await page.fill("#client_id", CLIENT)
        await _code(page, at)
        await _submit(page, "#client_id")
        await eye("setup", lasting=False)
        await page.fill("#user_pool_id", POOL)
        await _submit(page, "#client_id")
        await eye("setup-yaml", lasting=False)


async def several(page: Page, eye: Eye, lines: str) -> None:
    """Two pools to choose from; providers beside our own form; what managed login comes back with."""
    document = seed()
    (pool,) = document["UserPools"]
    other = {**pool, "Id": OTHER, "Clients": [{**pool["Clients"][0], "ClientId": "otherclient"}]}
    async with _site(lines, seeded={"UserPools": [pool, other]}) as at:
        await page.goto(f"{at.url}/oauth2/sign_in")
        await eye("choose-pool")
        path = at.folder / "gateway.yaml"
        written = path.read_text().replace(
            '"identity_pool_id"', f'"domain": "{at.local.url}", "identity_pool_id"'
        )
        own = written.replace("sign_in: {", "sign_in: {providers: [{name: Google}, {name: Staff}], ", 1)
        managed = written.replace("sign_in: {", "sign_in: {pages: managed, ", 1)
        for configuration, opened, name in (
            (own, f"sign_in?pool={POOL}", "providers"),
            (managed, f"sign_in?pool={POOL}&notice=everywhere", "managed"),
            (managed, "callback?error=denied", "sign-in-failed"),
        ):
            path.write_text(configuration)
            await at.worker.reload(at.source.load().config)
            await page.goto(f"{at.url}/oauth2/{opened}")
            await eye(name)


async def consent(page: Page, eye: Eye, lines: str) -> None:
    """An MCP client asks for access."""
    async with _site(lines) as at:
        path = at.folder / "gateway.yaml"
        resource = f"{at.url}/mcp"
        path.write_text(f"{path.read_text()}mcp: {{resource: '{resource}'}}\n")
        await at.worker.reload(at.source.load().config)
        program = McpProgram(at.worker.port, resource=resource)
        await program.register()
        await page.goto(at.url + program.authorize())
        await _sign_in(page, ALICE, PASSWORD)
        await page.wait_for_selector("button[value=allow]")
        await eye("consent")


async def errors(page: Page, eye: Eye, lines: str) -> None:
    """Everything that a person can be answered instead of a page of the API."""
    more = (
        "routes: [{path: /admin, groups: [nobody]}, {path: /form, auth: none}, {path: /step, acr: ['phr']}]\n"
    )
    async with _site(lines, more=more, upstream_lines="response_timeout: 1s") as at:
        form = b'<form method="post" action="/send"><button>Send</button></form>'
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(form)

        async def script(received: Received, _: object, writer: asyncio.StreamWriter) -> None:
            if received.target == b"/slow":
                await asyncio.sleep(3)
            answers = {b"/broken": b"what?\r\n\r\n", b"/form": head + form}
            writer.write(answers.get(received.target, OK))

        at.upstream.script = script
        await page.goto(f"{at.url}/form")
        await _press(page, "button")
        await eye("error-401", lasting=False)
        await page.goto(f"{at.url}/oauth2/nothing")
        await eye("error-404")
        await page.goto(f"{at.url}/oauth2/sign_in")
        await _sign_in(page, ALICE, PASSWORD)
        for status, path in ((400, "/a%00b"), (403, "/admin"), (502, "/broken"), (504, "/slow")):
            response = await page.goto(at.url + path)
            assert response is not None
            assert response.status == status, path
            # That of an API which keeps everybody waiting is opened once.
            await eye(f"error-{status}", lasting=status != 504)
    limits = "rate_limit: {requests_per_second: 0.01, burst: 1}\nroutes: [{path: /open, auth: none}]\n"
    async with _site(lines, more=limits) as at:
        response = await page.goto(f"{at.url}/open")
        while response is not None and response.status != 429:
            response = await page.goto(f"{at.url}/open")
        await eye("error-429")


JOURNEYS: tuple[Journey, ...] = (
    accounts,
    challenges,
    choice,
    passkeys,
    setup,
    several,
    consent,
    errors,
)


@contextlib.asynccontextmanager
async def _site(lines: str, **settings: object) -> AsyncIterator[Site]:
    with tempfile.TemporaryDirectory() as folder:
        async with site(Path(folder), sign_in=lines, **settings) as at:  # type: ignore[arg-type]
            yield at


def _and(lines: str, more: str) -> str:
    return f"{lines}, {more}" if lines else more


async def _code(page: Page, at: Site) -> None:
    (line,) = await at.logged("setup_code")
    await page.fill("#setup_code", line["setup_code"])


async def _sign_in(page: Page, username: str, password: str) -> None:
    await page.fill("#username", username)
    await page.fill("#password", password)
    await _submit(page, "#password")


async def _submit(page: Page, field: str) -> None:
    """Enter in a field, and the page that comes of it."""
    async with page.expect_navigation():
        await page.press(field, "Enter")


async def _press(page: Page, button: str) -> None:
    async with page.expect_navigation():
        await page.locator(button).first.click()
