"""What a refused form leaves for the page after it: no secret, once, in its own browser."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.support.portal import Browser, form_token
from tests.support.site import ALICE, site

COOKIE = "cognito_gateway_outcome"
HTML = "Accept: text/html"


async def test_a_refused_form_leaves_no_password_and_is_shown_once(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        browser = Browser(at.worker.port)
        token = await form_token(at, browser)
        body = f"csrf={token}&username={ALICE}&password=Wrong-Horse-1"
        reply = await browser.post("/oauth2/sign_in", body, HTML)
        assert (reply.status, reply.get("location")) == (303, "/oauth2/sign_in")
        portal = at.worker.app.portal
        assert portal is not None
        named = browser.jar["cognito_gateway_browser"]
        sealed = browser.jar[COOKIE].partition(".")[2]
        binding = f"outcome {named}".encode()
        data = portal.sealers.outcome.open(sealed, now=time.time(), binding=binding)
        assert data is not None
        assert json.loads(data)["form"] == {"username": ALICE}
        # A thief of this cookie alone, and another page, are shown nothing of it.
        thief = Browser(at.worker.port, {COOKIE: browser.jar[COOKIE], "cognito_gateway_browser": "x" * 22})
        assert ALICE.encode() not in (await thief.get("/oauth2/sign_in", HTML)).body
        assert b"Incorrect" not in (await browser.get("/oauth2/forgot_password", HTML)).body
        shown = await browser.get("/oauth2/sign_in", HTML)
        assert (shown.status, b"Incorrect username or password" in shown.body) == (400, True)
        assert COOKIE not in browser.jar
        assert b"Incorrect" not in (await browser.get("/oauth2/sign_in", HTML)).body
