"""The consent page in Chromium: what a person sees and presses, and that another site cannot press it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.chromium import chromium, looking
from tests.support.looks import wrong_with
from tests.support.mcp_client import McpProgram
from tests.support.site import ALICE, PASSWORD, site
from tests.support.wire import OK, Upstream

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_person_allows_a_client(tmp_path: Path, host: str) -> None:
    """Chromium holds the redirect behind the form against the page's policy."""
    program_itself = Upstream(answer=OK)
    async with (
        program_itself.running(),
        site(tmp_path) as at,
        chromium() as browser,
        looking(browser) as page,
    ):
        path = tmp_path / "gateway.yaml"
        resource = f"{at.url}/mcp"
        path.write_text(f"{path.read_text()}mcp: {{resource: '{resource}'}}\n")
        await at.worker.reload(at.source.load().config)
        uri = f"http://{host}:{program_itself.port}/callback"
        program = McpProgram(at.worker.port, redirect_uri=uri, resource=resource)
        await program.register()
        await page.goto(at.url + program.authorize())
        await page.fill("#username", ALICE)
        await page.fill("#password", PASSWORD)
        await page.click("button[type=submit]")
        await page.wait_for_selector("button[value=allow]")
        assert ALICE in await page.inner_text("main")
        assert f"{host}:{program_itself.port}" in await page.inner_text("main")
        assert await wrong_with(page) == []
        consent = page.url
        # Another site shows it in a frame: nothing is there to press.
        other = await page.context.new_page()
        await other.goto(f"http://localhost:{program_itself.port}/")
        await other.set_content(f'<iframe src="{consent}"></iframe>')
        await other.wait_for_timeout(500)
        assert not any([await frame.query_selector("form") for frame in other.frames[1:]])
        await other.close()
        await page.click("button[value=allow]")
        await page.wait_for_url(f"{uri}?*")
        code = parse_qs(urlsplit(page.url).query)["code"][0]
        assert (await program.redeem(code)).status == 200
