"""One contract for every place where sessions are kept."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from gateway.sessions.ended import Ended
from gateway.sessions.redis_store import RedisStore
from gateway.sessions.replicas import SharedEnded, StoreUnavailable
from gateway.sessions.sealing import Sealer
from gateway.sessions.session import Session, decode, encode
from gateway.sessions.stores import CookieStore, MemoryStore, Store, hashed
from tests.support.portal import a_session
from tests.support.redis_server import RedisServer, redis_server
from tests.support.shared_redis import Lines, logging_to, redis_at
from tests.support.tokens import KeyPair

KEY = KeyPair.generate("key-1")
KEPT = ["cookie", "cookie and redis", "memory", "redis"]


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@contextlib.asynccontextmanager
async def store_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Store]:
    if kind == "cookie":
        yield CookieStore(Sealer([b"k" * 32], "session"), Ended())
    elif kind == "memory":
        yield MemoryStore()
    else:
        server: RedisServer = request.getfixturevalue("redis")
        with logging_to(folder, Lines()) as log:
            async with redis_at(server.url, log) as client:
                if kind == "redis":
                    yield RedisStore(client)
                else:
                    yield CookieStore(Sealer([b"k" * 32], "session"), Ended(), SharedEnded(client))


@pytest.mark.parametrize("kind", KEPT)
async def test_a_session_is_found_only_by_its_ticket(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    now, session, other = time.time(), a_session(KEY), a_session(KEY)
    async with store_of(kind, request, tmp_path) as store:
        ticket = await store.keep(session, until=now + 60)
        await store.keep(other, until=now + 60)
        assert await store.find(ticket, now=now) == session
        for wrong in ("", "x", ticket[:-1], ticket + "A", ticket[::-1], session.id, "\udcff"):
            assert await store.find(wrong, now=now) is None


@pytest.mark.parametrize("kind", KEPT)
async def test_a_session_expires(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    now = time.time()
    async with store_of(kind, request, tmp_path) as store:
        ticket = await store.keep(a_session(KEY), until=now + 60)
        assert await store.find(ticket, now=now + 59) is not None
        assert await store.find(ticket, now=now + 60) is None


@pytest.mark.parametrize("kind", KEPT)
async def test_new_tokens_replace_the_old(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    now, session = time.time(), a_session(KEY)
    new = replace(session, refresh="another", renewed=now + 1)
    async with store_of(kind, request, tmp_path) as store:
        ticket = await store.keep(session, until=now + 60)
        renewed = await store.replace(ticket, new, until=now + 60, now=now)
        assert renewed is not None
        assert await store.find(renewed, now=now) == new
        assert await store.find(renewed, now=now + 60) is None, "it lives no longer for it"


@pytest.mark.parametrize("kind", KEPT)
async def test_an_ended_session_is_gone_and_cannot_be_renewed(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    now, session = time.time(), a_session(KEY)
    async with store_of(kind, request, tmp_path) as store:
        ticket = await store.keep(session, until=now + 60)
        await store.end(ticket, session, until=now + 60)
        await store.end(ticket, session, until=now + 60)
        assert await store.find(ticket, now=now) is None
        assert await store.replace(ticket, session, until=now + 60, now=now) is None


async def test_redis_holds_nothing_that_can_be_read(redis: RedisServer, tmp_path: Path) -> None:
    session = a_session(KEY)
    with logging_to(tmp_path, Lines()) as log:
        async with redis_at(redis.url, log) as client:
            ticket = await RedisStore(client).keep(session, until=time.time() + 60)
            for key in await client.command("KEYS", "*"):
                value = await client.get(key.decode())
                assert ticket.encode() not in key + (value or b"")
                assert session.refresh[:20].encode() not in (value or b"")
                assert 0 < await client.command("PTTL", key) <= 61_000


async def test_without_redis_it_reports_that(tmp_path: Path) -> None:
    with logging_to(tmp_path, Lines()) as log:
        async with redis_at("redis://127.0.0.1:1", log, timeout=0.5) as client:
            with pytest.raises(StoreUnavailable):
                await RedisStore(client).find("ticket", now=time.time())


async def test_one_replica_at_a_time_renews(redis: RedisServer, tmp_path: Path) -> None:
    session = a_session(KEY)
    with logging_to(tmp_path, Lines()) as log:
        async with (
            redis_at(redis.url, log) as one,
            redis_at(redis.url, log) as two,
        ):
            mine, theirs = RedisStore(one).lock(session), RedisStore(two).lock(session)
            assert mine is not None
            assert theirs is not None
            assert await mine.acquire()
            assert not await theirs.acquire()
            assert await mine.release()
            assert await theirs.acquire()
            assert await theirs.renew()
            assert await theirs.release()


async def test_keys_rotate_under_cookies() -> None:
    now, session = time.time(), a_session(KEY)
    old = await CookieStore(Sealer([b"o" * 32], "session"), Ended()).keep(session, until=now + 60)
    both = CookieStore(Sealer([b"n" * 32, b"o" * 32], "session"), Ended())
    assert await both.find(old, now=now) == session
    new = await both.replace(old, session, until=now + 60, now=now)
    assert new is not None
    only_new = CookieStore(Sealer([b"n" * 32], "session"), Ended())
    assert await only_new.find(new, now=now) == session
    assert await only_new.find(old, now=now) is None


async def test_a_session_too_large_for_cookies_is_refused_at_sign_in() -> None:
    store = CookieStore(Sealer([b"k" * 32], "session"), Ended())
    large = replace(a_session(KEY), refresh="".join(f"{n:x}" for n in range(20_000)))
    with pytest.raises(StoreUnavailable, match="does not fit into cookies"):
        await store.keep(large, until=time.time() + 60)


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.sessions.stores._MOST_KEPT", 3)
    monkeypatch.setattr("gateway.sessions.ended._MOST", 3)
    now, store, ended = time.time(), MemoryStore(), Ended()
    tickets = [await store.keep(a_session(KEY), until=now + 60) for _ in range(5)]
    found = [await store.find(ticket, now=now) is not None for ticket in tickets]
    assert found == [False, False, True, True, True]
    for name in "abcde":
        ended.add(name)
        ended.add_user(name, name, at=now + 1)
    covered = [ended.covers(a_session(KEY, id=name)) for name in "abcde"]
    assert covered == [False, False, True, True, True]
    covered = [ended.covers(a_session(KEY, pool_id=name, subject=name)) for name in "abcde"]
    assert covered == [False, False, True, True, True]
    assert not ended.covers(a_session(KEY, pool_id="e", subject="e", now=now + 2)), "it began later"


async def test_a_thousand_sign_ins_of_one_user_evict_no_other_user() -> None:
    now, store = time.time(), MemoryStore()
    others = [await store.keep(a_session(KEY, subject=f"other-{n}"), until=now + 60) for n in range(3)]
    mine = [await store.keep(a_session(KEY), until=now + 60) for _ in range(1000)]
    assert [await store.find(ticket, now=now) is not None for ticket in others] == [True] * 3
    found = [await store.find(ticket, now=now) is not None for ticket in mine]
    assert found == [False] * 950 + [True] * 50
    # What is over makes room for what comes, and nothing is counted twice.
    for ticket in mine[950:]:
        session = await store.find(ticket, now=now)
        assert session is not None
        await store.end(ticket, session, until=now + 60)
    assert repr(store) == "<MemoryStore of 3 sessions>"


@pytest.mark.parametrize(
    "spoil", [lambda d: b"", lambda d: d[:-1], lambda d: b"x" + d, lambda d: zlib.compress(b"{}")]
)
def test_another_versions_entry_is_no_session(spoil: Callable[[bytes], bytes]) -> None:
    data = encode(a_session(KEY))
    assert isinstance(decode(data), Session)
    assert decode(spoil(data)) is None


def test_a_sessions_repr_shows_no_token() -> None:
    session = a_session(KEY)
    for secret in (session.access, session.id_token, session.refresh):
        assert secret[:10] not in repr(session)


async def test_sessions_in_cookies_are_ended_for_all_replicas(redis: RedisServer, tmp_path: Path) -> None:
    now, session, sealer = time.time(), a_session(KEY), Sealer([b"k" * 32], "session")
    with logging_to(tmp_path, Lines()) as log:
        async with (
            redis_at(redis.url, log) as one,
            redis_at(redis.url, log) as two,
        ):
            here = CookieStore(sealer, Ended(), SharedEnded(one))
            there = CookieStore(sealer, Ended(), SharedEnded(two))
            ticket = await here.keep(session, until=now + 60)
            assert await there.find(ticket, now=now) == session
            await here.end(ticket, session, until=now + 60)
            assert await there.find(ticket, now=now) is None
            other = await here.keep(a_session(KEY), until=now + 60)
        # Both are closed now: a session that is not known to have ended continues.
        assert await there.find(other, now=now) is not None
        assert await here.find(ticket, now=now) is None


GARBAGE = [
    ("RPUSH", "x"),
    ("HSET", "f", "x"),
    ("SET", ""),
    ("SET", "garbage"),
    ("SET", "\xff\xfe"),
    ("SET", "A" * 2_000_000),
]


async def test_foreign_entries_under_our_keys_open_no_session(redis: RedisServer, tmp_path: Path) -> None:
    now = time.time()
    with logging_to(tmp_path, Lines()) as log:
        async with redis_at(redis.url, log) as client:
            store, ended = RedisStore(client), SharedEnded(client)
            for command, *arguments in GARBAGE:
                session = a_session(KEY)
                ticket = await store.keep(session, until=now + 60)
                key = f"cognito_gateway:session:{hashed(ticket)}"
                await client.command("DEL", key)
                await client.command(command, key, *arguments)
                assert await store.find(ticket, now=now) is None, command
                # What takes its place is ours again, and what ends it ends it.
                assert await store.replace(ticket, session, until=now + 60, now=now) == ticket
                assert await store.find(ticket, now=now) == session
                await client.command("DEL", key)
                await client.command(command, key, *arguments)
                await store.end(ticket, session, until=now + 60)
                assert await store.find(ticket, now=now) is None
                # And what was ended stays so, whatever lies under its name.
                name = f"cognito_gateway:session:ended:{session.id}"
                await client.command(command, name, *arguments)
                assert await ended.has(session.id)


@pytest.mark.parametrize(
    "change",
    [{"expires": "tomorrow"}, {"expires": float("inf")}, {"expires": float("nan")}, {"created": -1.0},
     {"renewed": True}, {"created": 10**400}, {"id": 7}, {"access": None}, {"access": "a\r\nX: y"},
     {"refresh": ["x"]}, {"username": 1.0}],
)  # fmt: skip
def test_a_session_of_other_types_is_none(change: dict[str, object]) -> None:
    fields = {**asdict(a_session(KEY)), **change}
    assert decode(zlib.compress(json.dumps(fields).encode())) is None
    assert decode(zlib.compress(json.dumps(asdict(a_session(KEY, username="Zo\u00eb"))).encode())) is not None


async def test_a_server_that_answers_something_else_is_away(tmp_path: Path) -> None:
    """No Redis at all, but something that speaks its protocol."""
    answers = [b"*0\r\n", b":7\r\n", b"$2\r\nno\r\n", b"*1\r\n:1\r\n"]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            writer.write(answers[0])
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    session, now = a_session(KEY), time.time()
    with logging_to(tmp_path, Lines()) as log:
        async with redis_at(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0", log) as client:
            store, ended = RedisStore(client), SharedEnded(client)
            while True:
                with contextlib.suppress(StoreUnavailable):
                    assert await store.find("t" * 43, now=now) is None
                with pytest.raises(StoreUnavailable):
                    await store.end("t" * 43, session, until=now + 60)
                with pytest.raises(StoreUnavailable):
                    await store.replace("t" * 43, session, until=now + 60, now=now)
                assert not await ended.has(session.id)
                if len(answers) == 1:
                    break
                answers.pop(0)
    server.close()
    await server.wait_closed()
