"""The session store in Redis, shared by replicas.

Each session is sealed with a key derived from its ticket, which only the browser has: neither Redis nor a
gateway alone can read it, and replicas need no common secret for it. Invariant: no ticket and no token is in
Redis in the clear, and every key of ours there expires.
"""

from __future__ import annotations

from gateway.redis.redis_client import Redis, Script
from gateway.sessions import session as form
from gateway.sessions.replicas import PREFIX, RenewalLock, StoreUnavailable, reached
from gateway.sessions.sealing import Sealer
from gateway.sessions.session import Session
from gateway.sessions.stores import hashed, new_ticket

# Seconds for which a session ended by one replica may still be served by another; one look-up per second and
# session is cheap.
RECHECK = 1.0

# Bytes of a sealed session: 5,000 bytes of tokens take 6,000 (session.py bounds the largest).
_MOST = 384 * 1024

# Stored values are untrusted input: one of another type or length counts as absent.
_FIND = Script("""
local value = redis.pcall('GETRANGE', KEYS[1], 0, ARGV[1])
if type(value) == 'string' and value ~= '' then return value end
return false
""")
# Replaces only an existing session, so that a concurrent sign-out is not undone.
_REPLACE = Script("""
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
""")
_END = Script("""
redis.call('DEL', KEYS[1])
return 1
""")


class RedisStore:
    recheck = RECHECK

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def keep(self, session: Session, *, until: float) -> str:
        ticket = new_ticket()
        sealed = _sealer(ticket).seal(form.encode(session), until=until)
        if len(sealed) > _MOST:
            raise StoreUnavailable(f"a session of {len(sealed)} bytes is too large")
        await reached(self._redis.set(_key(ticket), sealed, max(1.0, until - session.created)))
        return ticket

    async def find(self, ticket: str, *, now: float) -> Session | None:
        sealed = await reached(self._redis.run(_FIND, [_key(ticket)], [_MOST]))
        if sealed is None or (isinstance(sealed, bytes) and len(sealed) > _MOST):
            return None
        if not isinstance(sealed, bytes):
            raise StoreUnavailable("Redis: the answer is no text")
        data = _sealer(ticket).open(sealed.decode("latin-1"), now=now)
        return None if data is None else form.decode(data)

    async def replace(self, ticket: str, session: Session, *, until: float, now: float) -> str | None:
        sealed = _sealer(ticket).seal(form.encode(session), until=until)
        left = max(1, round((until - now) * 1000))
        replaced = await reached(self._redis.run(_REPLACE, [_key(ticket)], [sealed, left]))
        if replaced not in (0, 1):
            raise StoreUnavailable("Redis: the answer is no number of ours")
        return ticket if replaced else None

    async def end(self, ticket: str, session: Session, *, until: float) -> None:
        if await reached(self._redis.run(_END, [_key(ticket)])) != 1:
            raise StoreUnavailable("Redis: the answer is no number of ours")

    def made(self, ticket: str) -> bool:
        return False  # tickets are random: an unknown one leaves no trace

    def lock(self, session: Session) -> RenewalLock | None:
        return RenewalLock(self._redis, session)

    def __repr__(self) -> str:
        return f"<RedisStore in {self._redis!r}>"


def _key(ticket: str) -> str:
    return PREFIX + hashed(ticket)


def _sealer(ticket: str) -> Sealer:
    return Sealer([ticket.encode("utf-8", "surrogatepass")], "stored session")
