"""How often may they: a token bucket for each principal and each address. Pure: `now` in, allowances out.

A bucket is one number, the time at which it will be full again (GCRA: ITU-T I.371 annex A): what takes from
it moves that time on. Invariant: in any stretch of t seconds no key is allowed more than capacity + rate × t
requests, as long as its bucket is remembered; and what is remembered is bounded in number and in size.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Generic, NamedTuple, TypeVar

# Buckets remembered per table, twice: of this spell and of the one before. A bucket takes 250 bytes, so a
# worker's two tables take 16 MB while somebody has 65,536 addresses, and next to nothing otherwise.
MAX_BUCKETS = 16_384
# Longest name of a bucket; Cognito's are 36 characters (sub) and 45 (an address). Longer ones share by their
# beginning: nobody gains anything by that.
MAX_NAME = 128

K = TypeVar("K", bound=Hashable)


class RateRule(NamedTuple):
    """`rate` requests a second, and `capacity` at once."""

    rate: float
    capacity: int

    @property
    def interval(self) -> float:
        """Seconds in which one request's worth flows back."""
        return 1.0 / self.rate

    @property
    def full_after(self) -> float:
        """Seconds after which an empty bucket is full: whatever is older need not be remembered."""
        return self.capacity / self.rate


class Allowance(NamedTuple):
    """What one request gets: whether it may, how many more may at once, seconds until the next may."""

    allowed: bool
    remaining: int
    retry_after: float


def rule_of(requests_per_second: float, burst: int) -> RateRule:
    """The settings' meaning. A burst of 0: what one second allows, and 1 at least."""
    return RateRule(requests_per_second, burst or max(1, math.ceil(requests_per_second)))


def take(rule: RateRule, full_at: float, now: float) -> tuple[Allowance, float]:
    """One request from a bucket that will be full at `full_at`; also when it is full afterwards.

    A refused request takes nothing: who asks again too early is not punished for it.
    """
    interval = rule.interval
    level = rule.capacity - max(0.0, full_at - now) / interval
    # Rounding must not refuse the request that comes exactly when it was told to.
    if level < 1.0 - 1e-9:
        return Allowance(False, 0, (1.0 - level) * interval), full_at
    return Allowance(True, int(level - 1.0 + 1e-9), 0.0), max(now, full_at) + interval


class Buckets(Generic[K]):
    """The buckets of many keys under one rule. `now` is any clock that never goes back.

    A bucket that nothing was taken from for `full_after` is full, which is what an unknown one is. So there
    are two spells of that length: what was used in neither is forgotten, and nothing ever has to be searched.
    """

    def __init__(self, rule: RateRule, *, most: int = MAX_BUCKETS) -> None:
        self.rule = rule
        self._most = most
        self._recent: dict[K, float] = {}
        self._before: dict[K, float] = {}
        self._began = -math.inf

    def take(self, key: K, now: float) -> Allowance:
        """One request of this key, now."""
        allowance, full_at = take(self.rule, self._full_at(key, now), now)
        self._recent[key] = full_at
        return allowance

    def look(self, key: K, now: float) -> Allowance:
        """What `take` would say; nothing is taken."""
        return take(self.rule, self._full_at(key, now), now)[0]

    def _full_at(self, key: K, now: float) -> float:
        # Also when there are too many: who has so many addresses gets some buckets full too early.
        if now - self._began >= self.rule.full_after or len(self._recent) >= self._most:
            self._before, self._recent, self._began = self._recent, {}, now
        full_at = self._recent.get(key)
        return self._before.get(key, -math.inf) if full_at is None else full_at

    def __len__(self) -> int:
        return len(self._recent) + len(self._before)

    def __repr__(self) -> str:
        return f"<Buckets of {len(self)} keys, {self.rule.rate:g}/s, {self.rule.capacity} at once>"


@lru_cache(maxsize=4096)
def address_key(client: str) -> str:
    """Whose bucket an address takes from: IPv6 by /64, which is what one subscriber has (RFC 6177).

    Where a trusted proxy says something else than an address, that text, cut.
    """
    text = client.partition("%")[0]
    try:
        known = ip_address(text)
    except ValueError:
        # Some proxies write the port too: 203.0.113.7:4711, [2001:db8::7]:4711.
        host = text[1:].partition("]")[0] if text.startswith("[") else text.partition(":")[0]
        try:
            known = ip_address(host)
        except ValueError:
            return client[:MAX_NAME]
    if not isinstance(known, IPv6Address):
        return str(known)
    if known.ipv4_mapped is not None:
        return str(known.ipv4_mapped)
    return str(IPv6Address(int(known) >> 64 << 64)) + "/64"


def limit_header(allowance: Allowance) -> str:
    """`RateLimit` (draft-ietf-httpapi-ratelimit-headers-10): requests that remain, seconds until more do."""
    return f'"default";r={allowance.remaining};t={seconds(allowance.retry_after)}'


def policy_header(rule: RateRule) -> str:
    """`RateLimit-Policy` (the same draft): the quota, and the seconds in which all of it flows back."""
    return f'"default";q={rule.capacity};w={seconds(rule.full_after)}'


def seconds(duration: float) -> int:
    """Whole seconds for a header, never too few."""
    return max(1, math.ceil(duration - 1e-9))
