"""What a worker hands to the next one: the same keys, no younger, for the same pool from the same place."""

from __future__ import annotations

import dataclasses
import io
import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

from gateway.config.model import Log
from gateway.errors import NoKeys, UnknownKey
from gateway.keys.handover import HandedOver, NewestKeySets, place_of
from gateway.keys.key_sets import KeySetReport, KeySets
from gateway.observe.logs import configure
from gateway.observe.metrics import WorkerMetrics
from gateway.tokens.jwk import (
    MAX_DOCUMENT_SIZE,
    MAX_KEYS,
    MAX_MODULUS_BITS,
    VerificationKey,
    parse_key_set,
    render_key_set,
)
from tests.support.key_server import KeyServer
from tests.support.key_sets import (
    NEW,
    ONE,
    OTHER_POOL_ID,
    QUICK,
    TWO,
    Recorder,
    outcome,
    pool_of,
    ready,
    started,
    until,
)
from tests.support.tokens import POOL_ID, KeyPair, key_set_document

POOL = pool_of(None)


def handed(*keys: KeyPair, read_at: float | None = None, place: str = place_of(POOL)) -> HandedOver:
    document = key_set_document(*keys).decode()
    return HandedOver(POOL_ID, place, time.monotonic() if read_at is None else read_at, document)


# --- the document -----------------------------------------------------------------------------------------


def test_the_rendered_key_set_holds_the_keys_and_nothing_else() -> None:
    keys = parse_key_set(key_set_document(ONE, TWO.jwk(x5c=["MIIB"], note="x")))
    text = render_key_set(keys.values())
    assert parse_key_set(text.encode()) == keys
    assert [set(member) for member in json.loads(text)["keys"]] == [
        {"kty", "alg", "use", "kid", "e", "n"}
    ] * 2


