"""The cache of verified tokens: what never comes out, what never gets in, what never gets pushed out."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.load import load
from gateway.tokens.cache import OVERHEAD, TokenCache
from gateway.tokens.jwk import VerificationKey, parse_key_set
from gateway.tokens.jws import MAX_TOKEN_SIZE
from tests.support.tokens import KeyPair, key_set_document

POOL = "ap-south-1_TestPool1"
KEY = parse_key_set(key_set_document(KeyPair.generate("one")))["one"]
FOREVER = 1e12


class Keys:
    """What the pools' key sets say, as `KeySets.key` would."""

    def __init__(self) -> None:
        self.current: dict[tuple[str, str], VerificationKey] = {(POOL, "one"): KEY}

    def __call__(self, pool_id: str, kid: str) -> VerificationKey | None:
        return self.current.get((pool_id, kid))


@pytest.fixture
def keys() -> Keys:
    return Keys()


def put(
    cache: TokenCache[str], token: bytes, *, until: float = FOREVER, pool_id: str = POOL, now: float = 0.0
) -> None:
    cache.put(token, len(token), token.decode(), key=KEY, pool_id=pool_id, until=until, now=now)


def test_a_stored_principal_is_found_by_its_token_alone(keys: Keys) -> None:
    cache: TokenCache[str] = TokenCache(keys, max_size=1_000_000)
    put(cache, b"token")
    assert cache.get(b"token", 0.0) == "token"
    assert cache.get(b"Token", 0.0) is None


def test_expiry_is_looked_at_on_every_hit(keys: Keys) -> None:
    cache: TokenCache[str] = TokenCache(keys, max_size=1_000_000)
    put(cache, b"token", until=100.0)
    assert cache.get(b"token", 99.999) == "token"
    # RFC 7519 section 4.1.4: on or after. And it does not come back when the clock does.
    assert cache.get(b"token", 100.0) is None
    assert cache.get(b"token", 50.0) is None
    assert len(cache) == 0


def test_a_withdrawn_key_drops_its_tokens(keys: Keys) -> None:
    cache: TokenCache[str] = TokenCache(keys, max_size=1_000_000)
    put(cache, b"token")
    del keys.current[POOL, "one"]
    assert cache.get(b"token", 0.0) is None
    assert len(cache) == 0


def test_another_key_of_the_same_name_is_another_key(keys: Keys) -> None:
    cache: TokenCache[str] = TokenCache(keys, max_size=1_000_000)
    put(cache, b"token")
    keys.current[POOL, "one"] = parse_key_set(key_set_document(KeyPair.generate("one", serial=1)))["one"]
    assert cache.get(b"token", 0.0) is None


def test_another_pools_key_of_the_same_name_does_not_count(keys: Keys) -> None:
    cache: TokenCache[str] = TokenCache(keys, max_size=1_000_000)
    put(cache, b"token", pool_id="ap-south-1_Other")
    keys.current["ap-south-1_Other", "one"] = dataclasses.replace(KEY)
    assert cache.get(b"token", 0.0) is None


def test_used_tokens_outlive_a_flood_of_valid_ones(keys: Keys) -> None:
    cache: TokenCache[str] = TokenCache(keys, max_size=100 * 8)
    for number in range(10):
        put(cache, b"good%04d" % number)
    for number in range(5000):
        put(cache, b"mint%04d" % number)
        if number % 20 == 0:
            assert all(cache.get(b"good%04d" % n, 0.0) for n in range(10)), number
    assert len(cache) == 100


def test_as_many_tokens_as_fit_in_turn_are_all_hits(keys: Keys) -> None:
    cache: TokenCache[str] = TokenCache(keys, max_size=3000 * 8)
    tokens = [b"%08d" % number for number in range(3000)]
    for token in tokens:
        put(cache, token)
    assert all(cache.get(token, 0.0) for _ in range(3) for token in tokens)


def test_when_all_are_in_use_a_new_one_still_gets_in(keys: Keys) -> None:
    cache: TokenCache[str] = TokenCache(keys, max_size=1000 * 8)
    for number in range(1000):
        put(cache, b"%08d" % number)
        cache.get(b"%08d" % number, 0.0)
    put(cache, b"newcomer")
    assert cache.get(b"newcomer", 0.0)
    assert len(cache) == 1000


def test_expired_entries_are_evicted_first(keys: Keys) -> None:
    cache: TokenCache[str] = TokenCache(keys, max_size=1000 * 8)
    for number in range(500):
        put(cache, b"%08d" % number, until=100.0)
    for number in range(500, 750):
        put(cache, b"%08d" % number, now=100.0)
    # Far from full, and yet none of the first 500 is left.
    assert len(cache) == 250
    assert all(cache.get(b"%08d" % number, 100.0) for number in range(500, 750))


def test_the_default_holds_a_hundred_thousand_usual_tokens(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text("")
    size = load(tmp_path / "gateway.yaml", {}).config.cognito.token_cache_size
    assert size // (OVERHEAD + 983) > 100_000
    # As many of the largest would be gigabytes.
    assert size // (OVERHEAD + MAX_TOKEN_SIZE) < 10_000


def test_the_same_token_again_takes_no_more_room(keys: Keys) -> None:
    cache: TokenCache[str] = TokenCache(keys, max_size=16)
    put(cache, b"12345678")
    for _ in range(10):
        put(cache, b"87654321")
    assert cache.get(b"12345678", 0.0)
    assert len(cache) == 2


def test_repr_holds_no_token(keys: Keys) -> None:
    cache: TokenCache[str] = TokenCache(keys, max_size=1_000_000)
    put(cache, b"secret-token")
    assert repr(cache) == "<TokenCache of 1 tokens>"


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["put", "get"]), st.integers(0, 40), st.integers(1, 300)), max_size=300
)


@settings(deadline=None)
@given(OPERATIONS)
def test_never_more_than_fits_and_never_the_wrong_one(operations: list[tuple[str, int, int]]) -> None:
    keys = Keys()
    cache: TokenCache[str] = TokenCache(keys, max_size=1000)
    held: dict[bytes, int] = {}
    for operation, name, size in operations:
        token = b"%0*d" % (size, name)
        if operation == "put":
            put(cache, token)
            held[token] = len(token)
            assert cache.get(token, 0.0) == token.decode()
        else:
            assert cache.get(token, 0.0) in (None, token.decode())
        alive = [token for token in held if cache.get(token, 0.0) is not None]
        assert sum(map(len, alive)) <= 1000
        assert len(alive) == len(cache)
