"""The whole configuration schema: each key declared once with name, type, default and description.

The completed configuration, validation, defaults, JSON Schema, config/gateway.example.yaml,
docs/configuration.md, the names of environment variables and the suggestions for unknown keys are all derived
from here alone. The sections are in the other modules table_*.py.
"""

from __future__ import annotations

from gateway.config import table_access as access
from gateway.config import table_http as http
from gateway.config import table_mcp as mcp_table
from gateway.config import table_sign_in as sign_in_table
from gateway.config.declare import Declared, key, nested, optional, section, section_of
from gateway.config.shapes import ListOf


@section
class Config(Declared):
    listen: http.Listen = nested(http.Listen, "The public side: where clients connect.")
    upstream: http.Upstream = nested(http.Upstream, "The API behind the gateway: where allowed requests go.")
    cognito: access.Cognito = nested(
        access.Cognito, "The user pools whose tokens are accepted, and how Cognito is reached."
    )
    request_headers: http.RequestHeaders = nested(
        http.RequestHeaders,
        "Request headers that servers trust, such as identity headers, never reach the upstream from a "
        "client: docs/upstream-identity.md has the list.",
    )
    routes: tuple[access.Route, ...] = key(
        ListOf(section_of(access.Route)),
        (),
        "Access rules by path. The first match wins; what no route matches needs a valid token.",
    )
    paths: http.Paths = nested(
        http.Paths,
        "Ambiguous paths, which servers read differently; requests with one get 400. pass: the path is "
        "matched in every way an upstream may read it, and must be allowed in all of them.",
    )
    identity_headers: access.IdentityHeaders = nested(
        access.IdentityHeaders,
        "Headers that name the principal to the upstream. Every copy a client sends, however spelled, is "
        "removed. null: the header is not sent.",
    )
    mcp: mcp_table.Mcp | None = optional(
        section_of(mcp_table.Mcp),
        "MCP clients sign in here, with nothing configured by hand: docs/mcp.md. null: the gateway is no "
        "authorization server.",
    )
    sign_in: sign_in_table.SignIn = nested(
        sign_in_table.SignIn, "Sign-in pages for browsers, and their sessions."
    )
    rate_limit: http.RateLimit = nested(
        http.RateLimit,
        "A token bucket per principal, or per client address where nobody is signed in; docs/rate-limits.md.",
    )
    cors: http.Cors | None = optional(
        section_of(http.Cors),
        "Answer CORS preflight requests, and let pages of these origins read responses, refusals included. "
        "null: preflights are judged like any other request.",
    )
    ext_authz: http.ExtAuthz = nested(
        http.ExtAuthz,
        "Envoy's gRPC external authorization; needs the extra cognito-gateway[grpc].",
    )
    metrics: http.Metrics = nested(
        http.Metrics, "Metrics and probes: a separate listener, never the public port."
    )
    log: http.Log = nested(
        http.Log, "Log lines on stdout. They never contain a token, code, cookie or password."
    )
    tracing: http.Tracing | None = optional(
        section_of(http.Tracing),
        "OpenTelemetry spans; needs the extra cognito-gateway[tracing]. null: no spans; W3C traceparent is "
        "forwarded in either case.",
    )

    @property
    def claims_in_routes(self) -> frozenset[str]:
        """The claims that routes require by name, and those about how and when the user signed in."""
        names = {name for route in self.routes for name, _ in route.claims}
        if any(route.acr for route in self.routes):
            names.add("acr")
        if any(route.max_age is not None for route in self.routes):
            names.add("auth_time")
        return frozenset(names)


SCHEMA = section_of(Config)
