"""A browser, and a pool with managed login, over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from local_cognito.server import LocalCognito
from tests.support.emulator_login import Login
from tests.support.local_cognito import Clock


@pytest.fixture
async def login() -> AsyncIterator[Login]:
    clock = Clock()
    local = LocalCognito(clock=clock)
    await local.start(port=0)
    # Cookies of an IP address are not kept without this.
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        yield Login(local, clock, session)
    await local.stop()
