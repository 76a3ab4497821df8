"""Operations on domains and resource servers, which managed login needs.

Invariant: a domain belongs to one pool; the endpoints of a pool without a domain refuse requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_cognito.errors import AwsError, invalid_parameter, not_found
from local_cognito.pages import page
from local_cognito.state import ACCOUNT, Pool, State

Request = Mapping[str, Any]
Answer = dict[str, Any]


def create_user_pool_domain(state: State, request: Request, now: float) -> Answer:
    """CreateUserPoolDomain: the name is stored, but the domain is always this server's own address."""
    pool, domain = state.pool(request["UserPoolId"]), request["Domain"]
    if any(other.domain == domain for other in state.pools.values()):
        raise invalid_parameter("Domain already associated with another user pool.")
    if pool.domain is not None:
        raise invalid_parameter("User pool already has a domain configured.")
    pool.domain = domain
    pool.managed_login_version = request.get("ManagedLoginVersion", 1)
    return {"ManagedLoginVersion": pool.managed_login_version}


def describe_user_pool_domain(state: State, request: Request, now: float) -> Answer:
    """DescribeUserPoolDomain: the description of an unknown domain is empty (API reference)."""
    for pool in state.pools.values():
        if pool.domain == request["Domain"]:
            return {
                "DomainDescription": {
                    "UserPoolId": pool.id,
                    "AWSAccountId": ACCOUNT,
                    "Domain": pool.domain,
                    "Status": "ACTIVE",
                    "Version": "1",
                    "CustomDomainConfig": {},
                    "ManagedLoginVersion": pool.managed_login_version,
                }
            }
    return {"DomainDescription": {}}


def delete_user_pool_domain(state: State, request: Request, now: float) -> Answer:
    pool = state.pool(request["UserPoolId"])
    if pool.domain != request["Domain"]:
        raise invalid_parameter("No such domain or user pool exists.")
    pool.domain = None
    return {}


def create_resource_server(state: State, request: Request, now: float) -> Answer:
    pool, identifier = state.pool(request["UserPoolId"]), request["Identifier"]
    if identifier in pool.resource_servers:
        raise invalid_parameter(f"{identifier} already exists in user pool {pool.id}.")
    pool.resource_servers[identifier] = _settings(request)
    return _describe(pool, identifier)


def describe_resource_server(state: State, request: Request, now: float) -> Answer:
    return _describe(*_existing(state, request))


def update_resource_server(state: State, request: Request, now: float) -> Answer:
    """UpdateResourceServer: replaces name and scopes, including omitted ones (API reference)."""
    pool, identifier = _existing(state, request)
    pool.resource_servers[identifier] = _settings(request)
    return _describe(pool, identifier)


def delete_resource_server(state: State, request: Request, now: float) -> Answer:
    pool, identifier = _existing(state, request)
    del pool.resource_servers[identifier]
    return {}


def list_resource_servers(state: State, request: Request, now: float) -> Answer:
    pool = state.pool(request["UserPoolId"])
    items = [_describe(pool, identifier)["ResourceServer"] for identifier in pool.resource_servers]
    size = request.get("MaxResults", 50)
    return page(items, size, request.get("NextToken"), names=("ResourceServers", "NextToken"))


def _settings(request: Request) -> dict[str, Any]:
    scopes = request.get("Scopes", [])
    if len({scope["ScopeName"] for scope in scopes}) < len(scopes):
        raise AwsError("InvalidParameterException", "Scope names must be unique.")
    return {"Name": request["Name"], "Scopes": scopes}


def _existing(state: State, request: Request) -> tuple[Pool, str]:
    pool, identifier = state.pool(request["UserPoolId"]), request["Identifier"]
    if identifier not in pool.resource_servers:
        raise not_found("Resource server does not exist.")
    return pool, identifier


def _describe(pool: Pool, identifier: str) -> Answer:
    server = {"UserPoolId": pool.id, "Identifier": identifier, **pool.resource_servers[identifier]}
    return {"ResourceServer": server}
