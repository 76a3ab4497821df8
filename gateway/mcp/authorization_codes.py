"""Authorization codes: each stands for one grant, can be redeemed once, and expires after a minute.

A code is random; its grant is kept under the code's hash, in memory or, for replicas, sealed in Redis. A
redeemed one is kept for some minutes more: if it is presented again, it may have been stolen, and the
tokens issued for it have to end (RFC 6749 section 4.1.2). Invariant: a code is redeemed
at most once, however many requests present it, its second use is reported once, and the grants kept are
bounded in number and in time.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections import OrderedDict
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Protocol

from gateway.redis.redis_client import Redis, Script
from gateway.sessions import session as form
from gateway.sessions.replicas import reached
from gateway.sessions.sealing import Sealer
from gateway.sessions.session import Session

# Seconds (RFC 6749 section 4.1.2: at most ten minutes). Clients redeem a code at once.
LIFE = 60.0
# Seconds for which a redeemed code is recognised: the longest life of a code in RFC 6749 section 4.1.2.
RECOGNISED = 600.0
# Grants in memory, in total and for each user: 6 KiB each. A user who allows a ninth client within a minute
# loses their own oldest code, and no other user does.
MOST, MOST_OF_ONE = 4096, 8
_BYTES = 32
_KEY = "cognito_gateway:mcp_code:"
# Bytes of a sealed grant: one with usual tokens takes 7,000.
_LARGEST = 384 * 1024

# The value is untrusted input: another type or length counts as absent. GETDEL needs Redis 6.2.
# The first to present a code marks it as used; the second removes it.
_USED = b"!"
_TAKE = Script("""
local value = redis.pcall('GETRANGE', KEYS[1], 0, ARGV[1])
redis.call('DEL', KEYS[1])
if type(value) ~= 'string' or value == '' then return false end
if string.sub(value, 1, 1) ~= '!' then redis.call('SET', KEYS[1], '!' .. value, 'PX', ARGV[2]) end
return value
""")


@dataclass(frozen=True, slots=True)
class Granted:
    """What a user allowed a client; `client` is its digest."""

    client: str
    redirect_uri: str
    challenge: str
    scopes: tuple[str, ...]
    session: Session = field(repr=False)


class PresentedCode(NamedTuple):
    """The grant of a presented code. `again`: the code was presented before."""

    granted: Granted
    again: bool


class Codes(Protocol):
    """A store of codes; each method raises StoreUnavailable. Implementations: MemoryCodes, RedisCodes."""

    async def keep(self, granted: Granted, now: float) -> str:
        """Return a new code for this grant."""
        ...

    async def take(self, code: str, now: float) -> PresentedCode | None:
        """Return the grant of a code, when it is presented the first and the second time; None if there is
        none, or it has expired."""
        ...


class MemoryCodes:
    """The codes of one process, in memory."""

    def __init__(self) -> None:
        # By the code's hash, oldest first; and the hashes of each user's codes, oldest first.
        self._kept: OrderedDict[str, tuple[Granted, float]] = OrderedDict()
        self._of: dict[tuple[str, str], list[str]] = {}
        # Those redeemed, oldest first.
        self._used: OrderedDict[str, tuple[Granted, float]] = OrderedDict()

    async def keep(self, granted: Granted, now: float) -> str:
        code = secrets.token_urlsafe(_BYTES)
        self._make_room(_user(granted), now)
        key = _hashed(code)
        self._kept[key] = granted, now + LIFE
        self._of.setdefault(_user(granted), []).append(key)
        return code

    async def take(self, code: str, now: float) -> PresentedCode | None:
        key = _hashed(code)
        used = self._used.pop(key, None)
        if used is not None:
            return PresentedCode(used[0], again=True) if now < used[1] else None
        if key not in self._kept:
            return None
        granted, until = self._forget(key)
        if now >= until:
            return None
        self._recognise(key, granted, now)
        return PresentedCode(granted, again=False)

    def _recognise(self, key: str, granted: Granted, now: float) -> None:
        while self._used and (len(self._used) >= MOST or next(iter(self._used.values()))[1] <= now):
            self._used.popitem(last=False)
        self._used[key] = granted, now + RECOGNISED

    def _make_room(self, user: tuple[str, str], now: float) -> None:
        while self._kept and next(iter(self._kept.values()))[1] <= now:
            self._forget(next(iter(self._kept)))
        mine = self._of.get(user, [])
        if len(mine) >= MOST_OF_ONE:
            self._forget(mine[0])
        if len(self._kept) >= MOST:
            self._forget(next(iter(self._kept)))

    def _forget(self, key: str) -> tuple[Granted, float]:
        granted, until = self._kept.pop(key)
        mine = self._of[_user(granted)]
        mine.remove(key)
        if not mine:
            del self._of[_user(granted)]
        return granted, until

    def __len__(self) -> int:
        return len(self._kept) + len(self._used)

    def __repr__(self) -> str:
        return f"<MemoryCodes, {len(self)} codes>"


class RedisCodes:
    """The codes of all replicas, in Redis: sealed with a key derived from the code, unknown to Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def keep(self, granted: Granted, now: float) -> str:
        code = secrets.token_urlsafe(_BYTES)
        members = asdict(granted)
        sealed = _sealer(code).seal(json.dumps(members).encode("ascii"), until=now + LIFE)
        await reached(self._redis.set(_KEY + _hashed(code), sealed, LIFE))
        return code

    async def take(self, code: str, now: float) -> PresentedCode | None:
        life = int(RECOGNISED * 1000)
        value = await reached(self._redis.run(_TAKE, [_KEY + _hashed(code)], [_LARGEST, life]))
        if not isinstance(value, bytes) or len(value) > _LARGEST:
            return None
        again, sealed = value.startswith(_USED), value.removeprefix(_USED).decode("latin-1")
        # A used code is recognised for longer than it could be redeemed; Redis deletes it then.
        data = _sealer(code).open(sealed, now=now - RECOGNISED if again else now)
        granted = None if data is None else _granted(json.loads(data))
        return None if granted is None else PresentedCode(granted, again)

    def __repr__(self) -> str:
        return f"<RedisCodes in {self._redis!r}>"


def _granted(members: dict[str, Any]) -> Granted | None:
    session = form.of_members(members.get("session"))
    if session is None:
        return None
    try:
        return Granted(**{**members, "scopes": tuple(members["scopes"]), "session": session})
    except (TypeError, KeyError):
        return None  # written by another version


def _user(granted: Granted) -> tuple[str, str]:
    return granted.session.pool_id, granted.session.subject


def _hashed(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()


def _sealer(code: str) -> Sealer:
    return Sealer([code.encode("utf-8", "surrogatepass")], "mcp authorization code")
