"""The gateway's own paths, and the documents served there without pages.

Invariant: a path with any reading among them is never proxied, whether anything is found there or not.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.config.model import Config
from gateway.errors import NotFound, ReadOnly
from gateway.gate.assertion import Signer
from gateway.http.answers import Answer
from gateway.http.request import Asked
from gateway.http.resource_metadata import WELL_KNOWN, metadata
from gateway.policy.routes import RouteTable

# RFC 8414 section 3, and OpenID Connect Discovery's spelling of it; ours where MCP clients sign in here.
_SERVER_METADATA = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")


class OwnPaths:
    """The gateway's own paths under one configuration."""

    def __init__(self, config: Config, routes: RouteTable, signer: Signer | None) -> None:
        self._config = config
        self._routes = routes
        self._signer = signer
        self._prefix = config.sign_in.prefix
        signs_in = config.mcp is not None and config.mcp.signs_in
        self._kept = (WELL_KNOWN, self._prefix, *(_SERVER_METADATA if signs_in else ()))
        # The path of the assertions' keys; None if there are none.
        self._keys = None if signer is None else f"{self._prefix}/jwks.json"

    def hold(self, paths: Sequence[str]) -> bool:
        """Return whether a reading of the request is, or lies under, one of our paths."""
        return any(_under(path, kept) for path in paths for kept in self._kept)

    def is_page(self, paths: Sequence[str]) -> bool:
        """Return whether the portal, if there is one, answers it, if only with 404.

        A path with several readings is not a page.
        """
        return len(paths) == 1 and paths[0] != self._keys and _under(paths[0], self._prefix)

    def answer(self, asked: Asked, paths: Sequence[str]) -> Answer:
        """Return the document at one of our paths. Raises NotFound and ReadOnly."""
        path = paths[0]
        if len(paths) > 1 or not (_under(path, WELL_KNOWN) or path == self._keys):
            raise NotFound
        if asked.method not in {"GET", "HEAD"}:
            raise ReadOnly
        asked.request.decision, asked.request.reason = "allowed", "own_page"
        if self._signer is not None and path == self._keys:
            return self._signer.key_set()
        return metadata(asked, self._config, self._routes.scopes(path[len(WELL_KNOWN) :]))


def _under(path: str, prefix: str) -> bool:
    """Return whether the path is the prefix or lies below it."""
    return path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in {"", "/"}
