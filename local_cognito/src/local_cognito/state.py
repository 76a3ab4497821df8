"""The in-memory state of the local Cognito: pools with their clients, users, groups, sessions and grants.

Operations are functions of (state, request, now), and the state is all they change. Invariant: everything
that a token's validity depends on belongs to its pool, so deleting a pool invalidates them.
"""

from __future__ import annotations

import secrets
import string
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from local_cognito.errors import AwsError, not_found
from local_cognito.keys import PoolKeys
from local_cognito.passwords import PasswordHash, PasswordPolicy
from local_cognito.srp import Verifier
from local_cognito.state_documents import CimdPolicy
from local_cognito.state_identity import Credentials, IdentityPool, Role
from local_cognito.state_sign_in import AuthCode, AuthSession, BrowserSession, Grant

# 12 zeros, an account that cannot exist, mark ARNs as fictitious.
ACCOUNT = "000000000000"
CONFIRMED = "CONFIRMED"
UNCONFIRMED = "UNCONFIRMED"
FORCE_CHANGE_PASSWORD = "FORCE_CHANGE_PASSWORD"  # noqa: S105  a status, not a password
RESET_REQUIRED = "RESET_REQUIRED"
EXTERNAL_PROVIDER = "EXTERNAL_PROVIDER"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent the request under way: address, user agent, and whether it carried an AWS signature."""

    address: str | None = None
    agent: str | None = None
    signed: bool = False


@dataclass(slots=True)
class Client:
    id: str
    secret: str | None = field(repr=False)
    # The API's own members: ExplicitAuthFlows, AccessTokenValidity and so on, with defaults filled in.
    settings: dict[str, Any]
    created: float
    modified: float
    # How long it reuses an SSO session silently (SetUserPoolClientSessionConfiguration).
    sso_minutes: int = 60
    # Whether an application registered it itself.
    registered: bool = False


@dataclass(slots=True)
class Group:
    name: str
    description: str | None
    role_arn: str | None
    precedence: int | None
    created: float
    modified: float


@dataclass(slots=True)
class Device:
    """A confirmed device: identified by its key, proved by a password that only the device has."""

    key: str
    name: str | None
    proof: Verifier = field(repr=False)
    remembered: bool
    created: float
    modified: float
    authenticated: float


@dataclass(slots=True)
class Passkey:
    """A registered WebAuthn credential; `data` has its ID and public key (WebAuthn section 6.5.1)."""

    id: str
    data: bytes = field(repr=False)
    relying_party: str
    attachment: str | None
    transports: list[str]
    created: float
    counter: int


@dataclass(frozen=True, slots=True)
class PasskeyRequest:
    """A registration that began: its challenge, and the client that asked for it."""

    challenge: bytes = field(repr=False)
    client_id: str
    expires: float


@dataclass(slots=True)
class User:
    username: str
    sub: str
    attributes: dict[str, str]
    status: str
    created: float
    modified: float
    enabled: bool = True
    password: PasswordHash | None = field(default=None, repr=False)
    # When a temporary password expires (epoch seconds).
    temporary_until: float | None = None
    # The SRP verifier of the same password.
    srp: Verifier | None = field(default=None, repr=False)
    groups: set[str] = field(default_factory=set)
    # Second factors that are enabled, and the preferred one.
    mfa: set[str] = field(default_factory=set)
    preferred_mfa: str | None = None
    # The authenticator app's key: verified, and issued but not yet verified; the time step of its last code.
    totp_secret: str | None = field(default=None, repr=False)
    totp_pending: str | None = field(default=None, repr=False)
    totp_name: str | None = None
    totp_step: int = -1
    # Device key → device, in order of confirmation.
    devices: dict[str, Device] = field(default_factory=dict)
    # Credential ID → passkey; the registration under way; whether passkeys satisfy MFA for this user.
    passkeys: dict[str, Passkey] = field(default_factory=dict)
    passkey_request: PasskeyRequest | None = None
    passkey_mfa: bool = False


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    """A social, OIDC or SAML provider; `settings`: the API's own members."""

    name: str
    kind: str
    settings: dict[str, Any] = field(repr=False)
    created: float