def test_the_largest_key_set_is_accepted_again() -> None:
    def largest() -> Iterator[VerificationKey]:
        for number in range(MAX_KEYS):
            n = secrets.randbits(MAX_MODULUS_BITS) | 1 << (MAX_MODULUS_BITS - 1) | 1
            # A backslash takes two octets in JSON.
            kid = f"{number:02}".ljust(256, "\\")
            yield VerificationKey(kid, RSAPublicNumbers(65537, n).public_key(), MAX_MODULUS_BITS // 8, "")

    text = render_key_set(largest())
    assert len(text) <= MAX_DOCUMENT_SIZE
    assert len(parse_key_set(text.encode())) == MAX_KEYS


# --- which one is kept ------------------------------------------------------------------------------------


def test_the_newest_is_kept_in_whatever_order_they_come() -> None:
    kept = NewestKeySets([POOL])
    old, new = handed(ONE, read_at=1.0), handed(TWO, read_at=2.0)
    for order in ([old, new], [new, old]):
        for each in order:
            kept.add(each)
        assert kept.all() == [new]


def test_only_what_is_configured_is_kept_and_what_was_taken_away_does_not_come_back() -> None:
    kept = NewestKeySets([POOL])
    other_place = dataclasses.replace(POOL, jwks_url=f"{POOL.jwks_url}?other")
    kept.add(handed(ONE, place=place_of(other_place)))
    kept.add(dataclasses.replace(handed(ONE), pool_id=OTHER_POOL_ID))
    assert kept.all() == []
    for without in ([other_place], []):
        kept.add(handed(ONE))
        kept.configure([POOL, pool_of(None, OTHER_POOL_ID)])
        assert len(kept.all()) == 1
        kept.configure(without)
        assert kept.all() == []
        kept.configure([POOL])
        assert kept.all() == []


def test_a_file_and_a_url_are_different_places() -> None:
    assert place_of(POOL) != place_of(dataclasses.replace(POOL, jwks_file=Path(POOL.jwks_url)))


# --- what the heir does with it ---------------------------------------------------------------------------


async def test_a_new_worker_serves_inherited_keys_while_cognito_is_down() -> None:
    events = Recorder()
    key_sets = KeySets([POOL], events=events, timing=QUICK)
    key_sets.take_over([handed(ONE)])
    await key_sets.start()
    assert key_sets.ready() == {}
    assert (await key_sets.find(POOL_ID, "one")).kid == "one"
    await until(lambda: events.count("failed") >= 2)
    assert (await key_sets.find(POOL_ID, "one")).kid == "one"
    # As where the set was fetched by itself and has grown stale: nobody can tell, so it is no 401.
    assert await outcome(key_sets, "new") is NoKeys
    await key_sets.stop()


@pytest.mark.parametrize("age", [0.0, 86_400.0])
async def test_a_new_worker_fetches_at_once_despite_inherited_keys(age: float) -> None:
    async with KeyServer(key_set_document(NEW)).running() as server:
        pool = pool_of(server)
        key_sets = KeySets([pool], events=Recorder(), timing=QUICK)
        key_sets.take_over([handed(ONE, read_at=time.monotonic() - age, place=place_of(pool))])
        await key_sets.start()
        # A withdrawn key is gone with the first answer, as late as in any worker that has just started.
        await until(lambda: key_sets.key(POOL_ID, "one") is None)
        assert key_sets.key(POOL_ID, "new") is not None
        assert await outcome(key_sets, "one") is UnknownKey
        await key_sets.stop()


async def test_fetched_keys_are_handed_over_and_keep_their_age() -> None:
    async with KeyServer(key_set_document(ONE)).running() as server:
        before = time.monotonic()
        async with started(pool_of(server)) as (key_sets, _):
            assert key_sets.handed_over() == []
            await ready(key_sets)
            (first,) = key_sets.handed_over()
            assert before <= first.read_at <= time.monotonic()
            assert set(parse_key_set(first.document.encode())) == {"one"}
            server.mode = "error"
            heir = KeySets([pool_of(server)], events=Recorder(), timing=QUICK)
            heir.take_over([first])
            reloaded = KeySets([pool_of(server)], events=Recorder(), timing=QUICK, previous=heir)
            # From hand to hand, and no younger.
            assert key_sets.handed_over() == heir.handed_over() == reloaded.handed_over() == [first]


@pytest.mark.parametrize(
    "document",
    [
        "",
        "{",
        '{"keys": []}',
        "\ud800",
        key_set_document(ONE.jwk(kty="EC")).decode(),
        key_set_document(ONE.jwk(d="AQAB")).decode(),
    ],
)
async def test_a_file_that_does_not_parse_is_left_unchanged_and_reported(document: str) -> None:
    events = Recorder()
    key_sets = KeySets([POOL], events=events, timing=QUICK)
    key_sets.take_over([dataclasses.replace(handed(), document=document)])
    assert set(key_sets.ready()) == {POOL_ID}
    assert key_sets.handed_over() == []
    assert events.count("not taken over") == 1


async def test_only_usable_keys_are_handed_over_and_parsed_again() -> None:
    events = Recorder()
    key_sets = KeySets([POOL], events=events, timing=QUICK)
    key_sets.take_over(
        [dataclasses.replace(handed(), document=key_set_document(ONE, TWO.jwk(kty="EC")).decode())]
    )
    assert key_sets.key(POOL_ID, "one") is not None
    assert key_sets.key(POOL_ID, "two") is None
    assert [each for each in events.seen if each[0] == "ignored"] == [
        ("ignored", POOL_ID, ("two", "kty is not RSA"))
    ]
    async with KeyServer(key_set_document(ONE, TWO.jwk(use="enc"))).running() as server:
        async with started(pool_of(server)) as (reader, _):
            await ready(reader)
            (given,) = reader.handed_over()
            assert set(json.loads(given.document)["keys"][0]) == {"kty", "alg", "use", "kid", "e", "n"}
            assert [member["kid"] for member in json.loads(given.document)["keys"]] == ["one"]


async def test_a_worker_keeps_the_keys_it_has() -> None:
    events = Recorder()
    key_sets = KeySets([POOL], events=events, timing=QUICK)
    key_sets.take_over([handed(ONE)])
    key_sets.take_over([handed(TWO)])
    assert key_sets.key(POOL_ID, "one") is not None
    assert key_sets.key(POOL_ID, "two") is None
    assert events.count("taken over") == 1


async def test_key_sets_of_other_pools_and_places_are_skipped() -> None:
    key_sets = KeySets([POOL], events=Recorder(), timing=QUICK)
    key_sets.take_over(
        [
            handed(ONE, place=f"{place_of(POOL)}?other"),
            dataclasses.replace(handed(ONE), pool_id=OTHER_POOL_ID),
        ]
    )
    assert set(key_sets.ready()) == {POOL_ID}
    assert key_sets.key(POOL_ID, "one") is None


async def test_metrics_say_how_old_it_is_and_count_no_fetch() -> None:
    metrics, stream = WorkerMetrics(), io.BytesIO()
    log = configure(Log(format="json", level="info", access=True), stream)
    report = KeySetReport(metrics, log, wall=lambda: 1_800_000_000.0)
    key_sets = KeySets([POOL], events=report, timing=QUICK, clock=lambda: 1000.0)
    key_sets.take_over([handed(ONE, TWO, read_at=400.0)])
    log.close()
    assert metrics.jwks_keys == {POOL_ID: 2}
    assert metrics.jwks_last_success == {POOL_ID: 1_800_000_000.0 - 600}
    assert not metrics.jwks_fetches
    (line,) = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (line["event"], line["pool"], line["keys"], line["age_s"]) == (
        "key_set_adopted",
        POOL_ID,
        2,
        600.0,
    )
