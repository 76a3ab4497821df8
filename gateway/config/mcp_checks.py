"""The section `mcp` against the others: what an authorization server needs that a proxy does not.

Invariant: a value that is None was reported before, or is a decision; either way a check passes it by.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from urllib.parse import urlsplit

from gateway.config.report import Report
from gateway.config.sign_in_checks import own_pages
from gateway.config.validate import Typed


def check_mcp(typed: Typed, report: Report) -> None:
    """Report what the other sections lack for `mcp`; mistakes and warnings go into `report`."""
    section = typed.values["mcp"]
    if section is None:
        return
    if section["registration"] == "native":
        _native(typed, report, section["resource"])
        for name in ("client_documents", "redirect_uris"):
            if section[name]:
                key = f"mcp.{name}"
                told = "has no effect with registration: native, which leaves clients to the user pool"
                report.warning(typed.place(key), key, told)
        return
    sign_in, listen = typed.values["sign_in"], typed.values["listen"]
    if not sign_in["enabled"]:
        report.mistake(typed.place("mcp"), "mcp", "needs sign_in.enabled: true, whose pages sign users in")
    if listen["workers"] != 1 and sign_in["session"]["redis_url"] is None:
        told = (
            "needs sign_in.session.redis_url where listen.workers is not 1: an authorization code "
            "works once, whichever worker sees it"
        )
        report.mistake(typed.place("mcp"), "mcp", told)
    if sign_in["session"]["secret_file"] is None:
        told = (
            "sign_in.session.secret_file is not set: what clients were given ends with this "
            "process, and other replicas refuse it"
        )
        report.warning(typed.place("mcp"), "mcp", told)
    _resource(typed, report, section["resource"], sign_in["prefix"])
    _origins(typed, report, section["resource"], listen["public_url"])
    if section["tokens"] == "cognito":
        _audiences(typed, report, section["resource"])
    path = urlsplit(section["resource"] or "").path
    _pools(typed, report, path.removesuffix("/").split("/")[1:])


def _resource(typed: Typed, report: Report, resource: str | None, prefix: str | None) -> None:
    if resource is None or prefix is None:
        return
    path, key = urlsplit(resource).path.rstrip("/"), "mcp.resource"
    if path == prefix or path.startswith((f"{prefix}/", "/.well-known/")):
        told = (
            f"lies under {prefix} or /.well-known, which are the gateway's own: name a path of the upstream"
        )
        report.mistake(typed.place(key), key, told)


def _origins(typed: Typed, report: Report, resource: str | None, public_url: str | None) -> None:
    if resource is None or public_url is None:
        return
    ours, theirs = (urlsplit(url)[:2] for url in (public_url, resource))
    if ours != theirs:
        told = (
            f"is at another origin than listen.public_url, {public_url}: clients register and sign in "
            "there, so both must lead to this gateway"
        )
        report.warning(typed.place("mcp.resource"), "mcp.resource", told)


def _audiences(typed: Typed, report: Report, resource: str | None) -> None:
    """Sign-ins ask for the pool's one audience: servers that verify Cognito's own tokens look for theirs."""
    for index, pool in enumerate(typed.values["cognito"]["user_pools"] or ()):
        audiences = (pool or {}).get("audiences") or ()
        if resource is not None and audiences and resource not in audiences:
            key = f"cognito.user_pools[{index}].audiences"
            told = (
                f"does not list {resource}: with mcp.tokens: cognito, MCP servers that compare the "
                "audience of Cognito's tokens refuse them"
            )
            report.warning(typed.place(key), key, told)


def _native(typed: Typed, report: Report, resource: str | None) -> None:
    """Clients that the pool registers are in no list: their tokens get in by their audience alone."""
    pools = [pool for pool in typed.values["cognito"]["user_pools"] or () if pool is not None]
    if resource is None or not pools:
        return
    bound = [pool for pool in pools if pool["clients"] == "bound" and resource in (pool["audiences"] or ())]
    if not bound:
        key = "mcp.registration"
        told = f"native needs a user pool with clients: bound and {resource} in its audiences"
        report.mistake(typed.place(key), key, told)


def _pools(typed: Typed, report: Report, resource: Sequence[str]) -> None:
    """`resource`: the segments of its path."""
    pools = [pool for pool in typed.values["cognito"]["user_pools"] or () if pool is not None]
    if pools and not any(pool["client_ids"] for pool in pools):
        told = "needs a user pool with client_ids: nobody could sign in for an MCP client"
        report.mistake(typed.place("mcp"), "mcp", told)
    routes = [route for route in typed.values["routes"] or () if route is not None]
    needs_scopes = any(route["scopes"] and _meets(route["path"] or "", resource) for route in routes)
    for index, pool in enumerate(pools):
        place = f"cognito.user_pools[{index}]"
        if not pool["client_ids"]:
            continue
        if "access" not in (pool["token_use"] or ("access",)):
            told = "mcp needs access: what MCP clients are given stands on access tokens"
            report.mistake(typed.place(f"{place}.token_use"), f"{place}.token_use", told)
        if needs_scopes and own_pages(typed, pool):
            told = (
                "routes ask for scopes, and tokens of our own sign-in pages have none of the API's unless a "
                "Lambda trigger adds them: MCP clients of this pool get 403 there"
            )
            report.warning(typed.place(place), place, told)


def _meets(pattern: str, resource: Sequence[str]) -> bool:
    """Return whether a route may match a path at or below the resource."""
    for wanted, segment in zip_longest(pattern.split("/")[1:], resource):
        if wanted == "**" or segment is None:
            return True
        if wanted not in {segment, "*"}:
            return False
    return True
