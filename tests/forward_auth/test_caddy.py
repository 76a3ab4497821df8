"""Caddy as docs/forward-auth.md has it, for real."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.behind import Front
from tests.support.engines import engine
from tests.support.forward_auth import asked_gateway, documented, moved, proxy
from tests.support.ports import free_port
from tests.support.wire import Upstream

pytestmark = pytest.mark.engine


async def test_caddy_asks_and_serves(tmp_path: Path) -> None:
    upstream, port = Upstream(), free_port()
    async with asked_gateway(tmp_path) as gateway, upstream.running():
        site = moved(
            documented("caddyfile"),
            **{
                "127.0.0.1:8000": f"127.0.0.1:{gateway.port}",
                "127.0.0.1:8080": f"127.0.0.1:{upstream.port}",
                ":80 {": f"http://:{port} {{\n\tbind 127.0.0.1",
            },
        )
        # No administration endpoint, no files in anybody's home.
        (tmp_path / "Caddyfile").write_text("{\n\tadmin off\n\tauto_https off\n}\n" + site)
        command: list[str | Path] = [
            engine("caddy"), "run", "--adapter", "caddyfile", "--config", tmp_path / "Caddyfile",
        ]  # fmt: skip
        homes = {name: str(tmp_path) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")}
        async with proxy(tmp_path, command, port, environ=homes):
            front = Front(port, gateway, upstream)
            await front.check_all()
            await gateway.worker.stop()
            assert (await front.ask("/public/x")).status == 502
