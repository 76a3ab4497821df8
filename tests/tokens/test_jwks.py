"""Key sets against a real key server: what is kept, what is fetched, and what a flood cannot do.

Time is real but small: the pauses of `QUICK` are a thirtieth and less of the ones in use.
"""

from __future__ import annotations

import asyncio
import dataclasses
import io
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.config.model import Log
from gateway.errors import NoKeys, UnknownKey
from gateway.keys.key_sets import KeySetReport, KeySets
from gateway.keys.refetch import Timing
from gateway.observe.logs import configure
from gateway.observe.metrics import WorkerMetrics
from tests.support.key_server import BROKEN, KeyServer
from tests.support.key_sets import (
    NEW,
    ONE,
    OTHER_POOL_ID,
    QUICK,
    REFRESHING,
    TWO,
    Recorder,
    outcome,
    pool_of,
    ready,
    started,
    until,
)
from tests.support.ports import free_port
from tests.support.tokens import POOL_ID, KeyPair, key_set_document
from tests.support.waiting import PATIENCE


class Clock:
    """The real clock, put forward as the test likes."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@pytest.fixture
async def server() -> AsyncIterator[KeyServer]:
    document = key_set_document(ONE, TWO)
    async with KeyServer(document, elsewhere=key_set_document(NEW)).running() as server:
        yield server


async def test_one_fetch_at_the_start_brings_both_keys(server: KeyServer) -> None:
    async with started(pool_of(server)) as (key_sets, events):
        found = await asyncio.gather(*(key_sets.find(POOL_ID, "one") for _ in range(50)))
        assert {key.kid for key in found} == {"one"}
        for kid in ("one", "two"):
            key = key_sets.key(POOL_ID, kid)
            assert key is not None
            assert key.kid == kid
        assert key_sets.ready() == {}
        assert server.fetches == 1
        assert events.seen == [("loaded", POOL_ID, True)]


async def test_starts_while_cognito_is_down_and_recovers_by_itself() -> None:
    server = KeyServer(key_set_document(ONE))
    server.port = free_port()
    async with started(pool_of(server)) as (key_sets, events):
        await until(lambda: events.count("failed") >= 2)
        with pytest.raises(NoKeys) as refused:
            await key_sets.find(POOL_ID, "one")
        assert refused.value.retry_after == 10
        assert key_sets.ready() == {POOL_ID: "could not fetch the keys: unreachable"}
        async with server.running():
            await ready(key_sets)
            assert (await key_sets.find(POOL_ID, "one")).kid == "one"


async def test_start_does_not_wait_for_a_server_that_hangs(server: KeyServer) -> None:
    server.mode = "hang"
    began = time.monotonic()
    async with started(pool_of(server), timeout=600.0) as (key_sets, _):
        await until(lambda: server.fetches)
        assert key_sets.ready() == {POOL_ID: "the key set has not been fetched yet"}
    # Nor does the end.
    assert time.monotonic() - began < PATIENCE


async def test_a_request_during_the_first_fetch_waits_for_it(server: KeyServer) -> None:
    server.mode = "slow"
    async with started(pool_of(server)) as (key_sets, _):
        assert (await key_sets.find(POOL_ID, "one")).kid == "one"
        assert server.fetches == 1


@pytest.mark.parametrize(
    "bad",
    [
        *BROKEN,
        key_set_document(),
        key_set_document(NEW, NEW),
        key_set_document(KeyPair.generate("weak", bits=1024)),
        key_set_document({"kty": "oct", "kid": "secret", "alg": "HS256", "k": ""}),
        key_set_document(*[NEW.jwk(kid=str(number)) for number in range(5000)]),
    ],
    ids=[*BROKEN, "no keys", "duplicate kid", "weak", "symmetric", "5000 keys"],
)
async def test_the_last_good_set_is_kept(server: KeyServer, bad: str | bytes) -> None:
    good = server.document
    async with started(pool_of(server), timing=REFRESHING, timeout=0.5) as (key_sets, events):
        await ready(key_sets)
        one = key_sets.key(POOL_ID, "one")
        if isinstance(bad, bytes):
            server.document = bad
        else:
            server.mode = bad
        await until(lambda: events.count("failed"))
        assert key_sets.key(POOL_ID, "one") is one
        assert key_sets.key(POOL_ID, "new") is None
        assert key_sets.ready() == {}
        # The known kid is served as if nothing were wrong; about another nobody can tell.
        assert await key_sets.find(POOL_ID, "one") is one
        assert await outcome(key_sets, "new") is NoKeys
        assert server.redirected == 0
        server.document, server.mode = good, "good"
        loads = events.count("loaded")
        await until(lambda: events.count("loaded") > loads)
        assert key_sets.key(POOL_ID, "one") is one
        assert await outcome(key_sets, "new") is UnknownKey


async def test_a_new_key_is_found_at_once_by_one_fetch_for_all(server: KeyServer) -> None:
    async with started(pool_of(server)) as (key_sets, _):
        await ready(key_sets)
        server.document, server.mode, server.slowness = key_set_document(TWO, NEW), "slow", 0.1
        found = await asyncio.gather(*(key_sets.find(POOL_ID, "new") for _ in range(100)))
        assert {key.kid for key in found} == {"new"}
        assert server.fetches == 2


async def test_a_burst_of_unknown_kids_right_after_the_start(server: KeyServer) -> None:
    async with started(pool_of(server)) as (key_sets, _):
        await ready(key_sets)
        refusals = await asyncio.gather(*(outcome(key_sets, f"stranger {n}") for n in range(500)))
        assert set(refusals) == {UnknownKey}
        assert server.fetches <= 2  # the one at the start included


async def test_a_burst_after_a_quiet_time_costs_two_fetches(server: KeyServer) -> None:
    clock = Clock()
    async with started(pool_of(server), timing=Timing(), clock=clock) as (key_sets, _):
        await ready(key_sets)
        clock.ahead = 100.0
        for n in range(500):
            assert await outcome(key_sets, f"stranger {n}") is UnknownKey
        assert server.fetches == 1 + 2
        # The next one is allowed a cool-down later, and serves everybody.
        server.document = key_set_document(ONE, TWO, NEW)
        assert await outcome(key_sets, "new") is UnknownKey
        clock.ahead += Timing().cooldown
        assert (await key_sets.find(POOL_ID, "new")).kid == "new"
        assert server.fetches == 1 + 2 + 1


async def test_a_flood_does_not_affect_valid_tokens(server: KeyServer) -> None:
    async with started(pool_of(server), timeout=60.0) as (key_sets, _):
        await ready(key_sets)
        server.mode = "hang"
        flood = [asyncio.create_task(outcome(key_sets, f"stranger {n}")) for n in range(500)]
        await until(lambda: server.fetches >= 2)
        for _ in range(1000):
            assert (await key_sets.find(POOL_ID, "one")).kid == "one"
        assert server.fetches == 2
        # None of them waited for the fetch: it goes on.
        assert not any(task.done() for task in flood)
        await key_sets.stop()
        assert set(await asyncio.gather(*flood)) == {NoKeys}


async def test_under_a_lasting_flood_a_new_key_works_within_one_cooldown(server: KeyServer) -> None:
    began = time.monotonic()
    async with started(pool_of(server)) as (key_sets, _):
        await ready(key_sets)
        number = 0

        async def flood() -> None:
            nonlocal number
            while True:
                number += 1
                await outcome(key_sets, f"stranger {number}")
                await asyncio.sleep(0)

        task = asyncio.create_task(flood())
        await until(lambda: number > 500)
        server.document, fetches = key_set_document(ONE, TWO, NEW), server.fetches
        while await outcome(key_sets, "new") is UnknownKey:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
        # One fetch was perhaps under way; the next one, a cool-down after it, brought the key.
        assert server.fetches - fetches <= 2
        assert server.fetches <= 2 + (time.monotonic() - began) / QUICK.cooldown


async def test_one_strangers_bad_kid_does_not_delay_a_rotation(server: KeyServer) -> None:
    clock = Clock()
    async with started(pool_of(server), timing=Timing(), clock=clock) as (key_sets, _):
        await ready(key_sets)
        clock.ahead = 100.0
        for _ in range(100):
            assert await outcome(key_sets, "bad") is UnknownKey
        assert server.fetches == 2
        server.document = key_set_document(TWO, NEW)
        assert (await key_sets.find(POOL_ID, "new")).kid == "new"


@pytest.mark.parametrize("mode", ["error", "html", "hang"])
async def test_a_flood_before_any_key_was_loaded_causes_no_fetch(server: KeyServer, mode: str) -> None:
    server.mode = mode
    retries = dataclasses.replace(QUICK, retry_first=60.0, retry_most=60.0)
    async with started(pool_of(server), timing=retries, timeout=1.0) as (key_sets, events):
        for round_ in range(5):
            flood = (outcome(key_sets, f"stranger {round_} {n}") for n in range(100))
            assert set(await asyncio.gather(*flood)) == {NoKeys}
            await asyncio.sleep(QUICK.cooldown / 3)
        assert server.fetches == 1
        assert events.count("failed") == 1


async def test_a_flood_while_the_refetch_fails_causes_no_fetch(server: KeyServer) -> None:
    retries = dataclasses.replace(QUICK, retry_first=60.0, retry_most=60.0)
    async with started(pool_of(server), timing=retries) as (key_sets, _):
        await ready(key_sets)
        server.mode = "error"
        for n in range(300):
            assert await outcome(key_sets, f"stranger {n}") is NoKeys
        assert server.fetches == 2


async def test_an_unknown_kid_is_401_while_fresh_and_503_when_refetching_fails(server: KeyServer) -> None:
    async with started(pool_of(server)) as (key_sets, events):
        await ready(key_sets)
        assert await outcome(key_sets, "a") is UnknownKey
        server.mode = "error"
        await asyncio.sleep(QUICK.cooldown * 1.1)
        assert await outcome(key_sets, "a") is NoKeys
        server.mode = "good"
        loads = events.count("loaded")
        await until(lambda: events.count("loaded") > loads)
        assert await outcome(key_sets, "a") is UnknownKey


async def test_a_client_that_disconnects_cancels_only_its_own_wait(server: KeyServer) -> None:
    async with started(pool_of(server)) as (key_sets, _):
        await ready(key_sets)
        server.document, server.mode, server.slowness = key_set_document(NEW), "slow", 0.15
        first = asyncio.create_task(key_sets.find(POOL_ID, "new"))
        second = asyncio.create_task(key_sets.find(POOL_ID, "new"))
        await until(lambda: server.fetches >= 2)
        first.cancel()
        assert (await second).kid == "new"
        assert first.cancelled()
        assert server.fetches == 2


async def test_a_refresh_drops_withdrawn_keys_and_keeps_the_others(server: KeyServer) -> None:
    async with started(pool_of(server), timing=REFRESHING) as (key_sets, events):
        await ready(key_sets)
        two = key_sets.key(POOL_ID, "two")
        # Another key under the old name, too.
        server.document = key_set_document(TWO, KeyPair.generate("new", serial=1))
        await until(lambda: key_sets.key(POOL_ID, "one") is None)
        assert key_sets.key(POOL_ID, "two") is two
        stranger = key_sets.key(POOL_ID, "new")
        server.document = key_set_document(TWO, NEW)
        await until(lambda: key_sets.key(POOL_ID, "new") is not stranger)
        await until(lambda: events.seen[-1] == ("loaded", POOL_ID, False))


async def test_pools_do_not_share_anything(server: KeyServer) -> None:
    async with started(pool_of(server), pool_of(None, OTHER_POOL_ID)) as (key_sets, events):
        await until(lambda: events.count("failed") and events.count("loaded"))
        assert set(key_sets.ready()) == {OTHER_POOL_ID}
        assert key_sets.key(OTHER_POOL_ID, "one") is None
        assert await outcome(key_sets, "one", OTHER_POOL_ID) is NoKeys
        assert await outcome(key_sets, "stranger", POOL_ID) is UnknownKey


async def test_stop_leaves_no_task_and_releases_those_who_wait(server: KeyServer) -> None:
    server.mode = "hang"
    tasks = asyncio.all_tasks()
    async with started(pool_of(server), timeout=30.0) as (key_sets, _):
        waiting = [asyncio.create_task(outcome(key_sets, "one")) for _ in range(3)]
        await until(lambda: server.fetches)
        await key_sets.stop()
        assert await asyncio.gather(*waiting) == [NoKeys] * 3
        ours = [task for task in asyncio.all_tasks() - tasks if task.get_name().startswith("key set")]
        assert ours == []
        # Late requests of a draining worker end as well.
        assert await outcome(key_sets, "one") is NoKeys


async def test_keys_in_hand_outlive_stop(server: KeyServer) -> None:
    async with started(pool_of(server)) as (key_sets, _):
        await ready(key_sets)
        await key_sets.stop()
        assert (await key_sets.find(POOL_ID, "one")).kid == "one"
        assert await outcome(key_sets, "stranger") is NoKeys


async def test_never_started_never_hangs(server: KeyServer) -> None:
    key_sets = KeySets([pool_of(server)], events=Recorder())
    assert await outcome(key_sets, "one") is NoKeys
    await key_sets.stop()
    assert server.fetches == 0


async def test_a_failing_report_does_not_stop_fetching(server: KeyServer) -> None:
    class FullDisk(Recorder):
        def key_set_loaded(self, pool_id: str, keys: int, *, ignored: int, changed: bool) -> None:
            super().key_set_loaded(pool_id, keys, ignored=ignored, changed=changed)
            if len(self.seen) < 3:
                raise OSError("no space left")

    reported: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["message"]))
    async with started(pool_of(server), timing=REFRESHING, events=FullDisk()) as (key_sets, events):
        await until(lambda: events.count("loaded") >= 4)
        assert (await key_sets.find(POOL_ID, "one")).kid == "one"
        assert reported == ["fetching a key set failed"] * 2


async def test_a_reload_while_cognito_is_down_keeps_the_keys(server: KeyServer) -> None:
    async with started(pool_of(server)) as (old, _):
        await ready(old)
        server.mode = "error"
        events = Recorder()
        elsewhere = dataclasses.replace(pool_of(server), jwks_url=server.url + "?other")
        for pool, kept in ((pool_of(server), True), (elsewhere, False), (pool_of(server, "x_y"), False)):
            new = KeySets([pool], events=events, timing=QUICK, previous=old)
            await new.start()
            assert (not new.ready()) == kept
            assert (new.key(pool.id, "one") is old.key(POOL_ID, "one")) == kept
            await new.stop()


async def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(key_set_document(ONE))
    async with started(pool_of(None, file=path), timing=REFRESHING) as (key_sets, events):
        await ready(key_sets)
        # As Kubernetes does it: another file behind the same name.
        (tmp_path / "next").write_bytes(key_set_document(NEW))
        (tmp_path / "next").rename(path)
        await until(lambda: key_sets.key(POOL_ID, "new"))
        assert key_sets.key(POOL_ID, "one") is None
        path.write_bytes(b"half a docum")
        await until(lambda: events.seen[-1] == ("failed", POOL_ID, "refused"))
        path.unlink()
        await until(lambda: events.seen[-1] == ("failed", POOL_ID, "unreadable"))
        assert (await key_sets.find(POOL_ID, "new")).kid == "new"
        path.write_bytes(key_set_document(ONE))
        await until(lambda: key_sets.key(POOL_ID, "one"))


async def test_a_file_with_a_new_key_serves_it_at_once(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(key_set_document(ONE))
    async with started(pool_of(None, file=path)) as (key_sets, _):
        await ready(key_sets)
        path.write_bytes(key_set_document(ONE, NEW))
        assert (await key_sets.find(POOL_ID, "new")).kid == "new"


UNUSABLE: dict[str, dict[str, object]] = {
    "elliptic": {
        "kty": "EC",
        "crv": "P-256",
        "x": "AQ",
        "y": "AQ",
        "kid": "other",
        "alg": "ES256",
        "use": "sig",
    },
    "symmetric": {"kty": "oct", "kid": "other", "alg": "HS256", "k": "c2VjcmV0"},
    "empty": {"kty": "oct", "kid": "other", "alg": "HS256", "k": ""},
    "weak": KeyPair.generate("other", bits=1024).jwk(),
    "exponent 1": NEW.jwk(kid="other", e="AQ"),
    "for encryption": NEW.jwk(kid="other", use="enc"),
    "malformed": NEW.jwk(kid="other", n="!"),
    "private": NEW.jwk(kid="other", d="AQAB"),
}


@pytest.mark.parametrize("kind", UNUSABLE)
async def test_an_unusable_key_is_ignored_and_the_others_rotate(server: KeyServer, kind: str) -> None:
    """A pool that publishes a key of another kind: its next rotation is followed all the same."""
    async with started(pool_of(server), timing=REFRESHING) as (key_sets, events):
        await ready(key_sets)
        server.document = key_set_document(NEW, UNUSABLE[kind])
        assert (await key_sets.find(POOL_ID, "new")).kid == "new"
        assert key_sets.key(POOL_ID, "one") is None
        assert key_sets.key(POOL_ID, "other") is None
        with pytest.raises(UnknownKey, match="the key of the token's kid is ignored: "):
            await key_sets.find(POOL_ID, "other")
        # Said once, however often it is read, and again when it came back.
        loads = events.count("loaded")
        await until(lambda: events.count("loaded") > loads + 2)
        assert events.count("ignored") == 1
        server.document = key_set_document(NEW)
        loads = events.count("loaded")
        await until(lambda: events.count("loaded") > loads + 1)
        server.document = key_set_document(NEW, UNUSABLE[kind])
        await until(lambda: events.count("ignored") >= 2)
        assert events.count("failed") == 0


async def test_a_duplicated_kid_verifies_nothing(server: KeyServer) -> None:
    async with started(pool_of(server), timing=REFRESHING) as (key_sets, events):
        await ready(key_sets)
        server.document = key_set_document(ONE, TWO, KeyPair.generate("one", serial=1))
        await until(lambda: events.count("ignored"))
        assert key_sets.key(POOL_ID, "one") is None
        assert key_sets.key(POOL_ID, "two") is not None
        assert await outcome(key_sets, "one") is UnknownKey


async def test_a_reload_does_not_name_the_same_keys_again(server: KeyServer) -> None:
    server.document = key_set_document(ONE, UNUSABLE["elliptic"])
    async with started(pool_of(server)) as (key_sets, events):
        await ready(key_sets)
        assert events.count("ignored") == 1
        again = KeySets([pool_of(server)], events=events, timing=QUICK, previous=key_sets)
        await again.start()
        await until(lambda: events.count("loaded") >= 2)
        await again.stop()
        assert events.count("ignored") == 1


async def test_ignored_keys_are_counted_and_named_in_the_log(server: KeyServer) -> None:
    metrics, stream = WorkerMetrics(), io.BytesIO()
    log = configure(Log(format="json", level="info", access=True), stream)
    server.document = key_set_document(
        ONE, UNUSABLE["elliptic"], TWO.jwk(kid="k" * 256, use="enc"), TWO.jwk(kid=1)
    )
    report = KeySetReport(metrics, log)
    key_sets = KeySets([pool_of(server)], events=report, timing=REFRESHING, timeout=2.0)
    await key_sets.start()
    await until(lambda: metrics.jwks_fetches[(POOL_ID, "success")] >= 3)
    assert metrics.jwks_keys == {POOL_ID: 1}
    assert metrics.jwks_keys_ignored == {POOL_ID: 3}
    server.document = key_set_document(ONE)
    await until(lambda: metrics.jwks_keys_ignored == {POOL_ID: 0})
    await key_sets.stop()
    log.close()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    ignored = [line for line in lines if line["event"] == "key_ignored"]
    assert [(line["pool"], line["level"], line["kid"], line["exact"]) for line in ignored] == [
        (POOL_ID, "warning", "other", "kty is not RSA"),
        (POOL_ID, "warning", "k" * 128, "use is not sig"),
        (POOL_ID, "warning", "key 3", "kid is not a string of 1 to 256 printable ASCII characters"),
    ]


async def test_metrics_and_log_tell_of_fetches_without_a_byte_of_the_answer(server: KeyServer) -> None:
    metrics, stream = WorkerMetrics(), io.BytesIO()
    log = configure(Log(format="json", level="debug", access=True), stream)
    key_sets = KeySets(
        [pool_of(server)],
        events=KeySetReport(metrics, log, wall=lambda: 1_800_000_000.0),
        timing=REFRESHING,
        timeout=2.0,
    )
    server.mode = "html"
    await key_sets.start()
    await until(lambda: metrics.jwks_fetches[(POOL_ID, "failure")])
    assert metrics.jwks_keys == {POOL_ID: 0}
    assert metrics.jwks_fetches[(POOL_ID, "success")] == 0
    server.mode = "good"
    await until(lambda: metrics.jwks_fetches[(POOL_ID, "success")] >= 3)
    await key_sets.stop()
    log.close()
    assert metrics.jwks_keys == {POOL_ID: 2}
    assert metrics.jwks_last_success == {POOL_ID: 1_800_000_000.0}
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    failed = [line for line in lines if line["event"] == "key_set_fetch_failed"]
    loaded = [line for line in lines if line["event"] == "key_set_loaded"]
    assert failed[0]["pool"] == POOL_ID
    assert failed[0]["reason"] == "refused"
    assert failed[0]["level"] == "warning"
    # An unchanged set is no news.
    assert [(line["pool"], line["keys"]) for line in loaded] == [(POOL_ID, 2)]
    assert b"captive" not in stream.getvalue()


def test_repr_shows_pools_and_counts_only() -> None:
    assert repr(KeySets([pool_of(None)], events=Recorder())) == f"<KeySets {POOL_ID}: 0>"
