"""Does the work with aiohttp's client."""

import asyncio

import aiohttp
from work import WORKERS, in_tasks


async def pieces(work):
    for piece in work.pieces():
        yield piece


async def main():
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=WORKERS)) as session:

        async def serve(work):
            statuses = []
            for head in work.heads():
                expects = head.pop("Expect", None) is not None
                body = pieces(work) if work.how == "stream" else work.body
                asked = session.request(work.method, work.url, headers=head, data=body, expect100=expects)
                async with asked as answer:
                    statuses.append(answer.status)
                    content = await answer.read()
            work.done(statuses, content)

        await in_tasks(serve)


asyncio.run(main())
