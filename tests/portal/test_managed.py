"""Managed login end to end, and everything a browser can come back with that is not it."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from gateway.local.errors import AwsError
from gateway.portal.attempts import ADDRESS
from tests.portal.managed_login import CALLBACK, ORIGIN, PASSWORD, site, token_endpoint
from tests.portal.support import HTML, Browser, form_token, ticket_of
from tests.support.running import logged, running


async def test_from_a_page_to_cognito_and_back(tmp_path: Path) -> None:
    async with site(tmp_path) as place:
        browser = place.browser()
        sent = await browser.get("/a?b=c", HTML)
        assert (sent.status, sent.get("location")) == (302, "/oauth2/start?return_to=/a%3Fb%3Dc")
        asked = await place.leave(browser, "/a?b=c")
        assert asked["redirect_uri"] == CALLBACK
        assert asked["code_challenge_method"] == "S256"
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", asked["code_challenge"])
        back = await browser.get(await place.come_back(asked))
        assert (back.status, back.get("location")) == (303, "/a?b=c")
        assert not [name for name in browser.jar if "_login_" in name]
        assert (await browser.get("/a?b=c")).status == 200
        upstream = place.gateway.upstream.last
        assert upstream.get("X-Auth-Request-Preferred-Username") == b"alice"
        claims = json.loads((await browser.get("/oauth2/userinfo")).body)
        assert claims["email"] == "alice@example.com"
        assert "nonce" not in claims
        (line,) = await logged(place.gateway, "sign_in", 1)
        assert line["subject"] == claims["sub"]
        assert place.gateway.worker.metrics.sessions["signed_in"] == 1


async def test_a_client_with_a_secret(tmp_path: Path) -> None:
    async with site(tmp_path, GenerateSecret=True) as place:
        assert (await place.sign_in(place.browser())).get("location") == "/"


async def test_two_tabs_at_once(tmp_path: Path) -> None:
    async with site(tmp_path) as place:
        browser = place.browser()
        one, two = await place.leave(browser, "/one"), await place.leave(browser, "/two")
        assert one["state"] != two["state"]
        assert (await browser.get(await place.come_back(two))).get("location") == "/two"
        assert (await browser.get(await place.come_back(one))).get("location") == "/one"


async def test_tabs_are_bounded_and_the_newest_stay(tmp_path: Path) -> None:
    async with site(tmp_path) as place:
        browser = place.browser()
        browser.jar["cognito_gateway_login_0000000000000000"] = "planted"
        asked = [await place.leave(browser, f"/{number}") for number in range(8)]
        assert len([name for name in browser.jar if "_login_" in name]) == 5
        assert (await browser.get(await place.come_back(asked[-1]))).get("location") == "/7"
        assert (await browser.get(await place.come_back(asked[0]))).status == 400


@pytest.mark.parametrize(
    "change",
    [
        lambda query: {name: value for name, value in query.items() if name != "state"},
        lambda query: {name: value for name, value in query.items() if name != "code"},
        lambda query: {**query, "state": query["state"][:-1] + ("A" if query["state"][-1] != "A" else "B")},
        lambda query: {**query, "state": "0" * 16 + query["state"][16:]},
        lambda query: {**query, "code": "00000000-0000-4000-8000-000000000000"},
        lambda query: {**query, "state": ""},
        lambda query: {**query, "code": ""},
    ],
)
async def test_what_was_not_sent_for_is_refused(tmp_path: Path, change: object) -> None:
    assert callable(change)
    async with site(tmp_path) as place:
        browser = place.browser()
        path, _, query = (await place.come_back(await place.leave(browser))).partition("?")
        reply = await browser.get(f"{path}?{urlencode(change(dict(parse_qsl(query))))}")
        assert reply.status == 400
        assert "cognito_gateway_session" not in browser.jar


@pytest.mark.parametrize("name", ["state", "code"])
async def test_a_parameter_twice_is_refused(tmp_path: Path, name: str) -> None:
    async with site(tmp_path) as place:
        browser = place.browser()
        target = await place.come_back(await place.leave(browser))
        value = dict(parse_qsl(urlsplit(target).query))[name]
        assert (await browser.get(f"{target}&{urlencode({name: value})}")).status == 400


async def test_a_callback_works_once_and_in_its_own_browser(tmp_path: Path) -> None:
    async with site(tmp_path) as place:
        browser, victim = place.browser(), place.browser()
        target = await place.come_back(await place.leave(browser))
        await place.leave(victim)
        assert (await victim.get(target)).status == 400, "signed in as somebody else by a link"
        kept = browser.copy()
        assert (await browser.get(target)).status == 303
        assert (await browser.get(target)).status == 400, "replayed: the state is used up"
        assert (await kept.get(target)).status == 400, "replayed with the old cookies: the code is used up"


async def test_codes_of_an_address_are_limited_before_cognito_is_asked(tmp_path: Path) -> None:
    async with site(tmp_path) as place:
        browser = place.browser()
        asked = await place.leave(browser)
        # The same state in the same browser, as often as one likes.
        for _ in range(ADDRESS.most):
            reply = await browser.copy().get(f"/oauth2/callback?{urlencode({**asked, 'code': 'wrong'})}")
            assert reply.status == 400
        reply = await browser.get(f"/oauth2/callback?{urlencode({**asked, 'code': 'wrong'})}")
        assert (reply.status, int(reply.get("Retry-After") or 0) > 800) == (429, True)


async def test_codes_that_are_right_are_not_counted(tmp_path: Path) -> None:
    async with site(tmp_path) as place:
        for _ in range(2):
            assert (await place.sign_in(place.browser())).status == 303
        assert place.gateway.worker.app.portal is not None
        assert len(place.gateway.worker.app.portal.pages.attempts) == 0


async def test_a_code_of_another_request_is_refused(tmp_path: Path) -> None:
    """An attacker's code in the victim's own flow: PKCE and nonce are of another request."""
    async with site(tmp_path) as place:
        attacker, victim = place.browser(), place.browser()
        theirs = await place.come_back(await place.leave(attacker), "bob")
        ours = await place.leave(victim)
        code = dict(parse_qsl(urlsplit(theirs).query))["code"]
        target = f"/oauth2/callback?{urlencode({'code': code, 'state': ours['state']})}"
        assert (await victim.get(target)).status == 400
        assert "cognito_gateway_session" not in victim.jar


async def test_an_id_token_for_another_nonce_is_refused(tmp_path: Path) -> None:
    async with site(tmp_path) as place:
        browser = place.browser()
        asked = await place.leave(browser)
        reply = await browser.get(await place.come_back({**asked, "nonce": "of-another-request"}))
        assert reply.status == 400
        assert "cognito_gateway_session" not in browser.jar


async def test_another_access_token_than_the_id_tokens_own_is_refused(tmp_path: Path) -> None:
    """The same user's, the same client's, well signed: only at_hash tells that it was put in its place."""
    async with token_endpoint() as endpoint, site(tmp_path, domain=endpoint.url) as place:
        endpoint.cognito = place.local.url
        assert (await place.sign_in(place.browser())).status == 303
        signed_in = place.local.call(
            "InitiateAuth",
            ClientId=place.client_id,
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": "alice", "PASSWORD": PASSWORD},
        )
        endpoint.access = signed_in["AuthenticationResult"]["AccessToken"]
        browser = place.browser()
        assert (await place.sign_in(browser)).status == 400
        assert "cognito_gateway_session" not in browser.jar


async def test_one_of_several_pools_is_chosen(tmp_path: Path) -> None:
    async with site(tmp_path, another=True) as place:
        browser = place.browser()
        sent = await browser.get("/a", HTML)
        assert (sent.status, sent.get("location")) == (302, "/oauth2/sign_in?return_to=/a")
        page = (await browser.get("/oauth2/sign_in?return_to=/a", HTML)).body.decode()
        for pool_id in (place.pool_id, place.other_pool_id):
            assert f'href="/oauth2/start?pool={pool_id}&amp;return_to=/a"' in page
        unchosen = await browser.get("/oauth2/start?return_to=/a")
        assert (unchosen.status, unchosen.get("location")) == (303, "/oauth2/sign_in?return_to=/a")
        asked = await place.leave(browser, "/a", pool=place.other_pool_id)
        assert asked["client_id"] == place.other_client_id
        reply = await browser.get(await place.come_back(asked))
        assert (reply.status, reply.get("location")) == (303, "/a")
        (line,) = await logged(place.gateway, "sign_in", 1)
        assert line["pool"] == place.other_pool_id
        said = {"error": "access_denied", "state": (await place.leave(browser, pool=place.pool_id))["state"]}
        reply = await browser.get(f"/oauth2/callback?{urlencode(said)}", HTML)
        assert f'href="/oauth2/start?pool={place.pool_id}"' in reply.body.decode()


async def test_a_code_of_one_pool_is_nothing_at_the_other(tmp_path: Path) -> None:
    async with site(tmp_path, another=True) as place:
        browser = place.browser()
        one = await place.leave(browser, pool=place.pool_id)
        other = await place.leave(browser, pool=place.other_pool_id)
        code = dict(parse_qsl(urlsplit(await place.come_back(one)).query))["code"]
        target = f"/oauth2/callback?{urlencode({'code': code, 'state': other['state']})}"
        assert (await browser.get(target)).status == 400
        assert "cognito_gateway_session" not in browser.jar


async def test_what_cognito_says_is_shown_as_text(tmp_path: Path) -> None:
    async with site(tmp_path) as place:
        browser = place.browser()
        for why, shown in (("User is not allowed", True), ("<script>alert(1)</script>", False)):
            asked = await place.leave(browser, "/back")
            said = {"error": "access_denied", "error_description": why, "state": asked["state"]}
            reply = await browser.get(f"/oauth2/callback?{urlencode(said)}", HTML)
            assert reply.status == 400
            assert (why.encode() in reply.body) == shown
            assert b"script" not in reply.body
            assert b'href="/oauth2/start?return_to=/back"' in reply.body
        spoofed = urlencode({"error": "call", "error_description": "Call 555 0100 now", "state": "x"})
        reply = await browser.get(f"/oauth2/callback?{spoofed}", HTML)
        assert reply.status == 400
        assert b"555" not in reply.body, "only Cognito's own answers are shown"


async def test_return_addresses_stay_here(tmp_path: Path) -> None:
    async with site(tmp_path) as place:
        reply = await place.sign_in(place.browser(), "https://evil.test/")
        assert reply.get("location") == "/"


async def test_a_new_session_at_sign_in_and_the_old_one_is_dead(tmp_path: Path) -> None:
    async with site(tmp_path) as place:
        browser = place.browser()
        await place.sign_in(browser)
        fixed = browser.copy()
        assert (await fixed.get("/a")).status == 200
        await place.sign_in(browser)
        assert (await browser.get("/a")).status == 200
        assert browser.jar["cognito_gateway_session"] != fixed.jar["cognito_gateway_session"]
        assert (await fixed.get("/a")).status == 401


async def test_the_scope_openid_is_needed_and_named(tmp_path: Path) -> None:
    async with site(tmp_path, AllowedOAuthScopes=["aws.cognito.signin.user.admin"]) as place:
        browser = place.browser()
        reply = await place.sign_in(browser)
        assert reply.status == 400
        assert (await logged(place.gateway, "request", 2))[1]["reason"] == "sign_in_refused"
        assert "cognito_gateway_session" not in browser.jar


async def test_without_cognito_it_says_so(tmp_path: Path) -> None:
    async with site(tmp_path) as place:
        browser = place.browser()
        target = await place.come_back(await place.leave(browser))
        await place.local.stop()
        reply = await browser.get(target)
        assert (reply.status, reply.get("retry-after")) == (503, "5")


async def test_signing_out_leads_through_cognito_and_ends_the_refresh_token(tmp_path: Path) -> None:
    async with site(tmp_path) as place:
        browser = place.browser()
        await place.sign_in(browser)
        token = await form_token(place.gateway, browser)
        stolen = browser.copy()
        reply = await browser.post("/oauth2/sign_out", f"csrf={token}", origin=ORIGIN)
        location = urlsplit(reply.get("location") or "")
        assert f"{location.scheme}://{location.netloc}{location.path}" == f"{place.local.url}/logout"
        assert dict(parse_qsl(location.query)) == {
            "client_id": place.client_id,
            "logout_uri": f"{ORIGIN}/oauth2/",
        }
        assert "form-action 'self' " + place.local.url in (reply.get("content-security-policy") or "")
        assert (await stolen.get("/a")).status == 401
        (line,) = await logged(place.gateway, "sign_out", 1)
        assert line["revoked"] is True


async def test_what_cannot_be_signed_out_everywhere_is_signed_out_here(tmp_path: Path) -> None:
    """A console's client: its tokens lack the scope that GlobalSignOut wants."""
    async with site(tmp_path, AllowedOAuthScopes=["openid", "email"]) as place:
        browser = place.browser()
        await place.sign_in(browser)
        portal = place.gateway.worker.app.portal
        assert portal is not None
        session = await portal.store.find(ticket_of(browser.jar), now=time.time())
        assert session is not None
        token = await form_token(place.gateway, browser)
        reply = await browser.post("/oauth2/sign_out", f"csrf={token}&everywhere=yes", origin=ORIGIN)
        assert (reply.get("location") or "").startswith(f"{place.local.url}/logout?client_id=")
        back = await browser.get("/oauth2/")
        assert back.status == 502
        assert b"did not end your sessions elsewhere" in back.body
        assert b'href="/oauth2/sign_in?notice=signed_out"' in back.body, "the way on is shown"
        assert (await browser.get("/oauth2/")).status == 303, "it is said once"
        (line,) = await logged(place.gateway, "sign_out", 1)
        assert (line["everywhere"], line["revoked"]) == (True, False)
        with pytest.raises(AwsError, match="revoked"):
            place.local.call(
                "GetTokensFromRefreshToken", RefreshToken=session.refresh, ClientId=place.client_id
            )


