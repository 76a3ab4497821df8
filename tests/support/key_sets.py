"""Key sets with a clock and a source controlled by the test."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from gateway.config.model import UserPool
from gateway.errors import NoKeys, UnknownKey
from gateway.keys.key_sets import KeySetReport, KeySets
from gateway.keys.refetch import Timing
from tests.support.key_server import KeyServer
from tests.support.ports import free_port
from tests.support.tokens import CLIENT_ID, POOL_ID, KeyPair, issuer_of

ONE, TWO, NEW = (KeyPair.generate(name) for name in ("one", "two", "new"))
OTHER_POOL_ID = "ap-south-1_Zyxwvutsr"
QUICK = Timing(cooldown=0.3, refresh=60.0, retry_first=0.05, retry_most=0.1)
# For tests of the results of a refresh.
REFRESHING = dataclasses.replace(QUICK, refresh=0.05)


class Recorder(KeySetReport):
    """Records the events of a KeySets in a list."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, object]] = []

    def key_set_loaded(self, pool_id: str, keys: int, *, ignored: int, changed: bool) -> None:
        self.seen.append(("loaded", pool_id, changed))

    def key_ignored(self, pool_id: str, name: str, exact: str) -> None:
        self.seen.append(("ignored", pool_id, (name, exact)))

    def key_set_fetch_failed(self, pool_id: str, reason: str, exact: str) -> None:
        self.seen.append(("failed", pool_id, reason))

    def key_set_adopted(self, pool_id: str, keys: int, age: float) -> None:
        self.seen.append(("taken over", pool_id, keys))

    def key_set_rejected(self, pool_id: str, exact: str) -> None:
        self.seen.append(("not taken over", pool_id, exact))

    def count(self, what: str) -> int:
        return sum(event[0] == what for event in self.seen)


def pool_of(server: KeyServer | None, pool_id: str = POOL_ID, *, file: Path | None = None) -> UserPool:
    return UserPool(
        id=pool_id,
        client_ids=(CLIENT_ID,),
        clients="listed",
        audiences=(),
        require_audience=False,
        token_use=("access",),
        issuers=(issuer_of(pool_id),),
        jwks_url=server.url if server else f"http://127.0.0.1:{free_port()}/",
        jwks_file=file,
        client_secret_file=None,
        client_secret=None,
        identity_pool_id=None,
        domain=None,
    )


@contextlib.asynccontextmanager
async def started(
    *pools: UserPool,
    timing: Timing = QUICK,
    timeout: float = 2.0,
    events: Recorder | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[tuple[KeySets, Recorder]]:
    events = events or Recorder()
    key_sets = KeySets(pools, events=events, timing=timing, timeout=timeout, clock=clock)
    await key_sets.start()
    try:
        yield key_sets, events
    finally:
        await key_sets.stop()


async def until(condition: Callable[[], object], within: float = 30.0) -> None:
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.005)


async def ready(key_sets: KeySets) -> None:
    await until(lambda: not key_sets.ready())


async def outcome(key_sets: KeySets, kid: str, pool_id: str = POOL_ID) -> type:
    """Return the type of the key that `find` returns, or of its refusal."""
    try:
        return type(await key_sets.find(pool_id, kid))
    except (UnknownKey, NoKeys) as refusal:
        return type(refusal)
