"""A browser of the pages' site whose user signed in an hour ago."""

from __future__ import annotations

import time
from typing import Any

from tests.support.emulator import claims
from tests.support.portal import a_session, jar_of
from tests.support.site import ALICE, CLIENT, PASSWORD, POOL, Browser, Site
from tests.support.tokens import KeyPair

HOUR = 3600


async def an_hour_ago(at: Site) -> tuple[Browser, dict[str, Any]]:
    """Return a browser in which alice signed in an hour ago, and that sign-in's tokens.

    The pool's tokens must be valid for longer."""
    at.local.hooks.offset = -HOUR
    parameters = {"USERNAME": ALICE, "PASSWORD": PASSWORD}
    request = {"ClientId": CLIENT, "AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": parameters}
    made = at.local.call("InitiateAuth", **request)["AuthenticationResult"]
    at.local.hooks.offset = 0
    session = a_session(
        KeyPair.generate("k"),
        created=time.time() - HOUR,
        pool_id=POOL,
        client_id=CLIENT,
        subject=claims(made["AccessToken"])["sub"],
        username=claims(made["AccessToken"])["username"],
        expires=float(claims(made["AccessToken"])["exp"]),
        access=made["AccessToken"],
        id_token=made["IdToken"],
        refresh=made["RefreshToken"],
    )
    portal = at.worker.app.portal
    assert portal is not None
    ticket = await portal.store.keep(session, until=time.time() + HOUR)
    browser = at.browser()
    browser.cookies.update(jar_of(session, ticket))
    return browser, made
