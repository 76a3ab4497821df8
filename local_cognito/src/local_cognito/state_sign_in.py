"""The state of sign-ins: sessions between two steps, grants, authorization codes and browser sessions.

Data only; `state` says whose they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from local_cognito.srp import Exchange


@dataclass(slots=True)
class AuthSession:
    """The state between two steps of a sign-in, bound to user, client and challenge."""

    username: str
    client_id: str
    challenge: str
    expires: float
    used: bool = False
    # The name as sent by the client, for challenges that do not reveal the internal one.
    called: str | None = None
    # Wrong codes so far, and the code that was sent.
    failures: int = 0
    code: str | None = field(default=None, repr=False)
    srp: Exchange | None = field(default=None, repr=False)
    # The options of SELECT_CHALLENGE and SELECT_MFA_TYPE.
    choices: tuple[str, ...] = ()
    # Whether this is a second factor, and whether MFA_SETUP's token has been verified.
    second: bool = False
    verified: bool = False
    # Whether this sign-in proved the password by SRP.
    by_srp: bool = False
    # The key of the device that the client presents, and of the one that has proved itself.
    device: str = ""
    known_device: str = ""
    # What was proved so far (`levels`), and the level that the sign-in has to reach.
    methods: tuple[str, ...] = ()
    target: int = 0
    # WEB_AUTHN's challenge.
    assertion: bytes = field(default=b"", repr=False)


@dataclass(slots=True)
class Tracked:
    """What session tracking keeps of a token session (a grant) or an SSO session (a browser)."""

    id: str
    client_id: str
    created: float
    active: float = 0.0
    address: str | None = None
    device: str = "unknown"
    # The SSO session that a token session came through.
    origin: str | None = None


@dataclass(slots=True)
class Grant:
    """One sign-in: its refresh token and every access and ID token issued from it."""

    event_id: str
    origin_jti: str
    username: str
    client_id: str
    auth_time: int
    refresh_token: str = field(repr=False)
    refresh_expires: float
    forget_at: float
    # Replaced refresh tokens → until when they are still accepted.
    rotated: dict[str, float] = field(default_factory=dict, repr=False)
    revoked: bool = False
    # Sign-ins through the API have this one scope; managed login has others.
    scopes: tuple[str, ...] = ("aws.cognito.signin.user.admin",)
    managed: bool = False
    # The device key that NewDeviceMetadata assigned, in pools that track devices.
    device_key: str | None = None
    # What the user proved.
    methods: tuple[str, ...] = ()
    # The resource that access tokens are bound to (RFC 8707).
    resource: str | None = None
    # The URL that is the client's ID, if its metadata document stands for a registration.
    document: str = ""
    # None: the pool did not track sessions when it began.
    tracked: Tracked | None = None


@dataclass(frozen=True, slots=True)
class AuthCode:
    """An authorization code of managed login, and what it was issued for."""

    client_id: str
    username: str
    redirect_uri: str
    scopes: tuple[str, ...]
    nonce: str | None
    challenge: str | None
    auth_time: int
    expires: float
    # The ID of the SSO session, where the pool tracks sessions.
    origin: str | None = None
    methods: tuple[str, ...] = ()
    resource: str | None = None
    document: str = ""


@dataclass(slots=True)
class BrowserSession:
    """A managed login session of one browser."""

    username: str
    auth_time: int
    expires: float
    methods: tuple[str, ...] = ()
    tracked: Tracked | None = None
