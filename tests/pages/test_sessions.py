"""Sessions over time: renewed once, signed out, ended; with Cognito played at our own seam."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from gateway.aws.values import CognitoRefused
from gateway.errors import GatewayError
from gateway.pages import assets
from tests.support.played_cognito import old, served
from tests.support.portal import Browser, a_session, form_token, signed_in
from tests.support.running import logged
from tests.support.waiting import until
from tests.support.wire import get


@pytest.mark.parametrize("store", ["cookie", "memory"])
async def test_tokens_are_renewed_before_they_end_and_the_browser_hears_of_it(
    tmp_path: Path, store: str
) -> None:
    async with served(tmp_path, store) as (gateway, cognito):
        browser = await signed_in(gateway, old(gateway))
        before = dict(browser.jar)
        reply = await browser.get("/api")
        assert reply.status == 200
        assert (browser.jar != before) == (store == "cookie"), "a cookie is the session, else it names it"
        if store == "cookie":
            assert "no-store" in reply.all("cache-control")
        for _ in range(3):
            assert (await browser.get("/api")).all("set-cookie") == []
        assert len(cognito.renewed) == 1
        assert gateway.worker.metrics.session_renewals["success"] == 1


async def test_cached_responses_set_no_cookie(tmp_path: Path) -> None:
    """A cache in between would hand one visitor's session to all who ask for the style sheet after them."""
    async with served(tmp_path) as (gateway, cognito):
        browser = await signed_in(gateway, old(gateway))
        ended = await signed_in(gateway, old(gateway, created=time.time() - 13 * 3600))
        for visitor in (browser, ended):
            for asset in assets.built_in().values():
                reply = await visitor.get(f"/oauth2{asset.path}")
                assert (reply.status, reply.all("set-cookie")) == (200, [])
                assert "public" in reply.all("cache-control")[0]
        assert cognito.renewed == [], "nobody was looked up for it"


async def test_one_renewal_for_many_requests(tmp_path: Path) -> None:
    async with served(tmp_path) as (gateway, cognito):
        cognito.wait = 0.2
        browser = await signed_in(gateway, old(gateway))
        replies = await asyncio.gather(*(browser.copy().get("/api") for _ in range(20)))
        assert {reply.status for reply in replies} == {200}
        assert len(cognito.renewed) == 1


async def test_one_renewal_for_many_requests_whose_tokens_have_ended(tmp_path: Path) -> None:
    async with served(tmp_path) as (gateway, cognito):
        cognito.wait = 0.2
        browser = await signed_in(gateway, a_session(gateway.key, lifetime=-5))
        replies = await asyncio.gather(*(browser.copy().get("/api") for _ in range(20)))
        assert {reply.status for reply in replies} == {200}
        assert len(cognito.renewed) == 1


async def test_the_old_cookie_finds_the_new_tokens(tmp_path: Path) -> None:
    """Answers get lost, and requests overtake them."""
    async with served(tmp_path) as (gateway, cognito):
        browser = await signed_in(gateway, old(gateway))
        lost = Browser(gateway.port, {**browser.jar, "cognito_gateway_browser": "x" * 22})
        await browser.get("/api")
        for _ in range(2):
            late = lost.copy()
            reply = await late.get("/api")
            assert reply.status == 200
            assert late.jar["cognito_gateway_session"] == browser.jar["cognito_gateway_session"]
        assert len(cognito.renewed) == 1


async def test_a_refused_renewal_signs_out_cleanly(tmp_path: Path) -> None:
    async with served(tmp_path) as (gateway, cognito):
        browser = await signed_in(gateway, old(gateway))
        stolen = browser.copy()
        cognito.error = CognitoRefused("NotAuthorizedException", "refused")
        assert (await browser.get("/api")).status == 401
        await browser.get("/oauth2/userinfo")
        assert list(browser.jar) == ["cognito_gateway_session"], "our own pages clear what is dead"
        assert (await stolen.get("/api")).status == 401, "the cookie is dead, not only gone"
        assert len(cognito.renewed) == 1
        (line,) = await logged(gateway, "refresh_failed", 1)
        assert (line["result"], line["exact"]) == ("refused", "NotAuthorizedException")
        assert gateway.worker.metrics.sessions["expired"] == 1


