"""What the gateway authorised, according to its access log, compared with what the server behind it saw."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from tests.support.odd_requests import Row
from tests.support.running import Running
from tests.support.waiting import until
from tests.support.wire import Reply, get, once

Record = dict[str, Any]
GROUPS = {"@USER@": ["users"], "@ADMIN@": ["admins"]}
_IDENTITY = ("x-auth-request-user", "x-auth-request-preferred-username", "x-auth-request-groups")


class Answered(NamedTuple):
    """An answer, and whether the gateway itself gave it."""

    status: int
    ours: bool


def tokens(gateway: Running) -> dict[str, str]:
    """Return a token for each placeholder of the table; `sub` is the placeholder's name."""
    return {
        word: gateway.token(**{"sub": word.strip("@").lower(), "cognito:groups": groups})
        for word, groups in GROUPS.items()
    }


async def answers(port: int, row: Row, bearers: dict[str, str]) -> list[Answered]:
    """Send the row on a connection of its own; return the final answers."""
    sent = row.sent
    for word, token in bearers.items():
        sent = sent.replace(word.encode(), token.encode())
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        if row.fin:
            writer.write_eof()
        async with asyncio.timeout(60):
            data = await reader.read()
    finally:
        writer.close()
    return _answers(data, head=sent.startswith(b"HEAD "))


def _answers(data: bytes, *, head: bool) -> list[Answered]:
    found: list[Answered] = []
    while data:
        lines, whole, data = data.partition(b"\r\n\r\n")
        assert whole, lines
        status = int(lines[9:12])
        if status < 200:
            continue
        found.append(Answered(status, b"application/problem+json" in lines))
        length = re.search(rb"(?im)^content-length: *(\d+)", lines)
        if length is None:
            # An answer of unknown length is the connection's last one.
            return found
        if not head:
            data = data[int(length[1]) :]
    return found


class SeenFile:
    """The file to which a server of tests/support/peers.py adds what it sees."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read = 0

    def new(self) -> list[Record]:
        """Return what it has seen since the last call."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        self._read += len(data)
        return [json.loads(line) for line in data.splitlines()]


async def recorded(gateway: Running, seen: Collection[Record] = ()) -> list[Record]:
    """Return the access log up to now, and with the lines of what the server has seen, if they come."""
    last = await once(gateway.port, get("/public/last"))
    assert last.status == 200
    request_id = seen_id(last)

    def lines() -> list[Record]:
        return [line for line in gateway.log() if line["event"] == "request"]

    wanted = {request_id, *(each["id"] for each in seen)}
    # A request is logged after its answer. `deceived` reports one that is not logged at all.
    with contextlib.suppress(TimeoutError):
        await until(lambda: wanted <= {line["request_id"] for line in lines()}, 30)
    return lines()


def seen_id(reply: Reply) -> str:
    """Return the ID with which the server saw the request that it answers so."""
    found: str = json.loads(reply.body)["id"]
    return found


def allowed(method: str, path: str, user: str, groups: list[str]) -> bool:
    """Return whether the table's routes let this user do what the server did.

    Written a second time, so that a mistake of the gateway's is not repeated.
    """
    first = path.split("/")[1] if path.startswith("/") else ""
    if first in {"public", "maybe"} or (first == "read" and method in {"GET", "HEAD"}):
        return True
    if first in {"restricted", "denied"}:
        return first == "restricted" and "admins" in groups
    return bool(user)


def values(seen: Record, name: str) -> list[str]:
    return [value for each, value in seen["headers"] if each == name]


def deceived(seen: list[Record], records: list[Record], *, whole: bool = True) -> list[str]:
    """Return a sentence for each request that a server saw and the gateway did not authorise as it was seen.

    `whole`: the server's path is the decoded one, because `paths` let nothing ambiguous pass.
    """
    authorised = {each["request_id"]: each for each in records if each["decision"] == "allowed"}
    times = Counter(each["id"] for each in seen)
    found = []
    for each in seen:
        record = authorised.get(each["id"])
        wrong = [f"seen {times[each['id']]} times"] if times[each["id"]] != 1 else []
        wrong += ["not authorised"] if record is None else list(_wrong(each, record, whole=whole))
        found += (
            [f"{each['method']} {each['path'][:80]!a} ({each['id']}): {', '.join(wrong)}"] if wrong else []
        )
    return found


def _wrong(seen: Record, record: Record, *, whole: bool) -> list[str]:
    user: str = record.get("subject") or ""
    path: str = record["path"]
    groups = GROUPS.get(f"@{user.upper()}@", [])
    wanted = {
        "method": record["method"],
        "script": "",
        "user": "",
        "target": path,
        **({"path": unquote(path)} if whole else {}),
    }
    # The log cuts long paths.
    got = {**seen, "target": seen.get("target", path).partition("?")[0]}
    if len(path) > 1000:
        wanted |= {"target": got["target"], "path": seen["path"]}
    wrong = [
        f"{key} {got[key]!a} in place of {value!a}" for key, value in wanted.items() if got[key] != value
    ]
    # Waitress removes the headers of proxies.
    host, forwarded, address = (
        values(seen, name) for name in ("host", "x-forwarded-host", "x-forwarded-for")
    )
    if forwarded not in (host, []) or address not in (["127.0.0.1"], []):
        wrong.append(f"Host {host}, forwarded as {forwarded}, from {address}")
    for name, value in zip(_IDENTITY, (user, user and "alice", ",".join(groups)), strict=True):
        if values(seen, name) != ([value] if value else []):
            wrong.append(f"{name} is {values(seen, name)} in place of {value!r}")
    if not allowed(seen["method"], seen["path"], user, groups):
        wrong.append(f"{user or 'nobody'} may not do that")
    marks = ("FORGED", "ODD") if whole else ("FORGED",)
    wrong += [
        f"{name}: {value[:40]} arrived"
        for name, value in seen["headers"]
        if any(each in value for each in marks)
    ]
    return wrong
