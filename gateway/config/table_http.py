"""The schema's part about the traffic: who connects, where it goes, what is limited, what is seen of it."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal

from gateway.config import shapes as s
from gateway.config.addresses import Address
from gateway.config.declare import Declared, key, optional, required, section, section_of, written
from gateway.config.shapes import ListOf


@section
class ServerTls(Declared):
    certificate_file: Path = required(
        s.FILE, "The certificate chain, PEM, ours first.", example="/etc/tls/tls.crt"
    )
    key_file: Path = required(s.FILE, "The certificate's private key, PEM.", example="/etc/tls/tls.key")
    client_ca_file: Path | None = optional(
        s.FILE,
        "When set, clients must show a certificate that one of these authorities signed.",
        default=None,
    )


@section
class Listen(Declared):
    address: Address = key(
        s.ADDRESS,
        "127.0.0.1:8000",
        "Where to listen: host:port, :port for every interface, or unix:/path. Loopback by default, so that "
        "nothing is exposed before somebody decides so.",
    )
    workers: int | Literal["auto"] = key(
        s.WORKERS,
        "1",
        "Processes that serve. auto: one for each CPU this container may use. One is enough for a sidecar.",
    )
    public_url: str | None = optional(
        s.ORIGIN,
        "What browsers and clients call us; used in challenges and redirects. null: taken from each request.",
        example="https://api.example.com",
    )
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = key(
        ListOf(s.NETWORK),
        (),
        "Networks whose X-Forwarded-* headers are believed. Nobody by default: anyone can write them.",
        example="[10.0.0.0/8, 127.0.0.1]",
    )
    tls: ServerTls | None = optional(
        section_of(ServerTls),
        "Serve HTTPS. null: plain HTTP, for a sidecar behind something that ends TLS. The files are watched.",
    )
    max_header_size: int = key(
        s.size("1KiB", "1MiB"),
        "32KiB",
        "The largest request head. Tokens and cookies need a few KiB; nginx takes 32 KiB in all.",
    )
    max_body_size: int = key(
        s.size("0", "1024GiB"),
        "0",
        "The largest request body. 0: unlimited, because bodies are streamed and never held.",
    )
    max_connections: int | Literal["auto"] = key(
        s.MAX_CONNECTIONS,
        "auto",
        "Client connections, for each worker, those that still shake hands (TLS) included; one more is "
        "answered 503 and closed. auto: what the container's memory limit and the descriptors allow, 16384 "
        "at most. 0: what the descriptors allow.",
    )
    header_timeout: float = key(
        s.duration("1ms", "1h"),
        "10s",
        "A client must have sent its whole request head within this; ends slow-header attacks.",
    )
    idle_timeout: float = key(
        s.duration("1ms", "24h"),
        "75s",
        "A kept-alive connection without a request is closed after this. Longer than the 60 s of common load "
        "balancers, so that they close first.",
    )
    half_close_grace: float = key(
        s.duration("0s", "1m"),
        "2s",
        "A client that closed its sending side after whole requests (scripts, nc) still gets the answers "
        "that come whole within this; then, and in the middle of an answer, it counts as gone. 0s: at once.",
    )
    drain_timeout: float = key(
        s.duration("0s", "24h"),
        "30s",
        "On SIGTERM, requests in flight may take this long. Equals the grace period of Kubernetes.",
    )
    drain_delay: float = key(
        s.duration("0s", "1h"),
        "0s",
        "Readiness fails this long before listening stops, for load balancers that notice late.",
    )


@section
class ClientTls(Declared):
    ca_file: Path | None = optional(s.FILE, "Authorities to trust. null: the system's.", default=None)
    certificate_file: Path | None = optional(s.FILE, "Our certificate, if it wants one.", default=None)
    key_file: Path | None = optional(s.FILE, "The private key of our certificate.", default=None)
    server_name: str | None = optional(
        s.HOST_NAME, "The name to expect. null: the host in url.", default=None
    )


@section
class SigV4(Declared):
    service: str = required(s.AWS_NAME, "The AWS service's name in signatures.", example="execute-api")
    region: str = required(s.AWS_NAME, "Its region.", example="ap-south-1")
    max_body_size: int = key(
        s.size("0", "64MiB"),
        "1MiB",
        "The largest request body: it is held to be signed, but for S3 over https.",
    )


@section
class Upstream(Declared):
    url = written(
        key(s.UPSTREAM, "http://127.0.0.1:8080", "The API: http://, https:// or unix:/path, without a path.")
    )
    # `url` in parts.
    scheme: Literal["http", "https", "unix"]
    host: str
    port: int
    unix: Path | None
    connect_timeout: float = key(s.duration("1ms", "1h"), "2s", "A neighbour answers at once, or it is down.")
    response_timeout: float = key(
        s.duration("1ms", "24h"), "60s", "Until the response head has come; the client gets 504 after it."
    )
    idle_timeout: float = key(
        s.duration("1ms", "24h"), "5m", "The longest silence inside a body, an event stream or a tunnel."
    )
    max_connections: int = key(
        s.integer(1, 65535),
        "1024",
        "Connections to the upstream, for each worker. A client (principal, or address where nobody is "
        "signed in) may have as many as are free. Requests beyond that wait in turn by client, for "
        "connect_timeout at most; then, or when as many wait already, they get 503. docs/scaling.md.",
    )
    keep_alive_timeout: float = key(
        s.duration("0s", "60s"),
        "1500ms",
        "A connection that was idle for longer is not used again (gunicorn closes after 2 s, Node.js after "
        "5 s), unless the upstream says Keep-Alive: timeout=N; then N less a margin.",
    )
    reuse_connections: bool = key(
        s.BOOLEAN,
        "true",
        "false: each request has its own connection. For servers that leave request bodies unread and keep "
        "the connection: what one client sends as a body they read as the next client's request.",
    )
    host_header: str = key(
        s.HOST_HEADER,
        "preserve",
        "The Host header the upstream sees: the client's, the name in url, or this name.",
    )
    forward_token: bool = key(
        s.BOOLEAN,
        "false",
        "true: Authorization goes on to the upstream. It stops here by default: the upstream gets the "
        "identity headers, and a token it never sees cannot leak from it.",
    )
    tunnels_end_with_token: bool = key(
        s.BOOLEAN,
        "true",
        "A WebSocket is closed (1008) when the token that opened it expires. false: it lives until either "
        "side ends it, however long ago its token ended.",
    )
    streams_end_with_token: bool = key(
        s.BOOLEAN,
        "true",
        "An event stream (text/event-stream) ends when the token that opened it expires; clients reconnect "
        "with a new one. false: it lives until either side ends it.",
    )
    tls: ClientTls | None = optional(
        section_of(ClientTls),
        "How to verify an https upstream. null: the system's authorities and the host in url.",
    )
    sigv4: SigV4 | None = optional(
        section_of(SigV4),
        "The upstream is AWS: requests are signed with the temporary credentials that the caller's identity "
        "pool gives for their ID token; docs/aws-upstream.md. null: nothing is signed.",
    )

    @property
    def authority(self) -> str:
        """The value of a Host header that names it (RFC 9110 section 7.2)."""
        if self.unix is not None:
            return "localhost"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.scheme == "https" else 80) else f"{host}:{self.port}"

    @property
    def address(self) -> str:
        """Where requests go, as `upstream.url` has it."""
        return f"unix:{self.unix}" if self.unix is not None else f"{self.scheme}://{self.authority}"


@section
class RequestHeaders(Declared):
    underscores: Literal["drop", "pass"] = key(
        s.choice("drop", "pass"),
        "drop",
        "Names with any sign but letters, digits and -: to CGI and WSGI, api_key and Api-Key are the same "
        "variable. pass: they are sent on, except where such a name is one of those above.",
    )
    # `pass` is a word of Python's.
    passed: tuple[str, ...] = key(
        ListOf(s.PASSED_HEADER),
        (),
        "Names that clients may send although they are removed by default.",
        example="[Remote-User, api_key]",
        name="pass",
    )


@section
class Paths(Declared):
    encoded_slash: Literal["reject", "pass"] = key(
        s.choice("reject", "pass"),
        "reject",
        "%2F and %5C: part of a segment to some servers, the end of one to others.",
    )
    double_slash: Literal["reject", "pass"] = key(
        s.choice("reject", "pass"),
        "reject",
        "An empty segment, as in /a//b: some servers drop it. At the beginning it is refused in any case.",
    )
    semicolon: Literal["reject", "pass"] = key(
        s.choice("reject", "pass"),
        "reject",
        "Path parameters, as in /a;b=c/d: some servers drop them before they look at the path.",
    )


@section
class RateLimit(Declared):
    requests_per_second: float = key(s.RATE, "0", "0: no limit.")
    burst: int = key(
        s.integer(0, 1_000_000),
        "0",
        "How many requests may come at once before the rate counts. 0: what one second allows, at least 1.",
    )
    redis_url: str | None = optional(s.REDIS, "Set it to share the limit between replicas.", secret=True)
    redis_password_file: Path | None = optional(
        s.FILE, "That Redis's password, where it is not in redis_url; read for every new connection."
    )


@section
class Cors(Declared):
    allow_origins: tuple[str, ...] = required(
        ListOf(s.WEB_ORIGIN, least=1),
        "Origins whose pages may call us, exactly as browsers send them. *: all; null: sandboxed "
        "frames and files, no matter who wrote them.",
        example="[https://app.example.com]",
    )
    allow_headers: tuple[str, ...] = key(
        ListOf(s.HEADER), ("Authorization", "Content-Type"), "Headers they may send."
    )
    allow_methods: tuple[str, ...] = key(ListOf(s.METHOD), ("GET", "HEAD", "POST"), "Methods they may use.")
    max_age: float = key(s.duration("0s", "24h"), "10m", "How long a browser remembers the answer.")
    allow_credentials: bool = key(
        s.BOOLEAN,
        "false",
        "true: requests with cookies too. A token in the Authorization header needs no such leave.",
    )
    expose_headers: tuple[str, ...] = key(
        ListOf(s.HEADER), (), "Headers of the upstream's answers that pages may read."
    )


@section
class ExtAuthz(Declared):
    grpc_address: Address | None = optional(
        s.ADDRESS,
        "Where Envoy asks, without TLS: loopback, or a network of Envoy's and ours alone. null: nowhere.",
        example="127.0.0.1:9001",
    )


@section
class Metrics(Declared):
    address: Address = key(s.ADDRESS, "127.0.0.1:9090", "Where Prometheus and the kubelet ask.")
    path: str = key(s.METRICS_PATH, "/metrics", "The path of the metrics; probes are /healthz and /readyz.")


@section
class Log(Declared):
    format: Literal["json", "text", "auto"] = key(
        s.choice("json", "text", "auto"),
        "auto",
        "json: for machines. text: for people. auto: text on a terminal, json otherwise.",
    )
    level: Literal["debug", "info", "warning", "error"] = key(
        s.choice("debug", "info", "warning", "error"), "info", "The least important lines to write."
    )
    access: bool = key(s.BOOLEAN, "true", "One line for each request.")
    sample: float = key(
        s.SHARE,
        "1",
        "The share of lines that is written of requests that went well or were refused; errors always are.",
        example="0.01",
        default=1.0,
    )


@section
class Tracing(Declared):
    otlp_endpoint: str = required(
        s.COLLECTOR,
        "The OTLP/HTTP collector; spans are sent to /v1/traces under it.",
        example="http://127.0.0.1:4318",
    )
    sample: float = key(
        s.SHARE, "1", "The share of the traces begun here that is kept. A traceparent's own flag comes first."
    )
