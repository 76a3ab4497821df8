"""Schema, part two: user pools, revocation, routes, identity headers."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

from gateway.config import shapes as s
from gateway.config.declare import (
    Declared,
    completed,
    key,
    nested,
    optional,
    required,
    section,
    section_of,
    written,
)
from gateway.config.egress import Egress
from gateway.config.shapes import ListOf, MapOf

Auth: TypeAlias = Literal["none", "optional", "required"]
TokenUse: TypeAlias = Literal["access", "id"]


@section
class UserPool(Declared):
    id: str = required(
        s.POOL_ID, "The user pool's ID; it begins with its region.", example="ap-south-1_AbCdEfGhI"
    )
    client_ids: tuple[str, ...] = required(
        ListOf(s.CLIENT_ID),
        "The app clients whose tokens are accepted; other clients' tokens are refused. Users sign in with "
        "the first one.",
        example="[1example23456789]",
        unless=("clients", "bound"),
    )
    clients: Literal["listed", "bound"] = key(
        s.choice("listed", "bound"),
        "listed",
        "bound: also accept any other client of the pool whose access token is bound to one of audiences.",
    )
    audiences: tuple[str, ...] = key(
        ListOf(s.AUDIENCE),
        (),
        "Resource identifiers (RFC 8707) of this gateway. An access token whose aud names neither one of "
        "them nor the token's own client is refused.",
        example="[https://api.example.com]",
    )
    require_audience: bool = key(
        s.BOOLEAN,
        "false",
        "true: accept an access token only if its aud names one of audiences.",
    )
    client_secret_file: Path | None = optional(s.FILE, "The secret of the first app client, if it has one.")
    client_secret: str | None = optional(
        s.SECRET,
        "The same from the environment (ECS, Docker): exactly ${NAME} in the file, or the key's own variable "
        "with the secret; literal text in the file is refused.",
        secret=True,
    )
    token_use: tuple[TokenUse, ...] = key(
        ListOf(s.choice("access", "id"), least=1),
        ("access",),
        "Which tokens are accepted: access, id or both. ID tokens are meant for clients, not for APIs.",
    )
    # Completed: AWS's two exact strings for this pool.
    issuers: tuple[str, ...] = completed(
        optional(
            ListOf(s.ISSUER, least=1),
            "The exact iss values. null: AWS's two, https://cognito-idp.REGION.amazonaws.com/ID and "
            "https://issuer-cognito-idp.REGION.amazonaws.com/ID; with cognito.issuer_from: endpoint only "
            "ENDPOINT_URL/ID.",
        )
    )
    # Completed from the first issuer; unused when jwks_file is set.
    jwks_url: str = completed(
        optional(
            s.TRUSTED_URL, "The URL of the pool's keys. null: the first issuer + /.well-known/jwks.json."
        )
    )
    jwks_file: Path | None = optional(s.FILE, "Pinned keys instead of jwks_url, for networks without egress.")
    identity_pool_id: str | None = optional(
        s.IDENTITY_POOL_ID,
        "The identity pool that exchanges ID tokens for AWS credentials.",
        example="ap-south-1:00000000-0000-0000-0000-000000000000",
    )
    domain: str | None = optional(
        s.TRUSTED_URL,
        "The URL of managed login, for sign_in.pages: managed and for sign_in.providers. null: the gateway's "
        "own sign-in pages only.",
        example="https://example.auth.ap-south-1.amazoncognito.com",
    )
    # Whether managed login signs its users in: sign_in.pages, where there is a domain.
    managed: bool = False

    @property
    def region(self) -> str:
        return self.id.partition("_")[0]


@section
class Revocation(Declared):
    check_every: float | None = optional(
        s.duration("1s", "24h"),
        "Users who are signed out or disabled lose access within this time. null: when their token expires.",
        example="30s",
    )
    first_use: Literal["allow", "check"] = key(
        s.choice("allow", "check"),
        "allow",
        "A token not seen recently: allow accepts it while it is checked; check delays the request until "
        "then.",
    )
    on_error: Literal["allow", "deny"] = key(
        s.choice("allow", "deny"),
        "allow",
        "While Cognito is unreachable: allow accepts tokens; deny answers 503 once their last check is too "
        "old.",
    )
    calls_per_second: float = key(
        s.CALLS,
        "30",
        "The most calls to Cognito, for all workers and replicas together. The default is a quarter of AWS's "
        "quota (UserRead, 120 per second for an account in a region).",
    )
    replicas: int = key(
        s.integer(1, 10_000),
        "1",
        "The number of gateways that share calls_per_second; not needed with redis_url.",
    )
    redis_url: str | None = optional(
        s.REDIS,
        "A Redis through which replicas share results, so that each user is checked once.",
        secret=True,
    )
    redis_password_file: Path | None = optional(
        s.FILE, "The Redis password, if it is not in redis_url; read again for every new connection."
    )


@section
class Cognito(Declared):
    endpoint_url: str | None = optional(
        s.TRUSTED_URL,
        "The URL of the Cognito API. null: AWS's for the region. Set it for PrivateLink, a FIPS endpoint or "
        "a local Cognito.",
        example="http://127.0.0.1:9229",
    )
    # Becomes `issuing_endpoint`.
    issuer_from = written(
        optional(
            s.choice("aws", "endpoint"),
            "Whose name tokens carry in iss. null: aws if endpoint_url is one of AWS's names (PrivateLink, "
            "FIPS), else endpoint, as with a local Cognito.",
        )
    )
    # These two become `egress`.
    proxy = written(
        key(
            s.PROXY,
            "environment",
            "The HTTP proxy for calls to AWS: environment uses HTTPS_PROXY and NO_PROXY; none; or the URL "
            "of an HTTP proxy that supports CONNECT. Never used for the upstream.",
            example="http://proxy.internal:3128",
        )
    )
    ca_file = written(
        optional(
            s.FILE, "CA file for calls to AWS. null: AWS_CA_BUNDLE, then SSL_CERT_FILE, then the system's."
        )
    )
    user_pools: tuple[UserPool, ...] = key(
        ListOf(section_of(UserPool)),
        (),
        "The pools whose tokens are accepted. Empty: not configured yet; requests that need a token get 503.",
    )
    clock_leeway: float = key(
        s.duration("0s", "5m"),
        "0s",
        "How long a token is accepted after it expires, to allow for clock skew.",
    )
    token_cache_size: int = key(
        s.size("1MiB", "64GiB"),
        "160MiB",
        "The most memory for verified tokens in each worker, about 1.6 KB per token; the default holds "
        "100,000. Memory is taken only as needed. A token that is not cached costs a signature check per "
        "request.",
    )
    max_token_size: int = key(
        s.size("4KiB", "64KiB"),
        "16KiB",
        "The largest accepted token. A user in hundreds of groups has one of 18 KiB, which must also fit "
        "into listen.max_header_size.",
    )
    revocation: Revocation = nested(
        Revocation, "Checks with Cognito that a token's user is still signed in and enabled."
    )
    egress: Egress
    # endpoint_url, if tokens are issued under its name; None: AWS's issuers.
    issuing_endpoint: str | None
    # Whether AWS credentials are available (in_sight.py).
    signs: bool
    # The pools were stored by the set-up page and are not in the configuration file.
    stored: bool = False

    @property
    def sign_in_pools(self) -> tuple[UserPool, ...]:
        """The pools with an app client of ours, which users sign in with."""
        return tuple(pool for pool in self.user_pools if pool.client_ids)


@section
class Route(Declared):
    path: str = required(
        s.ROUTE_PATH,
        "The path: literal, * for one segment, ** for any depth (/a/** also matches /a). Case-sensitive.",
        example="/api/v1/status",
    )
    # Completed: HEAD is added to GET.
    methods: frozenset[str] | None = completed(
        optional(
            ListOf(s.METHOD, least=1),
            "The methods this route applies to; GET includes HEAD. null: all.",
            example="[GET]",
        )
    )
    auth: Auth = key(
        s.choice("none", "optional", "required"),
        "required",
        "none: credentials are ignored. optional: a token is not required, but must be valid. required: a "
        "valid token, or 401. With optional, the route's other conditions apply to requests with a token.",
        example="optional",
    )
    groups: tuple[str, ...] = key(
        ListOf(s.GROUP), (), "The principal must be in any of these groups.", example="[admins]", default=()
    )
    scopes: tuple[str, ...] = key(
        ListOf(s.SCOPE), (), "The token must have all of these scopes.", example="[api/read]", default=()
    )
    claims: tuple[tuple[str, tuple[str, ...]], ...] = key(
        MapOf(s.CLAIM_NAME, ListOf(s.CLAIM_VALUE, least=1, single=True)),
        (),
        "The token must have all of these claims; a list means any of its values.",
        example="{custom:tenant: acme}",
        default=(),
    )
    acr: tuple[str, ...] = key(
        ListOf(s.ACR),
        (),
        "How the user must have signed in: the token's acr must be one of these (RFC 9470).",
        example="[urn:cognito:loa:2]",
        default=(),
    )
    max_age: float | None = optional(
        s.duration("1s", "24h"),
        "The oldest sign-in that is accepted (auth_time, RFC 9470). null: any, as long as the token is "
        "valid.",
        example="5m",
        default=None,
    )
    pool: str | None = optional(
        s.POOL_ID,
        "Only tokens of this user pool are accepted. null: of any configured pool.",
        example="ap-south-1_AbCdEfGhI",
        default=None,
    )


@section
class AssertionSettings(Declared):
    header: str = key(s.IDENTITY_HEADER, "X-Gateway-Jwt-Assertion", "The header that carries the assertion.")
    key_file: Path = required(
        s.FILE,
        "Private keys, PEM: EC P-256 (ES256, fast to sign with) or RSA (RS256). The first one signs, all are "
        "published. The file is watched.",
        example="/etc/keys/assertion.key",
    )
    audience: str | None = optional(
        s.AUDIENCE, "The aud of assertions, as the upstream expects it. null: the upstream's URL."
    )
    lifetime: float = key(
        s.duration("10s", "1h"),
        "2m",
        "How long an assertion is valid; never longer than the token it is made from.",
    )


@section
class IdentityHeaders(Declared):
    """Header names; None where the operator wrote null: not sent, but a client's copy is still removed."""

    user: str | None = optional(
        s.IDENTITY_HEADER, "The claim sub: it never changes.", written="X-Auth-Request-User"
    )
    username: str | None = optional(
        s.IDENTITY_HEADER, "The user's name in the pool.", written="X-Auth-Request-Preferred-Username"
    )
    email: str | None = optional(
        s.IDENTITY_HEADER, "From ID tokens; access tokens have none.", written="X-Auth-Request-Email"
    )
    groups: str | None = optional(
        s.IDENTITY_HEADER, "The user's groups, joined by a comma.", written="X-Auth-Request-Groups"
    )
    pool: str | None = optional(
        s.IDENTITY_HEADER,
        "The user pool's ID: users of two pools may have the same name.",
        example="X-Auth-Request-Pool",
    )
    claims: tuple[tuple[str, str], ...] = key(
        MapOf(s.IDENTITY_HEADER, s.CLAIM_NAME),
        (),
        "Further claims to send, as {header name: claim name}.",
        example="{X-Auth-Request-Tenant: custom:tenant}",
    )
    unverified: Literal["omit", "send"] = key(
        s.choice("omit", "send"),
        "omit",
        "Attributes that Cognito has not verified (email, phone_number). omit: they are not sent, not part "
        "of assertions, and satisfy no claim rule.",
    )
    assertion: AssertionSettings | None = optional(
        section_of(AssertionSettings),
        "Also send the principal as a JWT signed by the gateway, for an upstream that does not trust the "
        "network. Its keys are at sign_in.prefix + /jwks.json. null: none is sent.",
    )

    @property
    def send_unverified(self) -> bool:
        """Whether attributes that Cognito has not verified are sent, and satisfy rules."""
        return self.unverified == "send"
