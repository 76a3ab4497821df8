"""Checks across keys: values that are valid alone, but are mistakes or doubtful together.

Invariant: a value that is None was reported already, or is a decision; either way the checks skip it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.config import addresses, complete
from gateway.config.appearance_checks import check_appearance
from gateway.config.egress import egress_of
from gateway.config.likely import client_doubt, pool_doubt
from gateway.config.mcp_checks import check_mcp
from gateway.config.model import Address
from gateway.config.redis_url import redis_place
from gateway.config.report import Report
from gateway.config.route_checks import check_routes
from gateway.config.sign_in_checks import check_sign_in, own_pages
from gateway.config.trusted_names import folded, group_of
from gateway.config.validate import Typed

# Too few concurrent sign-ins for any service; the defaults suffice for 630.
_FEW_SIGN_INS = 100
_EVERYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to


def check(typed: Typed, report: Report) -> None:
    """Run every check that needs more than one value; mistakes and warnings go into `report`."""
    _pools(typed, report)
    _doubts(typed, report)
    check_sign_in(typed, report)
    check_mcp(typed, report)
    check_appearance(typed, report)
    _identity_headers(typed, report)
    _passed_headers(typed, report)
    _listeners(typed, report)
    check_routes(list(_items("routes", typed.values["routes"])), typed, report)
    _redis(typed, report)
    _cors(typed, report)
    _aws(typed, report)
    _memory(typed, report)
    _rotation(typed, report)
    _revocation(typed, report)
    for index, network in enumerate(typed.values["listen"]["trusted_proxies"] or ()):
        if network is not None and network.prefixlen == 0:
            path = f"listen.trusted_proxies[{index}]"
            message = "every client can forge its address, scheme and host"
            report.warning(typed.place(path), path, message)


def check_egress(typed: Typed, environ: Mapping[str, str], report: Report) -> None:
    """Check the environment's proxy, if it is used for calls to AWS."""
    proxy = typed.values["cognito"]["proxy"]
    try:
        egress_of("none" if proxy is None else proxy, None, environ)
    except ValueError as error:
        report.mistake(typed.place("cognito.proxy"), "cognito.proxy", str(error))


def _pools(typed: Typed, report: Report) -> None:
    cognito = typed.values["cognito"]
    if cognito["issuer_from"] == "endpoint" and cognito["endpoint_url"] is None:
        message = "needs endpoint_url, which names the issuer"
        report.mistake(typed.place("cognito.issuer_from"), "cognito.issuer_from", message)
    owner: dict[str, str] = {}
    for path, pool in _items("cognito.user_pools", cognito["user_pools"]):
        if pool["id"] is None or None in (pool["issuers"] or ()):
            continue
        if pool["id"].startswith("cn-"):
            # botocore's endpoint rules: no region of aws-cn has cognito-idp, one has cognito-identity.
            message = "Amazon Cognito has no user pools in the Regions of China: use a pool in another Region"
            report.mistake(typed.place(f"{path}.id"), f"{path}.id", message)
        endpoint = complete.issuing_endpoint(cognito["issuer_from"], cognito["endpoint_url"])
        mine = complete.issuers(pool["id"], pool["issuers"], endpoint)
        for issuer in mine:
            if owner.setdefault(issuer, path) != path:
                message = f"{owner[issuer]} accepts the same issuer: a token must belong to exactly one pool"
                report.mistake(typed.place(f"{path}.issuers"), f"{path}.issuers", message)
                break
        _audiences(typed, report, path, pool)
        lacks = pool["client_secret"] is None and pool["client_secret_file"] is None
        if (
            typed.values["sign_in"]["user_context"]
            and lacks
            and own_pages(typed, pool)
            and pool["client_ids"]
        ):
            # AWS: the app client's setting that this needs is for clients with a secret only.
            message = "needs the app client's secret, and this pool has no client_secret_file"
            report.mistake(typed.place("sign_in.user_context"), "sign_in.user_context", f"{message} ({path})")
        if pool["client_secret"] is not None and pool["client_secret_file"] is not None:
            message = "client_secret_file is set too: remove one of them"
            report.mistake(typed.place(f"{path}.client_secret"), f"{path}.client_secret", message)
        if pool["jwks_file"] is not None:
            if pool["jwks_url"] is not None:
                message = "ignored: the keys come from jwks_file"
                report.warning(typed.place(f"{path}.jwks_url"), f"{path}.jwks_url", message)
        elif pool["jwks_url"] is None and f"{path}.jwks_url" not in typed.places and mine:
            _derived_keys(typed, report, path, complete.jwks_url(None, mine))


def _doubts(typed: Typed, report: Report) -> None:
    """Warn of IDs that are surely not intended. Emulators have IDs of any form."""
    cognito = typed.values["cognito"]
    if cognito["endpoint_url"] is not None:
        return
    for path, pool in _items("cognito.user_pools", cognito["user_pools"]):
        if pool["jwks_url"] is not None:
            continue
        doubts = [(f"{path}.id", pool_doubt(pool["id"]))] if pool["id"] is not None else []
        for index, client in enumerate(pool["client_ids"] or ()):
            if client is not None:
                doubts.append((f"{path}.client_ids[{index}]", client_doubt(client)))
        for key, doubt in doubts:
            if doubt is not None:
                report.warning(typed.place(key), key, doubt)


