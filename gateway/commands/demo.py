"""The `demo` command: local Cognito, sample API and gateway in one process on loopback, with a seeded user.

Invariant: it leaves neither files nor processes behind; SIGINT (one Ctrl-C) and SIGTERM end it with exit code
0.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import json
import secrets
import shlex
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.commands.local_cognito import require_local_cognito
from gateway.commands.support.flag_parser import Parser
from gateway.commands.support.flags import Environ, port
from gateway.errors import GatewayError
from gateway.terminal import waiting_for

if TYPE_CHECKING:
    from gateway.config.model import Config

EXAMPLE = "demo --port 8000"

_HOST = "127.0.0.1"
# The documented ports; if one is in use, a free one replaces it.
_COGNITO_PORT, _API_PORT, _METRICS_PORT = 9229, 8080, 9090


def add_flags(parser: Parser) -> None:
    parser.add_argument("--port", type=port, default=8000, help="the gateway's port (default: 8000)")
    parser.add_argument("--mcp", action="store_true", help="guard a sample MCP server too, at /mcp")


@dataclass(frozen=True, slots=True)
class Seeded:
    """The seed's pool, client and user."""

    pool_id: str
    client_id: str
    username: str
    password: str


@dataclass(frozen=True, slots=True)
class Running:
    """The URLs of all servers."""

    gateway: str
    metrics: str
    cognito: str
    api: str


def run(arguments: argparse.Namespace, _: Environ) -> int:
    """Run until SIGINT or SIGTERM; return 0. Raises GatewayError if the gateway's port is in use."""
    require_local_cognito("demo")
    if not _is_free(arguments.port):
        raise GatewayError(f"demo: port {arguments.port} on {_HOST} is in use: choose another with --port")
    asyncio.run(_demo(arguments.port, with_mcp=arguments.mcp))
    return 0


async def _demo(port: int, *, with_mcp: bool) -> None:
    from gateway.serve.worker import Worker
    from local_cognito.seed import DEMO, read

    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    document = read(DEMO)
    async with contextlib.AsyncExitStack() as stack:
        with waiting_for("the local Cognito, the sample API and the gateway to start"):
            cognito = await stack.enter_async_context(_cognito(document))
            api = await stack.enter_async_context(_api(with_mcp=with_mcp))
            metrics = f"http://{_HOST}:{_free_port(_METRICS_PORT)}"
            running = Running(f"http://{_HOST}:{_free_port(port)}", metrics, cognito, api)
            seeded = seeded_by(document)
            config = _config(running, seeded, stack.enter_context(_folder()), with_mcp=with_mcp)
            worker = Worker(config, source="the demo")
            await worker.start()
            stack.push_async_callback(worker.stop)
        sys.stdout.write(
            banner(running, seeded, has_aws_cli=shutil.which("aws") is not None, with_mcp=with_mcp)
        )
        sys.stdout.flush()
        await ended.wait()


@contextlib.asynccontextmanager
async def _cognito(document: dict[str, Any]) -> AsyncIterator[str]:
    from local_cognito.server import LocalCognito

    local = LocalCognito(seed=document)
    await _start("local Cognito", _COGNITO_PORT, lambda port: local.start(_HOST, port))
    try:
        yield local.url
    finally:
        await local.stop()


