"""What replicas share besides the sessions themselves, in Redis: who renews a session, and which were ended.

Invariant: every key of ours there ends by itself, and every fault of Redis is a StoreUnavailable.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from gateway.redis.lock import RedisLock
from gateway.redis.redis_client import Redis, RedisUnavailable, Script
from gateway.sessions.session import Session

T = TypeVar("T")

PREFIX = "cognito_gateway:session:"
# Seconds after which a replica that died while it renewed a session is not waited for any more. Renewed
# three times in that time while the work goes on, so a slow Cognito does not lose it.
LOCK_TTL = 10.0
# Whatever lies under the name of an ended session: a value of another type revives none.
_WAS_ENDED = Script("""
return redis.call('EXISTS', KEYS[1])
""")


class StoreUnavailable(Exception):
    """Sessions cannot be looked up at the moment."""


class SharedEnded:
    """Sessions in cookies that were ended by one replica, told to all."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def add(self, session_id: str, *, left: float) -> None:
        """`left`: seconds until its cookie ends by itself."""
        await reached(self._redis.set(_ended(session_id), b"1", max(1.0, left)))

    async def has(self, session_id: str) -> bool:
        """Whether it was; no, while Redis is away: sessions in cookies do not depend on it."""
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
