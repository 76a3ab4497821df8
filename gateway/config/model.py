"""The completed configuration: frozen, with every default filled in and every unit resolved.

Durations are seconds (float), sizes are bytes (int), addresses and URLs are parsed. Nothing below
gateway/serve/app.py sees any other form of it (typed → completed → running). The classes are declared in
table.py and table_*.py; import them from here only.
"""

from __future__ import annotations

from gateway.config.addresses import Address
from gateway.config.egress import DIRECT, Egress
from gateway.config.table import Config
from gateway.config.table_access import (
    AssertionSettings,
    Auth,
    Cognito,
    IdentityHeaders,
    Revocation,
    Route,
    TokenUse,
    UserPool,
)
from gateway.config.table_http import (
    ClientTls,
    Cors,
    ExtAuthz,
    Listen,
    Log,
    Metrics,
    Paths,
    RateLimit,
    RequestHeaders,
    ServerTls,
    SigV4,
    Tracing,
    Upstream,
)
from gateway.config.table_mcp import Mcp
from gateway.config.table_sign_in import Appearance, Provider, SessionSettings, SignIn

__all__ = [
    "DIRECT",
    "Address",
    "Appearance",
    "AssertionSettings",
    "Auth",
    "ClientTls",
    "Cognito",
    "Config",
    "Cors",
    "Egress",
    "ExtAuthz",
    "IdentityHeaders",
    "Listen",
    "Log",
    "Mcp",
    "Metrics",
    "Paths",
    "Provider",
    "RateLimit",
    "RequestHeaders",
    "Revocation",
    "Route",
    "ServerTls",
    "SessionSettings",
    "SigV4",
    "SignIn",
    "TokenUse",
    "Tracing",
    "Upstream",
    "UserPool",
]
