"""Rate limits: a token bucket per principal and per address. Pure: `now` in, allowances out.

A bucket is one number, the time at which it will be full again (GCRA: ITU-T I.371 annex A); each request
moves that time on. Invariant: in any t seconds no key is allowed more than capacity + rate × t requests while
its bucket is remembered; and buckets are bounded in number and size.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Generic, NamedTuple, TypeVar

# Buckets per table, twice: of this period and of the previous one. A bucket takes 250 bytes, so a worker's
# two tables take 16 MB under a flood from 65,536 addresses, and next to nothing otherwise.
MAX_BUCKETS = 16_384
# Longest bucket name; Cognito's are 36 characters (sub) and 45 (an address). Longer ones share a bucket by
# their prefix, which gains nobody anything.
MAX_NAME = 128

K = TypeVar("K", bound=Hashable)


class RateRule(NamedTuple):
    """`rate` requests a second, and `capacity` at once."""

    rate: float
    capacity: int

    @property
    def interval(self) -> float:
        """Seconds in which one request's worth is refilled."""
        return 1.0 / self.rate

    @property
    def full_after(self) -> float:
        """Seconds after which an empty bucket is full: older ones need not be remembered."""
        return self.capacity / self.rate


class Allowance(NamedTuple):
    """The result for one request: whether it is allowed, how many more are, seconds until the next is."""

    allowed: bool
    remaining: int
    retry_after: float


def rule_of(requests_per_second: float, burst: int) -> RateRule:
    """Return the rule for these settings. A burst of 0 means what one second allows, at least 1."""
    return RateRule(requests_per_second, burst or max(1, math.ceil(requests_per_second)))


def take(rule: RateRule, full_at: float, now: float) -> tuple[Allowance, float]:
    """Take one request from a bucket that is full at `full_at` (seconds, as `now`).

    Returns the allowance and the new time at which the bucket is full. A refused request takes nothing:
    retrying too early is not punished.
    """
    interval = rule.interval
    level = rule.capacity - max(0.0, full_at - now) / interval
    # Rounding must not refuse a request made exactly when the last response allowed it.
    if level < 1.0 - 1e-9:
        return Allowance(False, 0, (1.0 - level) * interval), full_at
    return Allowance(True, int(level - 1.0 + 1e-9), 0.0), max(now, full_at) + interval


class Buckets(Generic[K]):
    """Buckets for many keys under one rule. `now` is any monotonic clock.

    A bucket untouched for `full_after` is full, and so is an unknown one. Hence two periods of that length:
    what was used in neither is forgotten, and nothing has to be searched.
    """

    def __init__(self, rule: RateRule, *, most: int = MAX_BUCKETS) -> None:
        self.rule = rule
        self._most = most
        self._recent: dict[K, float] = {}
        self._before: dict[K, float] = {}
        self._began = -math.inf

    def take(self, key: K, now: float) -> Allowance:
        """Take one request of this key, now."""
        allowance, full_at = take(self.rule, self._full_at(key, now), now)
        self._recent[key] = full_at
        return allowance

    def look(self, key: K, now: float) -> Allowance:
        """Return what `take` would, taking nothing."""
        return take(self.rule, self._full_at(key, now), now)[0]

    def _full_at(self, key: K, now: float) -> float:
        # Also when there are too many: a client with so many addresses gets some buckets full too early.
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
    """Return the bucket name of a client's address: IPv6 by /64, which one subscriber has (RFC 6177).

    For text from a trusted proxy that is not an address, return the text, truncated.
    """
    text = client.partition("%")[0]
    try:
        known = ip_address(text)
    except ValueError:
        # Some proxies add the port: 203.0.113.7:4711, [2001:db8::7]:4711.
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
    """Return the value of `RateLimit`: requests left, and seconds to more.

    draft-ietf-httpapi-ratelimit-headers-10.
    """
    return f'"default";r={allowance.remaining};t={seconds(allowance.retry_after)}'


def policy_header(rule: RateRule) -> str:
    """Return the value of `RateLimit-Policy` (same draft): the quota, and the seconds to refill it."""
    return f'"default";q={rule.capacity};w={seconds(rule.full_after)}'


def seconds(duration: float) -> int:
    """Round a duration up to whole seconds for a header, at least 1."""
    return max(1, math.ceil(duration - 1e-9))
