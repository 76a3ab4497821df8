"""Revocation results shared by replicas through Redis: checks, denials and the remaining calls.

Invariant: one of all replicas checks a family at a time, and the calls of all stay within the limit; and no
Redis exception leaves this module: while Redis is unavailable each replica checks for itself.
"""

from __future__ import annotations

import contextlib
import json
import secrets

from gateway.redis.redis_client import Redis, RedisUnavailable, Script
from gateway.redis.untrusted import READING
from gateway.revocation.deny_list import LONGEST_LIFE, Denial
from gateway.revocation.get_user import TokenStatus
from gateway.revocation.pace import BURST
from gateway.revocation.shared_state import ASKING, BUSY, FRESH
from gateway.revocation.sharing import Claim

_PREFIX = "cognito_gateway:revocation:"
# Seconds by which replicas' clocks, which judge tokens of denied users, may be ahead of Redis's.
_AHEAD = 60
# Seconds for which a worker counts after its last announcement; it announces itself every other second.
_THERE = 10
# The maximum of cognito.revocation.replicas: a longer list is not ours.
_MOST = 10_000
_CAUSES = (TokenStatus.REVOKED, TokenStatus.DISABLED, TokenStatus.DELETED, TokenStatus.REFUSED)

# One atomic step: denied? checked recently? being checked? any calls left? then the caller checks. Times in
# the future and claims without an expiry count as absent: then Cognito is asked.
_CLAIM = Script(
    READING
    + f"local causes = {{{', '.join(f'{each.value}=true' for each in _CAUSES)}}}"
    + f"\nlocal ahead = {_AHEAD}"
    + """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local function denial(key)
  local ok, parts = pcall(cjson.decode, text(key) or '')
  if not ok or type(parts) ~= 'table' or not causes[parts[1]] then return nil end
  local till = parts[2]
  if type(till) == 'number' and till >= 0 and till <= now / 1000000 + ahead then return parts end
  return nil
end
local function denial_of(key, parts) return {'denied', key, parts[1], string.format('%.6f', parts[2])} end
local denied = denial(KEYS[1])
if denied then return denial_of(KEYS[1], denied) end
denied = denial(KEYS[2])
if denied and tonumber(ARGV[1]) <= denied[2] then return denial_of(KEYS[2], denied) end
local state = text(KEYS[3])
if state == 'asking' then
  local left = redis.call('PTTL', KEYS[3])
  if left >= 0 and left <= tonumber(ARGV[5]) then return {'busy'} end
else
  local at = number(state)
  if at and at <= now and now - at <= tonumber(ARGV[2]) then
    return {'fresh', string.format('%.0f', now - at)}
  end
end
local interval, capacity = tonumber(ARGV[3]), tonumber(ARGV[4])
local full = number(text(KEYS[4]))
if not full or full < now or full > now + capacity * interval + 1 then full = now end
local level = capacity - (full - now) / interval
if level < 1 - 1e-6 then return {'wait', string.format('%.0f', math.ceil((1 - level) * interval))} end
full = full + interval
redis.call('SET', KEYS[4], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
redis.call('SET', KEYS[3], 'asking', 'PX', ARGV[5])
return {'ask'}
"""
)
_SETTLE = Script("""
local time = redis.call('TIME')
redis.call('SET', KEYS[1], string.format('%.0f', time[1] * 1000000 + time[2]), 'PX', ARGV[1])
""")
_GIVE_UP = Script(
    READING
    + """
if text(KEYS[1]) == 'asking' then redis.call('DEL', KEYS[1]) end
"""
)
# The number of workers that share this Redis, including this one.
_PRESENT = Script("""
local now = tonumber(redis.call('TIME')[1])
local added = redis.pcall('ZADD', KEYS[1], now, ARGV[1])
if type(added) == 'table' then
  redis.call('DEL', KEYS[1])
  redis.call('ZADD', KEYS[1], now, ARGV[1])
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')
redis.call('EXPIRE', KEYS[1], ARGV[2])
return redis.call('ZCARD', KEYS[1])
""")


class RedisVerdicts:
    """SharedVerdicts in Redis, for replicas."""

    def __init__(
        self, redis: Redis, *, check_every: float, calls_per_second: float, leeway: float = 0.0
    ) -> None:
        # The last known number of workers; None before the first announcement.
        self.parties: int | None = None
        self._redis = redis
        self._name = secrets.token_hex(8)
        self._check_every = check_every
        self._denied_for = LONGEST_LIFE + leeway
        interval = 1e6 / calls_per_second
        capacity = max(1, min(int(BURST), int(calls_per_second)))
        fresh = check_every * FRESH * 1e6
        self._arguments = (repr(fresh), repr(interval), capacity, round(ASKING * 1000))

    async def claim(self, family: str, subject: str, *, issued_at: float) -> Claim | None:
        keys = [
            f"{_PREFIX}denied:{family}",
            f"{_PREFIX}denied:{subject}",
            _checked(family),
            _PREFIX + "calls",
        ]
        try:
            return _claim_of(await self._redis.run(_CLAIM, keys, [repr(issued_at), *self._arguments]))
        except RedisUnavailable:
            return None

    async def present(self) -> None:
        """Announce this worker, and count the workers."""
        with contextlib.suppress(RedisUnavailable):
            count = await self._redis.run(_PRESENT, [_PREFIX + "workers"], [self._name, _THERE])
            if isinstance(count, int):
                self.parties = min(max(1, count), _MOST)

    async def settle(self, family: str) -> None:
        await self._quietly(_SETTLE, _checked(family), round(self._check_every * 1000))

    async def give_up(self, family: str) -> None:
        await self._quietly(_GIVE_UP, _checked(family))

    async def deny(self, key: str, denial: Denial) -> None:
        # While Redis is unavailable the other replicas find out from Cognito, as this one did.
        with contextlib.suppress(RedisUnavailable):
            verdict = json.dumps([denial.cause, denial.issued_until])
            await self._redis.set(f"{_PREFIX}denied:{key}", verdict, self._denied_for)

    async def _quietly(self, script: Script, key: str, *arguments: int) -> None:
        # While Redis is unavailable the claim expires, and others check again.
        with contextlib.suppress(RedisUnavailable):
            await self._redis.run(script, [key], arguments)

    async def close(self) -> None:
        await self._redis.close()

    def __repr__(self) -> str:
        return f"<RedisVerdicts in {self._redis!r}>"


def _checked(family: str) -> str:
    return f"{_PREFIX}checked:{family}"


def _claim_of(answer: object) -> Claim | None:
    """Parse the script's result; None if it is not from our script."""
    match answer:
        case [b"ask"]:
            return Claim("ask")
        case [b"busy"]:
            return Claim("busy", BUSY)
        case [b"fresh", bytes(age)]:
            return Claim("fresh", float(age) / 1e6)
        case [b"wait", bytes(wait)]:
            return Claim("wait", float(wait) / 1e6)
        case [b"denied", bytes(key), bytes(cause), bytes(until)]:
            return Claim(
                "denied", 0.0, key.decode().removeprefix(f"{_PREFIX}denied:"), cause.decode(), float(until)
            )
    return None
