"""Real application servers behind the gateway: no client's header tells them another path or another user."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.engines import starts
from tests.support.ports import free_port
from tests.support.programs import started, until
from tests.support.running import running
from tests.support.wire import get, once

ROUTES = "routes: [{path: /public/**, auth: none}, {path: /admin/**, groups: [admins]}]\n"

# What each application says of a request: where it took it to be for, and whose.
_FLASK = """
import flask

app = flask.Flask("api")


@app.route("/", defaults={"path": ""})
@app.route("/<path:path>")
def say(path):
    seen = flask.request.environ
    return flask.jsonify(
        path=seen["PATH_INFO"], script=seen.get("SCRIPT_NAME", ""), user=seen.get("REMOTE_USER", ""),
        headers={name: value for name, value in seen.items() if name.startswith("HTTP_")},
    )
"""
_DJANGO = """
import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import JsonResponse
from django.urls import re_path

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="tests", MIDDLEWARE=[])


def say(request):
    seen = request.META
    return JsonResponse({
        "path": request.path_info, "script": request.META.get("SCRIPT_NAME", ""),
        "user": request.META.get("REMOTE_USER", ""),
        "headers": {name: value for name, value in seen.items() if name.startswith("HTTP_")},
    })


urlpatterns = [re_path(".*", say)]
app = get_asgi_application()
"""
_ASGI = """
import json


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    headers = {name.decode().upper().replace("-", "_"): value.decode() for name, value in scope["headers"]}
    body = json.dumps({
        "path": scope["path"], "script": scope.get("root_path", ""), "user": "",
        "headers": {"HTTP_" + name: value for name, value in headers.items()},
    }).encode()
    length = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    await send({"type": "http.response.body", "body": body})
"""
_SERVERS = {
    "gunicorn sync": (_FLASK, ["gunicorn", "--no-control-socket", "-b", "127.0.0.1:{port}", "api:app"]),
    "gunicorn gthread": (
        _FLASK,
        [
            "gunicorn", "--no-control-socket", "-k", "gthread", "--threads", "2", "-b", "127.0.0.1:{port}",
            "api:app",
        ],
    ),
    "gunicorn unix": (_FLASK, ["gunicorn", "--no-control-socket", "-b", "unix:{folder}/api.sock", "api:app"]),
    "daphne": (_DJANGO, ["daphne", "-b", "127.0.0.1", "-p", "{port}", "api:app"]),
    "uvicorn": (_ASGI, ["uvicorn", "--port", "{port}", "api:app"]),
    "hypercorn": (_ASGI, ["hypercorn", "-b", "127.0.0.1:{port}", "api:app"]),
    "waitress": (_FLASK, ["waitress", "--listen=127.0.0.1:{port}", "api:app"]),
}  # fmt: skip

# Each moves a request, or names somebody, on one of these servers or on one of their kin.
_MOVES = (
    "SCRIPT_NAME: /public",
    "Script-Name: /public",
    "PATH_INFO: /admin/users",
    "Path-Info: /admin/users",
    "Daphne-Root-Path: /public",
    "Daphne_Root_Path: /public",
    "X-Script-Name: /public",
    "X-Forwarded-Prefix: /public",
    "REMOTE_USER: root",
    "Remote-User: root",
    "X-Remote-User: root",
    "X_Remote.User: root",
    "Proxy: http://evil.test",
)


@contextlib.asynccontextmanager
async def served(folder: Path, name: str) -> AsyncIterator[str]:
    """The server's URL for `upstream.url`, once it listens."""
    starts(name)
    application, command = _SERVERS[name]
    port = free_port()
    (folder / "api.py").write_text(application)
    words = [word.format(port=port, folder=folder) for word in command]
    async with started(folder, [sys.executable, "-m", *words], name="api") as program:

        async def listens() -> bool:
            if program.process.poll() is not None:
                raise AssertionError(f"it ended: {program.stdout}{program.stderr}")
            try:
                if name == "gunicorn unix":
                    _, writer = await asyncio.open_unix_connection(folder / "api.sock")
                else:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return False
            writer.close()
            return True

        await until(listens, seconds=90)
        yield f"unix:{folder}/api.sock" if name == "gunicorn unix" else f"http://127.0.0.1:{port}"


@pytest.mark.engine
@pytest.mark.parametrize("name", _SERVERS)
async def test_no_header_moves_a_request_or_names_anybody(tmp_path: Path, name: str) -> None:
    async with served(tmp_path, name) as url, running(tmp_path, ROUTES, upstream_url=url) as gateway:
        for lines in ((), _MOVES, *((line,) for line in _MOVES)):
            reply = await once(gateway.port, get("/public/admin/users", *lines))
            assert (lines, reply.status) == (lines, 200)
            seen = json.loads(reply.body)
            assert (seen["path"], seen["script"], seen["user"]) == ("/public/admin/users", "", "")
            said = json.dumps(seen["headers"])
            assert "root" not in said
            assert "evil" not in said
        user = gateway.bearer()
        reply = await once(
            gateway.port, get("/x/admin/users", user, "SCRIPT_NAME: /x", "Daphne-Root-Path: /x")
        )
        assert (json.loads(reply.body)["path"], json.loads(reply.body)["script"]) == ("/x/admin/users", "")
