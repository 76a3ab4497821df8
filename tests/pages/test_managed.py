"""Managed login end to end, and everything a browser can come back with that is not it."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from gateway.pages.attempts import ADDRESS
from local_cognito.errors import AwsError
from tests.support.managed_login import CALLBACK, ORIGIN, PASSWORD, site, token_endpoint
from tests.support.portal import HTML, Browser, form_token, ticket_of
from tests.support.redis_server import redis_server
from tests.support.running import logged, running
from tests.support.waiting import PATIENCE


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


@pytest.mark.parametrize(
    ("accepted", "chosen", "lang"),
    [
        ("de-CH, en;q=0.5", None, "de"),
        ("pt", None, "pt-BR"),
        ("zh-CN", None, "zh-CN"),
        ("zh-Hans-SG", None, "zh-CN"),
        ("zh-HK", None, "zh-TW"),
        ("nl, ko;q=0.5", None, "ko"),
        ("nl", None, None),
        ("*", None, None),
        ("de", "ja", "ja"),
        ("de", "zh-Hans", "zh-CN"),
        ("de", "xx", "de"),
    ],
)
async def test_cognito_is_told_the_readers_language(
    tmp_path: Path, accepted: str, chosen: str | None, lang: str | None
) -> None:
    async with site(tmp_path) as place:
        browser = place.browser()
        if chosen is not None:
            browser.jar["cognito_gateway_language"] = chosen
        reply = await browser.get("/oauth2/start", f"Accept-Language: {accepted}")
        assert reply.status == 303
        assert dict(parse_qsl(urlsplit(reply.get("location") or "").query)).get("lang") == lang


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
        late = await browser.get(await place.come_back(asked[0]))
        assert (late.status, late.get("location")) == (303, "/0"), "who is signed in goes on"


@pytest.mark.parametrize(
    "change",
    [
        lambda query: {name: value for name, value in query.items() if name != "state"},
        lambda query: {name: value for name, value in query.items() if name != "code"},
        lambda query: {**query, "state": query["state"][:20] + "~" + query["state"][21:]},
        lambda query: {**query, "state": query["state"][:17] + "A" * 22 + query["state"][39:]},
        lambda query: {**query, "state": "0" * 16 + query["state"][16:]},
        lambda query: {**query, "code": "00000000-0000-4000-8000-000000000000"},
        lambda query: {**query, "state": ""},
        lambda query: {**query, "code": ""},
    ],
)
async def test_an_unexpected_callback_is_refused(tmp_path: Path, change: object) -> None:
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
        again = await browser.get(target)
        assert (again.status, again.get("location")) == (303, "/"), "reloaded: who is signed in goes on"
        nobody = place.browser()
        assert (await nobody.get(target)).status == 400, "replayed: the state is used up"
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


REASONS = [
    "User is not allowed",
    "PreSignUp failed with error: write to help@example.com! [code 7]",
    "Bitte warten – später noch einmal",
    "x" * 250,
]


async def test_a_providers_error_is_shown_as_text_and_logged(tmp_path: Path) -> None:
    async with site(tmp_path) as place:
        browser = place.browser()
        for why in REASONS:
            asked = await place.leave(browser, "/back")
            said = {"error": "access_denied", "error_description": why, "state": asked["state"]}
            for _ in range(2):  # reloaded
                reply = await browser.get(f"/oauth2/callback?{urlencode(said)}", HTML)
                assert reply.status == 400
                assert f"access_denied: {why}" in reply.body.decode()
                assert b'href="/oauth2/start?return_to=/back"' in reply.body
        lines = await logged(place.gateway, "sign_in_refused", 2 * len(REASONS))
        assert lines[0]["exact"] == "access_denied: User is not allowed"
        assert {len(line["exact"]) <= 128 for line in lines} == {True}
        assert {line["reason"] for line in lines} == {"sign_in_refused"}
        for why in ("<script>alert(1)</script>", "a\r\nb\x1b[2J\u2028", "y" * 5000):
            said = {"error": "e", "error_description": why, "state": (await place.leave(browser))["state"]}
            reply = await browser.get(f"/oauth2/callback?{urlencode(said)}", HTML)
            assert reply.status == 400
            assert not [bad for bad in (b"<script", b"\x1b", b"y" * 301) if bad in reply.body]
        spoofed = urlencode({"error": "call", "error_description": "Call 555 0100 now", "state": "x"})
        reply = await browser.get(f"/oauth2/callback?{spoofed}", HTML)
        assert reply.status == 400
        assert b"555" not in reply.body, "only who asked hears an answer"


async def test_six_tabs_can_all_continue(tmp_path: Path) -> None:
    async with site(tmp_path) as place:
        browser = place.browser()
        asked = [await place.leave(browser, f"/tab{number}") for number in range(6)]
        targets = [await place.come_back(each) for each in asked]
        first = await browser.get(targets[0], HTML)
        assert first.status == 400, "the browser has no cookie for it any more"
        assert b'href="/oauth2/start?return_to=/tab0"' in first.body, "and keeps its destination"
        for number, target in reversed(list(enumerate(targets))):
            reply = await browser.get(target, HTML)
            assert (reply.status, reply.get("location")) == (303, f"/tab{number}")


async def test_another_secret_after_a_restart_keeps_the_destination(tmp_path: Path) -> None:
    async with site(tmp_path) as place:
        browser = place.browser()
        target = await place.come_back(await place.leave(browser, "/wanted?a=b"))
        for name in list(browser.jar):
            browser.jar[name] = "1.AQ" + "A" * 100  # as good as sealed with another one
        reply = await browser.get(target, HTML)
        assert reply.status == 400
        assert b'href="/oauth2/start?return_to=/wanted%3Fa%3Db"' in reply.body
        for state in ("x", "", f"{'a' * 16}.{'b' * 22}.%%%", f"{'a' * 16}.{'b' * 22}.W10", "a" * 5000):
            reply = await browser.get(f"/oauth2/callback?{urlencode({'state': state, 'code': 'c'})}", HTML)
            assert reply.status == 400
            assert b'href="/oauth2/start"' in reply.body
        evil = base64.urlsafe_b64encode(b'["p", "//evil.test/"]').decode().rstrip("=")
        crafted = urlencode({"state": f"{'a' * 16}.{'b' * 22}.{evil}", "code": "c"})
        assert b"evil" not in (await browser.get(f"/oauth2/callback?{crafted}", HTML)).body


async def test_a_token_endpoint_that_fails_once_is_asked_again_by_a_reload(tmp_path: Path) -> None:
    async with token_endpoint() as endpoint, site(tmp_path, domain=endpoint.url) as place:
        endpoint.cognito = place.local.url
        browser = place.browser()
        target = await place.come_back(await place.leave(browser, "/wanted"))
        for status in (503, 429):
            endpoint.failing = status
            reply = await browser.get(target, HTML)
            assert (reply.status, reply.get("retry-after")) == (503, "5")
            assert b'href="/oauth2/start?return_to=/wanted"' in reply.body
        endpoint.failing = 0
        reply = await browser.get(target, HTML)
        assert (reply.status, reply.get("location")) == (303, "/wanted")


async def test_where_sessions_cannot_be_kept_for_a_moment_the_destination_is(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    with redis_server(tmp_path / "redis") as redis:
        yaml = f"sign_in: {{pages: managed, session: {{store: redis, redis_url: '{redis.url}'}}}}\n"
        async with site(tmp_path, yaml) as place:
            browser = place.browser()
            target = await place.come_back(await place.leave(browser, "/wanted"))
            redis.kill()
            reply = await browser.get(target, HTML)
            assert reply.status == 503
            assert b'href="/oauth2/start?return_to=/wanted"' in reply.body
            redis.restart()
            # The code is used, and there is no session: the page leads to a new beginning.
            reply = await browser.get(target, HTML)
            assert reply.status == 400
            assert b'href="/oauth2/start?return_to=/wanted"' in reply.body
            async with asyncio.timeout(PATIENCE):
                # Until the gateway has noticed that Redis is there again.
                while reply.status != 303:
                    reply = await browser.get(await place.come_back(await place.leave(browser, "/wanted")))
            assert reply.get("location") == "/wanted"
            assert (await browser.get("/wanted")).status == 200


async def test_a_speculative_request_begins_no_sign_in(tmp_path: Path) -> None:
    """Browsers that fetch ahead, and link checkers: five of their states would push out a real tab's."""
    async with site(tmp_path) as place:
        browser = place.browser()
        asked = await place.leave(browser, "/wanted")
        ahead = (
            "Sec-Purpose: prefetch",
            "Sec-Purpose: prefetch;prerender",
            "Purpose: prefetch",
            "X-Moz: prefetch",
        )
        for line in ahead:
            for target in ("/page", "/oauth2/start?return_to=/page", "/oauth2/sign_in", "/oauth2/"):
                reply = await browser.get(target, HTML, "Sec-Fetch-Mode: navigate", line)
                assert (target, reply.status, reply.all("set-cookie")) == (target, 401, [])
        target = await place.come_back(asked)
        for line in ahead:
            assert (await browser.get(target, HTML, line)).status == 401, "the code is not used up by it"
        for head in ("/page", "/oauth2/start?return_to=/page", target):
            reply = await browser.get(head, HTML, method="HEAD")
            assert (head, reply.status, reply.all("set-cookie")) == (head, 401, [])
        for _ in range(6):
            await browser.get("/oauth2/start", HTML, "Sec-Purpose: prefetch")
        assert (await browser.get(target)).get("location") == "/wanted"


