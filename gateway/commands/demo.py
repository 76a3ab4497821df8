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
from typing import Any, NamedTuple

from gateway.commands.local_cognito import require_local_cognito
from gateway.commands.support.flag_parser import Parser
from gateway.commands.support.flags import Environ, port
from gateway.config.shapes import LANGUAGE
from gateway.errors import GatewayError
from gateway.terminal import waiting_for

EXAMPLE = "demo --port 8000"

_HOST = "127.0.0.1"
# The documented ports; if one is in use, a free one replaces it, unless it was asked for.
_COGNITO_PORT, _API_PORT, _METRICS_PORT = 9229, 8080, 9090


def add_flags(parser: Parser) -> None:
    parser.add_argument("--port", type=port, default=8000, help="the gateway's port (default: 8000)")
    for flag, what, default in (
        ("--cognito-port", "the local Cognito's", _COGNITO_PORT),
        ("--api-port", "the sample API's", _API_PORT),
        ("--metrics-port", "the metrics listener's", _METRICS_PORT),
    ):
        parser.add_argument(
            flag, type=port, help=f"{what} port (default: {default}, or a free one if that is in use)"
        )
    parser.add_argument(
        "--not-configured", action="store_true", help="start without a user pool, to try the set-up page"
    )
    parser.add_argument("--mcp", action="store_true", help="guard a sample MCP server too, at /mcp")


@dataclass(frozen=True, slots=True)
class Seeded:
    """The seed's pool, client and user."""

    pool_id: str
    client_id: str
    identity_pool_id: str
    username: str
    password: str


class Ports(NamedTuple):
    """The ports asked for; None: the usual one, or a free one."""

    gateway: int
    cognito: int | None
    api: int | None
    metrics: int | None


@dataclass(frozen=True, slots=True)
class Running:
    """The URLs of all servers."""

    gateway: str
    metrics: str
    cognito: str
    api: str
    # The ports that the user chose.
    chosen: frozenset[int] = frozenset()


def run(arguments: argparse.Namespace, _: Environ) -> int:
    """Run until SIGINT or SIGTERM; return 0. Raises GatewayError if a port that was asked for is in use."""
    require_local_cognito("demo")
    if arguments.mcp and arguments.not_configured:
        raise GatewayError("demo: --mcp needs a user pool: leave out --not-configured")
    wanted = Ports(arguments.port, arguments.cognito_port, arguments.api_port, arguments.metrics_port)
    for flag, number in zip(
        ("--port", "--cognito-port", "--api-port", "--metrics-port"), wanted, strict=True
    ):
        if number is not None and not _is_free(number):
            raise GatewayError(f"demo: port {number} on {_HOST} is in use: choose another with {flag}")
    asyncio.run(_demo(wanted, with_mcp=arguments.mcp, configured=not arguments.not_configured))
    return 0


async def _demo(ports: Ports, *, with_mcp: bool, configured: bool) -> None:
    from gateway.config.load import load
    from gateway.serve.reload import ConfigurationSource, Reloader
    from gateway.serve.worker import Worker
    from local_cognito.seed import DEMO, read

    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    document = read(DEMO)
    async with contextlib.AsyncExitStack() as stack:
        with waiting_for("the local Cognito, the sample API and the gateway to start"):
            cognito = await stack.enter_async_context(_cognito(document, ports.cognito))
            api = await stack.enter_async_context(_api(ports.api, with_mcp=with_mcp))
            metrics = f"http://{_HOST}:{_free_port(ports.metrics or _METRICS_PORT)}"
            gateway = f"http://{_HOST}:{_free_port(ports.gateway)}"
            running = Running(gateway, metrics, cognito, api, frozenset(filter(None, ports)))
            seeded = seeded_by(document)
            path = _configuration(
                running,
                seeded,
                Path(stack.enter_context(_folder())),
                with_mcp=with_mcp,
                configured=configured,
            )
            source = ConfigurationSource(path, lambda: load(path, {}))
            worker = Worker(source.load().config, source="the demo")
            await worker.start()
            stack.push_async_callback(worker.stop)
            if not configured:
                # Takes up what the set-up page stores.
                reloader = Reloader(source, worker)
                reloader.start()
                stack.push_async_callback(reloader.stop)
        if configured:
            has_aws_cli = shutil.which("aws") is not None
            sys.stdout.write(banner(running, seeded, has_aws_cli=has_aws_cli, with_mcp=with_mcp))
        else:
            sys.stdout.write(set_up_banner(running, seeded))
        sys.stdout.flush()
        await ended.wait()


