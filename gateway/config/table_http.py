"""The schema's part about the traffic: who connects, where it goes, what is limited, what is seen of it."""

from __future__ import annotations

from gateway.config import shapes as s
from gateway.config.shapes import Key, ListOf, Section, section

LISTEN = section(
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
        "max_connections",
        s.MAX_CONNECTIONS,
        "auto",
        "Client connections, for each worker, those that still shake hands (TLS) included; one more is "
        "answered 503 and closed. auto: what the container's memory limit and the descriptors allow, 16384 "
        "at most. 0: what the descriptors allow.",
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
        "half_close_grace",
        s.duration("0s", "1m"),
        "2s",
        "A client that closed its sending side after whole requests (scripts, nc) still gets the answers "
        "that come whole within this; then, and in the middle of an answer, it counts as gone. 0s: at once.",
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

UPSTREAM = section(
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
        "Connections to the upstream, for each worker. A client (principal, or address where nobody is "
        "signed in) may have as many as are free. Requests beyond that wait in turn by client, for "
        "connect_timeout at most; then, or when as many wait already, they get 503. docs/scaling.md.",
    ),
    Key(
        "keep_alive_timeout",
        s.duration("0s", "60s"),
        "1500ms",
        "A connection that was idle for longer is not used again (gunicorn closes after 2 s, Node.js after "
        "5 s), unless the upstream says Keep-Alive: timeout=N; then N less a margin.",
    ),
    Key(
        "reuse_connections",
        s.BOOLEAN,
        "true",
        "false: each request has its own connection. For servers that leave request bodies unread and keep "
        "the connection: what one client sends as a body they read as the next client's request.",
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
        "tunnels_end_with_token",
        s.BOOLEAN,
        "true",
        "A WebSocket is closed (1008) when the token that opened it expires. false: it lives until either "
        "side ends it, however long ago its token ended.",
    ),
    Key(
        "streams_end_with_token",
        s.BOOLEAN,
        "true",
        "An event stream (text/event-stream) ends when the token that opened it expires; clients reconnect "
        "with a new one. false: it lives until either side ends it.",
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
    Key(
        "sigv4",
        Section(
            (
                Key(
                    "service",
                    s.AWS_NAME,
                    None,
                    "The AWS service's name in signatures.",
                    required=True,
                    example="execute-api",
                ),
                Key("region", s.AWS_NAME, None, "Its region.", required=True, example="ap-south-1"),
                Key(
                    "max_body_size",
                    s.size("0", "64MiB"),
                    "1MiB",
                    "The largest request body: it is held to be signed, but for S3 over https.",
                ),
            )
        ),
        None,
        "The upstream is AWS: requests are signed with the temporary credentials that the caller's identity "
        "pool gives for their ID token; docs/aws-upstream.md. null: nothing is signed.",
        nullable=True,
    ),
)

REQUEST_HEADERS = section(
    "request_headers",
    "A client's headers that servers take for their own never reach the upstream: docs/upstream-identity.md "
    "has the list.",
    Key(
        "underscores",
        s.choice("drop", "pass"),
        "drop",
        "Names with any sign but letters, digits and -: to CGI and WSGI, api_key and Api-Key are the same "
        "variable. pass: they are sent on, except where such a name is one of those above.",
    ),
    Key(
        "pass",
        ListOf(s.PASSED_HEADER),
        (),
        "Names that clients may send although they are removed by default.",
        example="[Remote-User, api_key]",
    ),
)

PATHS = section(
    "paths",
    "What a path may hold. Servers do not agree on what these mean, so such requests get 400. pass: the path "
    "is matched in every way an upstream may read it, and must be allowed in all of them.",
    Key(
        "encoded_slash",
        s.choice("reject", "pass"),
        "reject",
        "%2F and %5C: part of a segment to some servers, the end of one to others.",
    ),
    Key(
        "double_slash",
        s.choice("reject", "pass"),
        "reject",
        "An empty segment, as in /a//b: some servers drop it. At the beginning it is refused in any case.",
    ),
    Key(
        "semicolon",
        s.choice("reject", "pass"),
        "reject",
        "Path parameters, as in /a;b=c/d: some servers drop them before they look at the path.",
    ),
)

RATE_LIMIT = section(
    "rate_limit",
    "A token bucket for each principal, or for each address when nobody is signed in; docs/rate-limits.md.",
    Key("requests_per_second", s.RATE, "0", "0: no limit."),
    Key(
        "burst",
        s.integer(0, 1_000_000),
        "0",
        "How many requests may come at once before the rate counts. 0: what one second allows, at least 1.",
    ),
    Key("redis_url", s.REDIS, None, "Set it to share the limit between replicas.", nullable=True),
    Key(
        "redis_password_file",
        s.FILE,
        None,
        "That Redis's password, where it is not in redis_url; read for every new connection.",
        nullable=True,
    ),
)

CORS = Key(
    "cors",
    Section(
        (
            Key(
                "allow_origins",
                ListOf(s.WEB_ORIGIN, least=1),
                None,
                "Origins whose pages may call us, exactly as browsers send them. *: all; null: sandboxed "
                "frames and files, whoever wrote them.",
                required=True,
                example="[https://app.example.com]",
            ),
            Key(
                "allow_headers", ListOf(s.HEADER), ("Authorization", "Content-Type"), "Headers they may send."
            ),
            Key("allow_methods", ListOf(s.METHOD), ("GET", "HEAD", "POST"), "Methods they may use."),
            Key("max_age", s.duration("0s", "24h"), "10m", "How long a browser remembers the answer."),
            Key(
                "allow_credentials",
                s.BOOLEAN,
                "false",
                "true: requests with cookies too. A token in the Authorization header needs no such leave.",
            ),
            Key(
                "expose_headers",
                ListOf(s.HEADER),
                (),
                "Headers of the upstream's answers that pages may read.",
            ),
        )
    ),
    None,
    "Answer browsers' preflight requests here, and let pages of these origins read answers, our refusals "
    "too. null: preflights are requests as any other.",
    nullable=True,
)

EXT_AUTHZ = section(
    "ext_authz",
    "Envoy's gRPC external authorization; needs the extra cognito-gateway[grpc].",
    Key(
        "grpc_address",
        s.ADDRESS,
        None,
        "Where Envoy asks, without TLS: loopback, or a network of Envoy's and ours alone. null: nowhere.",
        nullable=True,
        example="127.0.0.1:9001",
    ),
)

METRICS = section(
    "metrics",
    "Metrics and probes: a listener of its own, never the public port.",
    Key("address", s.ADDRESS, "127.0.0.1:9090", "Where Prometheus and the kubelet ask."),
    Key("path", s.METRICS_PATH, "/metrics", "The path of the metrics; probes are /healthz and /readyz."),
)

LOG = section(
    "log",
    "Lines on stdout. No token, code, cookie or password is ever in them.",
    Key("format", s.choice("json", "text"), "json", "json: for machines. text: for a terminal."),
    Key(
        "level", s.choice("debug", "info", "warning", "error"), "info", "The least important lines to write."
    ),
    Key("access", s.BOOLEAN, "true", "One line for each request."),
    Key(
        "sample",
        s.SHARE,
        "1",
        "The share of lines that is written of requests that went well or were refused; errors always are.",
        example="0.01",
    ),
)

TRACING = Key(
    "tracing",
    Section(
        (
            Key(
                "otlp_endpoint",
                s.COLLECTOR,
                None,
                "The OTLP/HTTP collector; spans are sent to /v1/traces under it.",
                required=True,
                example="http://127.0.0.1:4318",
            ),
            Key(
                "sample",
                s.SHARE,
                "1",
                "The share of the traces begun here that is kept. A traceparent's own flag comes first.",
            ),
        )
    ),
    None,
    "OpenTelemetry spans; needs the extra cognito-gateway[tracing]. null: none of our own; W3C traceparent "
    "is passed through in any case.",
    nullable=True,
)