async def test_a_long_way_back_survives(tmp_path: Path) -> None:
    async with site(tmp_path) as place:
        browser = place.browser()
        wanted = [f"/{letter * 4000}" for letter in "abc"]
        asked = [await place.leave(browser, each) for each in wanted]
        kept = sum(len(value) for name, value in browser.jar.items() if "login_" in name)
        assert kept <= 8200, "or each request's head would be too large"
        reply = await browser.get(await place.come_back(asked[-1]))
        assert (reply.status, reply.get("location")) == (303, wanted[-1])


@pytest.mark.parametrize("host", ["API.Test:80", "api.test", "API.TEST"])
async def test_the_redirect_uri_is_spelt_as_it_is_registered(tmp_path: Path, host: str) -> None:
    async with running(tmp_path, pool_lines="domain: 'https://auth.test'") as gateway:
        reply = await Browser(gateway.port, host=host).get("/oauth2/start")
        asked = dict(parse_qsl(urlsplit(reply.get("location") or "").query))
        assert asked["redirect_uri"] == "http://api.test/oauth2/callback"


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


async def test_an_unavailable_cognito_is_reported(tmp_path: Path) -> None:
    async with site(tmp_path) as place:
        browser = place.browser()
        target = await place.come_back(await place.leave(browser))
        await place.local.stop()
        reply = await browser.get(target)
        assert (reply.status, reply.get("retry-after")) == (503, "5")


async def test_signing_out_goes_through_cognito_and_ends_the_refresh_token(tmp_path: Path) -> None:
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


async def test_without_a_global_sign_out_the_session_still_ends(tmp_path: Path) -> None:
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
        assert b"did not end your other sessions" in back.body
        assert b'href="/oauth2/sign_in?notice=signed_out"' in back.body, "the way on is shown"
        assert (await browser.get("/oauth2/")).status == 303, "it is said once"
        (line,) = await logged(place.gateway, "sign_out", 1)
        assert (line["everywhere"], line["revoked"]) == (True, False)
        with pytest.raises(AwsError, match="revoked"):
            place.local.call(
                "GetTokensFromRefreshToken", RefreshToken=session.refresh, ClientId=place.client_id
            )


async def test_signing_out_goes_through_cognito_to_the_requested_page(
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
    """Or the next page would open without a password, for the next person at this browser."""
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
