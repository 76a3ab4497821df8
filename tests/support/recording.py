"""A relay between a gateway and its Cognito that records every secret in either direction."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
from aiohttp import web

# Names whose values are secrets, in API members, forms and queries.
_SECRET = re.compile(
    r"(?i)password|secret|token$|verifier|code$|^session$|^signature|^accesskeyid$|^state$|^nonce$|^claim_sig"
)
_NOT = {"TokenType", "token_type", "response_type", "CodeDeliveryDetails", "AccessTokenValidity"}


@dataclass
class Relay:
    """`secrets`: value → its name."""

    target: str
    url: str = ""
    secrets: dict[str, str] = field(default_factory=dict)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Relay]:
        async with aiohttp.ClientSession(auto_decompress=True) as http:

            async def pass_on(request: web.Request) -> web.Response:
                body = await request.read()
                self.look(body, request.headers.get("Content-Type", ""))
                for name, value in request.query.items():
                    self.note(name, value)
                if basic := request.headers.get("Authorization", ""):
                    self.note("AuthorizationSecret", basic.partition(" ")[2])
                sent = {name: value for name, value in request.headers.items() if name.lower() not in _HOPS}
                async with http.request(
                    request.method,
                    self.target + str(request.rel_url),
                    data=body,
                    headers=sent,
                    allow_redirects=False,
                ) as answer:
                    data = await answer.read()
                    self.look(data, answer.headers.get("Content-Type", ""))
                    kept = {n: v for n, v in answer.headers.items() if n.lower() not in _HOPS}
                    return web.Response(status=answer.status, body=data, headers=kept)

            app = web.Application()
            app.router.add_route("*", "/{rest:.*}", pass_on)
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            try:
                yield self
            finally:
                await runner.cleanup()

    def look(self, body: bytes, kind: str) -> None:
        if "json" in kind:
            with contextlib.suppress(ValueError):
                for name, value in _leaves(json.loads(body)):
                    self.note(name, value)
        elif "urlencoded" in kind:
            for name, value in parse_qsl(body.decode("latin-1")):
                self.note(name, value)

    def note(self, name: str, value: str) -> None:
        if _SECRET.search(name) and name not in _NOT and len(value) >= 6:
            self.secrets[value] = name


_HOPS = {"connection", "transfer-encoding", "content-length", "content-encoding", "accept-encoding", "date"}


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, str(key))
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item, name)
    elif isinstance(value, str):
        yield name, value
