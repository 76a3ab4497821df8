"""The sample API behind the gateway in `demo` and in tests.

Invariant: it trusts every request; the gateway in front of it does the access control.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

from aiohttp import web

from local_cognito.version import VERSION

_IDENTITY = "x-auth-request-"


def application() -> web.Application:
    """Return the API as an application; it keeps no state."""
    # 0: no limit, since echo buffers no body.
    app = web.Application(client_max_size=0)
    app.router.add_get("/", _root)
    app.router.add_get("/api/v1/config", _config)
    app.router.add_get("/api/v1/status", _status)
    app.router.add_post("/api/v1/echo", _echo)
    app.router.add_get("/api/v1/events", _events)
    app.router.add_get("/headers", _headers)
    return app


def _json(value: dict[str, Any], status: int = 200) -> web.Response:
    # The line break is for terminals where the demo's curl is pasted.
    return web.json_response(text=json.dumps(value) + "\n", status=status)


async def _root(_: web.Request) -> web.Response:
    """List the paths."""
    paths = ["/api/v1/config", "/api/v1/status", "/api/v1/echo", "/api/v1/events", "/headers"]
    return _json({"service": "sample-api", "paths": paths})


async def _config(request: web.Request) -> web.Response:
    """Return the API's version, and the caller's identity as the gateway reports it."""
    identity = {
        name.lower().removeprefix(_IDENTITY): value
        for name, value in request.headers.items()
        if name.lower().startswith(_IDENTITY)
    }
    return _json(
        {"service": "sample-api", "version": VERSION, "identity": identity, "path": request.raw_path}
    )


async def _status(request: web.Request) -> web.Response:
    return _json({"status": "ok"})


async def _echo(request: web.Request) -> web.StreamResponse:
    """Return the request's body, streamed."""
    response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
    if request.content_type:
        response.content_type = request.content_type
    if request.content_length is not None:
        response.content_length = request.content_length
    await response.prepare(request)
    async for chunk in request.content.iter_any():
        await response.write(chunk)
    await response.write_eof()
    return response


async def _events(request: web.Request) -> web.StreamResponse:
    """Send server-sent events: `?count=` of them (10, at most 1000), `?interval=` seconds apart (1, up to
    60)."""
    try:
        count = min(int(request.query.get("count", "10")), 1000)
        interval = min(max(float(request.query.get("interval", "1")), 0.0), 60.0)
    except ValueError:
        return _json({"error": "count and interval must be numbers"}, status=400)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    for number in range(1, count + 1):
        if number > 1:
            await asyncio.sleep(interval)
        await response.write(f"id: {number}\ndata: {json.dumps({'number': number})}\n\n".encode())
    await response.write_eof()
    return response


async def _headers(request: web.Request) -> web.Response:
    """Return every header line as received, including repeated ones."""
    lines = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.raw_headers]
    return _json({"method": request.method, "path": request.raw_path, "headers": lines})


def main() -> None:
    """Serve the API until SIGINT or SIGTERM: `python -m local_cognito.sample_api`."""
    parser = argparse.ArgumentParser(prog="python -m local_cognito.sample_api", description="A sample API.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8080, help="port to listen on (default: 8080)")
    arguments = parser.parse_args()
    web.run_app(application(), host=arguments.host, port=arguments.port, access_log=None, print=None)


if __name__ == "__main__":
    main()
