"""Real upstream servers as processes, and the local ports of connections to them."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from tests.support.engines import engine, starts
from tests.support.ports import free_port
from tests.support.programs import Program, started

# A typical quick server: it answers without reading the body (BaseHTTPRequestHandler leaves that to the
# handler).
HTTP_SERVER = """
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        if self.path == "/slow":
            time.sleep(0.3)
        body = f"{self.command} {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_HEAD = answer

ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""

NODE = """
const http = require("http");
const server = http.createServer((request, response) => {
  if (request.url === "/not-modified") { response.writeHead(304, {"Content-Length": "5"}).end(); return; }
  let size = 0;
  request.on("data", (piece) => { size += piece.length; });
  request.on("end", () => response.end(request.method + " " + size));
});
server.keepAliveTimeout = parseInt(process.argv[2]);
server.listen(parseInt(process.argv[3]), "127.0.0.1");
"""


@contextlib.asynccontextmanager
async def upstream_process(
    folder: Path, name: str, command: Sequence[str | Path], port: int
) -> AsyncIterator[int]:
    """Run a server on the port; yields once it listens."""
    async with started(folder, command, name=name) as program:
        await listening(program, port)
        yield port


async def listening(program: Program, port: int) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                assert program.process.poll() is None, program.stderr
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


@contextlib.asynccontextmanager
async def http_server(folder: Path) -> AsyncIterator[int]:
    (folder / "server.py").write_text(HTTP_SERVER)
    port = free_port()
    command: list[str | Path] = [sys.executable, folder / "server.py", str(port)]
    async with upstream_process(folder, "http_server", command, port):
        yield port


@contextlib.asynccontextmanager
async def node(folder: Path, *, keep_alive: int = 5000) -> AsyncIterator[int]:
    """Run Node.js, which closes idle connections after `keep_alive` milliseconds and announces it."""
    (folder / "server.js").write_text(NODE)
    port = free_port()
    command: list[str | Path] = [engine("node", "nodejs"), folder / "server.js", str(keep_alive), str(port)]
    async with upstream_process(folder, "node", command, port):
        yield port


WSGI = """
def application(environ, start_response):
    size = len(environ["wsgi.input"].read())
    body = f"{environ['REQUEST_METHOD']} {size}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
ASGI = """
async def application(scope, receive, send):
    assert scope["type"] == "http"
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    body = f"{scope['method']} {size}".encode()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""


@contextlib.asynccontextmanager
async def gunicorn(folder: Path) -> AsyncIterator[int]:
    """Run gunicorn with threads, which closes idle connections after a second without announcing it."""
    starts("gunicorn")
    (folder / "wsgi_upstream.py").write_text(WSGI)
    port = free_port()
    command: list[str | Path] = [sys.executable, "-m", "gunicorn", "--worker-class", "gthread"]
    command += ["--threads", "4", "--keep-alive", "1", "--bind", f"127.0.0.1:{port}"]
    command += ["--chdir", folder, "--no-control-socket", "wsgi_upstream:application"]
    async with upstream_process(folder, "gunicorn", command, port):
        yield port


@contextlib.asynccontextmanager
async def uvicorn(folder: Path) -> AsyncIterator[int]:
    """Run uvicorn, which closes idle connections after a second without announcing it."""
    starts("uvicorn")
    (folder / "asgi_upstream.py").write_text(ASGI)
    port = free_port()
    command: list[str | Path] = [sys.executable, "-m", "uvicorn", "--app-dir", folder, "--lifespan", "off"]
    command += ["--timeout-keep-alive", "1", "--port", str(port), "asgi_upstream:application"]
    async with upstream_process(folder, "uvicorn", command, port):
        yield port


def waiting_ports(port: int) -> int:
    """Count local ports in TIME_WAIT (tcp(7): state 06) after a connection to this port."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    remote = f":{port:04X}"
    return sum(line.split()[2].endswith(remote) and line.split()[3] == "06" for line in lines)
