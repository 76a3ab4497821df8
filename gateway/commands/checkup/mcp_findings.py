"""Checks of the front door for MCP clients: whether a client that only knows the resource finds it.

Invariant: two GETs of public documents without credentials, bounded in bytes and time; no redirect followed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

from aiohttp import ClientError

from gateway.commands.checkup.finding import Finding, broken, good, warning
from gateway.config.model import Config, Mcp
from gateway.errors import GatewayError
from gateway.outgoing.aws_http import AwsHttp

# Seconds for each document, and its bytes.
_TIMEOUT = 5.0
_MOST = 64 * 1024
_UNFOUND = "MCP clients begin there: without it, none of them can sign anybody in"


async def look_at_mcp(config: Config, mcp: Mcp) -> list[Finding]:
    """Return a finding for each document that MCP clients ask for, where they ask for it."""
    http = AwsHttp(config.cognito.egress)
    issuer = (config.listen.public_url or mcp.origin).rstrip("/")
    servers = [issuer] if mcp.signs_in else [pool.issuers[0] for pool in config.cognito.user_pools]
    url = f"{mcp.origin}/.well-known/oauth-protected-resource{mcp.path}"
    wanted = {"resource": mcp.resource, "authorization_servers": servers}
    found = [_judged(url, await _fetched(http, url), wanted)]
    if mcp.signs_in:
        url = f"{issuer}/.well-known/oauth-authorization-server"
        found.append(_judged(url, await _fetched(http, url), {"issuer": issuer}))
    return found


async def _fetched(http: AwsHttp, url: str) -> Mapping[str, object] | int | str:
    """Return the JSON object there; else the status of an answer that has none, or why there is no answer."""
    try:
        async with asyncio.timeout(_TIMEOUT):
            options = await http.options(url)
            async with (
                http.session() as session,
                session.get(url, allow_redirects=False, **options) as answer,
            ):
                status, data = answer.status, bytearray()
                async for chunk in answer.content.iter_any():
                    data += chunk
                    if len(data) > _MOST:
                        return status
    except TimeoutError:
        return f"no answer within {_TIMEOUT:g} s"
    except (GatewayError, ClientError, OSError) as error:
        return http.explain(error)
    try:
        document = json.loads(data)
    except ValueError:
        return status
    return document if isinstance(document, dict) and status == 200 else status


def _judged(url: str, fetched: Mapping[str, object] | int | str, wanted: Mapping[str, object]) -> Finding:
    """Compare the members of a document that name the resource and its authorization server. Pure."""
    about = f"MCP metadata {url}"
    if isinstance(fetched, str):
        return warning(
            about,
            f"cannot be fetched from this machine: {fetched}",
            _UNFOUND,
            "start the gateway, and lead this host to it; or try from a machine that can reach it",
        )
    if isinstance(fetched, int):
        return broken(
            about,
            f"answers {fetched} without the document",
            _UNFOUND,
            "check that this host leads to the gateway, with the paths below /.well-known",
        )
    for member, value in wanted.items():
        if fetched.get(member) == value:
            continue
        return broken(
            about,
            f"has another {member} than the configuration: {value} is expected",
            "MCP clients refuse a document that does not match the address they asked",
            "check listen.public_url and mcp.resource, and that this host leads to this gateway",
        )
    return good(about, "is as MCP clients need it")
