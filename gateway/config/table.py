"""The whole configuration, each key declared once: name, type, default and why, in the order people read it.

The completed configuration, validation, defaults, JSON Schema, config/gateway.example.yaml,
docs/configuration.md, the names of environment variables and the suggestions for unknown keys are all derived
from here and from nowhere else. The sections stand in table_http.py and table_access.py.
"""

from __future__ import annotations

from gateway.config import table_access as access
from gateway.config import table_http as http
from gateway.config.declare import Declared, key, nested, optional, section, section_of
from gateway.config.shapes import ListOf


@section
class Config(Declared):
    listen: http.Listen = nested(http.Listen, "The public side: where clients connect.")
    upstream: http.Upstream = nested(http.Upstream, "The API behind us: where allowed requests go.")
    cognito: access.Cognito = nested(access.Cognito, "Who signs the tokens.")
    request_headers: http.RequestHeaders = nested(
        http.RequestHeaders,
        "A client's headers that servers take for their own never reach the upstream: "
        "docs/upstream-identity.md has the list.",
    )
    routes: tuple[access.Route, ...] = key(
        ListOf(section_of(access.Route)),
        (),
        "What is open, and to whom. The first match wins; what no route matches needs a valid token.",
    )
    paths: http.Paths = nested(
        http.Paths,
        "What a path may hold. Servers do not agree on what these mean, so such requests get 400. pass: the "
        "path is matched in every way an upstream may read it, and must be allowed in all of them.",
    )
    identity_headers: access.IdentityHeaders = nested(
        access.IdentityHeaders,
        "What the upstream learns about the principal. Every copy a client sends, however spelled, is "
        "removed. null: this one is not sent.",
    )
    sign_in: access.SignIn = nested(access.SignIn, "Our own pages, for browsers.")
    rate_limit: http.RateLimit = nested(
        http.RateLimit,
        "A token bucket for each principal, or for each address when nobody is signed in; "
        "docs/rate-limits.md.",
    )
    cors: http.Cors | None = optional(
        section_of(http.Cors),
        "Answer browsers' preflight requests here, and let pages of these origins read answers, our refusals "
        "too. null: preflights are requests as any other.",
    )
    ext_authz: http.ExtAuthz = nested(
        http.ExtAuthz,
        "Envoy's gRPC external authorization; needs the extra cognito-gateway[grpc].",
    )
    metrics: http.Metrics = nested(
        http.Metrics, "Metrics and probes: a separate listener, never the public port."
    )
    log: http.Log = nested(http.Log, "Lines on stdout. No token, code, cookie or password is ever in them.")
    tracing: http.Tracing | None = optional(
        section_of(http.Tracing),
        "OpenTelemetry spans; needs the extra cognito-gateway[tracing]. null: none of our own; W3C "
        "traceparent is passed through in any case.",
    )

    @property
    def claims_in_routes(self) -> frozenset[str]:
        """The claims that routes ask for by name, and those that say how and when the user signed in."""
        names = {name for route in self.routes for name, _ in route.claims}
        if any(route.acr for route in self.routes):
            names.add("acr")
        if any(route.max_age is not None for route in self.routes):
            names.add("auth_time")
        return frozenset(names)


SCHEMA = section_of(Config)
