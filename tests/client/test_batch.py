"""New tokens that come in together are verified together; what becomes of one is no other's business."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.client.batch import MOST, Batch
from gateway.client.serving import Served
from gateway.config.model import Config
from gateway.errors import Refusal
from gateway.gate import judge
from gateway.gate.authenticate import Authenticator, Verification
from gateway.observe.metrics import WorkerMetrics
from gateway.tokens import jws
from gateway.tokens.bearer import token_hash
from gateway.tokens.claims import Claims
from gateway.tokens.jwk import VerificationKey, parse_key_set
from gateway.upstream.outbox import Outbox
from tests.support.running import Running, running
from tests.support.settling import settled
from tests.support.tokens import CLIENT_ID, POOL_ID, KeyPair, access_claims, key_set_document, sign
from tests.support.verifying import cache_of, config_of
from tests.support.waiting import until
from tests.support.wire import Client, Reply, get, once

Counted = list[object]


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> Counted:
    """What `jws.verify_signature` was asked about."""
    asked: Counted = []
    verify = jws.verify_signature

    def counting(token: jws.UnverifiedJws, key: Any) -> bytes:
        asked.append(token)
        return verify(token, key)

    monkeypatch.setattr(jws, "verify_signature", counting)
    return asked


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many waited in each flush."""
    sizes: list[int] = []
    flush = Batch.flush

    def counting(batch: Batch) -> None:
        if batch.waiting:
            sizes.append(len(batch.waiting))
        flush(batch)

    monkeypatch.setattr(Batch, "flush", counting)
    return sizes


