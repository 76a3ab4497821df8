"""The official MCP client, the whole way: discovery, registration, sign-in, consent, call, refresh.

`official_client.py ORIGIN USERNAME PASSWORD`; prints what happened as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp import ClientSession
from mcp.client.auth import OAuthClientProvider
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthToken,
)
from person import Person


class Storage:
    """Of one program, in memory."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


def provider(url: str, person: Person, storage: Storage) -> OAuthClientProvider:
    async def sent() -> AuthorizationCodeResult:
        answer = {name: values[0] for name, values in person.answer.items()}
        return AuthorizationCodeResult(**answer)

    async def opened(address: str) -> None:
        await person.open(address)

    return OAuthClientProvider(
        server_url=url,
        client_metadata=OAuthClientMetadata(
            client_name="official client", redirect_uris=["http://127.0.0.1:3030/callback"]
        ),
        storage=storage,
        redirect_handler=opened,
        callback_handler=sent,
    )


@asynccontextmanager
async def streams(kind: str, url: str, auth: OAuthClientProvider) -> AsyncIterator[tuple[Any, Any]]:
    if kind == "sse":
        async with sse_client(url, auth=auth) as (reading, writing):
            yield reading, writing
    else:
        async with (
            httpx2.AsyncClient(auth=auth, timeout=60, follow_redirects=True) as http,
            streamable_http_client(url, http_client=http) as (reading, writing, *_),
        ):
            yield reading, writing


async def used(kind: str, url: str, auth: OAuthClientProvider) -> list[object]:
    async with streams(kind, url, auth) as (reading, writing), ClientSession(reading, writing) as session:
        await session.initialize()
        tools = [tool.name for tool in (await session.list_tools()).tools]
        added = await session.call_tool("add", {"one": 20, "other": 22})
        return [*tools, getattr(added.content[0], "text", None)]


async def way(kind: str, url: str, username: str, password: str) -> dict[str, object]:
    person, storage = Person(username, password), Storage()
    auth = provider(url, person, storage)
    first = await used(kind, url, auth)
    before = storage.tokens
    assert before is not None
    # It believes that its token has ended: the refresh token is all it has.
    auth.context.token_expiry_time = time.time() - 1
    second = await used(kind, url, auth)
    after = storage.tokens
    assert after is not None
    return {
        "first": first,
        "second": second,
        "sealed": before.access_token.startswith("mcp_at_"),
        "renewed": before.access_token != after.access_token,
        "signed_in": person.times,
        "shown": "official client" in person.shown,
    }


async def main() -> None:
    origin, username, password = sys.argv[1:]
    ways = {"streamable": f"{origin}/mcp", "sse": f"{origin}/mcp/sse"}
    print(json.dumps({kind: await way(kind, url, username, password) for kind, url in ways.items()}))


if __name__ == "__main__":
    asyncio.run(main())
