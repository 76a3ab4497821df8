"""Authorization codes: each stands for what a person allowed, once, for a minute.

A code is random and long; what it stands for is kept under its hash, in this process's memory or, for
replicas, sealed in Redis. Invariant: of several who bring the same code one gets what it stands for, and what
is kept is bounded in number and in time.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections import OrderedDict
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from gateway.redis.redis_client import Redis, Script
from gateway.sessions import session as form
from gateway.sessions.replicas import reached
from gateway.sessions.sealing import Sealer
from gateway.sessions.session import Session

# Seconds (RFC 6749 section 4.1.2: at most ten minutes). The client is waiting for it.
LIFE = 60.0
# Of all in memory, and of one person: 6 KiB each. A person who allows a ninth client within a minute ends
# their first code, and nobody else's.
MOST, MOST_OF_ONE = 4096, 8
_BYTES = 32
_KEY = "cognito_gateway:mcp_code:"
# Bytes of a sealed one: a session of usual tokens takes 7,000.
_LARGEST = 384 * 1024

# What lies there is untrusted input: a value of another type or length counts as absent. GETDEL is Redis 6.2.
_TAKE = Script("""
local value = redis.pcall('GETRANGE', KEYS[1], 0, ARGV[1])
redis.call('DEL', KEYS[1])
if type(value) == 'string' and value ~= '' then return value end
return false
""")


@dataclass(frozen=True, slots=True)
class Granted:
    """What was allowed, and to whom; `client` is its digest."""

    client: str
    redirect_uri: str
    challenge: str
    scopes: tuple[str, ...]
    session: Session = field(repr=False)


class Codes(Protocol):
    """Where codes are kept; each method raises StoreUnavailable. Implementations: MemoryCodes, RedisCodes."""

    async def keep(self, granted: Granted, now: float) -> str:
        """Return a new code for it."""
        ...

    async def take(self, code: str, now: float) -> Granted | None:
        """Return what a code stands for, and forget it; None: nothing, or nothing any more."""
        ...


class MemoryCodes:
    """Those of one process."""

    def __init__(self) -> None:
        # By the code's hash, oldest first.
        self._kept: OrderedDict[str, tuple[Granted, float]] = OrderedDict()

    async def keep(self, granted: Granted, now: float) -> str:
        code = secrets.token_urlsafe(_BYTES)
        self._make_room(granted.session, now)
        self._kept[_hashed(code)] = granted, now + LIFE
        return code

    async def take(self, code: str, now: float) -> Granted | None:
        granted, until = self._kept.pop(_hashed(code), (None, 0.0))
        return granted if now < until else None

    def _make_room(self, session: Session, now: float) -> None:
        for key, (_, until) in list(self._kept.items()):
            if until > now:
                break
            del self._kept[key]
        mine = [
            key
            for key, (granted, _) in self._kept.items()
            if (granted.session.pool_id, granted.session.subject) == (session.pool_id, session.subject)
        ]
        for key in mine[: max(0, len(mine) - MOST_OF_ONE + 1)]:
            del self._kept[key]
        while len(self._kept) >= MOST:
            self._kept.popitem(last=False)

    def __len__(self) -> int:
        return len(self._kept)

    def __repr__(self) -> str:
        return f"<MemoryCodes, {len(self)} codes>"


class RedisCodes:
    """Those of all replicas: sealed with a key made of the code, which Redis never sees."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def keep(self, granted: Granted, now: float) -> str:
        code = secrets.token_urlsafe(_BYTES)
        members = asdict(granted)
        sealed = _sealer(code).seal(json.dumps(members).encode("ascii"), until=now + LIFE)
        await reached(self._redis.set(_KEY + _hashed(code), sealed, LIFE))
        return code

    async def take(self, code: str, now: float) -> Granted | None:
        sealed = await reached(self._redis.run(_TAKE, [_KEY + _hashed(code)], [_LARGEST]))
        if not isinstance(sealed, bytes) or len(sealed) > _LARGEST:
            return None
        data = _sealer(code).open(sealed.decode("latin-1"), now=now)
        return None if data is None else _granted(json.loads(data))

    def __repr__(self) -> str:
        return f"<RedisCodes in {self._redis!r}>"


def _granted(members: dict[str, Any]) -> Granted | None:
    session = form.of_members(members.get("session"))
    if session is None:
        return None
    try:
        return Granted(**{**members, "scopes": tuple(members["scopes"]), "session": session})
    except (TypeError, KeyError):
        return None  # another version of this program wrote it


def _hashed(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()


def _sealer(code: str) -> Sealer:
    return Sealer([code.encode("utf-8", "surrogatepass")], "mcp authorization code")