async def together(gateway: Running, requests: Sequence[bytes]) -> list[Reply]:
    """Each on a connection of its own, all written before the gateway's loop runs again."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(await Client.connect(gateway.port)) for _ in requests]
        await asyncio.sleep(0.05)  # accepted
        for client, request in zip(clients, requests, strict=True):
            client.writer.write(request)
        return [await client.reply() for client in clients]


def with_header(gateway: Running, kind: str) -> str:
    token = gateway.token()
    match kind:
        case "good":
            return f"Authorization: Bearer {token}"
        case "spelt otherwise":
            return f"Authorization: BEARER  {token}"
        case "expired":
            return gateway.bearer(lifetime=-60)
        case "not ours":
            return gateway.bearer(client_id="2another3456789")
        case "of another pool":
            return gateway.bearer(iss="https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Abcdefghi")
        case "forged":
            return f"Authorization: Bearer {token[:-8]}AAAAAAAA"
        case "garbage":
            return "Authorization: Bearer a.b.c"
        case _:
            raise AssertionError(kind)


STATUS = {
    "good": 200,
    "spelt otherwise": 200,
    "expired": 401,
    "not ours": 401,
    "of another pool": 401,
    "forged": 401,
    "garbage": 401,
}


async def test_each_is_answered_as_it_would_be_alone(tmp_path: Path, batches: list[int]) -> None:
    kinds = [*STATUS, *reversed(STATUS), "good", "expired"]
    async with running(tmp_path) as gateway:
        lines = [with_header(gateway, kind) for kind in kinds]
        alone = [await once(gateway.port, get(f"/{n}", line)) for n, line in enumerate(lines)]
        served = len(gateway.upstream.requests)
        # Remembered by now; others of the same kinds.
        lines = [with_header(gateway, kind) for kind in kinds]
        replies = await together(gateway, [get(f"/{n}", line) for n, line in enumerate(lines)])
        assert max(batches) > 1
        assert [reply.status for reply in replies] == [STATUS[kind] for kind in kinds]
        for one, reply in zip(alone, replies, strict=True):
            assert (reply.status, reply.get("www-authenticate")) == (one.status, one.get("www-authenticate"))
        assert len(gateway.upstream.requests) - served == sum(STATUS[kind] == 200 for kind in kinds)
        await settled(gateway)


async def test_each_request_reaches_the_upstream_with_its_identity(
    tmp_path: Path, batches: list[int]
) -> None:
    async with running(tmp_path) as gateway:
        names = [f"subject-{number}" for number in range(20)]
        requests = [get(f"/{name}", gateway.bearer(sub=name)) for name in names]
        assert {reply.status for reply in await together(gateway, requests)} == {200}
        assert max(batches) > 1
        for seen in gateway.upstream.requests:
            assert seen.get("X-Auth-Request-User") == seen.target[1:]
        assert len(gateway.upstream.requests) == len(names)


async def test_one_token_on_many_connections_is_verified_once(
    tmp_path: Path, batches: list[int], verified: Counted
) -> None:
    async with running(tmp_path) as gateway:
        bearer = gateway.bearer()
        replies = await together(gateway, [get(f"/{number}", bearer) for number in range(10)])
        assert {reply.status for reply in replies} == {200}
        assert max(batches) > 1
        assert len(verified) == 1
        verified.clear()
        # A bad one is remembered by nobody.
        forged = with_header(gateway, "forged")
        replies = await together(gateway, [get(f"/{number}", forged) for number in range(10)])
        assert {reply.status for reply in replies} == {401}
        assert len(verified) == 10


async def test_a_token_counts_once_for_each_request(tmp_path: Path, batches: list[int]) -> None:
    async with running(tmp_path) as gateway:
        metrics = gateway.worker.metrics

        async def counted(line: str) -> tuple[int, int]:
            hits, misses = metrics.token_cache_hits, metrics.token_cache_misses
            await together(gateway, [get(f"/{number}", line) for number in range(10)])
            return metrics.token_cache_hits - hits, metrics.token_cache_misses - misses

        good = with_header(gateway, "good")
        assert await counted(good) == (9, 1)
        assert await counted(good.replace("Bearer ", "BEARER  ")) == (10, 0)
        assert await counted(with_header(gateway, "forged")) == (0, 10)
        assert max(batches) > 1


async def test_pipelined_requests_keep_their_order(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        kinds = ["good", "forged", "good", "good", "expired", "good"]
        heads = b"".join(get(f"/{n}", with_header(gateway, kind)) for n, kind in enumerate(kinds))
        async with await Client.connect(gateway.port) as client:
            await client.send(heads)
            assert [(await client.reply()).status for _ in kinds] == [STATUS[kind] for kind in kinds]
        assert [each.target for each in gateway.upstream.requests] == [b"/0", b"/2", b"/3", b"/5"]


async def test_a_client_that_leaves_while_it_waits_is_not_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verified: Counted
) -> None:
    async with running(tmp_path) as gateway:
        flush = Batch.flush
        monkeypatch.setattr(Batch, "flush", lambda _: None)
        async with await Client.connect(gateway.port) as client, await Client.connect(gateway.port) as other:
            await client.send(get("/left", gateway.bearer()))
            await other.send(get("/stayed", gateway.bearer(sub="stayed")))
            batch = next(iter(gateway.worker.connections)).server.batch
            await until(lambda: len(batch.waiting) == 2)
            client.writer.close()
            await until(lambda: len(gateway.worker.connections) == 1)
            flush(batch)
            assert (await other.reply()).status == 200
        assert [each.target for each in gateway.upstream.requests] == [b"/stayed"]
        assert len(verified) == 1
        await settled(gateway)


async def test_one_that_is_never_verified_runs_into_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path, listen_lines="header_timeout: 300ms") as gateway:
        monkeypatch.setattr(Batch, "flush", lambda _: None)
        async with await Client.connect(gateway.port) as client:
            await client.send(get("/", gateway.bearer()))
            assert await client.closed()
        assert gateway.upstream.requests == []
        await settled(gateway)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (Verification, "decode"),
        (Verification, "verify"),
        (Verification, "principal"),
        (judge, "decide"),
    ],
)
async def test_a_bug_with_one_is_a_500_for_that_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: type, name: str
) -> None:
    async with running(tmp_path) as gateway:
        whole, calls = getattr(owner, name), itertools.count(1)

        def broken(*given: Any) -> Any:
            if next(calls) == 2:
                raise LookupError("a bug")
            return whole(*given)

        monkeypatch.setattr(owner, name, broken)
        requests = [get(f"/{number}", gateway.bearer(sub=f"subject-{number}")) for number in range(5)]
        statuses = [reply.status for reply in await together(gateway, requests)]
        assert sorted(statuses) == [200, 200, 200, 200, 500]
        await settled(gateway)


async def test_a_bug_in_refusing_one_ends_that_connection_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as gateway:
        told: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        stop, calls = Served.stop, itertools.count(1)

        def broken(*given: Any) -> None:
            if next(calls) == 1:
                raise LookupError("a bug")
            stop(*given)

        monkeypatch.setattr(Served, "stop", broken)
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(await Client.connect(gateway.port)) for _ in range(4)]
            await asyncio.sleep(0.05)
            for client in clients:
                client.writer.write(get("/", gateway.bearer(lifetime=-60)))
            first, others = clients[0], clients[1:]
            closed, replies = await asyncio.gather(
                first.closed(), asyncio.gather(*(client.reply() for client in others))
            )
        assert closed is True
        assert [reply.status for reply in replies] == [401, 401, 401]
        assert [type(each["exception"]) for each in told] == [LookupError]
        await settled(gateway)


# --- the batch alone ---


class Note:
    """A connection that writes down what is asked of it."""

    def __init__(self, name: int, book: list[tuple[str, int]], broken: Sequence[str] = ()) -> None:
        self.name = name
        self.book = book
        self.broken = broken

    def _note(self, what: str) -> None:
        self.book.append((what, self.name))
        if what in self.broken:
            raise LookupError("a bug")

    def take(self, step: Callable[[], None]) -> None:
        self._note(step.__name__)

    def go_on(self) -> None:
        self._note("verified")

    def abort(self) -> None:
        self._note("abort")


def item(
    name: int, book: list[tuple[str, int]], digest: bytes | None = None, broken: Sequence[str] = ()
) -> Any:
    verification = Verification(None, b"", b"%d" % name if digest is None else digest, 0.0, None)  # type: ignore[arg-type]
    return Note(name, book, broken), verification


async def test_steps_are_taken_by_all_before_the_next() -> None:
    batch, book = Batch(Outbox()), list[tuple[str, int]]()
    for name in range(3):
        batch.add(*item(name, book))
    assert book == []
    await asyncio.sleep(0)
    assert book == [(step, name) for step in ("decode", "verify", "verified") for name in range(3)]


async def test_no_more_wait_than_the_bound() -> None:
    batch, book = Batch(Outbox()), list[tuple[str, int]]()
    for name in range(MOST + 1):
        batch.add(*item(name, book))
    assert [name for what, name in book if what == "verified"] == list(range(MOST))
    await asyncio.sleep(0)
    assert [name for what, name in book if what == "verified"] == list(range(MOST + 1))


async def test_the_same_token_is_decided_last_and_again() -> None:
    batch, book = Batch(Outbox()), list[tuple[str, int]]()
    for name, digest in enumerate((b"a", b"b", b"a", b"a")):
        batch.add(*item(name, book, digest))
    await asyncio.sleep(0)
    verified, again = ({name for what, name in book if what == kind} for kind in ("decode", "look_again"))
    assert len(verified) == 2
    assert verified | again == {0, 1, 2, 3}
    assert not verified & again
    assert [what for what, _ in book[-4:]] == ["look_again", "verified", "look_again", "verified"]


@pytest.mark.parametrize("more", [(), ("abort",)], ids=["", "in its end too"])
@pytest.mark.parametrize("where", ["decode", "verify", "verified"])
async def test_a_failed_request_does_not_stop_the_others(where: str, more: tuple[str, ...]) -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    batch, book = Batch(Outbox()), list[tuple[str, int]]()
    for name in range(3):
        batch.add(*item(name, book, broken=(where, *more) if name == 1 else ()))
    await asyncio.sleep(0)
    assert ("abort", 1) in book
    assert [name for what, name in book if what == "verified" and name != 1] == [0, 2]
    assert {type(each["exception"]) for each in told} == {LookupError}


# --- in whatever mixture ---

KEY, STRANGER = KeyPair.generate("key"), KeyPair.generate("key", serial=1)
MAKE: dict[str, Callable[[int], bytes]] = {
    "good": lambda n: sign(KEY, access_claims(sub=f"s{n}")),
    "expired": lambda n: sign(KEY, access_claims(sub=f"s{n}", lifetime=-60)),
    "forged": lambda n: sign(STRANGER, access_claims(sub=f"s{n}")),
    "unknown key": lambda n: sign(KeyPair.generate("other"), access_claims(sub=f"s{n}")),
    "garbage": lambda n: b"a.b.%d" % n,
}
TOKENS = [make(number) for make in MAKE.values() for number in range(3)]
Outcome = tuple[str, Claims | None]


class Keys:
    """The pool's key set, known from the start."""

    known = parse_key_set(key_set_document(KEY))

    def key(self, pool_id: str, kid: str) -> VerificationKey | None:
        return self.known.get(kid)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return config_of(tmp_path_factory.mktemp("config"), {"id": POOL_ID, "client_ids": [CLIENT_ID]})


