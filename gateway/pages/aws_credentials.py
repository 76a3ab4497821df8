"""A cache of temporary AWS credentials for verified ID tokens, with one request at a time per token and role.

Invariant: an entry is found only by the ID token and the role it was issued for.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from hashlib import sha256
from typing import TYPE_CHECKING

from gateway.aws.values import CognitoRefused
from gateway.config.model import Cognito, UserPool
from gateway.errors import CognitoUnavailable, CredentialsRefused, GatewayError, NotFound
from gateway.sessions.threads import Threads

if TYPE_CHECKING:
    from gateway.aws.identity_pool import Credentials, IdentityPool

# Credentials live an hour; AWS's own SDKs renew theirs 5 to 15 minutes before they expire.
_AHEAD = 300.0
# While AWS is unavailable, credentials valid for another minute are still served; AWS is retried after a
# pause.
_STILL, _PAUSE = 60.0, 10.0
# Entries, of about 2 KiB each.
_REMEMBERED = 1000
# AWS throttles or is failing; any other error code is a decision about this user.
_AWAY = frozenset(
    {
        "TooManyRequestsException",
        "LimitExceededException",
        "InternalErrorException",
        "ExternalServiceException",
        "ThrottlingException",
    }
)


class CredentialsCache:
    """Exchanges ID tokens for credentials at the identity pools. Owned by the portal."""

    def __init__(
        self, config: Cognito, threads: Threads, *, previous: CredentialsCache | None = None
    ) -> None:
        """`previous`: that of a configuration with the same `cognito` section."""
        self._config = config
        self._threads = threads
        self.pools: dict[str, IdentityPool] = {} if previous is None else previous.pools
        self._making = threading.Lock()
        # Each with the time from which new ones are requested.
        self._kept: OrderedDict[bytes, tuple[Credentials, float]] = (
            OrderedDict() if previous is None else previous._kept
        )
        self._asked: dict[bytes, asyncio.Task[Credentials]] = {}

    async def of(self, pool: UserPool, id_token: str, *, role: str | None = None, now: float) -> Credentials:
        """Return the credentials of a *verified* ID token in this role. `now` is epoch seconds.

        Raises NotFound, CredentialsRefused or CognitoUnavailable.
        """
        if pool.identity_pool_id is None:
            raise NotFound("no identity_pool_id is configured for the user's pool")
        key = sha256(f"{pool.identity_pool_id} {id_token} {role or ''}".encode()).digest()
        kept, renew_at = self._kept.get(key, (None, 0.0))
        if kept is not None and now < renew_at:
            self._kept.move_to_end(key)
            return kept
        asked = self._asked.get(key)
        if asked is None:
            asked = asyncio.create_task(self._ask(key, pool, id_token, role), name="AWS credentials")
            self._asked[key] = asked
            asked.add_done_callback(lambda _: self._asked.pop(key, None))
        # A caller that is cancelled must not cancel the request that others wait for.
        await asyncio.wait((asked,))
        try:
            return asked.result()
        except CognitoUnavailable:
            if kept is None or now >= kept.expires - _STILL:
                raise
            self._keep(key, kept, min(now + _PAUSE, kept.expires - _STILL))
            return kept

    async def stop(self) -> None:
        """Cancel the requests in progress. Idempotent."""
        asked = list(self._asked.values())
        for task in asked:
            task.cancel()
        if asked:
            await asyncio.wait(asked)

    async def _ask(self, key: bytes, pool: UserPool, id_token: str, role: str | None) -> Credentials:
        try:
            given = await self._threads.run(lambda: self._pool(pool).credentials(id_token, role))
        except CognitoRefused as refused:
            if refused.code in _AWAY:
                raise CognitoUnavailable(f"the identity pool: {refused.code}") from None
            raise CredentialsRefused(f"the identity pool: {refused.code}") from None
        except GatewayError as error:
            raise CognitoUnavailable(str(error)) from None
        self._keep(key, given, given.expires - _AHEAD)
        return given

    def _keep(self, key: bytes, given: Credentials, renew_at: float) -> None:
        self._kept[key] = given, renew_at
        while len(self._kept) > _REMEMBERED:
            self._kept.popitem(last=False)

    def _pool(self, pool: UserPool) -> IdentityPool:
        # boto3 takes some 100 ms to load: only in the thread, and once.
        from gateway.aws.identity_pool import IdentityPool  # noqa: PLC0415

        assert pool.identity_pool_id is not None, "asked before"
        with self._making:
            known = self.pools.get(pool.id)
            if known is None:
                known = IdentityPool(
                    pool.identity_pool_id,
                    pool.id,
                    endpoint_url=self._config.endpoint_url,
                    egress=self._config.egress,
                )
                self.pools[pool.id] = known
            return known

    def __repr__(self) -> str:
        return f"<CredentialsCache of {len(self._kept)}>"
