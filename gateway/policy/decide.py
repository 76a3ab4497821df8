"""May they: the verdict over a principal under a route. Pure; the last word before anything is forwarded.

Invariant: whatever no route says needs a valid token; only an explicit `none` or `optional` opens a path.
"""

from __future__ import annotations

from gateway.config.model import Auth, Route
from gateway.errors import NoCredentials


def auth_of(route: Route | None) -> Auth:
    """What a route asks for; a request no route matches needs a valid token."""
    return "required" if route is None else route.auth


def decide(auth: Auth, *, authenticated: bool) -> str:
    """The reason the request is allowed, a word from a fixed set; raises NoCredentials where it is not."""
    if authenticated:
        return "valid_token"
    if auth == "none":
        return "open_route"
    if auth == "optional":
        return "anonymous"
    raise NoCredentials
