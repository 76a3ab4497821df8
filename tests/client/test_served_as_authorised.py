"""Servers of every make behind the gateway: what was authorised is what is served, whatever the request."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.support.odd_requests import CHUNKED, ROUTES, ROWS, SMUGGLED, Row, ask, post
from tests.support.peers import SERVERS, serving_peer
from tests.support.running import running
from tests.support.served import Answered, Record, SeenFile, answers, deceived, recorded, tokens, values
from tests.support.wire import Client, once

# Clients end their side with the request, and a busy machine is slow.
SLOWLY = "half_close_grace: 60s"
# These let pass what the gateway refuses by default: routes are then matched against all that a server may
# make of it.
LENIENT = """\
paths: {encoded_slash: pass, double_slash: pass, semicolon: pass}
request_headers: {underscores: pass}
"""


@pytest.mark.engine
@pytest.mark.parametrize("name", SERVERS)
async def test_what_was_authorised_is_what_is_served(tmp_path: Path, name: str) -> None:
    seen = SeenFile(tmp_path / "seen")
    async with serving_peer(tmp_path, name, seen.path) as url:
        differs = await one_by_one(tmp_path, url, seen)
        differs += await all_at_once(tmp_path, url, seen)
        differs += await answered_early(tmp_path, url)
    assert not differs, "\n".join(differs)


async def one_by_one(folder: Path, url: str, seen: SeenFile) -> list[str]:
    """Each row alone, on the defaults: gateway and server do what the table says."""
    differs: list[str] = []
    refused: list[str] = []
    everything: list[Record] = []
    async with running(folder, ROUTES, upstream_url=url, listen_lines=SLOWLY) as gateway:
        bearers = tokens(gateway)
        for title, row in ROWS.items():
            got = await answers(gateway.port, row, bearers)
            new = seen.new()
            everything += new
            if any(by_the_server(each) for each in got):
                refused.append(title)
            elif tuple(each.status for each in got) != row.answers:
                differs.append(f"{title}: {[each.status for each in got]} in place of {row.answers}")
            else:
                differs += [f"{title}: {each}" for each in unlike(row, new)]
        differs += deceived(everything, await recorded(gateway, everything))
        seen.new()
    print(f"itself refused: {', '.join(refused) or 'nothing'}")
    assert len(refused) < len(ROWS) / 50
    return differs


async def all_at_once(folder: Path, url: str, seen: SeenFile) -> list[str]:
    """Where ambiguous paths pass: what a server makes of them is its own; whom it serves is not."""
    rows = list(ROWS.values())
    async with running(folder, ROUTES + LENIENT, upstream_url=url, listen_lines=SLOWLY) as gateway:
        bearers = tokens(gateway)

        async def some(start: int) -> None:
            for row in rows[start::4]:
                await answers(gateway.port, row, bearers)

        await asyncio.gather(*map(some, range(4)))
        everything = seen.new()
        assert len(everything) > sum(row.answers.count(200) for row in rows) * 0.9
        return deceived(everything, await recorded(gateway, everything), whole=False)


async def answered_early(folder: Path, url: str) -> list[str]:
    """Answers without reading the body arrive, and nobody gets the rest of the body."""
    got = []
    body = SMUGGLED * 40_000
    sent = {
        "counted": post(f"Content-Length: {len(body)}", target="/public/early", body=body),
        "chunked": post(CHUNKED, target="/public/early", body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)),
    }
    async with running(folder, ROUTES, upstream_url=url, listen_lines=SLOWLY) as gateway:
        for title, data in sent.items():
            for _ in range(3):
                async with await Client.connect(gateway.port) as client:
                    sending = asyncio.create_task(client.send(data))
                    reply = await client.reply()
                    sending.cancel()
                following = await once(gateway.port, ask())
                got.append((title, reply.status, reply.body, following.status))
    return [str(each) for each in got if each[1:] != (403, b"early", 200)]


def by_the_server(answer: Answered) -> bool:
    return 400 <= answer.status < 500 and not answer.ours


def unlike(row: Row, seen: list[Record]) -> list[str]:
    """Return what the server should have seen of the row's first request, and did not."""
    if row.answers[:1] != (200,):
        return ["it was served"] if seen else []
    first = seen[0]
    target = row.sent.lstrip(b"\r\n").split(b" ")[1].decode("latin-1")
    wanted = {
        "query": (first["query"], target.partition("?")[2]),
        "body": (first["body"], row.body.decode("latin-1")),
    }
    wanted |= {name: (listed(",".join(values(first, name))), listed(value)) for name, value in row.headers}
    return [
        f"{key} {got[:80]!a} in place of {value[:80]!a}"
        for key, (got, value) in wanted.items()
        if got != value
    ]


def listed(value: str) -> str:
    """Return a list without the spaces that servers put, or do not put, between its members."""
    return re.sub(r"\s*,\s*", ",", value)
