"""Buttons of the pool's identity providers beside our own form, and the people who come back from there."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from gateway.config.load import examine
from tests.support.chromium import chromium, looking
from tests.support.looks import wrong_with
from tests.support.managed_login import CALLBACK, ORIGIN, PASSWORD, Site, person, site
from tests.support.portal import HTML, Browser, form_token
from tests.support.running import logged, running

PROVIDERS = {"Google": "Google", "SignInWithApple": "SignInWithApple", "ExampleSSO": "SAML"}
OWN = "sign_in: {providers: [{name: Google}, {name: SignInWithApple}, {name: ExampleSSO, label: Staff}]}\n"
NAVIGATES = ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document")
CAROL = "carol@elsewhere.example"


def buttons(page: bytes) -> dict[str, str]:
    """Return the buttons of the providers: text → link."""
    found = re.findall(r'<a class="button second full"[^>]* href="([^"]+)">([^<]+)</a>', page.decode())
    return {html.unescape(text): html.unescape(link) for link, text in found}


async def sent(browser: Browser, link: str) -> dict[str, str]:
    """Follow a button; return the parameters that it asks Cognito with."""
    reply = await browser.get(link)
    assert reply.status == 303, reply.body
    return dict(parse_qsl(urlsplit(reply.get("location") or "").query))


async def signed_in(place: Site, browser: Browser, asked: dict[str, str]) -> str | None:
    """Sign carol in at the provider that was asked for; return where she comes back to."""
    async with person(place.local) as carol:
        assert await carol.open(asked) == ""
        back = await carol.submit(email=CAROL)
    return (await browser.get(back)).get("location")


async def test_a_person_without_a_password_signs_in_and_comes_back(tmp_path: Path) -> None:
    async with site(tmp_path, OWN, providers=PROVIDERS) as place:
        browser = place.browser()
        first = await browser.get("/a?b=c", HTML)
        assert (first.status, first.get("location")) == (302, "/oauth2/sign_in?return_to=/a%3Fb%3Dc")
        form = await browser.get(first.get("location") or "", HTML)
        assert b'name="password"' in form.body
        shown = buttons(form.body)
        assert list(shown) == ["Continue with Google", "Continue with Apple", "Staff"]
        asked = await sent(browser, shown["Continue with Google"])
        assert (asked["identity_provider"], asked["redirect_uri"]) == ("Google", CALLBACK)
        assert (asked["code_challenge_method"], "max_age" in asked) == ("S256", False)
        assert await signed_in(place, browser, asked) == "/a?b=c"
        assert (await browser.get("/a?b=c")).status == 200
        name = place.gateway.upstream.last.get("X-Auth-Request-Preferred-Username")
        assert name is not None
        assert name.startswith(b"Google_")
        claims = json.loads((await browser.get("/oauth2/userinfo")).body)
        assert claims["email"] == CAROL
        (line,) = await logged(place.gateway, "sign_in", 1)
        assert line["subject"] == claims["sub"]
        # She has no password or second factor here, and nothing offers to change one.
        account = await browser.get("/oauth2/account", HTML, *NAVIGATES)
        assert account.status == 200
        assert CAROL.encode() in account.body
        assert b"/oauth2/change_password" not in account.body


async def test_who_signs_in_by_the_form_has_a_password_and_leaves_no_trace_at_cognito(tmp_path: Path) -> None:
    async with site(tmp_path, OWN, providers=PROVIDERS) as place:
        browser = place.browser()
        token = await form_token(place.gateway, browser)
        body = f"csrf={token}&username=alice&password={PASSWORD}&pool={place.pool_id}"
        assert (await browser.post("/oauth2/sign_in", body, HTML, origin=ORIGIN)).status == 303
        account = await browser.get("/oauth2/account", HTML, *NAVIGATES)
        assert b"/oauth2/change_password" in account.body
        body = f"csrf={await form_token(place.gateway, browser)}"
        left = await browser.post("/oauth2/sign_out", body, HTML, origin=ORIGIN)
        assert (left.status, (left.get("location") or "").startswith("/")) == (303, True)


async def test_signing_out_ends_the_session_at_managed_login_too(tmp_path: Path) -> None:
    async with site(tmp_path, OWN, providers=PROVIDERS) as place:
        browser = place.browser()
        form = await browser.get("/oauth2/sign_in", HTML)
        await signed_in(place, browser, await sent(browser, buttons(form.body)["Staff"]))
        body = f"csrf={await form_token(place.gateway, browser)}"
        left = await browser.post("/oauth2/sign_out", body, HTML, origin=ORIGIN)
        location = urlsplit(left.get("location") or "")
        assert f"{location.scheme}://{location.netloc}{location.path}" == f"{place.local.url}/logout"
        assert parse_qs(location.query)["logout_uri"] == [f"{ORIGIN}/oauth2/"]


async def test_whoever_must_prove_who_they_are_is_asked_again_there(tmp_path: Path) -> None:
    async with site(tmp_path, OWN, providers=PROVIDERS) as place:
        browser = place.browser()
        form = await browser.get("/oauth2/sign_in?again=1", HTML)
        asked = await sent(browser, buttons(form.body)["Continue with Google"])
        assert (asked["max_age"], asked["prompt"]) == ("0", "login")


async def test_no_provider_is_taken_from_the_address_bar(tmp_path: Path) -> None:
    yaml = "sign_in: {providers: [{name: Google}]}\n"
    async with site(tmp_path, yaml, providers=PROVIDERS) as place:
        for name in ("ExampleSSO", "google", "COGNITO", "x%26prompt=none"):
            asked = await sent(place.browser(), f"/oauth2/start?identity_provider={name}")
            assert not {"identity_provider", "prompt"} & set(asked)


async def test_a_sign_in_that_fails_there_leads_back_to_the_form(tmp_path: Path) -> None:
    async with site(tmp_path, OWN, providers=PROVIDERS) as place:
        browser = place.browser()
        asked = await sent(browser, "/oauth2/start?identity_provider=Google&return_to=/a")
        denied = f"/oauth2/callback?error=access_denied&error_description=no&state={asked['state']}"
        reply = await browser.get(denied, HTML)
        assert reply.status == 400
        assert b'href="/oauth2/sign_in?return_to=/a"' in reply.body


async def test_with_managed_login_cognitos_page_shows_them(tmp_path: Path) -> None:
    yaml = "sign_in: {pages: managed, providers: [{name: Google}]}\n"
    async with site(tmp_path, yaml, providers=PROVIDERS) as place:
        browser = place.browser()
        assert (await browser.get("/a", HTML)).get("location") == "/oauth2/start?return_to=/a"
        page = await browser.get("/oauth2/sign_in", HTML)
        assert b"identity_provider" not in page.body
        assert "identity_provider" not in await sent(browser, "/oauth2/start?identity_provider=Google")


async def test_without_a_domain_there_are_no_buttons(tmp_path: Path) -> None:
    other = f"id: us-east-1_Other12345, client_ids: [otherclient12]{DOMAIN}"
    (tmp_path / "gateway.yaml").write_text(f"cognito: {{user_pools: [{{{POOL}}}, {{{other}}}]}}\n{OWN}")
    _, report = examine(tmp_path / "gateway.yaml", {})
    assert any("no domain: the sign-in form of us-east-1_AbCdEfGhJ" in line for line in report.lines)
    async with running(tmp_path, "sign_in: {providers: []}\n") as gateway:
        page = await Browser(gateway.port).get("/oauth2/sign_in", HTML)
        assert buttons(page.body) == {}


POOL = "id: us-east-1_AbCdEfGhJ, client_ids: [abcde12345]"
DOMAIN = ", domain: 'https://login.test'"


@pytest.mark.parametrize(
    ("pool", "sign_in", "told"),
    [
        ("", "providers: [{name: Google}]", "sign_in.providers: needs the user pool's domain"),
        ("", "pages: managed", "sign_in.pages: needs the user pool's domain"),
        (DOMAIN, "providers: [{name: Google}, {name: Google}]", "providers[1].name: Google is listed twice"),
        (DOMAIN, "providers: [{name: _x}]", "not beginning or ending in _"),
        (DOMAIN, "providers: [{label: x}]", "providers[0].name"),
        (DOMAIN, "pages: managed, providers: [{name: Google}]", "warning: sign_in.providers: ignored"),
        (DOMAIN, "pages: own", "domain: unused: the gateway's own pages sign people in"),
        (DOMAIN, "providers: [{name: Google}]", None),
        (DOMAIN, "pages: managed", None),
        ("", "enabled: false, pages: managed", None),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, pool: str, sign_in: str, told: str | None) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(f"cognito: {{user_pools: [{{{POOL}{pool}}}]}}\nsign_in: {{{sign_in}}}\n")
    _, report = examine(path, {})
    about = [line for line in report.lines if "sign_in" in line or "domain" in line]
    assert any(told in line for line in about) if told is not None else about == []


@pytest.mark.parametrize("sign_in", ["pages: managed", "providers: [{name: Google}]"])
def test_a_pool_that_the_set_up_page_stored_needs_no_domain(tmp_path: Path, sign_in: str) -> None:
    """Nobody could start the gateway again: the page asks for none, and writes that file alone."""
    path, state = tmp_path / "gateway.yaml", tmp_path / "state"
    state.mkdir()
    (state / "connection.yaml").write_text(f"cognito: {{user_pools: [{{{POOL}}}]}}\n")
    path.write_text(f"sign_in: {{{sign_in}, state_dir: {state}}}\n")
    config, report = examine(path, {})
    assert config is not None
    assert not config.cognito.user_pools[0].managed
    assert any("ignored: the user pool that the set-up page stored has no domain" in x for x in report.lines)


@pytest.mark.engine
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_form_with_buttons_is_legible(tmp_path: Path, scheme: str) -> None:
    async with (
        site(tmp_path, OWN, providers=PROVIDERS) as place,
        chromium() as browser,
        looking(browser, color_scheme=scheme, viewport={"width": 320, "height": 700}) as page,
    ):
        await page.goto(f"http://127.0.0.1:{place.gateway.port}/oauth2/sign_in")
        await page.screenshot(path=tmp_path / f"{scheme}.png", full_page=True)
        assert await page.get_by_role("link", name="Continue with Google").count() == 1
        assert await wrong_with(page) == []
        wide = "document.documentElement.scrollWidth <= innerWidth"
        assert await page.evaluate(wide)
