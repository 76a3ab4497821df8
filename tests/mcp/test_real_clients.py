"""Real MCP clients and a real MCP server, with the gateway and the local Cognito between them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.demos import taking_turns
from tests.support.ports import free_port
from tests.support.site import ALICE, PASSWORD, Site, site
from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
# Of an environment apart: `make mcp`.
PYTHON = ROOT / ".venv-mcp" / "bin" / "python"
PROGRAMS = Path(__file__).parent / "programs"

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not PYTHON.exists(), reason="the MCP clients are not installed: make mcp"),
]


@contextlib.asynccontextmanager
async def guarded(folder: Path, more: str = "") -> AsyncIterator[Site]:
    """A gateway in front of the MCP server, which is a resource of its own origin."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(PYTHON, PROGRAMS / "server.py", str(port))
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                await asyncio.sleep(0.05)
        async with site(folder) as at:
            path = folder / "gateway.yaml"
            text = path.read_text().replace(at.upstream.url, f"http://127.0.0.1:{port}")
            path.write_text(f"{text}mcp: {{resource: '{at.url}/mcp'}}\n{more}")
            await at.worker.reload(at.source.load().config)
            yield at
    finally:
        process.terminate()
        await process.wait()


async def ran(program: str, url: str, *more: str, user: tuple[str, str] = (ALICE, PASSWORD)) -> Any:
    """What a client printed, after it went the whole way."""
    process = await asyncio.create_subprocess_exec(
        *(str(PYTHON), str(PROGRAMS / program), url, *user, *more),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, wrong = await process.communicate()
    assert process.returncode == 0, wrong.decode()[-4000:]
    return json.loads(said)


async def test_the_official_client(tmp_path: Path) -> None:
    async with guarded(tmp_path) as at:
        result = await ran("official_client.py", at.url)
    way = {
        "first": ["add", "42"],
        "second": ["add", "42"],
        "sealed": True,
        "renewed": True,
        "signed_in": 1,
        "shown": True,
    }
    assert result == {"streamable": way, "sse": way}


async def test_fastmcps_client(tmp_path: Path) -> None:
    async with guarded(tmp_path) as at:
        result = await ran("fast_client.py", at.url)
    assert result == {"tools": ["add"], "said": "42", "signed_in": 1}


async def test_the_demos_mcp_server(tmp_path: Path) -> None:
    port = free_port()
    with taking_turns():
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "demo", "--port", str(port), "--mcp"),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
        assert process.stdout is not None
        try:
            printed = ""
            async with asyncio.timeout(PATIENCE):
                while "Ctrl-C stops everything." not in printed:
                    line = (await process.stdout.readline()).decode()
                    assert line, printed
                    printed += line
            known = re.search(r"user +(\S+) +password +(\S+)", printed)
            assert known is not None
            url = f"http://127.0.0.1:{port}"
            result = await ran("fast_client.py", url, "whoami", user=(known[1], known[2]))
            pasted = [
                line[2:] for line in printed.splitlines() if line.startswith("$ curl") and "mcp" in line
            ]
            refused, resource = [
                subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True).stdout
                for line in pasted
            ]
        finally:
            process.send_signal(signal.SIGINT)
            ended = await process.wait()
    assert ended == 0
    assert result["tools"] == ["whoami"]
    assert json.loads(result["said"])["user"]
    assert refused.startswith("HTTP/1.1 401 ")
    assert json.loads(resource)["authorization_servers"] == [url]
