"""Token buckets in Redis, shared by replicas, in one atomic step and one round trip each.

The same rule as gateway/policy/rate.py, by Redis's clock, so that replicas with different clocks agree.
Invariant: a bucket expires in Redis once it is full.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.redis.redis_client import Redis, RedisUnavailable, Script
from gateway.redis.untrusted import READING

# One number per key: the time in µs at which the bucket will be full. TIME in a writing script requires
# effect replication of scripts, the default since Redis 5. A bucket cannot be emptier than empty: such a
# value is not ours and counts as absent.
_TAKE = Script(
    READING
    + """
local interval, capacity = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full = number(text(KEYS[1]))
if not full or full < now or full > now + capacity * interval + 1 then full = now end
local level = capacity - (full - now) / interval
if level < 1 - 1e-6 then
  return {0, 0, math.ceil((1 - level) * interval)}
end
full = full + interval
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
return {1, math.floor(level - 1 + 1e-6), 0}
"""
)


class Taken(NamedTuple):
    """Whether a request was taken, how many are left, seconds until the next one."""

    allowed: bool
    remaining: int
    retry_after: float


class SharedBuckets:
    """Buckets in Redis with this key prefix, under one rule."""

    def __init__(self, redis: Redis, *, prefix: str, interval: float, capacity: int) -> None:
        """`interval`: seconds in which one request's worth is refilled."""
        self._redis = redis
        self._prefix = prefix
        self._rule = (repr(interval * 1e6), capacity)

    async def take(self, key: str) -> Taken:
        """Take one request from a bucket. Raises RedisUnavailable."""
        taken = await self._redis.run(_TAKE, [self._prefix + key], self._rule)
        try:
            allowed, remaining, wait = taken
            return Taken(bool(allowed), int(remaining), int(wait) / 1e6)
        except (TypeError, ValueError):
            raise RedisUnavailable("refused", "not the answer of our script") from None
