"""State that replicas share through Redis besides sessions: renewal locks and ended sessions.

Invariant: every key of ours there expires, and every Redis failure is a StoreUnavailable.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from gateway.redis.lock import RedisLock
from gateway.redis.redis_client import Redis, RedisUnavailable, Script
from gateway.sessions.session import Session

T = TypeVar("T")

PREFIX = "cognito_gateway:session:"
# Seconds after which the lock of a replica that died during a renewal expires. It is extended three times in
# that time, so a slow Cognito does not lose it.
LOCK_TTL = 10.0
# Any value of an ended session's key counts: none of another type revives it.
_WAS_ENDED = Script("""
return redis.call('EXISTS', KEYS[1])
""")


class StoreUnavailable(Exception):
    """Sessions cannot be looked up at the moment."""


class SharedEnded:
    """Cookie sessions ended by any replica."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def add(self, session_id: str, *, left: float) -> None:
        """Add a session; `left`: seconds until its cookie expires."""
        await reached(self._redis.set(_ended(session_id), b"1", max(1.0, left)))

    async def has(self, session_id: str) -> bool:
        """Return whether it was ended.

        While Redis is unavailable: False, since cookie sessions do not depend on it.
        """
        try:
            return bool(await self._redis.run(_WAS_ENDED, [_ended(session_id)]) == 1)
        except RedisUnavailable:
            return False


class RenewalLock:
    """Keeps other replicas from renewing the same session. Raises StoreUnavailable."""

    def __init__(self, redis: Redis, session: Session) -> None:
        self._lock = RedisLock(redis, f"{PREFIX}renewal:{session.id}", ttl=LOCK_TTL)

    async def acquire(self) -> bool:
        return await reached(self._lock.acquire())

    async def renew(self) -> bool:
        return await reached(self._lock.renew())

    async def release(self) -> bool:
        return await reached(self._lock.release())


async def reached(asked: Awaitable[T]) -> T:
    """Return what Redis answers. Raises StoreUnavailable."""
    try:
        return await asked
    except RedisUnavailable as unavailable:
        raise StoreUnavailable(f"Redis: {unavailable}") from None


def _ended(session_id: str) -> str:
    return f"{PREFIX}ended:{session_id}"
