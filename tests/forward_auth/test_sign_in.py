"""`/oauth2/auth-or-sign-in`: people who open a page sign in and come back, through every proxy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.chromium import chromium, looking
from tests.support.envoy_client import GRPC
from tests.support.forward_auth import TRUSTED
from tests.support.fronts import KINDS, Gateway, front
from tests.support.people import opens_signs_in_and_returns
from tests.support.site import ALICE, PASSWORD, Site, site

pytestmark = pytest.mark.engine


def place(at: Site) -> Gateway:
    return Gateway(at.worker.port, at.worker.grpc_port, at.worker.metrics_port)


def trusted(kind: str) -> str:
    """Over gRPC the addresses that are trusted are those of Envoy's clients."""
    return "" if kind == "envoy-grpc" else TRUSTED


@pytest.mark.parametrize("kind", KINDS)
async def test_a_person_signs_in_through_a_proxy_and_gets_the_page_asked_for(
    kind: str, tmp_path: Path
) -> None:
    async with site(tmp_path, listen_lines=trusted(kind), more=GRPC) as at:
        async with front(kind, tmp_path, place(at), at.upstream.port, sign_in=True) as port:
            await opens_signs_in_and_returns(port, at.upstream)


@pytest.mark.parametrize("kind", ["nginx", "envoy-grpc"])
async def test_so_does_a_person_with_a_real_browser(kind: str, tmp_path: Path) -> None:
    async with site(tmp_path, listen_lines=trusted(kind), more=GRPC) as at, chromium() as browser:
        at.upstream.answer = (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 48\r\n\r\n"
            b"<!doctype html><link rel=icon href=data:,>orders"
        )
        async with front(kind, tmp_path, place(at), at.upstream.port, sign_in=True) as port:
            async with looking(browser) as page:
                await page.goto(f"http://127.0.0.1:{port}/orders?x=1#top")
                await page.fill("#username", ALICE)
                await page.fill("#password", PASSWORD)
                await page.click("text=Sign in >> nth=-1")
                await page.wait_for_url(f"http://127.0.0.1:{port}/orders?x=1**")
                assert await page.inner_text("body") == "orders"
    assert at.upstream.last.get("X-Auth-Request-User")
    assert b"cognito_gateway" not in at.upstream.last.head or kind == "nginx"
