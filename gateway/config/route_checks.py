"""Checks of routes that cannot work: they never match, nobody can satisfy them, or they are never enforced.

Invariant: a mistake is something that cannot be intended; anything else is a warning.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.config import complete
from gateway.config.report import Report
from gateway.config.shadow import covered, dead_routes
from gateway.config.validate import Typed

# RFC 9728 section 3.1: the metadata of the protected resource, with or without the resource's path.
_OUR_METADATA = ("/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/**")
# What a route may require of a principal.
_CONDITIONS = ("groups", "scopes", "claims", "acr", "max_age", "pool")

_Routes = Sequence[tuple[str, dict[str, Any]]]


def check_routes(routes: _Routes, typed: Typed, report: Report) -> None:
    """Check the routes that could be read, with their paths in the file."""
    readable = [(path, route) for path, route in routes if route["path"]]
    _reserved(readable, typed, report)
    _shadowed(readable, typed, report)
    for path, route in routes:
        _open_with_conditions(path, route, typed, report)
        _pool(path, route, typed, report)
        _scopes_of_id_tokens(path, route, typed, report)
        _groups_of_several_pools(path, route, typed, report)


def _reserved(routes: _Routes, typed: Typed, report: Report) -> None:
    prefix = typed.values["sign_in"]["prefix"]
    for path, route in routes:
        if prefix is not None and route["path"] != prefix and covered(route["path"], [f"{prefix}/**"]):
            message = f"never matches: everything under {prefix}/ is the gateway's own (sign_in.prefix)"
            report.warning(typed.place(f"{path}.path"), f"{path}.path", message)
        elif covered(route["path"], _OUR_METADATA):
            message = "never matches: this is the gateway's own metadata (RFC 9728)"
            report.warning(typed.place(f"{path}.path"), f"{path}.path", message)


def _shadowed(routes: _Routes, typed: Typed, report: Report) -> None:
    patterns = [(route["path"], complete.methods(_known(route["methods"]))) for _, route in routes]
    for index, takers in dead_routes(patterns):
        path = f"{routes[index][0]}.path"
        named = ", ".join(f"{routes[taker][0]} ({typed.place(routes[taker][0])})" for taker in takers)
        verb = "takes" if len(takers) == 1 else "together take"
        report.warning(typed.place(path), path, f"never matches: {named} {verb} every such request first")


def _open_with_conditions(path: str, route: dict[str, Any], typed: Typed, report: Report) -> None:
    """Report conditions of an open route: their author believes that the path is protected."""
    for name in _CONDITIONS:
        if route["auth"] == "none" and route[name]:
            message = "never checked: auth: none admits everyone; remove one or the other"
            report.mistake(typed.place(f"{path}.{name}"), f"{path}.{name}", message)


def _pool(path: str, route: dict[str, Any], typed: Typed, report: Report) -> None:
    known = [pool["id"] for pool in _pools(typed)]
    if route["pool"] is None or not known or None in known or route["pool"] in known:
        return
    message = f"not in cognito.user_pools, which has {', '.join(known)}: nobody would be admitted"
    report.mistake(typed.place(f"{path}.pool"), f"{path}.pool", message)


def _scopes_of_id_tokens(path: str, route: dict[str, Any], typed: Typed, report: Report) -> None:
    """Warn of scopes where only ID tokens are accepted: Cognito writes `scope` into access tokens only."""
    pools = [pool for pool in _pools(typed) if route["pool"] in {None, pool["id"]}]
    if route["scopes"] and pools and all(pool["token_use"] == ["id"] for pool in pools):
        message = "never satisfied: ID tokens carry no scopes, and token_use accepts nothing else"
        report.warning(typed.place(f"{path}.scopes"), f"{path}.scopes", message)


def _groups_of_several_pools(path: str, route: dict[str, Any], typed: Typed, report: Report) -> None:
    """Warn of groups without a pool: an administrator of one pool could create groups that admit to all."""
    if route["groups"] and route["pool"] is None and len(_pools(typed)) > 1:
        message = "a group of this name in any user pool is accepted: name the pool with pool"
        report.warning(typed.place(f"{path}.groups"), f"{path}.groups", message)


def _pools(typed: Typed) -> list[dict[str, Any]]:
    return [pool for pool in typed.values["cognito"]["user_pools"] or () if pool is not None]


def _known(methods: Sequence[str | None] | None) -> list[str] | None:
    return None if methods is None else [method for method in methods if method is not None]