@dataclass(slots=True)
class Attempts:
    """Failed sign-ins of one name, which need not be a user's."""

    failures: int = 0
    last: float = 0.0
    locked_until: float = 0.0


@dataclass(slots=True)
class Message:
    """An e-mail or text message that Cognito would have sent."""

    pool_id: str
    username: str
    # sign-up, forgot-password, attribute, mfa, sign-in or invitation
    kind: str
    text: str = field(repr=False)
    medium: str
    destination: str = field(repr=False)
    # None for an invitation, which contains a password instead.
    code: str | None = field(repr=False)
    at: float


@dataclass(frozen=True, slots=True)
class Delivery:
    """The destination of a code: EMAIL or SMS, the attribute it comes from, and its value."""

    medium: str
    attribute: str
    destination: str = field(repr=False)


@dataclass(slots=True)
class Code:
    """A code that was sent; `value` is the attribute value that confirming it sets."""

    code: str = field(repr=False)
    expires: float
    delivery: Delivery | None
    value: str | None = field(default=None, repr=False)


@dataclass(slots=True)
class Pool:
    id: str
    name: str
    # The API's own members with defaults filled in; `fixed`: those that UpdateUserPool cannot change.
    settings: dict[str, Any]
    fixed: dict[str, Any]
    policy: PasswordPolicy
    # Attribute name → its schema (SchemaAttributeType members).
    schema: dict[str, dict[str, Any]]
    keys: Future[PoolKeys]
    created: float
    modified: float
    # Keys before rotation, newest first: tokens signed with them are still valid.
    old_keys: list[PoolKeys] = field(default_factory=list)
    # Set by SetUserPoolSessionConfiguration.
    tracks_sessions: bool = False
    sessions_per_user: int = 20
    # Set by SetUserPoolMfaConfig; SMS is enabled by SmsConfiguration.
    software_token_mfa: bool = False
    email_mfa: dict[str, Any] | None = None
    # WebAuthnConfiguration: the relying party, user verification, and whether passkeys satisfy MFA.
    webauthn: dict[str, Any] = field(default_factory=dict)
    domain: str | None = None
    # Policy ID → policy.
    cimd_policies: dict[str, CimdPolicy] = field(default_factory=dict)
    managed_login_version: int = 1
    # Identifier → name and scopes.
    resource_servers: dict[str, dict[str, Any]] = field(default_factory=dict)
    auth_codes: dict[str, AuthCode] = field(default_factory=dict, repr=False)
    # The managed-login cookie's value → its session.
    browsers: dict[str, BrowserSession] = field(default_factory=dict, repr=False)
    clients: dict[str, Client] = field(default_factory=dict)
    providers: dict[str, IdentityProvider] = field(default_factory=dict)
    # Internal username, case-folded if the pool does so → user.
    users: dict[str, User] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    attempts: dict[str, Attempts] = field(default_factory=dict)
    sessions: dict[str, AuthSession] = field(default_factory=dict, repr=False)
    # (purpose, folded name) → the latest code sent.
    codes: dict[tuple[str, str], Code] = field(default_factory=dict)
    # (action, folded name) → times of the calls within the last hour.
    calls: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    # Key for simulated data of unknown usernames, which must be stable between calls.
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    # event_id → grant; and each of its refresh tokens → the same grant.
    grants: dict[str, Grant] = field(default_factory=dict)
    refresh_tokens: dict[str, Grant] = field(default_factory=dict, repr=False)

    @property
    def arn(self) -> str:
        return f"arn:aws:cognito-idp:{self.id.partition('_')[0]}:{ACCOUNT}:userpool/{self.id}"

    @property
    def tracks_devices(self) -> bool:
        """Whether the pool tracks devices: any member turns it on (API reference,
        DeviceConfigurationType)."""
        return bool(self.settings.get("DeviceConfiguration"))

    def all_keys(self) -> list[PoolKeys]:
        return [self.keys.result(), *self.old_keys]

    @property
    def first_factors(self) -> list[str]:
        """The factors that choice-based sign-in may start with."""
        return list(self.settings["SignInPolicy"]["AllowedFirstAuthFactors"])

    def fold(self, name: str) -> str:
        """Case-fold a username or alias, unless the pool is case-sensitive, which is the default (API
        reference, UsernameConfigurationType)."""
        sensitive = self.fixed.get("UsernameConfiguration", {}).get("CaseSensitive", True)
        return name if sensitive else name.casefold()


