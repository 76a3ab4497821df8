"""A lock that one of many replicas holds: the one that set the key first, for as long as it renews it.

Invariant: only the holder of the token can renew or release it, and a holder that died is gone after the
time to live. It keeps work from being done twice at once; what must never happen twice needs a fence as well,
since a holder that was stopped for longer than that does not know it.
"""

from __future__ import annotations

import secrets

from gateway.redis.redis_client import Redis, Script
from gateway.redis.untrusted import READING

# Our own token counts as free: the answer to an attempt may have been lost on its way.
# One that never ends, or later than any of ours, is no lease.
_ACQUIRE = Script(
    READING
    + """
local holder = text(KEYS[1])
if holder and holder ~= ARGV[1] then
  local left = redis.call('PTTL', KEYS[1])
  if left >= 0 and left <= tonumber(ARGV[2]) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
)
_RENEW = Script(
    READING
    + """
if text(KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
)
_RELEASE = Script(
    READING
    + """
if text(KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""
)


class RedisLock:
    """One attempt to hold `key`. Every method raises RedisUnavailable."""

    def __init__(self, redis: Redis, key: str, *, ttl: float) -> None:
        self._redis = redis
        self._key = key
        self._ttl = max(1, round(ttl * 1000))
        self._token = secrets.token_hex(16)

    async def acquire(self) -> bool:
        """Whether it is ours now; false while somebody else holds it. Does not wait."""
        return bool(await self._redis.run(_ACQUIRE, [self._key], [self._token, self._ttl]))

    async def renew(self) -> bool:
        """Hold it for another time to live; false when it is not ours any more."""
        return bool(await self._redis.run(_RENEW, [self._key], [self._token, self._ttl]))

    async def release(self) -> bool:
        """Give it back; false when it was not ours any more."""
        return bool(await self._redis.run(_RELEASE, [self._key], [self._token]))

    def __repr__(self) -> str:
        return f"<Lock {self._key}>"