@contextlib.asynccontextmanager
async def _api(*, with_mcp: bool) -> AsyncIterator[str]:
    from aiohttp import web

    from local_cognito.sample_api import application as sample_api
    from local_cognito.sample_mcp import add_routes

    served = sample_api()
    if with_mcp:
        add_routes(served)
    # Short, so that an open event stream does not delay the exit.
    runner = web.AppRunner(served, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    try:
        await _start("sample API", _API_PORT, lambda port: web.TCPSite(runner, _HOST, port).start())
        yield f"http://{_HOST}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def _start(what: str, preferred: int, start: Callable[[int], Awaitable[None]]) -> None:
    try:
        await start(preferred)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise GatewayError(f"demo: the {what} cannot listen on {_HOST}: {error.strerror}") from error
        await start(0)


def _is_free(port: int) -> bool:
    try:
        socket.create_server((_HOST, port)).close()
    except OSError:
        return False
    return True


def _free_port(preferred: int) -> int:
    """Return the preferred port, or a free one if it is in use or 0."""
    if preferred and _is_free(preferred):
        return preferred
    with socket.create_server((_HOST, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def seeded_by(document: dict[str, Any]) -> Seeded:
    """Return the first pool of a seed, with its first client and user."""
    pool = document["UserPools"][0]
    user = pool["Users"][0]
    return Seeded(pool["Id"], pool["Clients"][0]["ClientId"], user["Username"], user["Password"])


def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="cognito-gateway-demo-")


def _config(running: Running, seeded: Seeded, folder: str, *, with_mcp: bool) -> Config:
    """Return the demo's configuration, with its files in `folder`, which exists as long as the demo."""
    import yaml

    from gateway.config.load import load

    secret = Path(folder) / "session-secret"
    secret.touch(mode=0o600)
    secret.write_text(secrets.token_urlsafe(32) + "\n", encoding="ascii")
    issuer = f"{running.cognito}/{seeded.pool_id}"
    document = {
        "listen": {"address": running.gateway.removeprefix("http://"), "drain_timeout": "1s"},
        "upstream": {"url": running.api},
        "cognito": {
            "endpoint_url": running.cognito,
            "user_pools": [
                {
                    "id": seeded.pool_id,
                    "client_ids": [seeded.client_id],
                    "issuers": [issuer],
                    "jwks_url": f"{issuer}/.well-known/jwks.json",
                }
            ],
        },
        "routes": [{"path": "/api/v1/status", "methods": ["GET"], "auth": "none"}],
        "metrics": {"address": running.metrics.removeprefix("http://")},
        "log": {"format": "text"},
        # Without one a warning would be logged after the demo's output.
        "sign_in": {"session": {"secret_file": str(secret)}},
        "mcp": {"resource": f"{running.gateway}/mcp"} if with_mcp else None,
    }
    path = Path(folder) / "gateway.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return load(path, {}).config


def banner(running: Running, seeded: Seeded, *, has_aws_cli: bool, with_mcp: bool = False) -> str:
    """Return the text printed once everything listens; every `$ ` line works without AWS settings."""
    config_url = f"{running.gateway}/api/v1/config"
    json_header = '-H "Content-Type: application/json"'
    getting = {"the AWS CLI": _aws_command(running, seeded), "this program": _token_command(running, seeded)}
    # A missing program would leave the variable empty, and the next command would be refused.
    first, second = getting if has_aws_cli else reversed(getting)
    lines = [
        f"gateway        {running.gateway}   metrics and probes {running.metrics}",
        f"local Cognito  {running.cognito}{_instead(running.cognito, _COGNITO_PORT)}",
        f"sample API     {running.api}{_instead(running.api, _API_PORT)}",
        f"user           {seeded.username}   password {seeded.password}",
        f"sign-in page   {running.gateway}/oauth2/sign_in",
        f"what is mailed {running.cognito}/_outbox",
        "",
        f"In another terminal, get a token with {first} and call the API through the gateway:",
        f"$ TOKEN=$({getting[first]})",
        f'$ curl -s {config_url} {json_header} -H "Authorization: bearer $TOKEN"',
        "",
        "The same without the token is refused:",
        f"$ curl -s -i {config_url} {json_header}",
        "",
        f"Or get the token with {second}:",
        f"$ TOKEN=$({getting[second]})",
        "",
        *(_mcp_lines(running) if with_mcp else ()),
        "Ctrl-C stops everything.",
    ]
    return "\n".join(lines) + "\n"


def _mcp_lines(running: Running) -> list[str]:
    return [
        f"The MCP server is {running.gateway}/mcp, with one tool, whoami. Give this URL to an MCP client: it",
        "registers itself and opens a browser, where you sign in as the user above and allow it. Its first",
        "requests are these:",
        f"$ curl -s -i -X POST {running.gateway}/mcp",
        f"$ curl -s {running.gateway}/.well-known/oauth-protected-resource/mcp",
        f"$ curl -s {running.gateway}/.well-known/oauth-authorization-server",
        "",
    ]


def _instead(url: str, preferred: int) -> str:
    return "" if url.endswith(f":{preferred}") else f"   (port {preferred} is in use)"


def _aws_command(running: Running, seeded: Seeded) -> str:
    parameters = json.dumps({"USERNAME": seeded.username, "PASSWORD": seeded.password}, separators=(",", ":"))
    # The local Cognito accepts any credentials; the CLI requires some.
    return (
        "AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local "
        f"aws --endpoint-url {running.cognito} --region {seeded.pool_id.partition('_')[0]} "
        f"cognito-idp admin-initiate-auth --user-pool-id {seeded.pool_id} --client-id {seeded.client_id} "
        f"--auth-flow ADMIN_USER_PASSWORD_AUTH --auth-parameters {shlex.quote(parameters)} "
        "--query AuthenticationResult.AccessToken --output text"
    )


def _token_command(running: Running, seeded: Seeded) -> str:
    script = Path(sys.executable).with_name("cognito-gateway")
    program = shlex.quote(str(script)) if script.exists() else f"{shlex.quote(sys.executable)} -m gateway"
    return (
        f"printf '%s\\n' {shlex.quote(seeded.password)} | {program} token --username {seeded.username} "
        f"--flow admin --user-pool-id {seeded.pool_id} --client-id {seeded.client_id} "
        f"--endpoint-url {running.cognito}"
    )
