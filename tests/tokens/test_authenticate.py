"""From Authorization headers to a principal, over a real key server, cached and not."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.model import Config
from gateway.errors import (
    BadSignature,
    ConfigurationError,
    InvalidToken,
    MalformedAuthorization,
    NoCredentials,
    NoKeys,
    Refusal,
    TokenExpired,
    TokenMalformed,
    TokenTooLarge,
    TwoCredentials,
    UnknownKey,
    WrongClient,
    WrongIssuer,
    WrongTokenUse,
)
from gateway.gate.authenticate import Authenticator
from gateway.keys.key_sets import KeySets
from gateway.keys.refetch import Timing
from gateway.observe.metrics import WorkerMetrics
from gateway.revocation.watch import Admission, RevocationWatch
from gateway.tokens.bearer import bearer_token, token_hash
from gateway.tokens.cache import weight
from gateway.tokens.claims import Claims
from gateway.tokens.principal import Principal
from tests.support.costs import cpu_seconds
from tests.support.key_server import KeyServer
from tests.support.key_sets import REFRESHING, Recorder, ready, until
from tests.support.tokens import (
    CLIENT_ID,
    POOL_ID,
    KeyPair,
    access_claims,
    id_claims,
    issuer_of,
    key_set_document,
    sign,
    updated_issuer_of,
)
from tests.support.verifying import cache_of, config_of

ACCESS, ID, NEW, STRANGER = (KeyPair.generate(name) for name in ("access", "id", "new", "stranger"))
OTHER_POOL_ID, OTHER_CLIENT_ID = "eu-west-1_Zyxwvutsr", "2other3456789"
OTHER = KeyPair.generate("other")


async def prove(authenticator: Authenticator, values: list[bytes], now: float) -> Principal:
    """As a request does: without waiting if that will do."""
    digest = token_hash(values[0]) if len(values) == 1 else None
    principal = authenticator.recognise(digest, now)
    if principal is None:
        principal = authenticator.authenticate_now(values, digest, now)
    return await authenticator.authenticate(values, now) if principal is None else principal


class Gate:
    """An Authenticator over running key sets, and what surrounds it."""

    def __init__(
        self,
        config: Config,
        *,
        timing: Timing | None = None,
        describe: Callable[[Claims], bytes] = lambda claims: b"user: " + claims.subject.encode(),
    ) -> None:
        self.metrics = WorkerMetrics()
        self.key_sets = KeySets(config.cognito.user_pools, events=Recorder(), timing=timing, timeout=10.0)
        self.authenticator = Authenticator(
            config, self.key_sets, describe=describe, metrics=self.metrics, cache=cache_of(self.key_sets.key)
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Gate]:
        await self.key_sets.start()
        try:
            await ready(self.key_sets)
            yield self
        finally:
            await self.key_sets.stop()

    async def ask(self, token: bytes, now: float | None = None) -> Principal:
        """As a request does: the long way where `recognise` does not know the token."""
        return await prove(self.authenticator, [b"Bearer " + token], time.time() if now is None else now)

    def recognise(self, token: bytes, now: float | None = None) -> Principal | None:
        digest = token_hash(b"bearer " + token)
        return self.authenticator.recognise(digest, time.time() if now is None else now)

    @property
    def counted(self) -> tuple[int, int]:
        return self.metrics.token_cache_hits, self.metrics.token_cache_misses


@pytest.fixture
async def server() -> AsyncIterator[KeyServer]:
    async with KeyServer(key_set_document(ACCESS, ID)).running() as server:
        yield server


@pytest.fixture
def config(server: KeyServer, tmp_path: Path) -> Config:
    return config_of(tmp_path, {"id": POOL_ID, "client_ids": [CLIENT_ID], "jwks_url": server.url})


@pytest.fixture
async def gate(config: Config) -> AsyncIterator[Gate]:
    async with Gate(config).running() as gate:
        yield gate


# The header.


@pytest.mark.parametrize(
    ("values", "token"),
    [
        ([b"Bearer abc.def.ghi"], b"abc.def.ghi"),
        ([b"bearer abc"], b"abc"),
        ([b"BEARER abc"], b"abc"),
        ([b"bEaReR  abc"], b"abc"),
        ([b" \tBearer abc\t "], b"abc"),
        ([b"Bearer a/b+c~d=="], b"a/b+c~d=="),
    ],
)
def test_bearer_token(values: list[bytes], token: bytes) -> None:
    assert bearer_token(values) == token


@pytest.mark.parametrize(
    ("values", "refusal"),
    [
        ([], NoCredentials),
        ([b"Bearer a", b"Bearer a"], TwoCredentials),
        ([b"Bearer a", b"Basic dTpw"], TwoCredentials),
        ([b"Basic dTpw", b""], TwoCredentials),
        ([b"Bearer a, Bearer b"], TwoCredentials),
        ([b"Bearer a,Bearer b"], TwoCredentials),
        ([b"Bearer a, Basic dTpw"], TwoCredentials),
        ([b"Basic dTpw, Bearer a"], TwoCredentials),
        ([b"Basic dTpw==,bearer a.b.c"], TwoCredentials),
        ([b'Digest username="a, b", realm="r", Bearer a'], TwoCredentials),
        ([b"Negotiate a, NTLM"], TwoCredentials),
        ([b"Bearer"], MalformedAuthorization),
        ([b"Bearer "], MalformedAuthorization),
        ([b"bearer \t "], MalformedAuthorization),
        ([b"Bearer a b"], MalformedAuthorization),
        ([b"Bearer Bearer a"], MalformedAuthorization),
        ([b"Bearer a,"], MalformedAuthorization),
        ([b"Bearer\ta"], MalformedAuthorization),
        ([b"Bearer a\x00"], MalformedAuthorization),
        ([b"Bearer a\nb"], MalformedAuthorization),
        ([b""], MalformedAuthorization),
        ([b"  "], MalformedAuthorization),
        ([b'"Bearer" a'], MalformedAuthorization),
        ([b"Basic dTpw"], NoCredentials),
        ([b"Basic"], NoCredentials),
        ([b"Bearerabc"], NoCredentials),
        ([b'Digest username="a, Bearer b", realm="r\\", Bearer c",nc=1 , uri="/"'], NoCredentials),
        ([b"AWS4-HMAC-SHA256 Credential=AKIA/x, SignedHeaders=host;date, Signature=0f"], NoCredentials),
    ],
)
def test_anything_but_one_bearer_token_is_refused(values: list[bytes], refusal: type[Refusal]) -> None:
    with pytest.raises(Refusal) as caught:
        bearer_token(values)
    assert type(caught.value) is refusal


@settings(deadline=None)
@given(st.lists(st.binary(max_size=60) | st.text('Bearr ,="\\\tx', max_size=40).map(str.encode), max_size=2))
def test_any_bytes_in_a_header_are_a_token_or_a_refusal(values: list[bytes]) -> None:
    try:
        token = bearer_token(values)
    except Refusal:
        return
    assert token
    assert not (set(token) & set(b" ,\t\r\n\x00"))


@pytest.mark.parametrize(
    "value",
    [
        b"Bearer " + b"," * 32_000,
        b"Digest " + b'"\\' * 16_000 + b",",
        b"Digest " + b'"' * 31_999 + b",",
        b"Digest a," + b" " * 32_000 + b"\xff",
        b"Digest a," + b"a" * 16_000 + b" " * 16_000 + b"\xff",
        b"A" + b" " * 32_000 + b"\x00",
        b" " * 32_000,
    ],
    ids=range(7),
)
def test_no_header_takes_long(value: bytes) -> None:
    def read() -> None:
        with contextlib.suppress(Refusal):
            bearer_token([value])

    assert cpu_seconds(read) < 0.5


# The long way.


async def test_a_good_token_in_any_spelling_of_bearer(gate: Gate) -> None:
    token = sign(ACCESS, access_claims())
    for scheme in (b"Bearer ", b"bearer ", b"BEARER ", b"bEARER  "):
        principal = await prove(gate.authenticator, [scheme + token], time.time())
        assert principal.claims.username == "alice"
        assert principal.identity_lines == b"user: " + principal.claims.subject.encode()
    assert gate.counted == (3, 1)


async def test_both_issuers_of_the_pool(gate: Gate) -> None:
    for issuer in (issuer_of(POOL_ID), updated_issuer_of(POOL_ID)):
        assert (await gate.ask(sign(ACCESS, access_claims(iss=issuer)))).claims.issuer == issuer


@pytest.mark.parametrize(
    "issuer",
    [
        issuer_of(OTHER_POOL_ID),
        issuer_of(POOL_ID) + "/",
        issuer_of(POOL_ID) + "X",
        issuer_of(POOL_ID)[:-1],
        issuer_of(POOL_ID).replace("ap-south-1.", "us-east-1."),
        "https://evil.example/" + POOL_ID,
        "",
        [issuer_of(POOL_ID)],
        None,
        1,
    ],
)
async def test_an_issuer_that_is_not_ours(gate: Gate, issuer: object) -> None:
    with pytest.raises(WrongIssuer):
        await gate.ask(sign(ACCESS, access_claims(iss=issuer)))


@pytest.mark.parametrize(
    ("token", "refusal"),
    [
        (lambda: sign(ACCESS, access_claims(client_id="another")), WrongClient),
        (lambda: sign(ID, id_claims()), WrongTokenUse),
        (lambda: sign(ACCESS, access_claims(lifetime=-1)), TokenExpired),
        (lambda: sign(STRANGER, access_claims(), {"kid": "access"}), BadSignature),
        (lambda: sign(STRANGER, access_claims()), UnknownKey),
        (lambda: b"not-a-token", TokenMalformed),
        (lambda: b"a" * 20_000, TokenTooLarge),
        (lambda: b'{"payload":"e30"}', TokenMalformed),
    ],
)
async def test_refused_the_first_time_and_every_time(
    gate: Gate, token: Callable[[], bytes], refusal: type[Refusal]
) -> None:
    text = token()
    for _ in range(3):
        with pytest.raises(refusal):
            await gate.ask(text)
        assert gate.recognise(text) is None
    assert gate.counted == (0, 3)


async def test_two_pools_keep_to_themselves(server: KeyServer, tmp_path: Path) -> None:
    async with KeyServer(key_set_document(OTHER)).running() as elsewhere:
        config = config_of(
            tmp_path,
            {"id": POOL_ID, "client_ids": [CLIENT_ID], "jwks_url": server.url},
            {
                "id": OTHER_POOL_ID,
                "client_ids": [OTHER_CLIENT_ID],
                "jwks_url": elsewhere.url,
                "token_use": ["id"],
            },
        )
        async with Gate(config).running() as gate:
            ours = await gate.ask(sign(ACCESS, access_claims()))
            theirs = await gate.ask(sign(OTHER, id_claims(OTHER_POOL_ID, OTHER_CLIENT_ID)))
            assert (ours.claims.pool_id, theirs.claims.pool_id) == (POOL_ID, OTHER_POOL_ID)
            with pytest.raises(UnknownKey):  # one pool's key, the other's issuer
                await gate.ask(sign(ACCESS, id_claims(OTHER_POOL_ID, OTHER_CLIENT_ID)))
            with pytest.raises(WrongClient):  # one pool's client, the other's issuer
                await gate.ask(sign(OTHER, id_claims(OTHER_POOL_ID, CLIENT_ID)))
            with pytest.raises(WrongTokenUse):  # what one pool accepts, the other need not
                await gate.ask(sign(OTHER, access_claims(OTHER_POOL_ID, OTHER_CLIENT_ID)))


async def test_two_pools_with_one_issuer_are_refused(config: Config) -> None:
    twice = dataclasses.replace(config.cognito, user_pools=config.cognito.user_pools * 2)
    with pytest.raises(ConfigurationError, match="two pools have the issuer"):
        Gate(dataclasses.replace(config, cognito=twice))


async def test_a_rotated_key_works_at_once(gate: Gate, server: KeyServer) -> None:
    server.document = key_set_document(NEW, ID)
    assert (await gate.ask(sign(NEW, access_claims()))).claims.kid == "new"


async def test_without_keys_no_token_is_401_and_every_token_503(config: Config, server: KeyServer) -> None:
    server.mode = "error"
    gate = Gate(config)
    await gate.key_sets.start()
    await until(lambda: server.fetches)
    await until(lambda: gate.key_sets.ready()[POOL_ID].endswith("status"))
    with pytest.raises(NoCredentials):
        gate.authenticator.authenticate_now([], None, time.time())
    # Two at once (Envoy CVE-2025-64527).
    answers = await asyncio.gather(
        gate.ask(sign(ACCESS, access_claims())), gate.ask(sign(ID, access_claims())), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [NoKeys, NoKeys]
    # What is wrong with a token whatever the keys are stays a 401.
    with pytest.raises(InvalidToken):
        await gate.ask(b"nonsense")
    await gate.key_sets.stop()


async def test_the_unexpected_propagates_and_is_not_remembered(config: Config) -> None:
    def fails(claims: Claims) -> bytes:
        raise ZeroDivisionError

    token = sign(ACCESS, access_claims())
    async with Gate(config, describe=fails).running() as gate:
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                await gate.ask(token)
            assert gate.recognise(token) is None


# The hot way.


async def test_recognised_after_the_first_time_only(gate: Gate) -> None:
    token = sign(ACCESS, access_claims())
    assert gate.recognise(token) is None
    principal = await gate.ask(token)
    for scheme in (b"Bearer ", b"bearer "):
        assert gate.authenticator.recognise(token_hash(scheme + token), time.time()) is principal
    assert gate.counted == (2, 1)


@pytest.mark.parametrize("value", [b"", b"Bearer", b"Bearer ", b"Basic dTpw", b"bearer \xff", b"Bearer a, b"])
async def test_recognise_leaves_unknown_tokens_to_the_slow_path(gate: Gate, value: bytes) -> None:
    assert gate.authenticator.recognise(token_hash(value), time.time()) is None
    assert gate.counted == (0, 0)


async def test_another_spelling_of_the_same_signature_is_another_token(gate: Gate) -> None:
    token = sign(ACCESS, access_claims())
    await gate.ask(token)
    # CVE-2026-102269: the last character of 256 octets in base64url has four bits that nobody reads.
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    stray = token[:-1] + bytes((alphabet[alphabet.index(token[-1]) + 1],))
    for spelling in (stray, token + b"=", token + b"=="):
        assert gate.recognise(spelling) is None
        with pytest.raises(TokenMalformed):
            await gate.ask(spelling)


async def test_a_cached_token_expires_on_time(gate: Gate) -> None:
    token = sign(ACCESS, access_claims(now=1_000_000, lifetime=300))
    await gate.ask(token, 1_000_100)
    assert gate.recognise(token, 1_000_299.9) is not None
    assert gate.recognise(token, 1_000_300) is None
    with pytest.raises(TokenExpired):
        await gate.ask(token, 1_000_300)


async def test_leeway_counts_for_remembered_tokens_as_for_others(server: KeyServer, tmp_path: Path) -> None:
    pool = {"id": POOL_ID, "client_ids": [CLIENT_ID], "jwks_url": server.url}
    async with Gate(config_of(tmp_path, pool, leeway="10s")).running() as gate:
        token = sign(ACCESS, access_claims(now=1_000_000, lifetime=300))
        await gate.ask(token, 1_000_305)
        assert gate.recognise(token, 1_000_309) is not None
        assert gate.recognise(token, 1_000_310) is None


async def test_a_withdrawn_key_drops_its_cached_tokens(config: Config, server: KeyServer) -> None:
    async with Gate(config, timing=REFRESHING).running() as gate:
        withdrawn, kept = sign(ACCESS, access_claims()), sign(ID, access_claims())
        await gate.ask(withdrawn)
        await gate.ask(kept)
        # Under the old name, another key: the name alone must not keep the token alive.
        server.document = key_set_document(KeyPair.generate("access", serial=1), ID)
        await until(lambda: gate.recognise(withdrawn) is None)
        assert gate.recognise(kept) is not None
        with pytest.raises(BadSignature):
            await gate.ask(withdrawn)


async def test_a_flood_of_random_tokens_evicts_nothing(gate: Gate) -> None:
    good = sign(ACCESS, access_claims())
    principal = await gate.ask(good)
    body, _, signature = good.rpartition(b".")
    for number in range(6000):
        forged = body + b"." + b"%06d" % number + signature[6:]
        with pytest.raises(BadSignature):
            await gate.ask(forged)
    assert gate.recognise(good) is principal
    assert "1 tokens" in repr(gate.authenticator)


async def test_tokens_remembered_by_one_configuration_are_unknown_to_another(
    gate: Gate, tmp_path: Path
) -> None:
    token = sign(ACCESS, access_claims())
    await gate.ask(token)
    stricter = config_of(tmp_path, {"id": POOL_ID, "client_ids": [OTHER_CLIENT_ID]})
    authenticator = Authenticator(
        stricter,
        gate.key_sets,
        describe=lambda _: b"",
        metrics=gate.metrics,
        cache=cache_of(gate.key_sets.key),
    )
    digest = token_hash(b"Bearer " + token)
    assert authenticator.recognise(digest, time.time()) is None
    with pytest.raises(WrongClient):
        authenticator.authenticate_now([b"Bearer " + token], digest, time.time())


async def test_only_its_own_expiry_leaves_a_token_held(gate: Gate) -> None:
    now = time.time()
    for claims, held in (
        (access_claims(now=now), True),
        (access_claims(now=now - 86_400), True),
        (access_claims(now=now, client_id=OTHER_CLIENT_ID), False),
    ):
        assert gate.authenticator.holds([b"Bearer " + sign(ACCESS, claims)], now) is held


class Admitting:
    """A revocation that decides so about every token."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission

    def admit(self, *_: object) -> Admission:
        return self.admission


