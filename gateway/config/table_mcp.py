"""The schema's part about MCP clients: whom the gateway signs in as their authorization server."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from gateway.config import shapes as s
from gateway.config.declare import Declared, key, required, section
from gateway.config.shapes import ListOf


@section
class Mcp(Declared):
    resource: str = required(
        s.RESOURCE,
        "The URL that people enter in their MCP clients. Issued tokens are valid at this path and below it.",
        example="https://api.example.com/mcp",
    )
    redirect_uris: tuple[str, ...] = key(
        ListOf(s.REDIRECT_URI),
        (),
        "Where clients may send people besides loopback addresses: whole URIs, compared exactly.",
        example="[https://client.example.com/callback]",
    )
    client_documents: tuple[str, ...] = key(
        ListOf(s.DOCUMENT_HOST),
        (),
        "Hosts whose client ID metadata documents are fetched. Strangers cause these requests, so "
        "none by default.",
        example="[client.example.com]",
    )
    registration: Literal["gateway", "native"] = key(
        s.choice("gateway", "native"),
        "gateway",
        "gateway: clients register and sign in here. native: they are sent to the user pool, which registers "
        "clients itself.",
    )
    tokens: Literal["sealed", "cognito"] = key(
        s.choice("sealed", "cognito"),
        "sealed",
        "sealed: access tokens that no other API of the pool accepts. cognito: the pool's own.",
    )

    @property
    def signs_in(self) -> bool:
        """Whether this gateway is the authorization server."""
        return self.registration == "gateway"

    @property
    def origin(self) -> str:
        """Scheme, host and port of the resource."""
        parts = urlsplit(self.resource)
        return f"{parts.scheme}://{parts.netloc}"

    def is_at(self, host: bytes | None) -> bool:
        """Return whether a Host header names the host and the port of the resource."""
        resource = urlsplit(self.resource)
        usual = ":443" if resource.scheme == "https" else ":80"
        named = (host or b"").decode("latin-1").lower()
        return named.removesuffix(usual) == resource.netloc.lower().removesuffix(usual)

    def covers(self, path: str) -> bool:
        """Return whether a path is that of the resource, or below it."""
        return path == self.path or path.startswith(f"{self.path}/")

    @property
    def path(self) -> str:
        """The path of the resource, without a slash at its end."""
        return urlsplit(self.resource).path.rstrip("/")
