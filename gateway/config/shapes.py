"""Building blocks of the schema: kinds of scalars, and the four shapes of a value.

A kind defines how a scalar is parsed, how documentation names it, and how JSON Schema describes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

from gateway.config import addresses, names, redis_url, scalars

Json = Mapping[str, Any]
# As a user would write it: text for a scalar, texts for a list, None for null; a section that is not nullable
# has its keys' defaults, a mapping is empty.
Default: TypeAlias = str | tuple[str, ...] | None
T_co = TypeVar("T_co", covariant=True)
K_co = TypeVar("K_co", covariant=True)
V_co = TypeVar("V_co", covariant=True)
P = TypeVar("P")
Word = TypeVar("Word", bound=str)


class Shaped(Generic[T_co]):
    """The shape of a value in the file; T is the type in the completed configuration."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Kind(Shaped[T_co]):
    """A scalar's type.

    `words` follow "Type:" in the documentation; `json` accepts at least what `parse` does.
    """

    words: str
    parse: Callable[[str], T_co]
    json: Json
    # A secret: the whole value comes from the environment; literal text in the file is refused.
    from_environment: bool = False


@dataclass(frozen=True, slots=True)
class Section(Shaped[T_co]):
    keys: tuple[Key, ...]
    # The class that was declared (declare.py), which the section completes to.
    made: Callable[..., T_co]


@dataclass(frozen=True, slots=True)
class ListOf(Shaped[tuple[T_co, ...]]):
    of: Kind[T_co] | Section[T_co]
    # The minimum number of items if the key is set.
    least: int = 0
    # A single scalar is a list of one.
    single: bool = False


@dataclass(frozen=True, slots=True)
class MapOf(Shaped[tuple[tuple[K_co, V_co], ...]]):
    key: Kind[K_co]
    value: Kind[V_co] | ListOf[Any]


