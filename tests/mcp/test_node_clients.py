"""The MCP project's own programs for Node.js: the inspector's command line, and the conformance scenarios."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession, ClientTimeout, web

from tests.support.mcp_client import McpProgram, tokens_of
from tests.support.mcp_programs import guarded, mcp_server, node_environment, node_program
from tests.support.site import ALICE, PASSWORD, Browser, Site
from tests.support.wire import get, once

pytestmark = pytest.mark.engine

ADD = ("--method", "tools/call", "--tool-name", "add", "--tool-arg", "one=20", "other=22")


# --- the inspector ---


async def inspected(
    at: Site, home: Path, *more: str, kind: str = "http", browser: Browser | None = None
) -> Any:
    """Run the inspector against the guarded server; return its JSON.

    With a browser, somebody is at the terminal, opens the address that the inspector prints, and signs in.
    """
    url = f"{at.url}/mcp" + ("/sse" if kind == "sse" else "")
    at_terminal, terminal = pty.openpty()
    try:
        process = await asyncio.create_subprocess_exec(
            *(*node_program("mcp-inspector"), "--cli", "--server-url", url, "--transport", kind),
            *("--format", "json", "--callback-url", "http://127.0.0.1:0/oauth/callback", *more),
            stdin=terminal if browser is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=node_environment(home),
        )
        assert process.stdout is not None
        assert process.stderr is not None
        said = asyncio.create_task(process.stdout.read())
        told = ""
        while line := (await process.stderr.readline()).decode():
            told += line
            if browser is not None and (address := re.search(r"http://\S+/oauth2/authorize\S+", line)):
                await signed_in(at, browser, address[0])
        output = (await said).decode()
        assert await process.wait() == 0, told + output
    finally:
        os.close(at_terminal)
        os.close(terminal)
    return json.loads(output)["result"]


async def signed_in(at: Site, browser: Browser, address: str) -> None:
    assert address.startswith(f"{at.url}/oauth2/authorize?")
    await browser.open(address.removeprefix(at.url))
    await browser.submit(username=ALICE, password=PASSWORD)
    assert "MCP Inspector" in browser.text
    sent = urlsplit((await browser.submit(decision="allow")).get("location") or "")
    assert sent.port is not None
    assert (await once(sent.port, get(f"{sent.path}?{sent.query}"))).status == 200


def kept(home: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the inspector keeps in its file of secrets, and the tokens in it."""
    document = json.loads((home / ".mcp-inspector/secrets.json").read_text())
    (tokens,) = [json.loads(each) for name, each in document["secrets"].items() if ":tokens:" in name]
    return document, tokens


def replace_token(home: Path, access: str) -> None:
    document, tokens = kept(home)
    (name,) = [name for name in document["secrets"] if ":tokens:" in name]
    document["secrets"][name] = json.dumps({**tokens, "access_token": access})
    (home / ".mcp-inspector/secrets.json").write_text(json.dumps(document))


@pytest.mark.parametrize("kind", ["http", "sse"])
async def test_the_inspector_signs_in_calls_and_refreshes(tmp_path: Path, kind: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    async with mcp_server() as server, guarded(tmp_path, server) as at:
        listed = await inspected(at, home, "--method", "tools/list", kind=kind, browser=at.browser())
        assert [tool["name"] for tool in listed["tools"]] == ["add"]
        _, first = kept(home)
        assert first["access_token"].startswith("mcp_at_")
        # A new process with the stored token: nobody signs in.
        called = await inspected(at, home, *ADD, "--stored-auth-only", kind=kind)
        assert called["structuredContent"] == {"result": 42}
        # The gateway refuses this token with 401: the refresh token is used, and nobody signs in.
        replace_token(home, first["access_token"][:-4] + "AAAA")
        called = await inspected(at, home, *ADD, "--stored-auth-only", kind=kind)
        assert called["structuredContent"] == {"result": 42}
        assert kept(home)[1]["access_token"] not in {
            first["access_token"],
            first["access_token"][:-4] + "AAAA",
        }
        events = [line["event"] for line in at.log()]
        assert events.count("mcp_sign_in") == 1
        assert events.count("mcp_tokens_renewed") == 1


async def test_the_inspector_with_a_token_of_the_front_door(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    async with mcp_server() as server, guarded(tmp_path, server) as at:
        token = await token_of(at)
        called = await inspected(at, home, *ADD, "--header", f"Authorization: Bearer {token}")
        assert called["structuredContent"] == {"result": 42}
        read = await inspected(
            at, home, "--method", "resources/read", "--uri", "probe://greeting",
            "--header", f"Authorization: Bearer {token}",
        )  # fmt: skip
        assert read["contents"][0]["text"] == "hello"


# --- the conformance scenarios ---


async def token_of(at: Site) -> str:
    program = McpProgram(at.worker.port, resource=f"{at.url}/mcp")
    assert (await program.register()).status == 201
    tokens = await tokens_of(program, at.browser())
    return str(tokens["access_token"])


@contextlib.asynccontextmanager
async def with_token(at: Site, token: str) -> AsyncIterator[str]:
    """Run a proxy that adds the token to each request, for a client that knows of no authorization."""

    async def passed_on(request: web.Request) -> web.StreamResponse:
        sent = {name: value for name, value in request.headers.items() if name.lower() != "content-length"}
        sent["Authorization"] = f"Bearer {token}"
        body = await request.read()
        async with client.request(
            request.method, at.url + request.path_qs, headers=sent, data=body
        ) as answer:
            back = web.StreamResponse(status=answer.status, headers=answer.headers)
            await back.prepare(request)
            async for chunk in answer.content.iter_any():
                await back.write(chunk)
            await back.write_eof()
            return back

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", passed_on)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    async with ClientSession(timeout=ClientTimeout(total=None), auto_decompress=False) as client:
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


async def results_of(origin: str, folder: Path) -> dict[str, list[tuple[str, str, str]]]:
    """Run all server scenarios; return for each scenario its checks, their outcomes and what was wrong."""
    folder.mkdir()
    process = await asyncio.create_subprocess_exec(
        *(*node_program("conformance"), "server", "--suite", "all"),
        *("--url", f"{origin}/mcp", "--output-dir", str(folder)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=node_environment(folder),
    )
    # It ends with 1 if a check failed.
    _, wrong = await process.communicate()
    found = {}
    for path in folder.glob("server-*/checks.json"):
        name = re.sub(r"^server-|-\d{4}-\d\d-\d\dT[\dZ-]+$", "", path.parent.name)
        checks = json.loads(path.read_text())
        found[name] = [(each["id"], each["status"], each.get("errorMessage") or "") for each in checks]
    assert found, wrong.decode()[-4000:]
    return found


async def test_the_conformance_scenarios_end_alike_directly_and_through_the_gateway(tmp_path: Path) -> None:
    async with mcp_server("everything_server.py") as server, guarded(tmp_path, server) as at:
        async with with_token(at, await token_of(at)) as proxied:
            direct, through = await asyncio.gather(
                results_of(server, tmp_path / "direct"), results_of(proxied, tmp_path / "through")
            )
    assert through == direct
    assert len(direct) >= 30
    failed = {name for name, checks in direct.items() if any(status == "FAILURE" for _, status, _ in checks)}
    # The server has no tool for it.
    assert failed == {"json-schema-2020-12"}
