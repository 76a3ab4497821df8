"""Tokens verified before, so that an RSA signature is checked once per token and not once per request.

Belongs to one `Authenticator`, hence to one configuration. Invariant: nothing comes out unless, at that
moment, `exp` lies ahead and the very key object it was verified with is still the pool's key of that name;
and only verified tokens ever go in, so that strangers can push nothing out.

There is no single flight for a new token that arrives many times at once: verifying never awaits, so the
first one is in before the second is looked at, except while all of them wait for a fetch of the key set,
where each then costs one signature check (20 µs).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection
from sys import getsizeof
from typing import Generic, TypeVar

from gateway.tokens.jwk import VerificationKey

# What a remembered token takes beyond as many bytes as its own text: its payload is half of a usual one's
# text, the rest is Python's objects. A test holds it against the truth.
OVERHEAD = 600

# Of the identity lines, and of the scopes, that many are part of it.
_USUAL_LINES, _USUAL_SCOPES = 64, 2

# How many recently used entries one new token may spare before it takes the oldest anyway. Each spared one
# paid for it with a hit; the bound keeps one unlucky request from walking through all of them.
_SPARED = 16
# Who wants to know whether an entry was used since they last looked.
_FOR_EVICTION, _FOR_CHECKS = 1, 2

# How many of the oldest are looked at with every new one, to see whether their time is over: twice as fast as
# they come in. Tokens that live equally long end in the order they came.
_REAPED = 2

P = TypeVar("P")


def weight(length: int, lines: bytes, scopes: Collection[str], *more: object) -> int:
    """What remembering a token takes, in bytes: of this length, with these identity lines and scopes, and
    whatever else was made of it (texts, lists and objects as JSON has them)."""
    size = OVERHEAD + length + max(0, len(lines) - _USUAL_LINES)
    made = sum(_deep(each) for each in more if each)
    if len(scopes) > _USUAL_SCOPES:
        made += _deep(scopes)
    # What the allocator adds to many small objects.
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
        # Two readers of one mark, each with a bit of its own: _FOR_EVICTION, _FOR_CHECKS.
        self.used = 0


class TokenCache(Generic[P]):
    """From a token's SHA-256 to what it proved. Evicts the oldest entry not used since it was last spared."""

    def __init__(self, current_key: Callable[[str, str], VerificationKey | None], *, max_size: int) -> None:
        """`max_size`: bytes that all entries may take together."""
        self._current_key = current_key
        self._max_size = max_size
        self._size = 0
        # By digest: the tokens themselves are secrets, and would take the memory twice. OrderedDict because
        # taking the first item of a plain dict again and again walks over the gaps of all those taken before.
        self._entries: OrderedDict[bytes, _Entry[P]] = OrderedDict()

    def get(self, digest: bytes, now: float) -> P | None:
        """What the token with this SHA-256 proved, if that still holds at `now` (Unix time)."""
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
        """Remember what a token proved that was verified with `key` of `pool_id`; good before `until`.

        `size`: the bytes that it takes.
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

    # --- what revocation needs ---

    def used(self, digest: bytes) -> bool | None:
        """Whether it was used since this was last asked; None: it is not here."""
        entry = self._entries.get(digest)
        if entry is None:
            return None
        used = bool(entry.used & _FOR_CHECKS)
        entry.used &= ~_FOR_CHECKS
        return used

    def forget(self, digest: bytes) -> None:
        self._drop(digest)

    def forget_where(self, denied: Callable[[P], bool]) -> None:
        """Forget all of whom this is true."""
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