def _audiences(typed: Typed, report: Report, path: str, pool: dict[str, Any]) -> None:
    """Check settings that need an audience, and warn of users who cannot sign in here (RFC 9068)."""
    if not pool["audiences"]:
        for key, value in (("clients", "bound"), ("require_audience", True)):
            if pool[key] == value:
                message = "needs audiences: otherwise no access token can be bound to this gateway"
                report.mistake(typed.place(f"{path}.{key}"), f"{path}.{key}", message)
        return
    if not typed.values["sign_in"]["enabled"]:
        return
    if not pool["client_ids"]:
        message = (
            "no client_ids: this pool's users cannot sign in on the pages, only bearer tokens are accepted"
        )
        report.warning(typed.place(path), path, message)
    elif pool["require_audience"] and own_pages(typed, pool):
        message = (
            "tokens of the gateway's own sign-in pages have no aud, so sessions would be refused: set domain "
            "and sign_in.pages: managed"
        )
        report.warning(typed.place(f"{path}.require_audience"), f"{path}.require_audience", message)


def _derived_keys(typed: Typed, report: Report, path: str, url: str) -> None:
    try:
        addresses.trusted(url)
    except ValueError as error:
        message = f"keys would be fetched from this issuer, and {error}; or set jwks_url"
        report.mistake(typed.place(f"{path}.issuers"), f"{path}.issuers", message)


def _identity_headers(typed: Typed, report: Report) -> None:
    owner: dict[str, str] = {}
    for path, name in _identity_names(typed):
        if name is not None and owner.setdefault(folded(name), path) != path:
            message = f"{owner[folded(name)]} already uses this header (case, _ and . make no difference)"
            report.mistake(typed.place(path), path, message)


def _identity_names(typed: Typed) -> list[tuple[str, str | None]]:
    """Return the names of identity headers, each with its path in the file."""
    section = typed.values["identity_headers"]
    given = [
        (f"identity_headers.{name}", section[name])
        for name in ("user", "username", "email", "groups", "pool")
    ]
    given += [(f"identity_headers.claims.{name}", name) for name in section["claims"] or ()]
    if section["assertion"] is not None:
        given.append(("identity_headers.assertion.header", section["assertion"]["header"]))
    return given


def _passed_headers(typed: Typed, report: Report) -> None:
    identity = {folded(name) for _, name in _identity_names(typed) if name is not None}
    for index, name in enumerate(typed.values["request_headers"]["pass"] or ()):
        path = f"request_headers.pass[{index}]"
        if name is None:
            continue
        if folded(name) in identity:
            message = "cannot pass: identity_headers uses it, so clients must not send it"
            report.mistake(typed.place(path), path, message)
        elif group_of(folded(name)) is None and folded(name) == name.lower():
            report.warning(typed.place(path), path, f"{name} is not removed by default: remove this entry")


def _memory(typed: Typed, report: Report) -> None:
    if typed.values["sign_in"]["session"]["store"] == "memory" and typed.values["listen"]["workers"] != 1:
        key = "sign_in.session.store"
        message = "memory belongs to one process, but listen.workers is not 1: use cookie or redis"
        report.mistake(typed.place(key), key, message)


def _rotation(typed: Typed, report: Report) -> None:
    """Warn of workers that may renew one session at the same time, if refresh tokens are rotated."""
    sign_in, cognito = typed.values["sign_in"], typed.values["cognito"]
    if not sign_in["enabled"] or not cognito["user_pools"] or typed.values["listen"]["workers"] == 1:
        return
    if sign_in["session"]["store"] == "cookie":
        message = (
            "workers renew a cookie session independently: if the app client rotates refresh tokens, "
            "set its RetryGracePeriodSeconds to 10 or more, or use store: redis; `doctor` checks the client"
        )
        report.warning(typed.place("listen.workers"), "listen.workers", message)


def _revocation(typed: Typed, report: Report) -> None:
    settings = typed.values["cognito"]["revocation"]
    every, calls, replicas = settings["check_every"], settings["calls_per_second"], settings["replicas"]
    if every is None or calls is None or replicas is None:
        return
    # Without Redis each replica makes its own checks, with its share of the calls, about all users it sees.
    parts = replicas if settings["redis_url"] is None else 1
    # A sign-in is checked again after 0.6 to 0.8 of the time (gateway/revocation/schedule.py).
    suffices = int(calls * every * 0.7 / parts)
    if suffices < _FEW_SIGN_INS:
        path = "cognito.revocation.check_every"
        message = (
            f"calls_per_second suffices for {suffices} concurrent sign-ins; beyond them checks come later "
            "than this: raise check_every or calls_per_second" + (", or set redis_url" if parts > 1 else "")
        )
        report.warning(typed.place(path), path, message)


