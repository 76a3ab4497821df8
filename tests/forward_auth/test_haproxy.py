"""HAProxy and its Lua as docs/forward-auth.md has them, for real."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.behind import Front
from tests.support.engines import engine
from tests.support.forward_auth import asked_gateway, documented, moved, proxy
from tests.support.http_2 import extended_connect
from tests.support.ports import free_port
from tests.support.wire import Upstream

pytestmark = pytest.mark.engine


async def test_haproxy_asks_and_serves(tmp_path: Path) -> None:
    upstream, port, http_2 = Upstream(), free_port(), free_port()
    async with asked_gateway(tmp_path) as gateway, upstream.running():
        lua = moved(documented("lua"), **{"127.0.0.1:8000": f"127.0.0.1:{gateway.port}"})
        config = moved(
            documented("haproxy"),
            **{
                "127.0.0.1:8000": f"127.0.0.1:{gateway.port}",
                "127.0.0.1:8080": f"127.0.0.1:{upstream.port}",
                "bind 127.0.0.1:80\n": (f"bind 127.0.0.1:{port}\n    bind 127.0.0.1:{http_2} proto h2\n"),
                "lua-load gateway.lua": f"lua-load {tmp_path}/gateway.lua",
            },
        )
        (tmp_path / "gateway.lua").write_text(lua)
        (tmp_path / "haproxy.cfg").write_text(config)
        command: list[str | Path] = [engine("haproxy"), "-db", "-f", tmp_path / "haproxy.cfg"]
        async with proxy(tmp_path, command, port):
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
