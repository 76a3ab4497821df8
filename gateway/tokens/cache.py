"""A cache of verified tokens, so that an RSA signature is checked once per token and not once per request.

It belongs to one `Authenticator`, hence to one configuration. Invariant: an entry is returned only while
`exp` lies ahead and the key object it was verified with is still the pool's key of that name; and only
verified tokens are stored, so that strangers can evict nothing.

There is no single flight for a new token that arrives many times at once: verification never awaits, so the
first is stored before the second is looked at, except while all of them wait for a fetch of the key set,
after which each costs one signature check (20 µs).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection
from sys import getsizeof
from typing import Generic, TypeVar

from gateway.tokens.jwk import VerificationKey

# Bytes an entry takes beyond the length of its token: the payload is about half of the token's text, the rest
# is Python objects. A test compares it with the real size.
OVERHEAD = 600

# Identity lines up to this length, and this many scopes, are included in OVERHEAD.
_USUAL_LINES, _USUAL_SCOPES = 64, 2

# How many recently used entries one new token may spare before it evicts the oldest anyway. Each spared one
# has had a hit; the bound keeps one unlucky request from walking through all of them.
_SPARED = 16
# Bits of `used`, one per reader that resets its own.
_FOR_EVICTION, _FOR_CHECKS = 1, 2

# How many of the oldest entries each new one checks for expiry: twice as fast as they arrive. Tokens with the
# same lifetime expire in the order of arrival.
_REAPED = 2

P = TypeVar("P")


def weight(length: int, lines: bytes, scopes: Collection[str], *more: object) -> int:
    """Return the bytes that caching a token takes, of this length, with these identity lines and scopes.

    `more` is whatever else was derived from it (strings, lists and objects as in JSON).
    """
    size = OVERHEAD + length + max(0, len(lines) - _USUAL_LINES)
    made = sum(_deep(each) for each in more if each)
    if len(scopes) > _USUAL_SCOPES:
        made += _deep(scopes)
    # The allocator's overhead for many small objects.
    return size + made * 11 // 10


def _deep(value: object) -> int:
    size = getsizeof(value)
    if isinstance(value, (list, tuple, frozenset)):
        size += sum(map(_deep, value))
    elif isinstance(value, dict):
        size += sum(_deep(key) + _deep(member) for key, member in value.items())
    return size


class _Entry(Generic[P]):
    __slots__ = ("key", "pool_id", "size", "until", "used", "value")

    def __init__(self, value: P, key: VerificationKey, pool_id: str, until: float, size: int) -> None:
        self.value = value
        self.key = key
        self.pool_id = pool_id
        self.until = until
        self.size = size
        # Two bits, reset independently: _FOR_EVICTION, _FOR_CHECKS.
        self.used = 0


class TokenCache(Generic[P]):
    """Results by a token's SHA-256. Evicts the oldest entry not used since it was last spared."""

    def __init__(self, current_key: Callable[[str, str], VerificationKey | None], *, max_size: int) -> None:
        """`max_size`: bytes that all entries together may take."""
        self._current_key = current_key
        self._max_size = max_size
        self._size = 0
        # By digest: the tokens are secrets, and would take twice the memory. OrderedDict, because taking the
        # first item of a plain dict repeatedly walks over the gaps of those removed before.
        self._entries: OrderedDict[bytes, _Entry[P]] = OrderedDict()

    def get(self, digest: bytes, now: float) -> P | None:
        """Return the result for the token with this SHA-256, if still valid at `now` (Unix time), or None."""
        entry = self._entries.get(digest)
        if entry is None:
            return None
        key = entry.key
        if now < entry.until and self._current_key(entry.pool_id, key.kid) is key:
            entry.used = 3
            return entry.value
        self._drop(digest)
        return None

    def put(
        self,
        digest: bytes,
        size: int,
        value: P,
        *,
        key: VerificationKey,
        pool_id: str,
        until: float,
        now: float,
    ) -> None:
        """Store the result for a token verified with `key` of `pool_id`; valid before `until` (Unix time).

        `size` is in bytes.
        """
        entries = self._entries
        if digest in entries:
            self._drop(digest)
        for _ in range(_REAPED):
            oldest = next(iter(entries), None)
            if oldest is None or now < entries[oldest].until:
                break
            self._drop(oldest)
        while entries and self._size + size > self._max_size:
            self._evict()
        entries[digest] = _Entry(value, key, pool_id, until, size)
        self._size += size

    # --- for revocation ---

    def used(self, digest: bytes) -> bool | None:
        """Return whether the entry was used since the last call; None if there is none."""
        entry = self._entries.get(digest)
        if entry is None:
            return None
        used = bool(entry.used & _FOR_CHECKS)
        entry.used &= ~_FOR_CHECKS
        return used

    def forget(self, digest: bytes) -> None:
        self._drop(digest)

    def forget_where(self, denied: Callable[[P], bool]) -> None:
        """Forget every entry whose value satisfies `denied`."""
        for digest in [digest for digest, entry in self._entries.items() if denied(entry.value)]:
            self._drop(digest)

    def _evict(self) -> None:
        for _ in range(_SPARED):
            digest = next(iter(self._entries))
            entry = self._entries[digest]
            if not entry.used & _FOR_EVICTION:
                break
            entry.used &= ~_FOR_EVICTION
            self._entries.move_to_end(digest)
        self._drop(next(iter(self._entries)))

    def _drop(self, digest: bytes) -> None:
        entry = self._entries.pop(digest, None)
        if entry is not None:
            self._size -= entry.size

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<TokenCache of {len(self._entries)} tokens>"