@pytest.mark.parametrize(
    "error",
    [GatewayError("cannot reach Cognito"), CognitoRefused("TooManyRequestsException", "later"),
     CognitoRefused("RefreshTokenReuseException", "used"),
     CognitoRefused("NotAuthorizedException", "secret", "Unable to verify secret hash for client 1ab")],
)  # fmt: skip
async def test_a_cognito_that_is_away_ends_nothing(tmp_path: Path, error: Exception) -> None:
    async with served(tmp_path) as (gateway, cognito):
        browser = await signed_in(gateway, old(gateway))
        before = dict(browser.jar)
        cognito.error = error
        for number in range(5):
            assert (await browser.get("/api")).status == 200
            other = browser.copy()
            other.jar["cognito_gateway_browser"] = f"{number}"  # remembered as another cookie
            assert (await other.get("/api")).status == 200
        assert browser.jar == before
        assert len(cognito.renewed) == 1, "and is left alone for a while"


async def test_without_cognito_a_session_lives_as_long_as_its_token(tmp_path: Path) -> None:
    async with served(tmp_path) as (gateway, cognito):
        cognito.error = GatewayError("cannot reach Cognito")
        browser = await signed_in(gateway, a_session(gateway.key, lifetime=4, renewed=time.time() - 3596))
        assert (await browser.get("/api")).status == 200
        await asyncio.sleep(4.1)
        assert (await browser.get("/api")).status == 401


