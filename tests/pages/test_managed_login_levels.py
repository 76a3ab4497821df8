"""Managed login of the local Cognito: stronger sign-ins for a route, and tokens bound to this gateway."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from local_cognito import totp
from tests.support.emulator import claims
from tests.support.managed_login import PASSWORD, Person, Site, person, site
from tests.support.portal import HTML, Browser, a_session, signed_in

VAULT = "routes:\n  - {path: /vault, acr: ['urn:cognito:loa:4']}\n"
API = "https://api.example.com/mcp"


def tokens(at: Site, name: str) -> dict[str, Any]:
    parameters = {"USERNAME": name, "PASSWORD": PASSWORD}
    request = {"ClientId": at.client_id, "AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": parameters}
    return dict(at.local.call("InitiateAuth", **request)["AuthenticationResult"])


class App:
    """alice's authenticator app."""

    def __init__(self, at: Site) -> None:
        self.local = at.local
        config = {"MfaConfiguration": "OPTIONAL", "SoftwareTokenMfaConfiguration": {"Enabled": True}}
        at.local.call("SetUserPoolMfaConfig", UserPoolId=at.pool_id, **config)
        mine = {"AccessToken": tokens(at, "alice")["AccessToken"]}
        self.secret = at.local.call("AssociateSoftwareToken", **mine)["SecretCode"]
        at.local.call("VerifySoftwareToken", **mine, UserCode=self.code())
        at.local.call("SetUserMFAPreference", **mine, SoftwareTokenMfaSettings={"Enabled": True})

    def code(self) -> str:
        """Return the code of the next time step: each works once."""
        self.local.hooks.offset += 30
        return totp.code_at(self.secret, int((time.time() + self.local.hooks.offset) // 30))


async def sign_in(at: Site, who: Person, name: str) -> Browser:
    """Sign in at Cognito; return a browser whose session here is from an hour ago.

    Who has only just signed in is not asked again.
    """
    assert await who.open(await at.leave(at.browser())) == ""
    assert await who.submit(username=name, password=PASSWORD)
    made = tokens(at, name)
    session = a_session(
        at.gateway.key,
        created=time.time() - 3600,
        pool_id=at.pool_id,
        client_id=at.client_id,
        subject=claims(made["AccessToken"])["sub"],
        username=name,
        access=made["AccessToken"],
        id_token=made["IdToken"],
        refresh=made["RefreshToken"],
    )
    browser = await signed_in(at.gateway, session)
    return Browser(browser.port, browser.jar, host="localhost:8000")


async def climb(at: Site, browser: Browser) -> dict[str, str]:
    """Open the route that needs more; return the authorization request that the browser is sent with."""
    reply = await browser.get("/vault", HTML)
    assert reply.status == 302
    start = urlsplit(reply.get("location") or "")
    assert start.path == "/oauth2/start"
    values = dict(pair.split("=", 1) for pair in start.query.split("&"))
    assert values["acr_values"] == "urn%3Acognito%3Aloa%3A4"
    return await at.leave(browser, "/vault", acr_values="urn:cognito:loa:4")


async def test_a_person_steps_up_by_the_missing_factor_and_is_let_in(tmp_path: Path) -> None:
    async with site(tmp_path, VAULT) as at, person(at.local) as alice:
        browser = await sign_in(at, alice, "alice")
        app = App(at)
        asked = await climb(at, browser)
        assert asked["acr_values"] == "urn:cognito:loa:4"
        assert await alice.open(asked) == ""
        assert "SOFTWARE_TOKEN_MFA_CODE" in alice.page
        assert 'name="password"' not in alice.page
        back = await browser.get(await alice.submit(SOFTWARE_TOKEN_MFA_CODE=app.code()))
        assert (back.status, back.get("location")) == (303, "/vault")
        assert (await browser.get("/vault", HTML)).status == 200


async def test_a_person_without_the_factor_is_not_sent_in_circles(tmp_path: Path) -> None:
    async with site(tmp_path, VAULT) as at, person(at.local) as bob:
        browser = await sign_in(at, bob, "bob")
        back = await bob.open(await climb(at, browser))
        assert (await browser.get(back)).status == 303
        assert (await browser.get("/vault", HTML)).status == 401
        assert (await browser.get("/elsewhere", HTML)).status == 200


async def test_the_token_of_a_sign_in_is_bound_to_the_one_audience(tmp_path: Path) -> None:
    async with (
        site(tmp_path, pool_lines=f"clients: bound, audiences: ['{API}']") as at,
        person(at.local) as alice,
    ):
        browser = at.browser()
        asked = await at.leave(browser)
        assert asked["resource"] == API
        await alice.open(asked)
        await browser.get(await alice.submit(username="alice", password=PASSWORD))
        assert (await browser.get("/elsewhere", HTML)).status == 200
        (grant,) = at.local.state.pools[at.pool_id].grants.values()
        assert grant.resource == API