@dataclass(slots=True)
class State:
    region: str
    # The origin that clients use: the start of every issuer.
    url: str
    # Generates a pool's keys outside the event loop.
    new_keys: Callable[[], Future[PoolKeys]]
    pools: dict[str, Pool] = field(default_factory=dict)
    identity_pools: dict[str, IdentityPool] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    # Access key ID → credentials.
    credentials: dict[str, Credentials] = field(default_factory=dict, repr=False)
    # Bounded: a server may run for long without anyone reading it.
    outbox: deque[Message] = field(default_factory=lambda: deque(maxlen=1000))
    # UserContextData and ContextData that applications sent, oldest first.
    user_contexts: deque[Mapping[str, Any]] = field(default_factory=lambda: deque(maxlen=1000))

    # Operations are synchronous: no other request changes it meanwhile.
    caller: Caller = field(default_factory=Caller)

    def issuer(self, pool: Pool) -> str:
        return f"{self.url}/{pool.id}"

    def pool(self, pool_id: str) -> Pool:
        pool = self.pools.get(pool_id)
        if pool is None:
            raise not_found(f"User pool {pool_id} does not exist.")
        return pool

    def client(self, client_id: str, pool_id: str | None = None) -> tuple[Pool, Client]:
        """Return the client and its pool; with `pool_id`, only a client of that pool."""
        pools = self.pools.values() if pool_id is None else [self.pool(pool_id)]
        for pool in pools:
            if client_id in pool.clients:
                return pool, pool.clients[client_id]
        raise not_found(f"User pool client {client_id} does not exist.")


def new_pool_id(region: str) -> str:
    return f"{region}_" + "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(9))


def new_client_id() -> str:
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(26))


def new_client_secret() -> str:
    # The model allows 24 to 64 of [\w+]; Cognito generates about 51.
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(51))


def find_user(pool: Pool, name: str) -> User | None:
    """Return the user with this username, sub, or alias accepted by the pool; None if there is none."""
    folded = pool.fold(name)
    user = pool.users.get(folded)
    if user is not None:
        return user
    for candidate in pool.users.values():
        if candidate.sub == name or folded in aliases(pool, candidate):
            return candidate
    return None


def aliases(pool: Pool, user: User) -> set[str]:
    """Return the other names that this user signs in with, folded.

    UsernameAttributes always count; of AliasAttributes, e-mail and phone number only once verified.
    """
    names = {user.attributes.get(name) for name in pool.fixed.get("UsernameAttributes", ())}
    for name in pool.fixed.get("AliasAttributes", ()):
        if name == "preferred_username" or user.attributes.get(f"{name}_verified") == "true":
            names.add(user.attributes.get(name))
    return {pool.fold(name) for name in names if name}


def get_user(pool: Pool, name: str) -> User:
    """Return the user as `find_user` does. Raises UserNotFoundException."""
    user = find_user(pool, name)
    if user is None:
        raise AwsError("UserNotFoundException", "User does not exist.")
    return user


def forget_expired(pool: Pool, now: float) -> None:
    """Drop expired entries, so that a long-running server does not grow without bound."""
    pool.sessions = {key: one for key, one in pool.sessions.items() if one.expires > now}
    pool.grants = {key: one for key, one in pool.grants.items() if one.forget_at > now}
    pool.refresh_tokens = {
        token: grant for token, grant in pool.refresh_tokens.items() if grant.event_id in pool.grants
    }
    pool.attempts = {key: one for key, one in pool.attempts.items() if one.last + 900 > now}
    pool.auth_codes = {key: one for key, one in pool.auth_codes.items() if one.expires > now}
    pool.browsers = {key: one for key, one in pool.browsers.items() if one.expires > now}
    pool.codes = {key: one for key, one in pool.codes.items() if one.expires > now}
    pool.calls = {key: times for key, times in pool.calls.items() if times and times[-1] + 3600 > now}
