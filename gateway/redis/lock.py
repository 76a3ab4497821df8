"""A lock in Redis with an expiry, held by one of many replicas.

Invariant: only the holder of the token can renew or release it, and a dead holder loses it when it expires.
It avoids duplicate work; what must never happen twice needs fencing too, because a holder that was suspended
for longer than the expiry does not know that it lost the lock.
"""

from __future__ import annotations

import secrets

from gateway.redis.redis_client import Redis, Script
from gateway.redis.untrusted import READING

# Our own token counts as free: the response to an earlier attempt may have been lost. A lock without an
# expiry, or with a longer one than ours, is not ours and counts as free.
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
    """One attempt to hold `key`, with an expiry of `ttl` seconds. Every method raises RedisUnavailable."""

    def __init__(self, redis: Redis, key: str, *, ttl: float) -> None:
        self._redis = redis
        self._key = key
        self._ttl = max(1, round(ttl * 1000))
        self._token = secrets.token_hex(16)

    async def acquire(self) -> bool:
        """Return whether the lock is ours now; False while another replica holds it. Does not wait."""
        return bool(await self._redis.run(_ACQUIRE, [self._key], [self._token, self._ttl]))

    async def renew(self) -> bool:
        """Extend the lock by its expiry; return False if it is no longer ours."""
        return bool(await self._redis.run(_RENEW, [self._key], [self._token, self._ttl]))

    async def release(self) -> bool:
        """Release the lock; return False if it was no longer ours."""
        return bool(await self._redis.run(_RELEASE, [self._key], [self._token]))

    def __repr__(self) -> str:
        return f"<Lock {self._key}>"