async def test_signing_out_leads_through_cognito_and_on_to_the_page_that_was_asked_for(
    tmp_path: Path,
) -> None:
    async with site(tmp_path) as place:
        browser = place.browser()
        await place.sign_in(browser)
        token = await form_token(place.gateway, browser)
        reply = await browser.post("/oauth2/sign_out", f"csrf={token}&return_to=/bye", origin=ORIGIN)
        assert (reply.get("location") or "").startswith(f"{place.local.url}/logout?")
        back = await browser.get("/oauth2/")
        assert (back.status, back.get("location")) == (303, "/bye")
        assert not [name for name in browser.jar if "after" in name or "session" in name]
        # What somebody else wrote there leads nowhere.
        browser.jar["cognito_gateway_after"] = "1.AAAA"
        assert (await browser.get("/oauth2/")).get("location") == "/oauth2/sign_in"


async def test_without_a_session_of_ours_cognitos_ends_all_the_same(tmp_path: Path) -> None:
    """Or the next page would open without a password, for whoever sits there then."""
    async with site(tmp_path) as place:
        browser = place.browser()
        await place.sign_in(browser)
        portal = place.gateway.worker.app.portal
        assert portal is not None
        session = await portal.store.find(ticket_of(browser.jar), now=time.time())
        assert session is not None
        await portal.store.end(ticket_of(browser.jar), session, until=time.time() + 60)
        for name in [name for name in browser.jar if "session" in name]:
            del browser.jar[name]
        asked = await browser.get("/oauth2/sign_out?rd=/bye", HTML)
        assert asked.status == 200, "a link alone changes nothing"
        (csrf,) = set(re.findall(rb'name="csrf" value="([^"]+)"', asked.body))
        for body in (f"csrf={csrf.decode()}&return_to=/bye", "return_to=/bye"):
            reply = await browser.post("/oauth2/sign_out", body, origin=ORIGIN)
            assert (reply.get("location") or "").startswith(f"{place.local.url}/logout?"), reply.body
            assert (await browser.get("/oauth2/")).get("location") == "/bye"
        assert (await browser.post("/oauth2/sign_out", "", origin="https://evil.test")).status == 403


async def test_without_a_domain_there_is_no_managed_login(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        assert (await Browser(gateway.port).get("/oauth2/start")).status == 404
        assert (await Browser(gateway.port).get("/oauth2/callback?state=x&code=y")).status == 404


async def test_no_code_or_token_is_logged(tmp_path: Path) -> None:
    async with site(tmp_path, "log: {level: debug}\n") as place:
        browser = place.browser()
        target = await place.come_back(await place.leave(browser))
        await browser.get(target)
        await browser.get(target)
        await logged(place.gateway, "request", 3)
        written = place.gateway.stream.data.decode()
        for secret in (*dict(parse_qsl(urlsplit(target).query)).values(), *browser.jar.values()):
            assert secret[:24] not in written
