"""Which address Cognito hears of a user (sign_in.user_context): the user's own, by trusted_proxies."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.load import load
from gateway.errors import ConfigurationError
from tests.support.config_files import POOL
from tests.support.site import ALICE, PASSWORD, seed, site

SECRET = "s3cret" * 5
BOB = "bob@example.com"


async def test_cognito_hears_the_users_own_address(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    seeded = seed(ClientSecret=SECRET, EnablePropagateAdditionalUserContextData=True)
    async with site(
        tmp_path,
        seeded=seeded,
        sign_in="user_context: true",
        listen_lines="trusted_proxies: [127.0.0.1/32]",
        pool={"client_secret_file": str(tmp_path / "secret")},
    ) as at:
        await at.settled()
        browser = at.browser("2001:db8::7")
        await browser.open("/oauth2/sign_in")
        await browser.submit(username=ALICE, password=PASSWORD)
        assert browser.location == "/oauth2/"
        other = at.browser("203.0.113.9")
        await other.open("/oauth2/sign_up")
        await other.submit(attribute_email=BOB, password=PASSWORD)
        await other.submit(code=await at.code("sign-up"), action="confirm")
        contexts = [context["IpAddress"] for context in at.local.state.user_contexts]
        assert contexts[0] == "2001:db8::7"
        assert contexts.count("203.0.113.9") >= 2
        assert set(contexts) == {"2001:db8::7", "203.0.113.9"}


async def test_cognito_hears_nothing_unless_it_is_asked_for(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        await browser.submit(username=ALICE, password=PASSWORD)
        assert browser.location == "/oauth2/"
        assert not at.local.state.user_contexts


def test_a_client_without_a_secret_cannot_send_user_context(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(POOL + "sign_in: {user_context: true}\n")
    with pytest.raises(ConfigurationError, match="needs the app client's secret"):
        load(path, {})