def watched(gate: Gate, config: Config, admission: Admission, access: bytes | None = None) -> Authenticator:
    return Authenticator(
        config,
        gate.key_sets,
        describe=lambda _: b"",
        metrics=gate.metrics,
        cache=cache_of(gate.key_sets.key),
        revocation=cast(RevocationWatch, Admitting(admission)),
        access_of=None if access is None else lambda _: access,
    )


async def test_a_token_that_cannot_be_watched_is_not_remembered(gate: Gate, config: Config) -> None:
    token, now = sign(ACCESS, access_claims()), time.time()
    digest = token_hash(b"Bearer " + token)
    for admission, remembered in ((Admission.ONCE, False), (Admission.KNOWN, True)):
        authenticator = watched(gate, config, admission)
        assert authenticator.authenticate_now([b"Bearer " + token], digest, now) is not None
        assert (authenticator.recognise(digest, now) is not None) is remembered


async def test_an_id_token_waits_for_the_key_of_its_access_token(server: KeyServer, tmp_path: Path) -> None:
    config = config_of(
        tmp_path, {"id": POOL_ID, "client_ids": [CLIENT_ID], "jwks_url": server.url, "token_use": ["id"]}
    )
    async with Gate(config).running() as gate:
        token = sign(ID, id_claims())
        for key, ready_now in ((ACCESS, True), (NEW, False)):
            authenticator = watched(gate, config, Admission.KNOWN, sign(key, access_claims()))
            found = authenticator.authenticate_now([b"Bearer " + token], None, time.time())
            assert (found is not None) is ready_now


