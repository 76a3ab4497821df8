"""The user pool calls that sessions need, through the boto3 adapters and in threads.

The adapters are imported with the first call. Invariant: a Cognito that does not respond delays nobody but
those who need it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from gateway.aws.values import PoolAddress, Tokens
from gateway.config.model import Cognito as CognitoConfig
from gateway.config.model import UserPool
from gateway.errors import GatewayError, system_said
from gateway.sessions.session import Session
from gateway.sessions.threads import Threads

if TYPE_CHECKING:
    from gateway.aws.renewal import Renewal


class Users:
    """The calls of a session to its user pool. Raises GatewayError; refusals are CognitoRefused."""

    def __init__(self, config: CognitoConfig, threads: Threads) -> None:
        self._config = config
        self._threads = threads
        self._renewals: dict[tuple[str, str], Renewal] = {}
        self._making = threading.Lock()

    async def renew(self, session: Session) -> Tokens:
        ask = self._renewal(session)
        return await self._threads.run(
            lambda: ask().renew(session.refresh, session.username, session.device_key)
        )

    async def revoke(self, session: Session) -> None:
        await self._last(session, lambda pool: pool.revoke(session.refresh))

    async def sign_out_everywhere(self, session: Session) -> None:
        await self._last(session, lambda pool: pool.sign_out_everywhere(session.access))

    async def _last(self, session: Session, work: Callable[[Renewal], None]) -> None:
        """Run a call that ends the session's tokens, after forgetting its device."""
        ask = self._renewal(session)

        def end() -> None:
            if session.device_key:
                ask().forget_device(session.access, session.device_key)
            work(ask())

        await self._threads.run(end)

    def _renewal(self, session: Session) -> Callable[[], Renewal]:
        return partial(self._made, session.pool_id, session.client_id)

    def _made(self, pool_id: str, client_id: str) -> Renewal:
        # boto3 takes some 100 ms to load and to create a client: in the thread, and once.
        from gateway.aws.renewal import Renewal  # noqa: PLC0415

        with self._making:
            known = self._renewals.get((pool_id, client_id))
            if known is None:
                known = Renewal(self.address(pool_id, client_id))
                self._renewals[pool_id, client_id] = known
            return known

    def address(self, pool_id: str, client_id: str) -> PoolAddress:
        """Return what the adapters need to reach a configured pool. Raises GatewayError."""
        pool = next((each for each in self._config.user_pools if each.id == pool_id), None)
        if pool is None:
            raise GatewayError("the session's user pool is not configured any more")
        return PoolAddress(
            user_pool_id=pool_id,
            client_id=client_id,
            client_secret=client_secret(pool),
            endpoint_url=self._config.endpoint_url,
            egress=self._config.egress,
        )


def client_secret(pool: UserPool) -> str | None:
    """Return the app client's secret, if it has one. Raises GatewayError."""
    path = pool.client_secret_file
    if path is None:
        return pool.client_secret
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise GatewayError(f"client_secret_file: {path}: {system_said(error)}") from error
    except UnicodeDecodeError as error:
        raise GatewayError(f"client_secret_file: {path}: is not UTF-8 text") from error
    if not secret:
        raise GatewayError(f"client_secret_file: {path}: is empty")
    return secret
