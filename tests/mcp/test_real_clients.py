"""Real MCP clients and a real MCP server, with the gateway and the local Cognito between them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.demos import taking_turns
from tests.support.mcp_programs import guarded, mcp_server, printed
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.engine


async def test_the_official_client(tmp_path: Path) -> None:
    async with mcp_server() as server, guarded(tmp_path, server) as at:
        result = await printed("official_client.py", at.url)
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
    async with mcp_server() as server, guarded(tmp_path, server) as at:
        result = await printed("fast_client.py", at.url)
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
            shown = ""
            async with asyncio.timeout(PATIENCE):
                while "Ctrl-C stops everything." not in shown:
                    line = (await process.stdout.readline()).decode()
                    assert line, shown
                    shown += line
            known = re.search(r"user +(\S+) +password +(\S+)", shown)
            assert known is not None
            url = f"http://127.0.0.1:{port}"
            result = await printed("fast_client.py", url, "whoami", user=(known[1], known[2]))
            pasted = [line[2:] for line in shown.splitlines() if line.startswith("$ curl") and "mcp" in line]
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