Shape: TypeAlias = Kind[Any] | ListOf[Any] | MapOf[Any, Any] | Section[Any]


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the schema."""

    name: str
    shape: Shape
    default: Default
    why: str
    required: bool = False
    # (another key of the section, its value): with that value, a required list may be omitted or empty.
    unless: tuple[str, str] | None = None
    nullable: bool = False
    # YAML, shown commented out if the default is not instructive.
    example: str | None = None
    # The completed section's field ("" if none), and whether its value follows from the shape alone.
    field: str = ""
    completes: bool = True


def _text(pattern: str | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "string", **({"pattern": pattern} if pattern else {}), **more}


def choice(*words: Word) -> Kind[Word]:
    return Kind(" or ".join(f"`{word}`" for word in words), scalars.choice(*words), {"enum": list(words)})


def duration(least: str, most: str) -> Kind[float]:
    parse = scalars.within(
        scalars.duration, scalars.duration(least), scalars.duration(most), scalars.show_duration
    )
    words = f"duration, {least} to {most}"
    return Kind(words, parse, {"anyOf": [_text("^[0-9]+(ms|s|m|h)$"), {"enum": [0, "0"]}]})


def size(least: str, most: str) -> Kind[int]:
    parse = scalars.within(scalars.size, scalars.size(least), scalars.size(most), scalars.show_size)
    json = {"anyOf": [{"type": "integer", "minimum": 0}, _text("^[0-9]+(KiB|MiB|GiB)?$")]}
    return Kind(f"size, {least} to {most}", parse, json)


def integer(least: int, most: int) -> Kind[int]:
    parse = scalars.within(scalars.integer, least, most, str)
    json = {"type": "integer", "minimum": least, "maximum": most}
    return Kind(f"whole number, {least} to {most}", parse, json)


def named(words: str, parse: Callable[[str], P], pattern: str | None = None) -> Kind[P]:
    return Kind(words, parse, _text(pattern))


def _path(parse: Callable[[str], str]) -> Callable[[str], Path]:
    return lambda text: Path(parse(text))


BOOLEAN = Kind("`true` or `false`", scalars.boolean, {"type": "boolean"})
RATE = Kind(
    "number, 0 to 1000000",
    scalars.within(scalars.number, 0.0, 1_000_000.0, "{:g}".format),
    {"type": "number", "minimum": 0, "maximum": 1_000_000},
)
CALLS = Kind(
    "number, 0.1 to 10000",
    scalars.within(scalars.number, 0.1, 10_000.0, "{:g}".format),
    {"type": "number", "minimum": 0.1, "maximum": 10_000},
)
SHARE = Kind(
    "number, 0 to 1",
    scalars.within(scalars.number, 0.0, 1.0, "{:g}".format),
    {"type": "number", "minimum": 0, "maximum": 1},
)
WORKERS = Kind(
    "whole number, 1 to 256, or `auto`",
    scalars.auto_or(1, 256),
    {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 256}, {"const": "auto"}]},
)
MAX_CONNECTIONS = Kind(
    "whole number, 0 to 1000000, or `auto`",
    scalars.auto_or(0, 1_000_000),
    {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 1_000_000}, {"const": "auto"}]},
)

ADDRESS = named("`host:port`, `:port` or `unix:/path`", addresses.address, ":")
NETWORK = named("network (CIDR)", addresses.network)
UPSTREAM = named("URL without a path, or `unix:/path`", addresses.upstream, "^(https?://|unix:/)")
ORIGIN = named("URL without a path", addresses.origin, "^https?://")
WEB_ORIGIN = named("origin, `*` or `null`", addresses.web_origin)
RESOURCE = named("URL: https, or http on loopback", addresses.resource, "^https?://")
REDIRECT_URI = named("URI", addresses.redirect_uri, "^[a-z][a-z0-9+.-]*:")
TRUSTED_URL = named("URL: https, or http on loopback", addresses.trusted, "^https?://")
PROXY = named("`environment`, `none` or URL of an HTTP proxy", addresses.proxy, "^(environment|none|http://)")
ISSUER = named("URL, exactly as in tokens", addresses.issuer, "^https?://")
COLLECTOR = named("URL", addresses.collector, "^https?://")
REDIS = named("URL: redis://, rediss:// or unix:/", redis_url.redis_url, "^(rediss?://|unix:/)")
# RFC 6265 section 4.1.1 allows any token. Stricter: characters that every server behind us reads alike.
COOKIE_NAME = named(
    "start of a cookie's name",
    scalars.shaped(r"[A-Za-z0-9][A-Za-z0-9_-]*", "the start of a cookie's name: A-Z a-z 0-9 _ -", 40),
    "^[A-Za-z0-9][A-Za-z0-9_-]*$",
)
HOST_HEADER = named("`preserve`, `upstream` or a host name", addresses.host_header)
DOCUMENT_HOST = named("host name", addresses.document_host)
HOST_NAME = named("host name", addresses.host_name)

# BCP 47 tags of the catalogues in gateway/pages/languages.
LANGUAGE = choice("de", "en", "es", "fr", "ja", "pt-BR", "zh-Hans")
WEB_PAGE = named("URL: https", addresses.web_page, "^https://")
TITLE = named(
    "text",
    scalars.shaped(r"(?! )[^\0-\x1f\x7f\ud800-\udfff]{1,60}(?<! )", "1 to 60 characters on one line", 60),
)
COLOR = named(
    "color `#rrggbb`", scalars.shaped(r"#[0-9A-Fa-f]{6}", "a color such as #0b6e4f", 7), "^#[0-9A-Fa-f]{6}$"
)

# YAML can spell half of a surrogate pair ("\\ud800"); file names cannot contain one.
FILE = named("file", _path(scalars.shaped(r"[^\0\ud800-\udfff]+", "a file's path", 4096)))
FOLDER = named("folder", _path(scalars.shaped(r"[^\0\ud800-\udfff]+", "a folder's path", 4096)))

# From the API models: UserPoolIdType, ClientIdType of cognito-idp, IdentityPoolId of cognito-identity.
POOL_ID = named(
    "user pool ID",
    scalars.shaped(r"[\w-]+_[0-9a-zA-Z]+", "a user pool ID such as ap-south-1_AbCdEfGhI", 55),
    "^[A-Za-z0-9_-]+_[0-9A-Za-z]+$",
)
CLIENT_ID = Kind(
    "app client ID",
    scalars.shaped(r"[\w+]+", "an app client ID such as 1example23456789", 128),
    # An ID may consist of digits only, and YAML editors then see a number.
    {"anyOf": [_text("^[A-Za-z0-9_+]+$"), {"type": "integer"}]},
)
IDENTITY_POOL_ID = named(
    "identity pool ID",
    scalars.shaped(r"[\w-]+:[0-9a-f-]+", "an identity pool ID such as ap-south-1:00000000-…", 55),
    "^[A-Za-z0-9_-]+:[0-9a-f-]+$",
)
# Part of a signature's credential scope, which ends at a slash.
AWS_NAME = named(
    "name",
    scalars.shaped(r"[a-z0-9]+(?:-[a-z0-9]+)*", "a name such as execute-api or ap-south-1", 64),
    "^[a-z0-9]+(-[a-z0-9]+)*$",
)
SECRET = Kind(
    "`${NAME}`, a variable of the environment",
    scalars.secret,
    {"type": "string", "pattern": r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$"},
    from_environment=True,
)
# RFC 6749 section 3.3: scope-token.
SCOPE = named("scope", scalars.shaped(r"[!#-\[\]-~]+", "a scope: no blanks, quotes or backslashes", 256))
# OpenID Connect Core section 3.1.2.1: acr_values are separated by spaces.
ACR = named(
    "acr value", scalars.shaped(r"[!#-\[\]-~]+", "an acr value: no blanks, quotes or backslashes", 256)
)
AUDIENCE = named("text", scalars.shaped(r"[!-~]+", "an audience: printable ASCII without blanks", 256))
GROUP = Kind(
    "group's name",
    # GroupNameType of cognito-idp: letters, marks, symbols, digits, punctuation of any script, 1 to 128.
    scalars.shaped(r"[^\s\x00-\x1f\x7f]+", "a group's name: no blanks, at most 128 characters", 128),
    {"type": ["string", "number"]},
)
# ProviderNameTypeV2 of cognito-idp: no blanks, and no _ at either end; ProviderNameType of the others: 32.
PROVIDER_NAME = named(
    "provider's name",
    scalars.shaped(
        r"(?!_)[^\s\x00-\x1f\x7f]{1,32}(?<!_)",
        "the name of an identity provider: 1 to 32 characters without blanks, not beginning or ending in _",
        32,
    ),
)
# AttributeType's name, without the attributes that Cognito sets itself.
ATTRIBUTE = named(
    "attribute's name",
    scalars.shaped(
        r"(?!(?:sub|email_verified|phone_number_verified|updated_at|identities)\Z)(?:custom:)?[A-Za-z0-9_.-]{1,32}",
        "an attribute's name such as given_name or custom:company, and none that Cognito sets itself",
        40,
    ),
)
IDENTITY_HEADER = named("header name", names.identity_header, "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
HEADER = named("header name", names.header_name, "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
PASSED_HEADER = named("header name", names.passed_header, "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
CLAIM_NAME = named("claim's name", names.claim_name)
CLAIM_VALUE = Kind("claim's value", names.claim_value, {"type": ["string", "number", "boolean"]})
METHOD = named("method", names.method, "^[A-Z][A-Z0-9_-]*$")
ROUTE_PATH = named("path pattern", names.route_path, "^/[^?#%]*$")
PREFIX = named("path without a trailing slash", names.prefix, "^(/[A-Za-z0-9._~-]+)+$")
METRICS_PATH = named("path without a trailing slash", names.metrics_path, "^(/[A-Za-z0-9._~-]+)+$")
