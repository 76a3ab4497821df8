"""Schema, part one: listener, upstream, headers, paths, rate limits, CORS, metrics, logs, tracing."""

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
        s.FILE, "The certificate chain, PEM, the server's certificate first.", example="/etc/tls/tls.crt"
    )
    key_file: Path = required(s.FILE, "The certificate's private key, PEM.", example="/etc/tls/tls.key")
    client_ca_file: Path | None = optional(
        s.FILE,
        "If set, clients must present a certificate signed by one of these authorities.",
        default=None,
    )


@section
class Listen(Declared):
    address: Address = key(
        s.ADDRESS,
        "127.0.0.1:8000",
        "The listening address: host:port, :port for every interface, or unix:/path. Loopback by default, so "
        "that nothing is exposed unintentionally.",
    )
    workers: int | Literal["auto"] = key(
        s.WORKERS,
        "1",
        "Worker processes. auto: one per CPU available to the container. One is enough for a sidecar.",
    )
    public_url: str | None = optional(
        s.ORIGIN,
        "The URL by which clients reach the gateway, for challenges and redirects. null: from each request.",
        example="https://api.example.com",
    )
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = key(
        ListOf(s.NETWORK),
        (),
        "Networks whose X-Forwarded-* headers are trusted. None by default: anyone can send them.",
        example="[10.0.0.0/8, 127.0.0.1]",
    )
    tls: ServerTls | None = optional(
        section_of(ServerTls),
        "Serve HTTPS. null: plain HTTP, for a sidecar behind a TLS terminator. The files are watched.",
    )
    max_header_size: int = key(
        s.size("1KiB", "1MiB"),
        "32KiB",
        "The largest request head. Tokens and cookies need a few KiB; nginx accepts 32 KiB in total.",
    )
    max_body_size: int = key(
        s.size("0", "1024GiB"),
        "0",
        "The largest request body. 0: unlimited; bodies are streamed, not buffered.",
    )
    max_connections: int | Literal["auto"] = key(
        s.MAX_CONNECTIONS,
        "auto",
        "Client connections per worker, including those in a TLS handshake; further ones are answered 503 "
        "and closed. auto: what the container's memory limit and file descriptors allow, at most 16384. 0: "
        "what file descriptors allow.",
    )
    header_timeout: float = key(
        s.duration("1ms", "1h"),
        "10s",
        "The time within which a client must send its whole request head; stops slow-header attacks.",
    )
    idle_timeout: float = key(
        s.duration("1ms", "24h"),
        "75s",
        "An idle keep-alive connection is closed after this. Longer than the 60 s of common load balancers, "
        "so that they close first.",
    )
    half_close_grace: float = key(
        s.duration("0s", "1m"),
        "2s",
        "A client that closed its sending side after complete requests (scripts, nc) still gets responses "
        "that complete within this time; after it, or in the middle of a response, it counts as gone. 0s: "
        "at once.",
    )
    drain_timeout: float = key(
        s.duration("0s", "24h"),
        "30s",
        "How long requests in flight may take after SIGTERM. The default is Kubernetes' grace period.",
    )
    drain_delay: float = key(
        s.duration("0s", "1h"),
        "0s",
        "How long readiness fails before listening stops, for load balancers that react late.",
    )


@section
class ClientTls(Declared):
    ca_file: Path | None = optional(s.FILE, "CA certificates to trust. null: the system's.", default=None)
    certificate_file: Path | None = optional(
        s.FILE, "The client certificate, if the upstream requires one.", default=None
    )
    key_file: Path | None = optional(s.FILE, "The private key of certificate_file.", default=None)
    server_name: str | None = optional(
        s.HOST_NAME, "The name the certificate must have. null: the host in url.", default=None
    )


