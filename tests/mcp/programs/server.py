"""A real MCP server: streamable HTTP at /mcp, SSE at /mcp/sse. `server.py PORT`."""

from __future__ import annotations

import sys

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette

server = MCPServer("probe")
# Behind a gateway that has checked the Host; it passes on the client's own.
ANY_HOST = TransportSecuritySettings(enable_dns_rebinding_protection=False)


@server.tool()
def add(one: int, other: int) -> int:
    """Add two numbers."""
    return one + other


@server.resource("probe://greeting")
def greeting() -> str:
    """Return a greeting."""
    return "hello"


def application() -> Starlette:
    app = server.streamable_http_app(streamable_http_path="/mcp", transport_security=ANY_HOST)
    events = server.sse_app(sse_path="/mcp/sse", message_path="/mcp/messages/", transport_security=ANY_HOST)
    app.router.routes.extend(events.routes)
    return app


if __name__ == "__main__":
    uvicorn.run(application(), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
