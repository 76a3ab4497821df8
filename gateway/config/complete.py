"""Completion of typed values: defaults that depend on other values, absolute paths, the final classes.

`_made` handles what follows from a key's shape; keys declared as `completed` or `written` are handled one by
one. Called only if there was no mistake, so every value has the type that its kind in the schema returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from gateway.config import model
from gateway.config.declare import section_of
from gateway.config.egress import egress_of
from gateway.config.in_sight import credentials_in_sight
from gateway.config.shapes import ListOf, MapOf, Section, Shape

# A typed section; the schema determines its values' types.
Values = Mapping[str, Any]
T = TypeVar("T")


def complete(
    values: Values, folder: Path, environ: Mapping[str, str], *, stored: bool = False
) -> model.Config:
    """Return the completed configuration.

    Relative paths start at `folder`, where the configuration file is. `stored`: the user pools come from the
    set-up page (stored.py).
    """
    managed = values["sign_in"]["pages"] == "managed"
    cognito = _cognito(values["cognito"], folder, environ, stored=stored, managed=managed)
    sign_in = _made(section_of(model.SignIn), values["sign_in"], folder)
    if cognito.user_pools and not cognito.sign_in_pools:
        # cross_checks.py warns: without an app client of ours nobody can sign in here.
        sign_in = replace(sign_in, enabled=False)
    return _made(
        section_of(model.Config),
        values,
        folder,
        upstream=_upstream(values["upstream"], folder),
        cognito=cognito,
        sign_in=sign_in,
        routes=tuple(_route(route, folder) for route in values["routes"]),
    )


def issuers(pool_id: str, given: Sequence[str] | None, endpoint_url: str | None) -> tuple[str, ...]:
    """Return the exact `iss` values of a pool's tokens.

    AWS: the original and the updated issuer (IssuerConfiguration of UpdateUserPool); a pool may be switched
    from one to the other, so both are accepted. Another endpoint issues tokens under its own name.
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


# Suffixes of AWS's host names: partitions of botocore's endpoint rules that have user pools, with dual stack.
_AWS_NAMES = (
    ".amazonaws.com",
    ".amazonaws.com.cn",
    ".amazonaws.eu",
    ".api.aws",
    ".api.amazonwebservices.com.cn",
    ".api.amazonwebservices.eu",
)


def issuing_endpoint(issuer_from: str | None, endpoint_url: str | None) -> str | None:
    """Return `endpoint_url` if tokens are issued under its name, None if AWS's issuers apply.

    AWS: a VPC or FIPS endpoint is another way to the same API, and the `iss` of its tokens does not change.
    """
    if endpoint_url is None or issuer_from == "aws":
        return None
    host = urlsplit(endpoint_url).hostname or ""
    return None if issuer_from is None and host.endswith(_AWS_NAMES) else endpoint_url


def jwks_url(given: str | None, pool_issuers: Sequence[str]) -> str:
    return given if given is not None else pool_issuers[0].rstrip("/") + "/.well-known/jwks.json"


def methods(given: Sequence[str] | None) -> frozenset[str] | None:
    """Add HEAD to GET: it is GET without the content (RFC 9110 section 9.3.2)."""
    if given is None:
        return None
    return frozenset(given) | ({"HEAD"} if "GET" in given else set())


def _made(section: Section[T], values: Values, folder: Path, **completed: object) -> T:
    """Build the section from its keys' shapes, except for fields already in `completed`."""
    fields = dict(completed)
    for key in section.keys:
        if key.field and key.field not in fields:
            assert key.completes, f"{key.name}: not handled in complete.py"
            fields[key.field] = _by_shape(key.shape, values[key.name], folder)
    return section.made(**fields)


def _by_shape(shape: Shape, value: Any, folder: Path) -> Any:
    if value is None:
        return None
    if isinstance(shape, Section):
        return _made(shape, value, folder)
    if isinstance(shape, ListOf):
        return tuple(_by_shape(shape.of, item, folder) for item in value)
    if isinstance(shape, MapOf):
        return tuple((name, _by_shape(shape.value, item, folder)) for name, item in value.items())
    return folder / value if isinstance(value, Path) else value


def _upstream(values: Values, folder: Path) -> model.Upstream:
    url = values["url"]
    parts = {"scheme": url.scheme, "host": url.host, "port": url.port, "unix": url.unix}
    return _made(section_of(model.Upstream), values, folder, **parts)


def _cognito(
    values: Values, folder: Path, environ: Mapping[str, str], *, stored: bool, managed: bool
) -> model.Cognito:
    endpoint_url, ca_file = values["endpoint_url"], values["ca_file"]
    issuing = issuing_endpoint(values["issuer_from"], endpoint_url)
    return _made(
        section_of(model.Cognito),
        values,
        folder,
        endpoint_url=None if endpoint_url is None else endpoint_url.rstrip("/"),
        signs=credentials_in_sight(environ, endpoint_url),
        issuing_endpoint=issuing,
        egress=egress_of(values["proxy"], None if ca_file is None else folder / ca_file, environ),
        user_pools=tuple(_user_pool(pool, issuing, folder, managed=managed) for pool in values["user_pools"]),
        stored=stored,
    )


def _user_pool(values: Values, endpoint_url: str | None, folder: Path, *, managed: bool) -> model.UserPool:
    accepted = issuers(values["id"], values["issuers"], endpoint_url)
    keys_at = jwks_url(values["jwks_url"], accepted)
    return _made(
        section_of(model.UserPool),
        values,
        folder,
        issuers=accepted,
        jwks_url=keys_at,
        managed=managed and values["domain"] is not None,
    )


def _route(values: Values, folder: Path) -> model.Route:
    return _made(section_of(model.Route), values, folder, methods=methods(values["methods"]))
