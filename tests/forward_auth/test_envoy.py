"""Envoy's documented configuration against Envoy's own protocol definitions (test_real_envoy.py runs it)."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from google.protobuf.json_format import ParseDict, ParseError

from gateway.config.load import load
from tests.forward_auth import recipes
from tests.forward_auth.support import documented

# json_format finds what "@type" names among the modules that are loaded.
for _name in (
    "envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2",
    "envoy.extensions.filters.http.header_mutation.v3.header_mutation_pb2",
    "envoy.extensions.filters.http.router.v3.router_pb2",
    "envoy.extensions.upstreams.http.v3.http_protocol_options_pb2",
):
    importlib.import_module(_name)

OURS, GRPC, HTTP = (yaml.safe_load(documented("yaml", number)) for number in (4, 5, 6))


def unpacked(packed: Any, type_name: str) -> Any:
    """The message of an Any; its bytes are parsed here, unknown fields would have failed before."""
    module, _, name = type_name.rpartition(".")
    message = getattr(importlib.import_module(module), name)()
    assert packed.Unpack(message)
    return message


AUTHZ = "envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2.ExtAuthz"
MUTATION = "envoy.extensions.filters.http.header_mutation.v3.header_mutation_pb2.HeaderMutation"


def test_the_grpc_bootstrap_is_one_and_fails_closed(tmp_path: Path) -> None:
    bootstrap = ParseDict(GRPC, Bootstrap())
    (listener,) = bootstrap.static_resources.listeners
    manager = HttpConnectionManager()
    assert listener.filter_chains[0].filters[0].typed_config.Unpack(manager)
    names = [each.name for each in manager.http_filters]
    assert names == ["envoy.filters.http.ext_authz", "envoy.filters.http.router"]
    authz = unpacked(manager.http_filters[0].typed_config, AUTHZ)
    assert authz.failure_mode_allow is False
    cluster = authz.grpc_service.envoy_grpc.cluster_name
    clusters = {each.name: each for each in bootstrap.static_resources.clusters}
    endpoint = clusters[cluster].load_assignment.endpoints[0].lb_endpoints[0].endpoint
    (tmp_path / "gateway.yaml").write_text(yaml.safe_dump(OURS))
    address = load(tmp_path / "gateway.yaml", {}).config.ext_authz.grpc_address
    assert (
        str(address)
        == f"{endpoint.address.socket_address.address}:{endpoint.address.socket_address.port_value}"
    )
    # Only what the gateway itself answers goes around the filter.
    endpoint_of_ours, *routes = manager.route_config.virtual_hosts[0].routes
    assert endpoint_of_ours.match.path_separated_prefix == "/oauth2/auth"
    assert endpoint_of_ours.direct_response.status == 404
    for route in routes:
        assert route.route.cluster == ("gateway" if route.typed_per_filter_config else "api")


def test_the_http_filters_are_some_and_the_clients_copies_end_before_the_question() -> None:
    manager = ParseDict({"stat_prefix": "x", **HTTP}, HttpConnectionManager())
    mutation, authz, token, router = manager.http_filters
    assert [each.remove for each in unpacked(token.typed_config, MUTATION).mutations.request_mutations] == [
        "authorization"
    ]
    assert router.name == "envoy.filters.http.router"
    mutations = unpacked(mutation.typed_config, MUTATION).mutations.request_mutations
    assert all(each.remove or each.HasField("remove_on_match") for each in mutations)
    assert len(mutations) == len(recipes.envoy().splitlines())
    service = unpacked(authz.typed_config, AUTHZ)
    assert service.failure_mode_allow is False
    assert service.http_service.path_prefix == "/oauth2/auth"
    patterns = service.http_service.authorization_response.allowed_upstream_headers.patterns
    assert [each.prefix for each in patterns] == ["x-auth-request-"]


def test_a_field_that_envoy_does_not_know_would_be_seen() -> None:
    with pytest.raises(ParseError):
        ParseDict({"stat_prefix": "x", "http_filter": []}, HttpConnectionManager())
