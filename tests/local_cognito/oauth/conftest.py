"""A browser, and a pool with managed login, over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.support.emulator_login import Login
from tests.support.local_cognito import Clock, serving


@pytest.fixture
async def login() -> AsyncIterator[Login]:
    clock = Clock()
    # Cookies of an IP address are not kept without this.
    jar = aiohttp.CookieJar(unsafe=True)
    async with serving(clock=clock) as local, aiohttp.ClientSession(cookie_jar=jar) as session:
        yield Login(local, clock, session)
