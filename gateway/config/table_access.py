"""The schema's part about access: whose tokens, which routes, what the upstream learns, how users sign in."""

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
        s.POOL_ID, "The user pool; its region stands before the underscore.", example="ap-south-1_AbCdEfGhI"
    )
    client_ids: tuple[str, ...] = required(
        ListOf(s.CLIENT_ID),
        "The app clients whose tokens are accepted; another client's token is refused. The first one is "
        "who people sign in with.",
        example="[1example23456789]",
        unless=("clients", "bound"),
    )
    clients: Literal["listed", "bound"] = key(
        s.choice("listed", "bound"),
        "listed",
        "bound: also any other client of the pool whose access token is bound to one of audiences.",
    )
    audiences: tuple[str, ...] = key(
        ListOf(s.AUDIENCE),
        (),
        "Resource identifiers (RFC 8707) that this gateway answers to. An access token whose aud names "
        "neither one of them nor its own client is refused.",
        example="[https://api.example.com]",
    )
    require_audience: bool = key(
        s.BOOLEAN,
        "false",
        "true: an access token is accepted only if its aud names one of audiences.",
    )
    client_secret_file: Path | None = optional(
        s.FILE, "The secret of the first app client, where it has one."
    )
    client_secret: str | None = optional(
        s.SECRET,
        "The same from the environment (ECS, docker): the whole value must be ${NAME}; text here is refused.",
        secret=True,
    )
    token_use: tuple[TokenUse, ...] = key(
        ListOf(s.choice("access", "id"), least=1),
        ("access",),
        "Which tokens open the API: access, id or both. ID tokens are meant for clients, not for APIs.",
    )
    # Completed: AWS's two exact strings for this pool.
    issuers: tuple[str, ...] = completed(
        optional(
            ListOf(s.ISSUER, least=1),
            "The exact iss values. null: AWS's two, https://cognito-idp.REGION.amazonaws.com/ID "
            "and https://issuer-cognito-idp.REGION.amazonaws.com/ID; with cognito.issuer_from: endpoint only "
            "ENDPOINT_URL/ID.",
        )
    )
    # Completed from the first issuer; unused when jwks_file is set.
    jwks_url: str = completed(
        optional(s.TRUSTED_URL, "Where the pool's keys are. null: the first issuer + /.well-known/jwks.json.")
    )
    jwks_file: Path | None = optional(s.FILE, "Pinned keys instead of jwks_url, for places with no way out.")
    identity_pool_id: str | None = optional(
        s.IDENTITY_POOL_ID,
        "The identity pool that exchanges ID tokens for AWS credentials.",
        example="ap-south-1:00000000-0000-0000-0000-000000000000",
    )
    domain: str | None = optional(s.TRUSTED_URL, "The address of managed login. null: our own sign-in pages.")

    @property
    def region(self) -> str:
        return self.id.partition("_")[0]


@section
class Revocation(Declared):
    check_every: float | None = optional(
        s.duration("1s", "24h"),
        "Users who were signed out or disabled lose access within this. null: when their token ends.",
        example="30s",
    )
    first_use: Literal["allow", "check"] = key(
        s.choice("allow", "check"),
        "allow",
        "A token not seen lately: allow lets it in and asks at once; check asks first, and it waits.",
    )
    on_error: Literal["allow", "deny"] = key(
        s.choice("allow", "deny"),
        "allow",
        "When Cognito cannot be asked: allow goes on; deny answers 503 where a check became too old.",
    )
    calls_per_second: float = key(
        s.CALLS,
        "30",
        "Calls to Cognito at most, of all workers and replicas. A quarter of AWS's quota (UserRead, 120 "
        "a second for an account in a region).",
    )
    replicas: int = key(
        s.integer(1, 10_000), "1", "How many gateways share calls_per_second; not needed with redis_url."
    )
    redis_url: str | None = optional(
        s.REDIS, "Set it so that replicas ask once for all of them.", secret=True
    )
    redis_password_file: Path | None = optional(
        s.FILE, "That Redis's password, where it is not in redis_url; read for every new connection."
    )


