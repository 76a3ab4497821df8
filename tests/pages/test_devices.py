"""Sessions of a pool that remembers devices: the key is kept with the session, and each renewal names it."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.sessions.session import Session
from local_cognito import operations
from local_cognito.errors import AwsError
from local_cognito.state import Device
from local_cognito.table import Operation
from tests.support.portal import jar_of, ticket_of
from tests.support.redis_server import redis_server
from tests.support.site import (
    ALICE,
    PASSWORD,
    POOL,
    Browser,
    Site,
    add_app,
    app_code,
    second_factors,
    seed,
    site,
)

STORES = ["cookie", "memory", "redis", "cookie with redis"]
ALWAYS = {"ChallengeRequiredOnNewDevice": False, "DeviceOnlyRememberedOnUserPrompt": False}
ASK = {"ChallengeRequiredOnNewDevice": True, "DeviceOnlyRememberedOnUserPrompt": True}


@contextlib.asynccontextmanager
async def tracked(
    folder: Path, store: str = "cookie", devices: Mapping[str, bool] = ALWAYS, **client: Any
) -> AsyncIterator[Site]:
    name, _, shared = store.partition(" with ")
    with contextlib.ExitStack() as stack:
        url = ""
        if "redis" in (name, shared):
            (folder / "redis").mkdir()
            url = f", redis_url: '{stack.enter_context(redis_server(folder / 'redis')).url}'"
        (folder / "keys").write_text("k" * 43 + "\n")
        secret = f", secret_file: {folder}/keys" if shared else ""
        yaml = f"auth_flow: USER_SRP_AUTH, session: {{store: {name}{url}{secret}}}"
        seeded = seed(pool={"DeviceConfiguration": devices}, **client)
        async with site(folder, seeded=seeded, sign_in=yaml) as at:
            yield at


async def sign_in(at: Site) -> Browser:
    browser = at.browser()
    await browser.open("/oauth2/sign_in")
    await browser.submit(username=ALICE, password=PASSWORD)
    assert browser.location == "/oauth2/", browser.text
    return browser


async def session_of(at: Site, browser: Browser) -> Session:
    portal = at.worker.app.portal
    assert portal is not None
    session = await portal.store.find(ticket_of(browser.cookies), now=time.time())
    assert session is not None
    return session


async def with_old_tokens(at: Site, session: Session) -> Browser:
    """A browser whose session is this one, 59 minutes later."""
    portal = at.worker.app.portal
    assert portal is not None
    now = time.time()
    old = replace(session, id=secrets.token_hex(16), renewed=now - 3560, expires=now + 40)
    ticket = await portal.store.keep(old, until=now + 3600)
    return Browser(at.worker.port, cookies=jar_of(old, ticket))


def devices(at: Site) -> dict[str, Device]:
    (alice,) = at.local.state.pools[POOL].users.values()
    return alice.devices


@pytest.mark.parametrize("configured", [ALWAYS, ASK], ids=["always", "asks"])
@pytest.mark.parametrize("store", STORES)
async def test_a_session_is_renewed_with_its_device(
    tmp_path: Path, store: str, configured: Mapping[str, bool]
) -> None:
    async with tracked(tmp_path, store, configured) as at:
        session = await session_of(at, await sign_in(at))
        assert list(devices(at)) == [session.device_key]
        later = await with_old_tokens(at, session)
        assert (await later.open("/api")).status == 200
        renewed = await session_of(at, later)
        assert (renewed.device_key, renewed.access != session.access) == (session.device_key, True)
        assert at.worker.metrics.session_renewals == {"success": 1}
        # And Cognito is as strict as it is said to be: the same session without the key ends.
        lost = await with_old_tokens(at, replace(session, device_key=""))
        assert (await lost.open("/api")).status == 302
        (line,) = await at.logged("refresh_failed")
        assert line["exact"] == "NotAuthorizedException"


async def test_devices_work_with_refresh_token_rotation(tmp_path: Path) -> None:
    rotation = {"Feature": "ENABLED", "RetryGracePeriodSeconds": 0}
    flows = ["ALLOW_USER_SRP_AUTH"]
    async with tracked(tmp_path, ExplicitAuthFlows=flows, RefreshTokenRotation=rotation) as at:
        session = await session_of(at, await sign_in(at))
        for count in (1, 2):
            later = await with_old_tokens(at, session)
            assert (await later.open("/api")).status == 200
            assert at.worker.metrics.session_renewals["success"] == count
            session = await session_of(at, later)


async def test_a_second_factor_comes_before_the_device(tmp_path: Path) -> None:
    async with tracked(tmp_path) as at:
        second_factors(at)
        app = add_app(at)
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        await browser.submit(username=ALICE, password=PASSWORD)
        assert devices(at) == {}
        await browser.submit(code=app_code(app))
        assert browser.location == "/oauth2/", browser.text
        assert (await session_of(at, browser)).device_key in devices(at)


@pytest.mark.parametrize("everywhere", ["", "yes"])
async def test_signing_out_forgets_the_device(tmp_path: Path, everywhere: str) -> None:
    async with tracked(tmp_path) as at:
        browser = await sign_in(at)
        other = (await session_of(at, await sign_in(at))).device_key
        _, hidden = browser.form()
        await browser.post("/oauth2/sign_out", {"csrf": hidden["csrf"], "everywhere": everywhere})
        (line,) = await at.logged("sign_out")
        assert line["revoked"] is True
        assert list(devices(at)) == [other]


async def test_an_unconfirmed_device_does_not_prevent_the_sign_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> dict[str, Any]:
        raise AwsError("TooManyRequestsException", "Rate exceeded")

    known = operations.OPERATIONS["ConfirmDevice"]
    monkeypatch.setitem(operations.OPERATIONS, "ConfirmDevice", Operation(known.fields, refuse, signed=False))
    async with tracked(tmp_path) as at:
        browser = await sign_in(at)
        assert (await browser.open("/api")).status == 200
        (line,) = await at.logged("device_unconfirmed")
        assert (line["level"], line["pool"]) == ("warning", POOL)
        assert "throttling requests" in line["exact"]
        assert (await session_of(at, browser)).device_key == ""
