"""The whole schema, once: key, type, default and the reason for it, in the order people read it.

Validation, defaults, JSON Schema, config/gateway.example.yaml, docs/configuration.md, the names of
environment variables and the suggestions for unknown keys are all derived from here and from nowhere else.
The keys themselves stand in table_http.py and table_access.py.
"""

from __future__ import annotations

from gateway.config import table_access as access
from gateway.config import table_http as http
from gateway.config.shapes import Section

SCHEMA = Section(
    (
        http.LISTEN,
        http.UPSTREAM,
        access.COGNITO,
        http.REQUEST_HEADERS,
        access.ROUTES,
        http.PATHS,
        access.IDENTITY_HEADERS,
        access.SIGN_IN,
        http.RATE_LIMIT,
        http.CORS,
        http.EXT_AUTHZ,
        http.METRICS,
        http.LOG,
        http.TRACING,
    )
)
