"""The sample MCP server behind the gateway in `demo --mcp`: one tool that says who is asking.

MCP's streamable HTTP without sessions: a request is answered in JSON, a notification with 202. Invariant: as
the sample API, it trusts every caller; the gateway in front is what keeps strangers out.
"""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from local_cognito.version import VERSION

# MCP, "Lifecycle": the server answers with the client's version where it knows it, else with its newest.
_VERSIONS = ("2025-03-26", "2025-06-18", "2025-11-25")
_IDENTITY = "x-auth-request-"
# JSON-RPC 2.0 section 5.1.
_PARSE_ERROR, _INVALID_REQUEST, _UNKNOWN_METHOD, _INVALID_PARAMETERS = -32700, -32600, -32601, -32602
# Bytes of a message.
_MOST = 64 * 1024
_TOOL = {
    "name": "whoami",
    "description": "Say who the gateway says is asking.",
    "inputSchema": {"type": "object", "properties": {}},
}


def add_routes(app: web.Application) -> None:
    """Serve it at /mcp."""
    app.router.add_post("/mcp", _post)


async def _post(request: web.Request) -> web.Response:
    # The application around it takes bodies of any size.
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > _MOST:
            return _error(None, _INVALID_REQUEST, "the message is too long", status=413)
    try:
        message = json.loads(body)
    except ValueError:
        return _error(None, _PARSE_ERROR, "no JSON", status=400)
    if not isinstance(message, dict) or not isinstance(message.get("method"), str):
        return _error(None, _INVALID_REQUEST, "one request or notification is expected", status=400)
    if "id" not in message:
        return web.Response(status=202)
    return _answer(request, message)


def _answer(request: web.Request, message: dict[str, Any]) -> web.Response:
    parameters = message.get("params")
    parameters = parameters if isinstance(parameters, dict) else {}
    match message["method"]:
        case "initialize":
            wanted = parameters.get("protocolVersion")
            result: dict[str, Any] = {
                "protocolVersion": wanted if wanted in _VERSIONS else _VERSIONS[-1],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "sample-mcp", "version": VERSION},
            }
        case "ping":
            result = {}
        case "tools/list":
            result = {"tools": [_TOOL]}
        case "tools/call":
            if parameters.get("name") != _TOOL["name"]:
                return _error(message["id"], _INVALID_PARAMETERS, "there is no such tool")
            result = {"content": [{"type": "text", "text": json.dumps(_identity(request))}], "isError": False}
        case _:
            return _error(message["id"], _UNKNOWN_METHOD, "there is no such method")
    return web.json_response({"jsonrpc": "2.0", "id": message["id"], "result": result})


def _identity(request: web.Request) -> dict[str, str]:
    return {
        name.lower().removeprefix(_IDENTITY): value
        for name, value in request.headers.items()
        if name.lower().startswith(_IDENTITY)
    }


def _error(number: object, code: int, sentence: str, *, status: int = 200) -> web.Response:
    answer = {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": sentence}}
    return web.json_response(answer, status=status)