@section
class Cognito(Declared):
    endpoint_url: str | None = optional(
        s.TRUSTED_URL,
        "The Cognito API. null: AWS's for the region. Set it for PrivateLink, a FIPS endpoint or a local "
        "Cognito.",
        example="http://127.0.0.1:9229",
    )
    # Becomes `issuing_endpoint`.
    issuer_from = written(
        optional(
            s.choice("aws", "endpoint"),
            "Under whose name tokens are issued. null: aws where endpoint_url is one of AWS's names "
            "(PrivateLink, FIPS), else endpoint, as a local Cognito does.",
        )
    )
    # These two become `egress`.
    proxy = written(
        key(
            s.PROXY,
            "environment",
            "The way out to AWS: environment takes HTTPS_PROXY and NO_PROXY; none, or an HTTP proxy that "
            "knows CONNECT. Never used for the upstream.",
            example="http://proxy.internal:3128",
        )
    )
    ca_file = written(
        optional(
            s.FILE, "Roots for calls to AWS. null: AWS_CA_BUNDLE, then SSL_CERT_FILE, then the system's."
        )
    )
    user_pools: tuple[UserPool, ...] = key(
        ListOf(section_of(UserPool)),
        (),
        "The pools whose tokens are accepted. Empty: not configured yet; what needs a token is answered 503.",
    )
    clock_leeway: float = key(
        s.duration("0s", "5m"),
        "0s",
        "How long after its end a token is still accepted, for clocks that differ. 0: exact.",
    )
    token_cache_size: int = key(
        s.size("1MiB", "64GiB"),
        "160MiB",
        "Memory that verified tokens may take in each worker, about 1.6 KB each; the default holds 100,000. "
        "Only tokens in use take any. A token that is not remembered costs a signature check per request.",
    )
    max_token_size: int = key(
        s.size("4KiB", "64KiB"),
        "16KiB",
        "The largest token that is looked at. A user in hundreds of groups has one of 18 KiB, which must fit "
        "into listen.max_header_size too.",
    )
    revocation: Revocation = nested(Revocation, "Tokens outlive a sign-out unless Cognito is asked.")
    egress: Egress
    # endpoint_url where tokens are issued under its name; None: AWS's issuers.
    issuing_endpoint: str | None
    # Whether there are AWS credentials in sight (in_sight.py).
    signs: bool
    # The pools are the set-up page's answer, not the configuration file's.
    stored: bool = False

    @property
    def sign_in_pools(self) -> tuple[UserPool, ...]:
        """The pools that have an app client of ours, which people sign in with."""
        return tuple(pool for pool in self.user_pools if pool.client_ids)


@section
class Route(Declared):
    path: str = required(
        s.ROUTE_PATH,
        "Literal, * for one segment, ** for any depth (/a/** also matches /a). Case matters.",
        example="/api/v1/status",
    )
    # Completed: HEAD where there is GET.
    methods: frozenset[str] | None = completed(
        optional(
            ListOf(s.METHOD, least=1),
            "The methods this route is for; GET includes HEAD. null: all.",
            example="[GET]",
        )
    )
    auth: Auth = key(
        s.choice("none", "optional", "required"),
        "required",
        "none: credentials are not looked at. optional: a valid token is used, none is fine. required: a "
        "valid token, or 401. With optional, what else the route asks is asked of those with a token.",
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
        "How the user must have signed in: the token's acr must be any of these (RFC 9470).",
        example="[urn:cognito:loa:2]",
        default=(),
    )
    max_age: float | None = optional(
        s.duration("1s", "24h"),
        "How long ago the user may have signed in at most (auth_time, RFC 9470). null: as long as the token "
        "is valid.",
        example="5m",
        default=None,
    )
    pool: str | None = optional(
        s.POOL_ID,
        "Only tokens of this user pool are meant. null: of any that is configured.",
        example="ap-south-1_AbCdEfGhI",
        default=None,
    )


@section
class AssertionSettings(Declared):
    header: str = key(s.IDENTITY_HEADER, "X-Gateway-Jwt-Assertion", "The header that carries it.")
    key_file: Path = required(
        s.FILE,
        "Private keys, PEM: EC P-256 (ES256, cheap to sign with) or RSA (RS256). The first one "
        "signs, all are published. The file is watched.",
        example="/etc/keys/assertion.key",
    )
    audience: str | None = optional(
        s.AUDIENCE, "The aud of assertions, which the upstream expects. null: the URL of the upstream."
    )
    lifetime: float = key(
        s.duration("10s", "1h"),
        "2m",
        "How long one is valid, though never longer than the token it was made from.",
    )