async def test_nothing_secret_in_a_repr(gate: Gate) -> None:
    token = sign(ACCESS, access_claims(scope="secret/scope"))
    principal = await gate.ask(token)
    text = repr(gate.authenticator) + repr(principal) + repr(gate.key_sets)
    assert token.decode() not in text
    assert "secret/scope" not in text
    assert "user: " not in text


def many(kind: str, number: int) -> list[str]:
    """Names that no other token has."""
    return [f"{kind}-{number}-{index:03d}-{'x' * 8}" for index in range(100)]


@pytest.mark.parametrize("large", ["", "groups", "scopes", "lines"])
async def test_a_remembered_token_takes_no_more_memory_than_is_counted(config: Config, large: str) -> None:
    def claims(number: int) -> dict[str, Any]:
        made = access_claims() | {name: str(uuid4()) for name in ("sub", "jti", "origin_jti")}
        if large == "groups":
            made["cognito:groups"] = many("group", number)
        elif large == "scopes":
            made["scope"] = " ".join(many("scope", number))
        return made

    lines = 5_000 if large == "lines" else 40
    tokens = [sign(ACCESS, claims(number)) for number in range(400)]
    made = Gate(config, describe=lambda claims: claims.subject.encode().ljust(lines, b"."))
    async with made.running() as gate:
        await held_against_the_truth(gate, tokens)


async def held_against_the_truth(gate: Gate, tokens: list[bytes]) -> None:
    for token in tokens[:100]:
        await gate.ask(token)
    gc.collect()
    tracemalloc.start()
    try:
        for token in tokens[100:]:
            await gate.ask(token)
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    counted = sum([weight_of(await gate.ask(token), token) for token in tokens[100:]])
    assert 0.65 * counted < taken < counted


def weight_of(principal: Principal, token: bytes) -> int:
    claims = principal.claims
    return weight(len(token), principal.identity_lines, claims.scopes, claims.groups, principal.named)