@contextlib.asynccontextmanager
async def _cognito(document: dict[str, Any], wanted: int | None) -> AsyncIterator[str]:
    from local_cognito.server import LocalCognito

    local = LocalCognito(seed=document)
    await _start("local Cognito", wanted or _COGNITO_PORT, lambda port: local.start(_HOST, port))
    try:
        yield local.url
    finally:
        await local.stop()


@contextlib.asynccontextmanager
async def _api(wanted: int | None, *, with_mcp: bool) -> AsyncIterator[str]:
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
        await _start("sample API", wanted or _API_PORT, lambda port: web.TCPSite(runner, _HOST, port).start())
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
    return Seeded(
        pool_id=pool["Id"],
        client_id=pool["Clients"][0]["ClientId"],
        identity_pool_id=document["IdentityPools"][0]["Id"],
        username=user["Username"],
        password=user["Password"],
    )


def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="cognito-gateway-demo-")


def _configuration(
    running: Running, seeded: Seeded, folder: Path, *, with_mcp: bool, configured: bool
) -> Path:
    """Write the demo's configuration into `folder`, which exists as long as the demo; return its path."""
    import yaml

    secret = folder / "session-secret"
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
                    "identity_pool_id": seeded.identity_pool_id,
                    "issuers": [issuer],
                    "jwks_url": f"{issuer}/.well-known/jwks.json",
                }
            ]
            if configured
            else [],
        },
        "routes": [{"path": "/api/v1/status", "methods": ["GET"], "auth": "none"}],
        "metrics": {"address": running.metrics.removeprefix("http://")},
        "log": {"format": "text"},
        # Without one a warning would be logged after the demo's output.
        "sign_in": {
            "session": {"secret_file": str(secret)},
            "state_dir": str(folder),
            # English first: for browsers that prefer none of them.
            "languages": sorted(LANGUAGE.json["enum"], key=lambda tag: (tag != "en", tag)),
        },
        "mcp": {"resource": f"{running.gateway}/mcp"} if with_mcp else None,
    }
    path = folder / "gateway.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def banner(running: Running, seeded: Seeded, *, has_aws_cli: bool, with_mcp: bool = False) -> str:
    """Return the text printed once everything listens; every `$ ` line works without AWS settings."""
    config_url = f"{running.gateway}/api/v1/config"
    json_header = '-H "Content-Type: application/json"'
    getting = {"the AWS CLI": _aws_command(running, seeded), "this program": _token_command(running, seeded)}
    # A missing program would leave the variable empty, and the next command would be refused.
    first, second = getting if has_aws_cli else reversed(getting)
    lines = [
        f"gateway        {running.gateway}   metrics and probes {running.metrics}",
        f"local Cognito  {running.cognito}{_instead(running, running.cognito, _COGNITO_PORT)}",
        f"sample API     {running.api}{_instead(running, running.api, _API_PORT)}",
        f"user           {seeded.username}   password {seeded.password}",
        f"sign-in page   {running.gateway}/oauth2/sign_in",
        f"portal         {running.gateway}/oauth2/   with a token, curl and AWS credentials to copy",
        f"inbox          {running.cognito}/_outbox   with the codes that are sent",
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


def set_up_banner(running: Running, seeded: Seeded) -> str:
    """Return the text printed where no user pool is configured yet."""
    lines = [
        f"gateway        {running.gateway}   metrics and probes {running.metrics}",
        f"local Cognito  {running.cognito}{_instead(running, running.cognito, _COGNITO_PORT)}",
        f"sample API     {running.api}{_instead(running, running.api, _API_PORT)}",
        f"set-up page    {running.gateway}/oauth2/setup   its code is in the log below: setup_code=",
        "",
        "Give the page these IDs of the local Cognito:",
        f"  region            {seeded.pool_id.partition('_')[0]}",
        f"  user pool ID      {seeded.pool_id}",
        f"  app client ID     {seeded.client_id}",
        f"  identity pool ID  {seeded.identity_pool_id}",
        "",
        f"Then sign in as {seeded.username} with the password {seeded.password}.",
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


def _instead(running: Running, url: str, preferred: int) -> str:
    number = int(url.rpartition(":")[2])
    return "" if number == preferred or number in running.chosen else f"   (port {preferred} is in use)"


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
