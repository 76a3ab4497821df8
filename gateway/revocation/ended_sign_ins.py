"""Sign-ins that the gateway itself has ended, whatever Cognito says about their tokens.

They are denied in this process at once, in other workers and replicas when these read Redis, every second
(`SharedEnds`). Invariant: once a sign-in has ended here, no token of it is accepted and none is renewed; the
number of entries and their lifetime are bounded as in deny_list.py.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import NamedTuple
from weakref import WeakSet

from gateway.errors import TokenRevoked
from gateway.observe.bugs import report
from gateway.redis.redis_client import Redis, RedisUnavailable, Script
from gateway.revocation.deny_list import LONGEST_LIFE, Denial, DenyList, family_of
from gateway.tokens.cache import TokenCache
from gateway.tokens.claims import Claims
from gateway.tokens.principal import Principal

# Seconds between two reads: as often as sessions are looked up again.
EVERY = 1.0
# Seconds for which expired tokens may be accepted (cognito.clock_leeway), at most.
_LEEWAY = 600.0
_DENIED = Denial("ended by this gateway", 0.0)
_KEY = "cognito_gateway:ended_sign_ins"
# Entries in Redis, and bytes of one: five names of up to 128 characters, in JSON.
_MOST, _LONGEST = 4096, 1024

# A stream: its IDs grow even if the clock is set back. A value of another type is replaced.
_ADD = Script("""
local function add() return redis.pcall('XADD', KEYS[1], 'MAXLEN', ARGV[2], '*', 'e', ARGV[1]) end
local added = add()
if type(added) == 'table' and added.err then
  redis.call('DEL', KEYS[1])
  add()
end
redis.call('EXPIRE', KEYS[1], ARGV[3])
""")
# The entries after an ID, as untrusted input: whatever is not ours is left out.
_READ = Script("""
local read = redis.pcall('XREAD', 'COUNT', ARGV[2], 'STREAMS', KEYS[1], ARGV[1])
local last, found = ARGV[1], {}
if type(read) ~= 'table' or read.err then return {last, found} end
for _, entry in ipairs(read[1][2]) do
  last = entry[1]
  local value = entry[2][2]
  if #entry[2] == 2 and #value <= tonumber(ARGV[3]) then table.insert(found, value) end
end
return {last, found}
""")


class EndedSignIn(NamedTuple):
    """`session`: the ID under which the gateway keeps the sign-in; the last two name its tokens."""

    pool_id: str
    subject: str
    session: str
    origin_jti: str | None
    jti: str | None


class EndedSignIns:
    """The ended sign-ins of one process. Outlives reloads."""

    def __init__(
        self,
        on_end: Callable[[EndedSignIn], None] = lambda _: None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_end` is called with each new one."""
        self._on_end = on_end
        self._clock = clock
        self._denied = DenyList()
        self._caches: WeakSet[TokenCache[Principal]] = WeakSet()

    def covers(self, cache: TokenCache[Principal]) -> None:
        """Remove the tokens of sign-ins that end from this cache, while it exists."""
        self._caches.add(cache)

    def end(self, *ended: EndedSignIn) -> None:
        """End these sign-ins in this process. Idempotent."""
        news = False
        for each in ended:
            family = family_of(each.pool_id, each.subject, each.origin_jti, each.jti)
            for key in (family, _session_key(each.pool_id, each.session)):
                if self._denied.deny(key, _DENIED, self._clock(), _LEEWAY) and key == family:
                    news = True
                    self._on_end(each)
        if news:
            for cache in self._caches:
                cache.forget_where(lambda proven: self._denied.find(proven.claims) is not None)

    def refuse(self, claims: Claims) -> None:
        """Raise TokenRevoked if these claims are of an ended sign-in."""
        if self._denied.find(claims) is not None:
            raise TokenRevoked("its sign-in was ended by this gateway")

    def has(self, pool_id: str, session: str) -> bool:
        """Return whether this sign-in was ended."""
        return self._denied.look_up(_session_key(pool_id, session), "", 0.0) is not None

    def __len__(self) -> int:
        return len(self._denied)

    def __repr__(self) -> str:
        return f"<EndedSignIns, {self._denied!r}>"


class SharedEnds:
    """The ended sign-ins of all workers and replicas, in Redis. Owned by one configuration: `start`, `stop`.

    While Redis is unavailable, ends are in force only where they happened.
    """

    def __init__(self, redis: Redis, here: EndedSignIns) -> None:
        self._redis = redis
        self._here = here
        self._last = "0"
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start reading what others end. Idempotent."""
        if self._task is None:
            self._task = asyncio.create_task(self._read_on(), name="ended sign-ins")

    async def stop(self) -> None:
        """Stop reading. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    async def add(self, ended: EndedSignIn) -> None:
        """Report one to the others. Raises RedisUnavailable."""
        life = int(LONGEST_LIFE + _LEEWAY)
        await self._redis.run(_ADD, [_KEY], [json.dumps(ended, separators=(",", ":")), _MOST, life])

    async def _read_on(self) -> None:
        while True:
            try:
                await self._read()
            except RedisUnavailable:
                pass  # its client logs that, and when it is back
            except Exception as bug:  # noqa: BLE001 - later ones must still be read
                report("reading the ended sign-ins failed", bug)
            await asyncio.sleep(EVERY)

    async def _read(self) -> None:
        last, found = await self._redis.run(_READ, [_KEY], [self._last, _MOST, _LONGEST])
        ended = [_parsed(value) for value in found]
        self._here.end(*(each for each in ended if each is not None))
        self._last = last.decode("ascii")

    def __repr__(self) -> str:
        return f"<SharedEnds in {self._redis!r}>"


def _parsed(value: bytes) -> EndedSignIn | None:
    """Return an entry; None if it is not ours."""
    try:
        members = json.loads(value)
        pool_id, subject, session, origin_jti, jti = members
    except (ValueError, TypeError, RecursionError):
        return None
    if not all(isinstance(each, str) for each in (pool_id, subject, session)):
        return None
    if not all(each is None or isinstance(each, str) for each in (origin_jti, jti)):
        return None
    return EndedSignIn(pool_id, subject, session, origin_jti, jti)


def _session_key(pool_id: str, session: str) -> str:
    return f"{pool_id}/session/{session}"
