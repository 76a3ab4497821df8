"""The completed configuration: frozen, every default filled in, every unit resolved.

Durations are seconds (float), sizes are bytes (int), addresses and URLs are parsed. Nothing below
gateway/serve/app.py sees any other form of it (ARCHITECTURE: typed → completed → running).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal

Auth = Literal["none", "optional", "required"]
TokenUse = Literal["access", "id"]


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: host and port, or a unix socket's path (then host is '' and port 0)."""

    host: str
    port: int
    unix: Path | None = None

    def __str__(self) -> str:
        if self.unix is not None:
            return f"unix:{self.unix}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ServerTls:
    certificate_file: Path
    key_file: Path
    client_ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class ClientTls:
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    server_name: str | None = None


@dataclass(frozen=True, slots=True)
class Listen:
    address: Address
    workers: int | Literal["auto"]
    public_url: str | None
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...]
    tls: ServerTls | None
    max_header_size: int
    max_body_size: int
    # 0: as many as there are descriptors for.
    max_connections: int | Literal["auto"]
    header_timeout: float
    idle_timeout: float
    half_close_grace: float
    drain_timeout: float
    drain_delay: float


@dataclass(frozen=True, slots=True)
class SigV4:
    service: str
    region: str
    max_body_size: int


@dataclass(frozen=True, slots=True)
class Upstream:
    scheme: Literal["http", "https", "unix"]
    host: str
    port: int
    unix: Path | None
    connect_timeout: float
    response_timeout: float
    idle_timeout: float
    max_connections: int
    keep_alive_timeout: float
    reuse_connections: bool
    host_header: Literal["preserve", "upstream"]
    forward_token: bool
    tunnels_end_with_token: bool
    streams_end_with_token: bool
    tls: ClientTls | None
    # None: requests are not signed for AWS.
    sigv4: SigV4 | None


@dataclass(frozen=True, slots=True)
class UserPool:
    id: str
    client_ids: tuple[str, ...]
    token_use: tuple[TokenUse, ...]
    # Completed from the pool ID when not given: AWS's two exact strings for this pool.
    issuers: tuple[str, ...]
    # Completed from the first issuer when not given; unused when jwks_file is set.
    jwks_url: str
    jwks_file: Path | None
    client_secret_file: Path | None
    identity_pool_id: str | None
    domain: str | None

    @property
    def region(self) -> str:
        return self.id.partition("_")[0]


@dataclass(frozen=True, slots=True)
class Revocation:
    # Seconds; None: Cognito is never asked.
    check_every: float | None
    first_use: Literal["allow", "check"]
    on_error: Literal["allow", "deny"]
    calls_per_second: float
    # How many gateways share calls_per_second without Redis.
    replicas: int
    redis_url: str | None = field(repr=False)
    redis_password_file: Path | None


@dataclass(frozen=True, slots=True)
class Egress:
    """The way out to AWS (egress.py). The default is the direct one, with the library's own roots."""

    # An HTTP proxy's URL, maybe with credentials; None: no proxy.
    proxy: str | None = field(default=None, repr=False)
    # The key or variable that names it.
    proxy_from: str = "cognito.proxy"
    # NO_PROXY as it was found.
    no_proxy: str = ""
    # The file of the roots; None: this system has none where one is usual. No secret, and watched where it is
    # used, so not named like the files that a reload watches.
    roots: Path | None = None
    # The key, the variable, or words for neither.
    ca_from: str = "the system"


DIRECT = Egress()


@dataclass(frozen=True, slots=True)
class Cognito:
    endpoint_url: str | None
    egress: Egress
    # Whether there are AWS credentials in sight (in_sight.py).
    signs: bool
    user_pools: tuple[UserPool, ...]
    clock_leeway: float
    token_cache_size: int
    max_token_size: int
    revocation: Revocation
    # The pools are the set-up page's answer, not the configuration file's.
    stored: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    path: str
    # None: every method. GET includes HEAD (completed so by the loader).
    methods: frozenset[str] | None
    auth: Auth
    groups: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    # claim name → the values any of which will do
    claims: tuple[tuple[str, tuple[str, ...]], ...] = ()
    # The ID of the one user pool whose tokens are meant; None: any of them.
    pool: str | None = None


@dataclass(frozen=True, slots=True)
class RequestHeaders:
    underscores: Literal["drop", "pass"]
    # `pass` in the file, which is a word of Python's.
    passed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Paths:
    encoded_slash: Literal["reject", "pass"]
    double_slash: Literal["reject", "pass"]
    semicolon: Literal["reject", "pass"]


@dataclass(frozen=True, slots=True)
class Assertion:
    header: str
    key_file: Path
    audience: str | None  # None: the upstream's URL
    lifetime: float


@dataclass(frozen=True, slots=True)
class IdentityHeaders:
    """Header names; None where the operator wrote null: not sent, a client's copy removed all the same."""

    user: str | None
    username: str | None
    email: str | None
    groups: str | None
    # The user pool's ID; None: not sent.
    pool: str | None
    claims: tuple[tuple[str, str], ...]  # (header name, claim name)
    unverified: Literal["omit", "send"]
    assertion: Assertion | None

    @property
    def send_unverified(self) -> bool:
        """Whether what Cognito has not verified is said, and fits rules."""
        return self.unverified == "send"


@dataclass(frozen=True, slots=True)
class Session:
    store: Literal["cookie", "memory", "redis"]
    redis_url: str | None = field(repr=False)  # may hold a password
    redis_password_file: Path | None
    secret_file: Path | None
    cookie_name: str
    max_age: float


@dataclass(frozen=True, slots=True)
class SignIn:
    enabled: bool
    prefix: str
    auth_flow: Literal["USER_PASSWORD_AUTH", "USER_SRP_AUTH", "USER_AUTH"]
    sign_up: Literal["auto", "never"]
    show_tokens: bool
    session: Session
    state_dir: Path | None
    admin_groups: tuple[str, ...] = ()
    sign_up_attributes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RateLimit:
    requests_per_second: float
    burst: int
    redis_url: str | None = field(repr=False)
    redis_password_file: Path | None


@dataclass(frozen=True, slots=True)
class Cors:
    allow_origins: tuple[str, ...]
    allow_headers: tuple[str, ...]
    allow_methods: tuple[str, ...]
    max_age: float
    allow_credentials: bool
    expose_headers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExtAuthz:
    grpc_address: Address | None


@dataclass(frozen=True, slots=True)
class Metrics:
    address: Address
    path: str


@dataclass(frozen=True, slots=True)
class Log:
    format: Literal["json", "text"]
    level: Literal["debug", "info", "warning", "error"]
    access: bool
    # The share of access lines of requests that went well.
    sample: float = 1.0


@dataclass(frozen=True, slots=True)
class Tracing:
    otlp_endpoint: str
    # The share of traces that begin here; of the others whoever began them has decided.
    sample: float


@dataclass(frozen=True, slots=True)
class Config:
    listen: Listen
    upstream: Upstream
    cognito: Cognito
    request_headers: RequestHeaders
    routes: tuple[Route, ...]
    paths: Paths
    identity_headers: IdentityHeaders
    sign_in: SignIn
    rate_limit: RateLimit
    cors: Cors | None
    ext_authz: ExtAuthz
    metrics: Metrics
    log: Log
    tracing: Tracing | None

    @property
    def claims_in_routes(self) -> frozenset[str]:
        """The claims that routes ask for by name."""
        return frozenset(name for route in self.routes for name, _ in route.claims)