def _redis(typed: Typed, report: Report) -> None:
    values = typed.values
    for path, section in (
        ("sign_in.session", values["sign_in"]["session"]),
        ("rate_limit", values["rate_limit"]),
        ("cognito.revocation", values["cognito"]["revocation"]),
    ):
        if section.get("store") == "redis" and section["redis_url"] is None:
            key = f"{path}.store"
            report.mistake(typed.place(key), key, "redis needs sign_in.session.redis_url")
        url, key = section["redis_url"], f"{path}.redis_password_file"
        if url is not None and section["redis_password_file"] and redis_place(url).password is not None:
            report.mistake(typed.place(key), key, "redis_url contains a password too: remove one of them")


def _listeners(typed: Typed, report: Report) -> None:
    listen, metrics = typed.values["listen"]["address"], typed.values["metrics"]["address"]
    if listen is not None and metrics is not None and _collide(listen, metrics):
        path = "metrics.address" if "metrics.address" in typed.places else "listen.address"
        message = (
            "listen.address and metrics.address are the same: metrics are never served on the public port"
        )
        report.mistake(typed.place(path), path, message)
    _grpc_listener(typed, report, {"listen.address": listen, "metrics.address": metrics})
    target = typed.values["upstream"]["url"]
    if listen is not None and target is not None and _is_ourselves(listen, target):
        path = "upstream.url" if "upstream.url" in typed.places else "listen.address"
        message = "upstream.url is listen.address: every request would loop back to the gateway"
        report.mistake(typed.place(path), path, message)


def _grpc_listener(typed: Typed, report: Report, others: Mapping[str, Address | None]) -> None:
    address, path = typed.values["ext_authz"]["grpc_address"], "ext_authz.grpc_address"
    if address is None:
        return
    for other, taken in others.items():
        if taken is not None and _collide(address, taken):
            report.mistake(typed.place(path), path, f"the same as {other}: choose another port")
    if address.unix is not None and typed.values["listen"]["workers"] != 1:
        message = "several workers cannot share a unix socket here: use host:port, or listen.workers: 1"
        report.mistake(typed.place(path), path, message)


def _collide(one: Address, other: Address) -> bool:
    if one.unix is not None or other.unix is not None:
        return one.unix == other.unix
    if one.port != other.port or one.port == 0:
        return False
    hosts = {"127.0.0.1" if address.host == "localhost" else address.host for address in (one, other)}
    return len(hosts) == 1 or bool(hosts & _EVERYWHERE)


def _is_ourselves(listen: Address, target: addresses.Target) -> bool:
    if listen.unix is not None or target.unix is not None:
        return listen.unix == target.unix
    if listen.host in _EVERYWHERE:
        return listen.port == target.port and addresses.is_loopback(target.host)
    return _collide(listen, Address(target.host, target.port))


def _cors(typed: Typed, report: Report) -> None:
    cors = typed.values["cors"]
    if cors is None or "*" not in (cors["allow_origins"] or ()):
        return
    if len(cors["allow_origins"]) > 1:
        message = "* allows every origin: remove the others, or *"
        report.mistake(typed.place("cors.allow_origins"), "cors.allow_origins", message)
    if cors["allow_credentials"]:
        # Fetch section 3.3.5: browsers refuse the pair; echoing each Origin instead would give every site the
        # responses its visitors get.
        message = "cannot be true with allow_origins: [*]: list the origins that may send cookies"
        report.mistake(typed.place("cors.allow_credentials"), "cors.allow_credentials", message)


def _aws(typed: Typed, report: Report) -> None:
    upstream, target = typed.values["upstream"], typed.values["upstream"]["url"]
    if upstream["sigv4"] is None:
        return
    if target is not None and target.scheme != "https" and not addresses.is_loopback(target.host):
        message = "sigv4 needs https (or http on loopback): signed requests must not be sent in the clear"
        path = "upstream.url" if "upstream.url" in typed.places else "upstream.sigv4"
        report.mistake(typed.place(path), path, message)
    if upstream["forward_token"]:
        message = "cannot be true with sigv4: the signature uses the Authorization header"
        report.mistake(typed.place("upstream.forward_token"), "upstream.forward_token", message)
    pools = list(_items("cognito.user_pools", typed.values["cognito"]["user_pools"]))
    lacking = [path for path, pool in pools if pool["identity_pool_id"] is None]
    # What the set-up page stored cannot be corrected in this file: it is only a warning.
    if pools and len(lacking) == len(pools) and typed.place(lacking[0]).label == typed.place("").label:
        message = "no user pool has an identity_pool_id, the source of AWS credentials"
        report.mistake(typed.place("upstream.sigv4"), "upstream.sigv4", message)
        return
    for path in lacking:
        message = (
            "no identity_pool_id: with upstream.sigv4 this pool's users are refused (credentials_refused)"
        )
        report.warning(typed.place(path), path, message)


def _items(path: str, items: Sequence[dict[str, Any] | None] | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the sections of a list with their paths, except unreadable ones."""
    for index, item in enumerate(items or ()):
        if item is not None:
            yield f"{path}[{index}]", item
