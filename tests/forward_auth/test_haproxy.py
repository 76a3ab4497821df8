"""HAProxy and its Lua as docs/forward-auth.md has them, for real."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.assertions import curve, settings
from tests.support.behind import Front
from tests.support.forward_auth import ROUTES, asked_gateway
from tests.support.fronts import haproxy
from tests.support.http_2 import extended_connect
from tests.support.ports import free_port
from tests.support.wire import Upstream

pytestmark = pytest.mark.engine


async def test_haproxy_asks_and_serves(tmp_path: Path) -> None:
    upstream, http_2 = Upstream(), free_port()
    more = settings(tmp_path, curve()) + ROUTES
    async with asked_gateway(tmp_path, more) as gateway, upstream.running():
        async with haproxy(tmp_path, gateway.port, upstream.port, http_2=http_2) as port:
            front = Front(port, gateway, upstream)
            await front.check_all()
            before = len(upstream.requests)
            for origin in ("http://evil.test", "null"):
                assert await extended_connect(http_2, gateway, origin) == 403
            assert len(upstream.requests) == before
            await extended_connect(http_2, gateway, "http://api.test")
            assert len(upstream.requests) == before + 1
            await gateway.worker.stop()
            assert (await front.ask("/public/x")).status == 503