@section
class SigV4(Declared):
    service: str = required(s.AWS_NAME, "The AWS service name used in signatures.", example="execute-api")
    region: str = required(s.AWS_NAME, "The AWS region used in signatures.", example="ap-south-1")
    max_body_size: int = key(
        s.size("0", "64MiB"),
        "1MiB",
        "The largest request body; it is buffered for signing, except for S3 over https.",
    )


@section
class Upstream(Declared):
    url = written(
        key(
            s.UPSTREAM,
            "http://127.0.0.1:8080",
            "The API's address: http://, https:// or unix:/path, without a URL path.",
        )
    )
    # `url` in parts.
    scheme: Literal["http", "https", "unix"]
    host: str
    port: int
    unix: Path | None
    connect_timeout: float = key(
        s.duration("1ms", "1h"), "2s", "How long connecting to the upstream may take."
    )
    response_timeout: float = key(
        s.duration("1ms", "24h"), "60s", "How long the response head may take; then the client gets 504."
    )
    idle_timeout: float = key(
        s.duration("1ms", "24h"), "5m", "The longest silence within a body, an event stream or a tunnel."
    )
    max_connections: int = key(
        s.integer(1, 65535),
        "1024",
        "Connections to the upstream per worker. One client (a principal, or an address where nobody is "
        "signed in) may use all that are free. Further requests queue, in turn by client, for at most "
        "connect_timeout; then, or if as many are queued already, they get 503. docs/scaling.md.",
    )
    keep_alive_timeout: float = key(
        s.duration("0s", "60s"),
        "1500ms",
        "Connections idle for longer are not reused (gunicorn closes after 2 s, Node.js after 5 s), unless "
        "the upstream sends Keep-Alive: timeout=N; then N less a margin.",
    )
    reuse_connections: bool = key(
        s.BOOLEAN,
        "true",
        "false: a new connection for each request. For servers that leave request bodies unread but keep the "
        "connection open: they would read one client's body as the next client's request.",
    )
    host_header: str = key(
        s.HOST_HEADER,
        "preserve",
        "The Host header sent upstream: preserve (the client's), upstream (the host in url), or a name.",
    )
    forward_token: bool = key(
        s.BOOLEAN,
        "false",
        "true: Authorization is forwarded to the upstream. By default it is not: the upstream gets the "
        "identity headers, and a token it never sees cannot leak from it.",
    )
    tunnels_end_with_token: bool = key(
        s.BOOLEAN,
        "true",
        "A WebSocket is closed (1008) when the token that opened it expires. false: it stays open until "
        "either side closes it.",
    )
    streams_end_with_token: bool = key(
        s.BOOLEAN,
        "true",
        "An event stream (text/event-stream) ends when the token that opened it expires; clients reconnect "
        "with a new one. false: it stays open until either side closes it.",
    )
    tls: ClientTls | None = optional(
        section_of(ClientTls),
        "How to verify an https upstream. null: the system's authorities and the host in url.",
    )
    sigv4: SigV4 | None = optional(
        section_of(SigV4),
        "The upstream is AWS: requests are signed with temporary credentials, which the identity pool issues "
        "for the caller's ID token; docs/aws-upstream.md. null: nothing is signed.",
    )

    @property
    def authority(self) -> str:
        """The upstream's name in a Host header (RFC 9110 section 7.2)."""
        if self.unix is not None:
            return "localhost"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.scheme == "https" else 80) else f"{host}:{self.port}"

    @property
    def address(self) -> str:
        """The upstream's address, as in `upstream.url`."""
        return f"unix:{self.unix}" if self.unix is not None else f"{self.scheme}://{self.authority}"


@section
class RequestHeaders(Declared):
    underscores: Literal["drop", "pass"] = key(
        s.choice("drop", "pass"),
        "drop",
        "Header names with characters other than letters, digits and -: to CGI and WSGI, api_key and Api-Key "
        "are the same variable. pass: forward them, unless they fold to a removed name.",
    )
    # `pass` is a Python keyword.
    passed: tuple[str, ...] = key(
        ListOf(s.PASSED_HEADER),
        (),
        "Headers that clients may send although they are removed by default.",
        example="[Remote-User, api_key]",
        name="pass",
    )