@section
class IdentityHeaders(Declared):
    """Header names; None where the operator wrote null: not sent, a client's copy removed all the same."""

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
        "More claims to send, as {header name: claim name}.",
        example="{X-Auth-Request-Tenant: custom:tenant}",
    )
    unverified: Literal["omit", "send"] = key(
        s.choice("omit", "send"),
        "omit",
        "What the user wrote and Cognito has not verified (email, phone_number). omit: no header and no "
        "assertion has it, and it fits no claim rule.",
    )
    assertion: AssertionSettings | None = optional(
        section_of(AssertionSettings),
        "The principal once more, as a JWT that we sign, for an upstream that does not trust the network. "
        "Its keys are at sign_in.prefix + /jwks.json. null: none is sent.",
    )

    @property
    def send_unverified(self) -> bool:
        """Whether what Cognito has not verified is said, and fits rules."""
        return self.unverified == "send"


@section
class SessionSettings(Declared):
    store: Literal["cookie", "memory", "redis"] = key(
        s.choice("cookie", "memory", "redis"),
        "cookie",
        "cookie: sealed, nothing is kept here. memory: gone at restart. redis: shared between replicas.",
    )
    redis_url: str | None = optional(
        s.REDIS,
        "Where sessions are kept with store: redis. With store: cookie, sign-outs are shared through it.",
        secret=True,
    )
    redis_password_file: Path | None = optional(
        s.FILE, "That Redis's password, where it is not in redis_url; read for every new connection."
    )
    secret_file: Path | None = optional(
        s.FILE, "Keys that seal cookies, one a line, newest first. null: made at start; sessions end with it."
    )
    cookie_name: str = key(
        s.COOKIE_NAME,
        "cognito_gateway",
        "What every cookie of ours begins with; another one for a second gateway on the same host name.",
    )
    max_age: float = key(s.duration("1m", "87600h"), "12h", "A working day; then one signs in again.")


@section
class SignIn(Declared):
    enabled: bool = key(s.BOOLEAN, "true", "false: no pages; browsers get 401 as API clients do.")
    prefix: str = key(
        s.PREFIX,
        "/oauth2",
        "The paths under it are ours and are never proxied, whether the pages are on or off.",
    )
    auth_flow: Literal["USER_PASSWORD_AUTH", "USER_SRP_AUTH", "USER_AUTH"] = key(
        s.choice("USER_PASSWORD_AUTH", "USER_SRP_AUTH", "USER_AUTH"),
        "USER_PASSWORD_AUTH",
        "How passwords are checked; the app client must allow it.",
    )
    user_context: bool = key(
        s.BOOLEAN,
        "false",
        "true: Cognito hears each user's own address, by the rules of listen.trusted_proxies, for threat "
        "protection. The app client needs a secret and the setting EnablePropagateAdditionalUserContextData.",
    )
    sign_up: Literal["auto", "never"] = key(
        s.choice("auto", "never"), "auto", "auto: as the pool allows. never: the page is hidden."
    )
    sign_up_attributes: tuple[str, ...] = key(
        ListOf(s.ATTRIBUTE),
        (),
        "Attributes the sign-up form asks for beyond those the pool requires; it never takes any other.",
        example="[given_name, 'custom:company']",
    )
    show_tokens: bool = key(
        s.BOOLEAN, "true", "Whether our pages show the access token and AWS credentials to whom they belong."
    )
    session: SessionSettings = nested(SessionSettings, "What a signed-in browser holds.")
    state_dir: Path | None = optional(
        s.FOLDER, "Where the set-up page stores its answer. null: the page shows the YAML and writes nothing."
    )
    admin_groups: tuple[str, ...] = key(
        ListOf(s.GROUP),
        (),
        "Users in any of these groups may change on the set-up page what it has stored. Empty: nobody.",
        example="[admins]",
    )
