"""Servers and clients of other makes, which tests run beside the gateway: Python's, Node's, Go's and Java's.

`make peers` installs what requirements/test.txt does not: an environment of its own, and the JARs of
tests/client/programs/pom.xml.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from tests.support.cluster.build import go
from tests.support.engines import engine, missing, starts
from tests.support.ports import free_port
from tests.support.programs import Program, run, started, until

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "tests" / "client" / "programs"
_ENVIRONMENT = ROOT / ".venv-peers"

# How each is started; `jdk`, `tomcat` and `go` are built first.
SERVERS: dict[str, tuple[str, ...]] = {
    "gunicorn sync": ("gunicorn", "--no-control-socket", "-b", "127.0.0.1:{port}", "echo_wsgi:app"),
    "gunicorn gthread": (
        "gunicorn", "--no-control-socket", "-k", "gthread", "--threads", "2", "-b", "127.0.0.1:{port}",
        "echo_flask:app",
    ),
    "gunicorn unix": ("gunicorn", "--no-control-socket", "-b", "unix:{folder}/api.sock", "echo_wsgi:app"),
    "waitress": ("waitress", "--listen=127.0.0.1:{port}", "echo_wsgi:app"),
    "uvicorn h11": ("uvicorn", "--http", "h11", "--port", "{port}", "echo_asgi:app"),
    "uvicorn httptools": ("uvicorn", "--http", "httptools", "--port", "{port}", "echo_asgi:app"),
    "hypercorn": ("hypercorn", "-b", "127.0.0.1:{port}", "echo_asgi:app"),
    "daphne": ("daphne", "-b", "127.0.0.1", "-p", "{port}", "echo_django:app"),
    "granian": ("granian", "--interface", "asgi", "--port", "{port}", "echo_asgi:app"),
    "node": ("{programs}/echo.mjs", "{port}"),
    "go": ("{port}",),
    "jdk": ("EchoJdk", "{port}"),
    "tomcat": ("EchoTomcat", "{port}", "{folder}"),
}  # fmt: skip


def python_of_peers() -> str:
    """Return the interpreter that has requirements/peers.txt."""
    python = _ENVIRONMENT / "bin" / "python"
    return str(python) if python.exists() else missing(f"{_ENVIRONMENT.name} is not there: make peers")


def jars() -> str:
    """Return a class path of the pinned JARs."""
    folder = _ENVIRONMENT / "jars"
    return f"{folder}/*" if folder.exists() else missing(f"{folder} is not there: make peers")


def java(folder: Path, *sources: str, path: str = "") -> list[str]:
    """Compile the sources into the folder, and return the command that runs one of their classes."""
    compiler = engine("javac")
    with_path = ["-cp", path] if path else []
    done = run(
        compiler, "-nowarn", "-d", str(folder), *with_path, *(str(PROGRAMS / each) for each in sources)
    )
    assert done.returncode == 0, done.stderr
    # A small heap, and one compiler: two cores run ten programs. By default, the JDK's server delays each
    # answer by 40 ms (Nagle's algorithm).
    options = ("-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dsun.net.httpserver.nodelay=true")
    return [engine("java"), *options, "-cp", f"{folder}:{path}" if path else str(folder)]


def go_program(folder: Path, source: str) -> str:
    """Build a program of one file."""
    starts("go")
    command = go() or missing("Go is not installed: https://go.dev/dl/")
    built = folder / source.removesuffix(".go")
    done = run(command, "build", "-o", built, PROGRAMS / source)
    assert done.returncode == 0, done.stderr
    return str(built)


def _command(name: str, folder: Path) -> list[str]:
    kind = name.partition(" ")[0]
    if kind == "go":
        return [go_program(folder, "echo.go")]
    if kind == "node":
        return [engine("node", "nodejs")]
    if kind == "jdk":
        return java(folder, "Seen.java", "EchoJdk.java")
    if kind == "tomcat":
        return java(folder, "Seen.java", "EchoTomcat.java", path=jars())
    return [python_of_peers() if kind == "granian" else sys.executable, "-m"]


@contextlib.asynccontextmanager
async def serving_peer(folder: Path, name: str, seen: Path) -> AsyncIterator[str]:
    """Run the server; yield its URL for `upstream.url` once it listens. It adds to `seen` what it sees."""
    starts(name)
    port = free_port()
    unix = folder / "api.sock" if name == "gunicorn unix" else None
    words = [word.format(port=port, folder=folder, programs=PROGRAMS) for word in SERVERS[name]]
    command = await asyncio.to_thread(_command, name, folder)
    environ = {"SEEN": str(seen), "PYTHONPATH": str(PROGRAMS)}
    async with started(folder, [*command, *words], name="peer", environ=environ) as program:
        await until(lambda: _listens(program, port, unix))
        yield f"unix:{unix}" if unix else f"http://127.0.0.1:{port}"


async def _listens(program: Program, port: int, unix: Path | None) -> bool:
    if program.process.poll() is not None:
        raise AssertionError(f"it ended: {program.stdout}{program.stderr}")
    try:
        if unix is not None:
            _, writer = await asyncio.open_unix_connection(unix)
        else:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