@section
class Paths(Declared):
    encoded_slash: Literal["reject", "pass"] = key(
        s.choice("reject", "pass"),
        "reject",
        "%2F and %5C: data to some servers, separators to others.",
    )
    double_slash: Literal["reject", "pass"] = key(
        s.choice("reject", "pass"),
        "reject",
        "An empty segment, as in /a//b: some servers drop it. A leading // is always refused.",
    )
    semicolon: Literal["reject", "pass"] = key(
        s.choice("reject", "pass"),
        "reject",
        "Path parameters, as in /a;b=c/d: some servers strip them before routing.",
    )


@section
class RateLimit(Declared):
    requests_per_second: float = key(s.RATE, "0", "The sustained rate. 0: no limit.")
    burst: int = key(
        s.integer(0, 1_000_000),
        "0",
        "Requests allowed at once. 0: as many as one second allows, at least 1.",
    )
    redis_url: str | None = optional(s.REDIS, "A Redis through which replicas share the limit.", secret=True)
    redis_password_file: Path | None = optional(
        s.FILE, "The Redis password, if it is not in redis_url; read again for every new connection."
    )


@section
class Cors(Declared):
    allow_origins: tuple[str, ...] = required(
        ListOf(s.WEB_ORIGIN, least=1),
        "Origins whose pages may call the API, exactly as browsers send them. *: all; null: sandboxed frames "
        "and local files, regardless of author.",
        example="[https://app.example.com]",
    )
    allow_headers: tuple[str, ...] = key(
        ListOf(s.HEADER), ("Authorization", "Content-Type"), "Request headers that pages may send."
    )
    allow_methods: tuple[str, ...] = key(
        ListOf(s.METHOD), ("GET", "HEAD", "POST"), "Methods that pages may use."
    )
    max_age: float = key(s.duration("0s", "24h"), "10m", "How long browsers cache preflight responses.")
    allow_credentials: bool = key(
        s.BOOLEAN,
        "false",
        "true: allow requests with cookies. A token in the Authorization header does not need this.",
    )
    expose_headers: tuple[str, ...] = key(
        ListOf(s.HEADER), (), "Headers of the upstream's responses that pages may read."
    )


@section
class ExtAuthz(Declared):
    grpc_address: Address | None = optional(
        s.ADDRESS,
        "The address for Envoy, without TLS: loopback, or a network shared only with Envoy. null: off.",
        example="127.0.0.1:9001",
    )


@section
class Metrics(Declared):
    address: Address = key(
        s.ADDRESS, "127.0.0.1:9090", "The address for Prometheus and the kubelet's probes."
    )
    path: str = key(
        s.METRICS_PATH, "/metrics", "The path of the metrics; the probes are /healthz and /readyz."
    )


@section
class Log(Declared):
    format: Literal["json", "text", "auto"] = key(
        s.choice("json", "text", "auto"),
        "auto",
        "json: for machines. text: for people. auto: text on a terminal, json otherwise.",
    )
    level: Literal["debug", "info", "warning", "error"] = key(
        s.choice("debug", "info", "warning", "error"), "info", "The lowest level that is logged."
    )
    access: bool = key(s.BOOLEAN, "true", "Write an access log line for each request.")
    sample: float = key(
        s.SHARE,
        "1",
        "The share of access log lines written for successful and refused requests; errors are always "
        "logged.",
        example="0.01",
        default=1.0,
    )


@section
class Tracing(Declared):
    otlp_endpoint: str = required(
        s.COLLECTOR,
        "The OTLP/HTTP collector; spans are sent to its /v1/traces.",
        example="http://127.0.0.1:4318",
    )
    sample: float = key(
        s.SHARE,
        "1",
        "The share of traces started here that is sampled. An incoming traceparent's flag takes precedence.",
    )
