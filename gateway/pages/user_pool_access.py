"""The configured user pools as the pages use them: sign-in, accounts, and the pool's settings.

Settings (password policy, self-service sign-up, required attributes) are read with DescribeUserPool if the
gateway has AWS credentials that allow it; if not, pages ask for less and learn from Cognito's refusals.
Invariant: nothing here blocks the event loop, and what could not be found out is None, never a guess.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from gateway.aws.relying_party import PASSKEY, covers
from gateway.aws.values import Flow, PoolAddress
from gateway.config.model import Cognito, SignIn, UserPool
from gateway.errors import GatewayError, NotFound
from gateway.pages.described import Described, Settings, described_by
from gateway.sessions.cognito import client_secret
from gateway.sessions.threads import Threads

if TYPE_CHECKING:
    from gateway.aws.accounts import Accounts
    from gateway.aws.own_account import OwnAccount
    from gateway.aws.user_pool import UserPoolClient as Adapter

Result = TypeVar("Result")

# Seconds for which a refusal of sign-ups is cached: an administrator who enables them expects to see it
# within minutes.
_CLOSED = 600.0
FLOWS: Mapping[str, Flow] = {
    "USER_PASSWORD_AUTH": "password",
    "USER_SRP_AUTH": "srp",
    "USER_AUTH": "choice",
}


class UserPoolAccess:
    """One user pool with its first app client."""

    def __init__(
        self,
        configured: UserPool,
        cognito: Cognito,
        sign_in: SignIn,
        threads: Threads,
        *,
        previous: UserPoolAccess | None,
    ) -> None:
        """`previous`: that of a configuration with the same `cognito` section."""
        self.id = configured.id
        # Whether managed login signs its users in, not our own pages.
        self.managed = configured.managed
        self.flow: Flow = FLOWS[sign_in.auth_flow]
        self.configured = configured
        self._endpoint_url, self._egress = cognito.endpoint_url, cognito.egress
        self._threads = threads
        self._adapter: Adapter | None = None
        self._accounts: Accounts | None = None
        self._own: OwnAccount | None = None
        before = None if previous is None else previous.settings
        self.settings: Settings = Settings(self.id, self._ask, threads, previous=before)
        self._user_context = sign_in.user_context
        self._never = sign_in.sign_up == "never"
        # Set when Cognito refused sign-up for this pool; until then a pool with unknown settings is tried.
        self._refused_until = 0.0
        # The same of lists of sessions, and of passkeys.
        self._no_sessions_until = 0.0
        self._no_passkeys_until = 0.0

    def need_own_pages(self) -> None:
        """Raise NotFound if managed login has the pages: our forms would use the client's secret to get
        tokens with more scopes than managed login grants."""
        if self.managed:
            raise NotFound("the user pool uses managed login: our own forms take no password for it")

    async def sign_in(self, work: Callable[[Adapter], Result], *, by: str, client: str) -> Result:
        """Run `work` with the sign-in adapter in a thread. `by`: key for fair queueing; `client`: the user's
        address.

        Raises GatewayError."""

        def working() -> Result:
            adapter = self._user_pool()
            return work(adapter.seen_from(client) if self._tells(client) else adapter)

        return await self._threads.run(working, by=by)

    async def account(self, work: Callable[[Accounts], Result], *, by: str, client: str) -> Result:
        """Run `work` with the accounts adapter in a thread. Raises GatewayError."""

        def working() -> Result:
            accounts = self._account()
            return work(accounts.seen_from(client) if self._tells(client) else accounts)

        return await self._threads.run(working, by=by)

    async def own(self, work: Callable[[OwnAccount], Result], *, by: str, client: str) -> Result:
        """Run `work` with the adapter of signed-in users' own accounts in a thread. Raises GatewayError."""

        def working() -> Result:
            own = self._own_account()
            return work(own.seen_from(client) if self._tells(client) else own)

        return await self._threads.run(working, by=by)

    def _tells(self, client: str) -> bool:
        """Return whether to pass this address to Cognito; a request over a Unix socket may have none."""
        if not self._user_context:
            return False
        try:
            ip_address(client)
        except ValueError:
            return False
        return True

    # --- what is known of it ---

    async def described(self) -> Described | None:
        """Return the pool's settings if they can be read; waits only briefly."""
        return await self.settings.known()

    async def offers_sign_up(self) -> bool:
        """Return whether to offer sign-up: not if it is known to be closed, nor before that is known."""
        return await self.sign_up() == "open"

    async def sign_up(self) -> Literal["open", "closed", "unknown"]:
        """Return whether sign-up is open. If the settings cannot be read, it is tried."""
        if self._never or self.managed or time.monotonic() < self._refused_until:
            return "closed"
        described = await self.settings.known()
        if not self.settings.settled.is_set():
            return "unknown"
        return "open" if described is None or described.sign_up else "closed"

    def sign_up_was_refused(self) -> None:
        self._refused_until = time.monotonic() + _CLOSED

    async def takes_passkeys(self, origin: str) -> bool:
        """Return whether to offer passkeys on pages of this origin.

        If the settings cannot be read, they are offered until Cognito refuses one."""
        if self.flow != "choice" or self.managed or time.monotonic() < self._no_passkeys_until:
            return False
        described = await self.settings.known()
        if not self.settings.settled.is_set():
            return False
        return described is None or (
            PASSKEY in described.first_factors and covers(described.relying_party, origin)
        )

    async def passkeys_work_at(self, origin: str) -> bool:
        """Return whether the pool's passkeys can be used on pages of this origin; true where it is
        unknown."""
        described = await self.settings.known()
        return described is None or covers(described.relying_party, origin)

    @property
    def lists_sessions(self) -> bool:
        """Whether to ask for a user's sessions; not where Cognito said that the pool does not track them."""
        return time.monotonic() >= self._no_sessions_until

    def sessions_were_refused(self) -> None:
        self._no_sessions_until = time.monotonic() + _CLOSED

    def passkeys_were_refused(self) -> None:
        self._no_passkeys_until = time.monotonic() + _CLOSED

    def close(self) -> None:
        self.settings.close()

    # --- in a thread; boto3 is loaded by the first of these ---

    def _ask(self) -> Described:
        from gateway.aws.clients import Aws, Where  # noqa: PLC0415
        from gateway.aws.pool_settings import describe_client, describe_pool, mfa_config  # noqa: PLC0415

        region = self.configured.region
        where = Where(region=region, endpoint_url=self._endpoint_url, egress=self._egress)
        aws = Aws(where)
        pool = describe_pool(aws, self.id)
        client = _allowed(lambda: describe_client(aws, self.id, self.configured.client_ids[0]))
        return described_by(pool, client, _allowed(lambda: mfa_config(aws, self.id)))

    def _user_pool(self) -> Adapter:
        from gateway.aws.user_pool import UserPoolClient as Adapter  # noqa: PLC0415

        if self._adapter is None:
            self._adapter = Adapter(self._address(), self.flow)
        return self._adapter

    def _account(self) -> Accounts:
        from gateway.aws.accounts import Accounts  # noqa: PLC0415

        if self._accounts is None:
            self._accounts = Accounts(self._address())
        return self._accounts

    def _own_account(self) -> OwnAccount:
        from gateway.aws.own_account import OwnAccount  # noqa: PLC0415

        if self._own is None:
            self._own = OwnAccount(self._address())
        return self._own

    def _address(self) -> PoolAddress:
        return PoolAddress(
            user_pool_id=self.id,
            client_id=self.configured.client_ids[0],
            client_secret=client_secret(self.configured),
            endpoint_url=self._endpoint_url,
            egress=self._egress,
        )

    def __repr__(self) -> str:
        return f"<Pool {self.id}>"


def _allowed(ask: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return what AWS says, or None if IAM allows only DescribeUserPool."""
    try:
        return ask()
    except GatewayError:
        return None
