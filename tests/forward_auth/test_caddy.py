"""Caddy as docs/forward-auth.md has it, for real."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.assertions import curve, settings
from tests.support.behind import Front
from tests.support.forward_auth import ROUTES, asked_gateway
from tests.support.fronts import caddy
from tests.support.wire import Upstream

pytestmark = pytest.mark.engine


async def test_caddy_asks_and_serves(tmp_path: Path) -> None:
    upstream = Upstream()
    more = settings(tmp_path, curve()) + ROUTES
    async with asked_gateway(tmp_path, more) as gateway, upstream.running():
        async with caddy(tmp_path, gateway.port, upstream.port) as port:
            front = Front(port, gateway, upstream)
            await front.check_all()
            await gateway.worker.stop()
            assert (await front.ask("/public/x")).status == 502
