"""The route of the configuration that the portal's `curl` command calls: one that answers this person. Pure.

Invariant: the path is one that a GET request by this principal is allowed to, by the table that requests are
decided by.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.config.model import Route
from gateway.errors import Refusal
from gateway.policy.decide import decide
from gateway.policy.routes import RouteTable
from gateway.tokens.principal import Principal

# RFC 3986 section 2.3: unreserved characters, which need no encoding and no quotes.
_LITERAL = re.compile(r"(?:/[A-Za-z0-9._~-]+)+/?|/")
# With no route that suits.
_ROOT = "/"


def example_path(routes: Sequence[Route], table: RouteTable, who: Principal, now: float) -> str:
    """Return the first literal path of the routes that needs a token, takes GET and lets this person in; else
    the root. `table`: that of the routes."""
    for route in routes:
        path = route.path
        if route.auth == "none" or not _LITERAL.fullmatch(path):
            continue
        # An earlier route may decide about the same path.
        if table.match(path, "GET") is route and _allowed(table, path, who, now):
            return path
    return _ROOT


def _allowed(table: RouteTable, path: str, who: Principal, now: float) -> bool:
    try:
        decide(table.need([path], "GET"), who, now)
    except Refusal:
        return False
    return True
