"""The whole schema, once: key, type, default and the reason for it.

Validation, defaults, JSON Schema, config/gateway.example.yaml, docs/configuration.md, the names of
environment variables and the suggestions for unknown keys are all derived from here and from nowhere else.
"""

from __future__ import annotations

from gateway.config import shapes as s
from gateway.config.shapes import Key, ListOf, MapOf, Section, section

_LISTEN = section(
    "listen",
    "The public side: where clients connect.",
    Key(
        "address",
        s.ADDRESS,
        "127.0.0.1:8000",
        "Where to listen: host:port, :port for every interface, or unix:/path. Loopback by default, so that "
        "nothing is exposed before somebody decides so.",
    ),
    Key(
        "workers",
        s.WORKERS,
        "1",
        "Processes that serve. auto: one for each CPU this container may use. One is enough for a sidecar.",
    ),
    Key(
        "public_url",
        s.ORIGIN,
        None,
        "What browsers and clients call us; used in challenges and redirects. null: taken from each request.",
        nullable=True,
        example="https://api.example.com",
    ),
    Key(
        "trusted_proxies",
        ListOf(s.NETWORK),
        (),
        "Networks whose X-Forwarded-* headers are believed. Nobody by default: anyone can write them.",
        example="[10.0.0.0/8, 127.0.0.1]",
    ),
    Key(
        "tls",
        Section(
            (
                Key(
                    "certificate_file",
                    s.FILE,
                    None,
                    "The certificate chain, PEM, ours first.",
                    required=True,
                    example="/etc/tls/tls.crt",
                ),
                Key(
                    "key_file",
                    s.FILE,
                    None,
                    "The certificate's private key, PEM.",
                    required=True,
                    example="/etc/tls/tls.key",
                ),
                Key(
                    "client_ca_file",
                    s.FILE,
                    None,
                    "When set, clients must show a certificate that one of these authorities signed.",
                    nullable=True,
                ),
            )
        ),
        None,
        "Serve HTTPS. null: plain HTTP, for a sidecar behind something that ends TLS. The files are watched.",
        nullable=True,
    ),
    Key(
        "max_header_size",
        s.size("1KiB", "1MiB"),
        "32KiB",
        "The largest request head. Tokens and cookies need a few KiB; nginx takes 32 KiB in all.",
    ),
    Key(
        "max_body_size",
        s.size("0", "1024GiB"),
        "0",
        "The largest request body. 0: unlimited, because bodies are streamed and never held.",
    ),
    Key(
        "header_timeout",
        s.duration("1ms", "1h"),
        "10s",
        "A client must have sent its whole request head within this; ends slow-header attacks.",
    ),
    Key(
        "idle_timeout",
        s.duration("1ms", "24h"),
        "75s",
        "A kept-alive connection without a request is closed after this. Longer than the 60 s of common load "
        "balancers, so that they close first.",
    ),
    Key(
        "drain_timeout",
        s.duration("0s", "24h"),
        "30s",
        "On SIGTERM, requests in flight may take this long. Equals the grace period of Kubernetes.",
    ),
    Key(
        "drain_delay",
        s.duration("0s", "1h"),
        "0s",
        "Readiness fails this long before listening stops, for load balancers that notice late.",
    ),
)

_UPSTREAM = section(
    "upstream",
    "The API behind us: where allowed requests go.",
    Key(
        "url",
        s.UPSTREAM,
        "http://127.0.0.1:8080",
        "The API: http://, https:// or unix:/path, without a path.",
    ),
    Key("connect_timeout", s.duration("1ms", "1h"), "2s", "A neighbour answers at once, or it is down."),
    Key(
        "response_timeout",
        s.duration("1ms", "24h"),
        "60s",
        "Until the response head has come; the client gets 504 after it.",
    ),
    Key(
        "idle_timeout",
        s.duration("1ms", "24h"),
        "5m",
        "The longest silence inside a body, an event stream or a tunnel.",
    ),
    Key(
        "max_connections",
        s.integer(1, 65535),
        "1024",
        "Connections to the upstream, for each worker; requests beyond them wait.",
    ),
    Key(
        "host_header",
        s.choice("preserve", "upstream"),
        "preserve",
        "The Host header the upstream sees: the client's, or the name in url.",
    ),
    Key(
        "forward_token",
        s.BOOLEAN,
        "false",
        "true: Authorization goes on to the upstream. It stops here by default: the upstream gets the "
        "identity headers, and a token it never sees cannot leak from it.",
    ),
    Key(
        "tls",
        Section(
            (
                Key("ca_file", s.FILE, None, "Authorities to trust. null: the system's.", nullable=True),
                Key("certificate_file", s.FILE, None, "Our certificate, if it wants one.", nullable=True),
                Key("key_file", s.FILE, None, "The private key of our certificate.", nullable=True),
                Key(
                    "server_name",
                    s.HOST_NAME,
                    None,
                    "The name to expect. null: the host in url.",
                    nullable=True,
                ),
            )
        ),
        None,
        "How to verify an https upstream. null: the system's authorities and the host in url.",
        nullable=True,
    ),
)

