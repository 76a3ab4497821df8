"""The sample API behind the gateway in `demo` and in tests: small, but it really does what it answers.

Invariant: it trusts whoever reaches it; the gateway in front is what keeps strangers out.
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
    """The API's routes; keeps nothing between requests."""
    # 0: echo takes bodies of any size, since it holds none of them.
    app = web.Application(client_max_size=0)
    app.router.add_get("/", _root)
    app.router.add_get("/api/v1/config", _config)
    app.router.add_get("/api/v1/status", _status)
    app.router.add_post("/api/v1/echo", _echo)
    app.router.add_get("/api/v1/events", _events)
    app.router.add_get("/headers", _headers)
    return app


def _json(value: dict[str, Any], status: int = 200) -> web.Response:
    # A line of its own on the terminal of whoever pastes the demo's curl.
    return web.json_response(text=json.dumps(value) + "\n", status=status)


async def _root(_: web.Request) -> web.Response:
    """What there is to ask for."""
    paths = ["/api/v1/config", "/api/v1/status", "/api/v1/echo", "/api/v1/events", "/headers"]
    return _json({"service": "sample-api", "paths": paths})


async def _config(request: web.Request) -> web.Response:
    """What the API runs with, and who the gateway says is asking."""
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
    """The request's body, sent back as it comes in."""
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
    """Server-sent events: `?count=` of them (10, at most 1000), `?interval=` seconds apart (1, up to 60)."""
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
    """Every header line as it arrived, repeated ones included."""
    lines = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.raw_headers]
    return _json({"method": request.method, "path": request.raw_path, "headers": lines})


def main() -> None:
    """Serve the API until SIGINT or SIGTERM: `python -m local_cognito.sample_api`."""
    parser = argparse.ArgumentParser(prog="python -m local_cognito.sample_api", description="A sample API.")
    parser.add_argument("--host", default="127.0.0.1", help="an address (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8080, help="a port (default: 8080)")
    arguments = parser.parse_args()
    web.run_app(application(), host=arguments.host, port=arguments.port, access_log=None, print=None)


if __name__ == "__main__":
    main()