async def test_a_session_with_expired_tokens_recovers_with_cognito(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.sessions.lifecycle._RETRY", 0.5)
    async with served(tmp_path) as (gateway, cognito):
        cognito.error = CognitoRefused("TooManyRequestsException", "later")
        browser = await signed_in(gateway, a_session(gateway.key, lifetime=-5))
        for _ in range(5):
            assert (await browser.get("/api")).status == 401
        assert len(cognito.renewed) == 1, "it is left alone for a while"
        cognito.error = None
        await asyncio.sleep(0.55)
        assert (await browser.get("/api")).status == 200


async def test_another_users_tokens_are_not_accepted(tmp_path: Path) -> None:
    async with served(tmp_path) as (gateway, cognito):
        cognito.changes = {"sub": "somebody-else"}
        browser = await signed_in(gateway, old(gateway))
        assert (await browser.get("/api")).status == 200
        assert gateway.upstream.last.get("X-Auth-Request-User") == b"5e0d3a9c-70b1-70e4-5f1b-8f7d9c0f2a11"
        assert gateway.worker.metrics.session_renewals["failure"] == 1


@pytest.mark.parametrize("store", ["cookie", "memory"])
async def test_signing_out_ends_it_here_and_at_cognito(tmp_path: Path, store: str) -> None:
    async with served(tmp_path, store) as (gateway, cognito):
        browser = await signed_in(gateway)
        await browser.get("/api")
        stolen = browser.copy()
        token = await form_token(gateway, browser)
        reply = await browser.post("/oauth2/sign_out", f"csrf={token}")
        assert (reply.status, reply.get("location")) == (303, "/oauth2/sign_in?notice=signed_out")
        assert "cognito_gateway_session" not in browser.jar
        assert cognito.revoked == ["refresh-token-" + "r" * 1800]
        assert (await stolen.get("/api")).status == 401
        (line,) = await logged(gateway, "sign_out", 1)
        assert (line["everywhere"], line["revoked"]) == (False, True)
        assert gateway.worker.metrics.sessions["signed_out"] == 1


async def test_signing_out_everywhere_and_back_to_where_one_was(tmp_path: Path) -> None:
    async with served(tmp_path) as (gateway, cognito):
        browser = await signed_in(gateway)
        token = await form_token(gateway, browser)
        reply = await browser.post("/oauth2/sign_out", f"csrf={token}&everywhere=yes&return_to=%2Fbye")
        assert (reply.status, reply.get("location")) == (303, "/bye")
        assert len(cognito.everywhere) == 1
        evil = await browser.post(
            "/oauth2/sign_out", f"csrf={await form_token(gateway, browser)}&return_to=//evil"
        )
        assert (evil.status, evil.get("location")) == (303, "/oauth2/sign_in?notice=signed_out")


async def test_signing_out_reports_that_cognito_was_unavailable(tmp_path: Path) -> None:
    async with served(tmp_path) as (gateway, cognito):
        browser = await signed_in(gateway)
        cognito.error = GatewayError("cannot reach Cognito")
        reply = await browser.post("/oauth2/sign_out", f"csrf={await form_token(gateway, browser)}")
        assert reply.status == 502
        assert b"could not be reached" in reply.body
        assert (await browser.get("/api")).status == 401


async def test_closing_the_window_at_once_still_signs_out_at_cognito(tmp_path: Path) -> None:
    async with served(tmp_path) as (gateway, cognito):
        browser = await signed_in(gateway)
        body = f"csrf={await form_token(gateway, browser)}"
        cognito.wait = 0.3
        kind = "Content-Type: application/x-www-form-urlencoded"
        head = get("/oauth2/sign_out", browser.cookie, kind, f"Content-Length: {len(body)}", method="POST")
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(head + body.encode())
        await until(lambda: gateway.worker.metrics.sessions["signed_out"])
        writer.close()
        await until(lambda: not gateway.worker.app.record.in_flight)
        assert not cognito.revoked, "the window was closed before Cognito had answered"
        (line,) = await logged(gateway, "sign_out", 1)
        assert (line["revoked"], len(cognito.revoked)) == (True, 1)


async def test_signing_out_ends_a_session_that_is_not_valid_now(tmp_path: Path) -> None:
    async with served(tmp_path) as (gateway, cognito):
        cognito.error = CognitoRefused("TooManyRequestsException", "later")
        browser = await signed_in(gateway, a_session(gateway.key, lifetime=-5))
        assert (await browser.get("/api")).status == 401
        stolen = browser.copy()
        token = await form_token(gateway, browser)
        assert (await browser.post("/oauth2/sign_out", f"csrf={token}")).status == 303
        await until(lambda: cognito.revoked)
        cognito.error = None
        assert (await stolen.get("/api")).status == 401
        assert len(cognito.renewed) == 1


async def test_a_renewal_under_way_does_not_undo_a_sign_out(tmp_path: Path) -> None:
    async with served(tmp_path) as (gateway, cognito):
        cognito.wait = 1.0
        browser = await signed_in(gateway, old(gateway))
        other = browser.copy()
        token = await form_token(gateway, browser)
        first = asyncio.create_task(other.get("/api"))
        await until(lambda: cognito.renewed)
        assert (await browser.post("/oauth2/sign_out", f"csrf={token}")).status == 303
        await first
        assert (await other.get("/api")).status == 401


@pytest.mark.parametrize(
    ("body", "origin", "status"),
    [
        ("", "http://api.test", 403),
        ("csrf=x", "http://api.test", 403),
        ("csrf=OTHER", "http://api.test", 403),
        ("csrf=TOKEN", "https://evil.test", 403),
        ("csrf=TOKEN", "null", 403),
        ("csrf=TOKEN&csrf=TOKEN", "http://api.test", 400),
        ("csrf=TOKEN", "http://api.test", 303),
        ("csrf=TOKEN", None, 303),
    ],
)
async def test_forms_of_others_are_refused(
    tmp_path: Path, body: str, origin: str | None, status: int
) -> None:
    async with served(tmp_path) as (gateway, _):
        browser, stranger = await signed_in(gateway), Browser(gateway.port)
        token, other = await form_token(gateway, browser), await form_token(gateway, stranger)
        body = body.replace("TOKEN", token).replace("OTHER", other)
        assert (await browser.post("/oauth2/sign_out", body, origin=origin)).status == status
        assert (await browser.get("/api")).status == (401 if status == 303 else 200)


async def test_a_token_of_before_the_sign_in_is_no_good_after_it(tmp_path: Path) -> None:
    async with served(tmp_path) as (gateway, _):
        stranger = Browser(gateway.port)
        token = await form_token(gateway, stranger)
        browser = await signed_in(gateway)
        browser.jar |= stranger.jar
        assert (await browser.post("/oauth2/sign_out", f"csrf={token}")).status == 403


async def test_bodies_that_are_no_forms(tmp_path: Path) -> None:
    async with served(tmp_path) as (gateway, _):
        browser = await signed_in(gateway)
        token = await form_token(gateway, browser)
        large = await browser.post("/oauth2/sign_out", f"csrf={token}&a=" + "a" * 70_000)
        assert large.status == 413
        plain = await browser.get(
            "/oauth2/sign_out", "Content-Type: text/plain", "Content-Length: 0", method="POST"
        )
        assert plain.status == 400
        assert (await browser.get("/api")).status == 200