_USER_POOL = Section(
    (
        Key(
            "id",
            s.POOL_ID,
            None,
            "The user pool; its region stands before the underscore.",
            required=True,
            example="ap-south-1_AbCdEfGhI",
        ),
        Key(
            "client_ids",
            ListOf(s.CLIENT_ID, least=1),
            None,
            "The app clients whose tokens are accepted; another client's token is refused.",
            required=True,
            example="[1example23456789]",
        ),
        Key(
            "client_secret_file",
            s.FILE,
            None,
            "The app client's secret, for clients that have one.",
            nullable=True,
        ),
        Key(
            "token_use",
            ListOf(s.choice("access", "id"), least=1),
            ("access",),
            "Which tokens open the API: access, id or both. ID tokens are meant for clients, not for APIs.",
        ),
        Key(
            "issuers",
            ListOf(s.ISSUER, least=1),
            None,
            "The exact iss values. null: AWS's two, https://cognito-idp.REGION.amazonaws.com/ID "
            "and https://issuer-cognito-idp.REGION.amazonaws.com/ID; with cognito.endpoint_url set, only "
            "ENDPOINT_URL/ID.",
            nullable=True,
        ),
        Key(
            "jwks_url",
            s.TRUSTED_URL,
            None,
            "Where the pool's keys are. null: the first issuer + /.well-known/jwks.json.",
            nullable=True,
        ),
        Key(
            "jwks_file",
            s.FILE,
            None,
            "Pinned keys instead of jwks_url, for places with no way out.",
            nullable=True,
        ),
        Key(
            "identity_pool_id",
            s.IDENTITY_POOL_ID,
            None,
            "The identity pool that exchanges ID tokens for AWS credentials.",
            nullable=True,
        ),
        Key(
            "domain",
            s.TRUSTED_URL,
            None,
            "The address of managed login. null: our own sign-in pages.",
            nullable=True,
        ),
    )
)

_COGNITO = section(
    "cognito",
    "Who signs the tokens.",
    Key(
        "endpoint_url",
        s.TRUSTED_URL,
        None,
        "The Cognito API. null: AWS's for the region. Set it for a local Cognito, which also issues its "
        "tokens under this name.",
        nullable=True,
        example="http://127.0.0.1:9229",
    ),
    Key(
        "user_pools",
        ListOf(_USER_POOL),
        (),
        "The pools whose tokens are accepted. Empty: not configured yet; what needs a token is answered 503.",
    ),
    Key(
        "clock_leeway",
        s.duration("0s", "5m"),
        "0s",
        "How long after its end a token is still accepted, for clocks that differ. 0: exact.",
    ),
    section(
        "revocation",
        "Tokens outlive a sign-out unless Cognito is asked.",
        Key(
            "check_every",
            s.duration("1s", "24h"),
            None,
            "Users who were signed out or disabled lose access within this. null: when their token ends.",
            nullable=True,
            example="30s",
        ),
    ),
)

_ROUTE = Section(
    (
        Key(
            "path",
            s.ROUTE_PATH,
            None,
            "Literal, * for one segment, ** for any depth (/a/** also matches /a). Case matters.",
            required=True,
            example="/api/v1/status",
        ),
        Key(
            "methods",
            ListOf(s.METHOD, least=1),
            None,
            "The methods this route is for; GET includes HEAD. null: all.",
            nullable=True,
            example="[GET]",
        ),
        Key(
            "auth",
            s.choice("none", "optional", "required"),
            "required",
            "none: credentials are not looked at. optional: a valid token is used, none is fine. required: a "
            "valid token, or 401.",
            example="none",
        ),
        Key(
            "groups", ListOf(s.GROUP), (), "The principal must be in any of these groups.", example="[admins]"
        ),
        Key("scopes", ListOf(s.SCOPE), (), "The token must have all of these scopes.", example="[api/read]"),
        Key(
            "claims",
            MapOf(s.CLAIM_NAME, ListOf(s.CLAIM_VALUE, least=1, single=True)),
            (),
            "The token must have all of these claims; a list means any of its values.",
            example="{custom:tenant: acme}",
        ),
    )
)

_ROUTES = Key(
    "routes",
    ListOf(_ROUTE),
    (),
    "What is open, and to whom. The first match wins; what no route matches needs a valid token.",
)

_PATHS = section(
    "paths",
    "What a path may hold. Servers do not agree on what these mean, so such requests get 400.",
    Key("encoded_slash", s.choice("reject", "pass"), "reject", "%2F and %5C inside a segment."),
    Key("double_slash", s.choice("reject", "pass"), "reject", "An empty segment, as in /a//b."),
    Key("semicolon", s.choice("reject", "pass"), "reject", "Path parameters, as in /a;b=c/d."),
)

