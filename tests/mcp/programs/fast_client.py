"""fastmcp's client, the whole way, with its own listener for the redirect.

`fast_client.py ORIGIN USERNAME PASSWORD [TOOL]`; prints what happened as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys

import httpx2
from fastmcp import Client
from fastmcp.client.auth import OAuth
from person import Person


class Headless(OAuth):
    """Its browser is the person of this test."""

    person: Person

    async def redirect_handler(self, authorization_url: str) -> None:
        location = await self.person.open(authorization_url)

        async def arrive() -> None:
            async with httpx2.AsyncClient() as browser:
                for _ in range(200):
                    try:
                        await browser.get(location)
                    except httpx2.ConnectError:
                        await asyncio.sleep(0.1)
                    else:
                        return

        self.arriving = asyncio.create_task(arrive())


async def main() -> None:
    origin, username, password, *others = sys.argv[1:]
    tool, arguments = (others[0], {}) if others else ("add", {"one": 20, "other": 22})
    auth = Headless(client_name="fast client")
    auth.person = Person(username, password)
    async with Client(f"{origin}/mcp", auth=auth) as client:
        tools = [tool.name for tool in await client.list_tools()]
        answer = await client.call_tool(tool, arguments)
    print(json.dumps({"tools": tools, "said": answer.content[0].text, "signed_in": auth.person.times}))


if __name__ == "__main__":
    asyncio.run(main())