def authenticator(config: Config) -> Authenticator:
    keys = Keys()
    return Authenticator(
        config,
        keys,  # type: ignore[arg-type]
        describe=lambda _: b"",
        metrics=WorkerMetrics(),
        cache=cache_of(keys.key),
    )


def alone(asked: Authenticator, token: bytes) -> Outcome:
    """What becomes of one token by itself."""
    value = b"Bearer " + token
    digest, now = token_hash(value), time.time()
    try:
        principal = asked.recognise(digest, now) or asked.authenticate_now([value], digest, now)
    except Refusal as refusal:
        return refusal.reason, None
    return ("waits", None) if principal is None else ("proven", principal.claims)


class Asked:
    """A connection that keeps what came of its verification."""

    def __init__(self, by: Authenticator, token: bytes) -> None:
        value = b"Bearer " + token
        self.verification = by.begin([value], token_hash(value), time.time())
        self.outcome: Outcome | None = None

    def take(self, step: Callable[[], None]) -> None:
        if self.outcome is None:
            try:
                step()
            except Refusal as refusal:
                self.outcome = refusal.reason, None

    def go_on(self) -> None:
        if self.outcome is None:
            principal = self.verification.principal()
            self.outcome = ("waits", None) if principal is None else ("proven", principal.claims)

    def abort(self) -> None:
        raise AssertionError("no bug here")


@given(st.lists(st.sampled_from(TOKENS), max_size=2 * MOST))
def test_the_outcomes_are_those_of_each_alone(config: Config, mixture: list[bytes]) -> None:
    async def at_once() -> list[Outcome | None]:
        by, batch = authenticator(config), Batch(Outbox())
        connections = [Asked(by, token) for token in mixture]
        for connection in connections:
            batch.add(connection, connection.verification)
        await asyncio.sleep(0)
        return [connection.outcome for connection in connections]

    by = authenticator(config)
    assert asyncio.run(at_once()) == [alone(by, token) for token in mixture]
