"""What replicas tell each other of revocation, in Redis: who was asked about, who is denied, calls left.

Invariant: of all replicas together one asks about a family at a time, and no more often than the calls allow;
and nothing raised by Redis leaves here: while it is away each replica asks for itself.
"""

from __future__ import annotations

import contextlib
import json

from gateway.shared.redis import Redis, RedisAway, Script
from gateway.verify.denied import LONGEST_LIFE, Denial
from gateway.verify.sharing import Claim

_PREFIX = "cognito_gateway:revocation:"
# How old another replica's check may be to count, as a part of check_every: below the least that lies between
# two checks, so that a check is not put off twice.
_FRESH = 0.5
# Seconds until another replica asks when the one that wanted to died: a question takes 5 s at most.
_ASKING = 6.0
# Seconds after which a replica looks again whether another one has its answer.
_BUSY = 0.5

# One step: denied? asked lately? is somebody asking? are there calls left? then it is ours to ask.
_CLAIM = Script("""
local denied = redis.call('GET', KEYS[1])
if denied then return {'denied', KEYS[1], denied} end
denied = redis.call('GET', KEYS[2])
if denied and tonumber(ARGV[1]) <= cjson.decode(denied)[2] then return {'denied', KEYS[2], denied} end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local state = redis.call('GET', KEYS[3])
if state == 'asking' then return {'busy'} end
if state and now - state <= tonumber(ARGV[2]) then return {'fresh', tostring(math.max(0, now - state))} end
local interval, capacity = tonumber(ARGV[3]), tonumber(ARGV[4])
local full = math.max(now, tonumber(redis.call('GET', KEYS[4]) or 0))
local level = capacity - (full - now) / interval
if level < 1 - 1e-6 then return {'wait', tostring((1 - level) * interval)} end
full = full + interval
redis.call('SET', KEYS[4], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
redis.call('SET', KEYS[3], 'asking', 'PX', ARGV[5])
return {'ask'}
""")
_SETTLE = Script("""
local time = redis.call('TIME')
redis.call('SET', KEYS[1], string.format('%.0f', time[1] * 1000000 + time[2]), 'PX', ARGV[1])
""")
_GIVE_UP = Script("""
if redis.call('GET', KEYS[1]) == 'asking' then redis.call('DEL', KEYS[1]) end
""")


class RedisVerdicts:
    """The SharedVerdicts of gateways that share a Redis."""

    def __init__(
        self, redis: Redis, *, check_every: float, calls_per_second: float, leeway: float = 0.0
    ) -> None:
        self._redis = redis
        self._check_every = check_every
        self._denied_for = LONGEST_LIFE + leeway
        interval = 1e6 / calls_per_second
        capacity = max(1, int(calls_per_second))
        fresh = check_every * _FRESH * 1e6
        self._arguments = (repr(fresh), repr(interval), capacity, round(_ASKING * 1000))

    async def claim(self, family: str, subject: str, *, issued_at: float) -> Claim | None:
        keys = [
            f"{_PREFIX}denied:{family}",
            f"{_PREFIX}denied:{subject}",
            _checked(family),
            _PREFIX + "calls",
        ]
        try:
            kind, *rest = await self._redis.run(_CLAIM, keys, [repr(issued_at), *self._arguments])
        except RedisAway:
            return None
        if kind == b"denied":
            key = rest[0].decode().removeprefix(f"{_PREFIX}denied:")
            cause, issued_until = json.loads(rest[1])
            return Claim("denied", 0.0, key, cause, issued_until)
        if kind == b"busy":
            return Claim("busy", _BUSY)
        if kind == b"ask":
            return Claim("ask")
        return Claim("fresh" if kind == b"fresh" else "wait", float(rest[0]) / 1e6)

    async def settle(self, family: str) -> None:
        await self._quietly(_SETTLE, _checked(family), round(self._check_every * 1000))

    async def give_up(self, family: str) -> None:
        await self._quietly(_GIVE_UP, _checked(family))

    async def deny(self, key: str, denial: Denial) -> None:
        # While it is away the other replicas are told by Cognito, as this one was.
        with contextlib.suppress(RedisAway):
            verdict = json.dumps([denial.cause, denial.issued_until])
            await self._redis.set(f"{_PREFIX}denied:{key}", verdict, self._denied_for)

    async def _quietly(self, script: Script, key: str, *arguments: int) -> None:
        # While it is away the claim runs out by itself, and others ask again.
        with contextlib.suppress(RedisAway):
            await self._redis.run(script, [key], arguments)

    async def close(self) -> None:
        await self._redis.close()

    def __repr__(self) -> str:
        return f"<RedisVerdicts in {self._redis!r}>"


def _checked(family: str) -> str:
    return f"{_PREFIX}checked:{family}"