_IDENTITY_HEADERS = section(
    "identity_headers",
    "What the upstream is told about the principal. Every copy a client sends, however spelled, is removed. "
    "null: this one is not sent.",
    Key("user", s.IDENTITY_HEADER, "X-Auth-Request-User", "The claim sub: it never changes.", nullable=True),
    Key(
        "username",
        s.IDENTITY_HEADER,
        "X-Auth-Request-Preferred-Username",
        "The user's name in the pool.",
        nullable=True,
    ),
    Key(
        "email",
        s.IDENTITY_HEADER,
        "X-Auth-Request-Email",
        "From ID tokens; access tokens have none.",
        nullable=True,
    ),
    Key(
        "groups",
        s.IDENTITY_HEADER,
        "X-Auth-Request-Groups",
        "The user's groups, joined by a comma.",
        nullable=True,
    ),
    Key(
        "claims",
        MapOf(s.IDENTITY_HEADER, s.CLAIM_NAME),
        (),
        "More claims to send, as {header name: claim name}.",
        example="{X-Auth-Request-Tenant: custom:tenant}",
    ),
)

_SIGN_IN = section(
    "sign_in",
    "Our own pages, for browsers.",
    Key("enabled", s.BOOLEAN, "true", "false: no pages; browsers get 401 as API clients do."),
    Key(
        "prefix",
        s.PREFIX,
        "/oauth2",
        "The paths under it are ours and are never proxied, whether the pages are on or off.",
    ),
    Key(
        "auth_flow",
        s.choice("USER_PASSWORD_AUTH", "USER_SRP_AUTH", "USER_AUTH"),
        "USER_PASSWORD_AUTH",
        "How passwords are checked; the app client must allow it.",
    ),
    Key("sign_up", s.choice("auto", "never"), "auto", "auto: as the pool allows. never: the page is hidden."),
    section(
        "session",
        "What a signed-in browser holds.",
        Key(
            "store",
            s.choice("cookie", "memory", "redis"),
            "cookie",
            "cookie: sealed, nothing is kept here. memory: gone at restart. redis: shared between replicas.",
        ),
        Key("redis_url", s.REDIS, None, "Where sessions are kept with store: redis.", nullable=True),
        Key(
            "secret_file",
            s.FILE,
            None,
            "Keys that seal cookies, one a line, newest first. null: made at start; sessions end with it.",
            nullable=True,
        ),
        Key("max_age", s.duration("1m", "87600h"), "12h", "A working day; then one signs in again."),
    ),
    Key(
        "state_dir",
        s.FOLDER,
        None,
        "Where the set-up page stores its answer. null: the page shows the YAML and writes nothing.",
        nullable=True,
    ),
)

_RATE_LIMIT = section(
    "rate_limit",
    "A token bucket for each principal, or for each address when nobody is signed in.",
    Key("requests_per_second", s.RATE, "0", "0: no limit."),
    Key("burst", s.integer(0, 1_000_000), "0", "How many requests may come at once before the rate counts."),
    Key("redis_url", s.REDIS, None, "Set it to share the limit between replicas.", nullable=True),
)

_CORS = Key(
    "cors",
    Section(
        (
            Key(
                "allow_origins",
                ListOf(s.ORIGIN, least=1),
                None,
                "Origins that may call us.",
                required=True,
                example="[https://app.example.com]",
            ),
            Key(
                "allow_headers", ListOf(s.HEADER), ("Authorization", "Content-Type"), "Headers they may send."
            ),
            Key("allow_methods", ListOf(s.METHOD), ("GET", "HEAD", "POST"), "Methods they may use."),
            Key("max_age", s.duration("0s", "24h"), "10m", "How long a browser remembers the answer."),
        )
    ),
    None,
    "Answer browsers' preflight requests here. null: they go to the upstream as any other.",
    nullable=True,
)

_METRICS = section(
    "metrics",
    "Metrics and probes: a listener of its own, never the public port.",
    Key("address", s.ADDRESS, "127.0.0.1:9090", "Where Prometheus and the kubelet ask."),
    Key("path", s.METRICS_PATH, "/metrics", "The path of the metrics; probes are /healthz and /readyz."),
)

_LOG = section(
    "log",
    "Lines on stdout. No token, code, cookie or password is ever in them.",
    Key("format", s.choice("json", "text"), "json", "json: for machines. text: for a terminal."),
    Key(
        "level", s.choice("debug", "info", "warning", "error"), "info", "The least important lines to write."
    ),
    Key("access", s.BOOLEAN, "true", "One line for each request."),
)

_TRACING = Key(
    "tracing",
    Section(
        (
            Key(
                "otlp_endpoint",
                s.ISSUER,
                None,
                "Where spans are sent.",
                required=True,
                example="http://127.0.0.1:4318",
            ),
        )
    ),
    None,
    "OpenTelemetry. null: no spans of our own; W3C traceparent is passed through in any case.",
    nullable=True,
)

SCHEMA = Section(
    (
        _LISTEN,
        _UPSTREAM,
        _COGNITO,
        _ROUTES,
        _PATHS,
        _IDENTITY_HEADERS,
        _SIGN_IN,
        _RATE_LIMIT,
        _CORS,
        _METRICS,
        _LOG,
        _TRACING,
    )
)
