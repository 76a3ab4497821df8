"""Protected resource metadata (RFC 9728): points a refused client to its authorization server. Pure.

Invariant: built from the configuration and the validated Host only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.config.model import Config, Mcp
from gateway.errors import NotFound
from gateway.http.answers import Answer, HeaderLines, json_answer
from gateway.http.request import Asked, Request

WELL_KNOWN = "/.well-known/oauth-protected-resource"
# As long as a configuration change may go unnoticed; refused clients fetch it again and again.
_MAX_AGE = b"public, max-age=300"

_QUOTABLE = re.compile(r"/[A-Za-z0-9/._~%:@!$&'()*+,=-]{0,1000}")
_HOST = re.compile(rb"[A-Za-z0-9._:\[\]-]{1,255}")


def public_origin(request: Request | Asked, public_url: str | None) -> str | None:
    """Return the origin under which the client reached us, or None if it cannot be determined.

    That is `listen.public_url`, else what a trusted proxy or the request itself says.
    """
    if public_url is not None:
        return public_url.rstrip("/")
    head = request.head
    proto = head.forwarded_proto if head.forwarded_proto in {b"http", b"https"} else request.peer.proto
    host = head.forwarded_host or head.host
    if not host or not _HOST.fullmatch(host):
        return None
    return f"{proto.decode('ascii')}://{host.decode('ascii')}"


def metadata_url(request: Request | Asked, public_url: str | None, mcp: Mcp | None = None) -> str | None:
    """Return the `resource_metadata` URL for a challenge (RFC 9728 section 5.1).

    Section 3.3: the document's `resource` must be the requested URL, so the path is included where it can be
    quoted. Everything below the resource of MCP clients is that one resource.
    """
    if mcp is not None and mcp.covers(request.raw_path):
        return mcp.origin + WELL_KNOWN + mcp.path
    origin = public_origin(request, public_url)
    if origin is None:
        return None
    path = request.raw_path if _QUOTABLE.fullmatch(request.raw_path) else ""
    return origin + WELL_KNOWN + (path if path != "/" else "")


def metadata(request: Request | Asked, config: Config, scopes: Sequence[str]) -> Answer:
    """Return the metadata document (RFC 9728 section 3.2).

    The path after the well-known part names a resource below the origin (section 3.1). `scopes` are those the
    resource may need. Raises NotFound.
    """
    # Section 3.3: the resource must match the requested URL exactly; so no other spelling is accepted.
    if not request.raw_path.startswith(WELL_KNOWN):
        raise NotFound
    origin = public_origin(request, config.listen.public_url) or ""
    servers = [pool.issuers[0] for pool in config.cognito.user_pools]
    path, mcp = request.raw_path[len(WELL_KNOWN) :], config.mcp
    document: dict[str, object] = {"resource": origin + (path or "/")}
    if mcp is not None and (not path or mcp.covers(path)):
        # Older clients ask at the root, whatever the resource's path.
        document["resource"] = mcp.resource
        if mcp.signs_in:
            servers = [(config.listen.public_url or mcp.origin).rstrip("/")]
    if servers:
        document["authorization_servers"] = servers
    if scopes:
        document["scopes_supported"] = list(scopes)
    # RFC 6750 section 2.1 only: tokens in bodies and query strings end up in logs.
    document["bearer_methods_supported"] = ["header"]
    headers: HeaderLines = [(b"Cache-Control", _MAX_AGE)]
    if config.listen.public_url is None and request.peer.trusted:
        # `resource` is built from these: a cache must not serve one name's document to another.
        headers.append((b"Vary", b"X-Forwarded-Host, X-Forwarded-Proto"))
    return json_answer(document, headers=headers)
