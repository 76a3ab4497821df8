"""Real MCP servers and clients, from environments apart (`make mcp`), and a gateway before such a server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.support.engines import missing, starts
from tests.support.ports import free_port
from tests.support.site import ALICE, PASSWORD, Site, site
from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "tests" / "mcp" / "programs"


def python() -> Path:
    """Return the interpreter that has the MCP packages."""
    return _installed(ROOT / ".venv-mcp" / "bin" / "python")


def node_program(name: str) -> list[str]:
    """Return the command of a program of tests/mcp/programs/package.json, run by the Node.js listed there."""
    programs = _installed(ROOT / ".node-mcp" / "node_modules" / ".bin" / name).parent
    return [str(_installed(programs / "node")), str(programs / name)]


def _installed(path: Path) -> Path:
    starts(path.name)
    return path if path.exists() else missing("the MCP clients are not installed: make mcp")


@contextlib.asynccontextmanager
async def mcp_server(program: str = "server.py") -> AsyncIterator[str]:
    """Run an MCP server; return its origin."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(python(), PROGRAMS / program, str(port))
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                await asyncio.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def guarded(folder: Path, upstream: str) -> AsyncIterator[Site]:
    """Run a gateway in front of this MCP server; the resource is at the gateway's own address."""
    async with site(folder) as at:
        path = folder / "gateway.yaml"
        text = path.read_text().replace(at.upstream.url, upstream)
        path.write_text(f"{text}mcp: {{resource: '{at.url}/mcp'}}\n")
        await at.worker.reload(at.source.load().config)
        yield at


async def printed(program: str, url: str, *more: str, user: tuple[str, str] = (ALICE, PASSWORD)) -> Any:
    """Run a client of tests/mcp/programs, which goes the whole way; return the JSON that it prints."""
    process = await asyncio.create_subprocess_exec(
        *(str(python()), str(PROGRAMS / program), url, *user, *more),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, wrong = await process.communicate()
    assert process.returncode == 0, wrong.decode()[-4000:]
    return json.loads(said)


def node_environment(home: Path) -> dict[str, str]:
    """Return the environment of a program that keeps its files in this folder and no secret elsewhere."""
    return {**os.environ, "HOME": str(home), "MCP_INSPECTOR_SECRET_STORE": "file", "NO_COLOR": "1"}
