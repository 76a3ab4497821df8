"""Typed values become the completed configuration: what was left out is worked out, paths become absolute.

Called only when nothing was wrong, so every value has the type that its kind in the table returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from gateway.config import model
from gateway.config.egress import egress_of
from gateway.config.in_sight import credentials_in_sight

# What a typed section is; its values' types are the table's promise, which mypy cannot follow.
Values = Mapping[str, Any]
Shared = TypeVar("Shared", bound=model.RateLimit | model.Revocation)


def complete(
    values: Values, folder: Path, environ: Mapping[str, str], *, stored: bool = False
) -> model.Config:
    """`folder`: where the configuration file is; relative paths in it begin there. `stored`: the user pools
    are the set-up page's answer (stored.py)."""
    cors, tracing = values["cors"], values["tracing"]
    return model.Config(
        listen=_listen(values["listen"], folder),
        upstream=_upstream(values["upstream"], folder),
        cognito=_cognito(values["cognito"], folder, environ, stored=stored),
        request_headers=model.RequestHeaders(
            underscores=values["request_headers"]["underscores"],
            passed=tuple(values["request_headers"]["pass"]),
        ),
        routes=tuple(_route(route) for route in values["routes"]),
        paths=model.Paths(**values["paths"]),
        identity_headers=_identity_headers(values["identity_headers"], folder),
        sign_in=_sign_in(values["sign_in"], folder),
        rate_limit=_shared(model.RateLimit, values["rate_limit"], folder),
        cors=None if cors is None else model.Cors(**_frozen(cors)),
        ext_authz=model.ExtAuthz(**values["ext_authz"]),
        metrics=model.Metrics(**values["metrics"]),
        log=model.Log(**values["log"]),
        tracing=None if tracing is None else model.Tracing(**tracing),
    )


def issuers(pool_id: str, given: Sequence[str] | None, endpoint_url: str | None) -> tuple[str, ...]:
    """The exact `iss` values of a pool's tokens.

    AWS: the original and the updated issuer (IssuerConfiguration of UpdateUserPool); a pool may be switched
    from one to the other, so both are accepted. An endpoint of one's own issues tokens under its own name.
    """
    if given is not None:
        return tuple(given)
    if endpoint_url is not None:
        return (f"{endpoint_url.rstrip('/')}/{pool_id}",)
    region = pool_id.partition("_")[0]
    return (
        f"https://cognito-idp.{region}.amazonaws.com/{pool_id}",
        f"https://issuer-cognito-idp.{region}.amazonaws.com/{pool_id}",
    )


def jwks_url(given: str | None, pool_issuers: Sequence[str]) -> str:
    return given if given is not None else pool_issuers[0].rstrip("/") + "/.well-known/jwks.json"


def methods(given: Sequence[str] | None) -> frozenset[str] | None:
    """RFC 9110 section 9.3.2: HEAD is GET without the content, so who may GET may HEAD."""
    if given is None:
        return None
    return frozenset(given) | ({"HEAD"} if "GET" in given else set())


def _shared(section: type[Shared], values: Values, folder: Path) -> Shared:
    """A flat section that may be shared through Redis."""
    return section(**{**values, "redis_password_file": _path(folder, values["redis_password_file"])})


def _frozen(values: Values) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _path(folder: Path, text: str | None) -> Path | None:
    return None if text is None else folder / text


def _listen(values: Values, folder: Path) -> model.Listen:
    tls = values["tls"]
    served = None
    if tls is not None:
        served = model.ServerTls(
            folder / tls["certificate_file"],
            folder / tls["key_file"],
            _path(folder, tls["client_ca_file"]),
        )
    return model.Listen(**{**_frozen(values), "tls": served})


def _upstream(values: Values, folder: Path) -> model.Upstream:
    tls, target, sigv4 = values["tls"], values["url"], values["sigv4"]
    wanted = None
    if tls is not None:
        wanted = model.ClientTls(
            _path(folder, tls["ca_file"]),
            _path(folder, tls["certificate_file"]),
            _path(folder, tls["key_file"]),
            tls["server_name"],
        )
    rest = {name: value for name, value in values.items() if name not in {"url", "tls", "sigv4"}}
    return model.Upstream(
        scheme=target.scheme,
        host=target.host,
        port=target.port,
        unix=target.unix,
        tls=wanted,
        sigv4=None if sigv4 is None else model.SigV4(**sigv4),
        **rest,
    )


def _cognito(values: Values, folder: Path, environ: Mapping[str, str], *, stored: bool) -> model.Cognito:
    endpoint_url = values["endpoint_url"]
    return model.Cognito(
        endpoint_url=None if endpoint_url is None else endpoint_url.rstrip("/"),
        signs=credentials_in_sight(environ, values["endpoint_url"]),
        egress=egress_of(values["proxy"], _path(folder, values["ca_file"]), environ),
        user_pools=tuple(_user_pool(pool, endpoint_url, folder) for pool in values["user_pools"]),
        clock_leeway=values["clock_leeway"],
        token_cache_size=values["token_cache_size"],
        max_token_size=values["max_token_size"],
        revocation=_shared(model.Revocation, values["revocation"], folder),
        stored=stored,
    )


def _user_pool(values: Values, endpoint_url: str | None, folder: Path) -> model.UserPool:
    accepted = issuers(values["id"], values["issuers"], endpoint_url)
    return model.UserPool(
        **{
            **_frozen(values),
            "issuers": accepted,
            "jwks_url": jwks_url(values["jwks_url"], accepted),
            "jwks_file": _path(folder, values["jwks_file"]),
            "client_secret_file": _path(folder, values["client_secret_file"]),
        }
    )


def _route(values: Values) -> model.Route:
    claims = tuple((name, tuple(accepted)) for name, accepted in values["claims"].items())
    return model.Route(**{**_frozen(values), "methods": methods(values["methods"]), "claims": claims})


def _identity_headers(values: Values, folder: Path) -> model.IdentityHeaders:
    given = values["assertion"]
    assertion = None
    if given is not None:
        assertion = model.Assertion(**{**given, "key_file": folder / given["key_file"]})
    return model.IdentityHeaders(
        **{**values, "claims": tuple(values["claims"].items()), "assertion": assertion}
    )


def _sign_in(values: Values, folder: Path) -> model.SignIn:
    session = values["session"]
    files = {name: _path(folder, session[name]) for name in ("secret_file", "redis_password_file")}
    kept = model.Session(**{**session, **files})
    state_dir = _path(folder, values["state_dir"])
    return model.SignIn(**{**_frozen(values), "session": kept, "state_dir": state_dir})
