"""Does the work with httpx's asynchronous client."""

import asyncio

import httpx
from work import WORKERS, in_tasks


async def pieces(work):
    for piece in work.pieces():
        yield piece


async def main():
    limits = httpx.Limits(max_connections=WORKERS)
    async with httpx.AsyncClient(limits=limits, timeout=120, trust_env=False) as client:

        async def serve(work):
            statuses = []
            for head in work.heads():
                body = pieces(work) if work.how == "stream" else work.body
                answer = await client.request(work.method, work.url, headers=head, content=body)
                statuses.append(answer.status_code)
            work.done(statuses, answer.content)

        await in_tasks(serve)


asyncio.run(main())
