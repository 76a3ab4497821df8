"""The state of a managed sign-in between `/start` and `/callback`: one sealed cookie per browser tab. Pure.

Invariant: a callback is accepted only in the browser that started the sign-in, within minutes, until it has
led to a session, and only with the nonce and the PKCE verifier generated for it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from dataclasses import asdict, dataclass, field

from gateway.pages.return_to import page_wanted
from gateway.sessions.page_request import PageRequest
from gateway.sessions.sealing import Sealer

# Seconds to sign in: time to find one's phone; oauth2-proxy and Pomerium allow 15 minutes as well.
LIFE = 900.0
# Sign-ins in progress per browser. Each cookie takes 400 bytes, more with a long return path; together,
# beside a session, they must fit into a request head of 32 KiB.
_MOST_TABS, _MOST_BYTES = 5, 8192
_PREFIX = "login_"
# `state` is the tab's ID and its cookie's secret, both random; then the destination, for a user who returns
# after the cookie has expired. Cognito accepts no state longer than a browser's address bar holds.
_STATE = re.compile(r"([0-9a-f]{16})\.([A-Za-z0-9_-]{22})(?:\.([A-Za-z0-9_-]{0,1400}))?")
_TAB = re.compile(_PREFIX + "([0-9a-f]{16})")
_LONGEST_WANTED = 1024


@dataclass(frozen=True, slots=True)
class LoginState:
    tab: str
    # The user pool: the code is redeemed there and nowhere else (RFC 9700 section 4.4, mix-up attacks).
    pool_id: str
    return_to: str
    began: float
    # RFC 6749 section 10.12, OpenID Connect Core section 3.1.2.1, RFC 7636 section 4.1: 128, 128, 256 bits.
    secret: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)

    @property
    def state(self) -> str:
        wanted = json.dumps([self.pool_id, self.return_to]).encode("ascii")
        if len(wanted) > _LONGEST_WANTED:
            wanted = b""
        return f"{self.tab}.{self.secret}.{base64.urlsafe_b64encode(wanted).rstrip(b'=').decode('ascii')}"

    @property
    def challenge(self) -> str:
        """Return the PKCE challenge (RFC 7636 section 4.2, method S256)."""
        digest = hashlib.sha256(self.verifier.encode("ascii")).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def begin(page: PageRequest, sealer: Sealer, pool_id: str, return_to: str) -> LoginState:
    """Start a sign-in with its own cookie; beyond the bounds, the oldest ones are dropped."""
    made = LoginState(
        tab=secrets.token_hex(8),
        pool_id=pool_id,
        return_to=return_to,
        began=page.now,
        secret=secrets.token_urlsafe(16),
        nonce=secrets.token_urlsafe(16),
        verifier=secrets.token_urlsafe(32),
    )
    sealed = sealer.seal(
        json.dumps(asdict(made)).encode("ascii"), until=page.now + LIFE, binding=made.tab.encode("ascii")
    )
    _make_room(page, sealer, size=len(sealed))
    page.set_cookies += page.cookies.set_split(_PREFIX + made.tab, sealed, max_age=LIFE)
    return made


def find(page: PageRequest, sealer: Sealer, state: str) -> LoginState | None:
    """Return the sign-in of this `state`; None if this browser did not start it, or it is used up."""
    match = _STATE.fullmatch(state)
    found = None if match is None else _opened(page, sealer, match[1])
    if match is None or found is None:
        return None
    return found if hmac.compare_digest(found.secret, match[2]) else None


def use_up(page: PageRequest, state: LoginState) -> None:
    """Delete the cookie: a sign-in leads to one session."""
    page.set_cookies += page.cookies.clear_split(_PREFIX + state.tab)


def unverified_wanted(state: str) -> tuple[str | None, str]:
    """Return the pool and destination in this unverified `state`; the destination is a path of this site or
    empty."""
    match = _STATE.fullmatch(state)
    try:
        text = base64.urlsafe_b64decode((match[3] if match is not None and match[3] else "") + "===")
        pool_id, return_to = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return None, ""
    if not isinstance(pool_id, str) or not isinstance(return_to, str):
        return None, ""
    return pool_id, page_wanted(return_to)


def _make_room(page: PageRequest, sealer: Sealer, *, size: int) -> None:
    """Drop the oldest sign-ins beyond the bounds."""
    began: dict[str, float] = {}
    sizes: dict[str, int] = {}
    for name in page.cookies.names(_PREFIX):
        match = _TAB.match(name)
        tab = name.removeprefix(_PREFIX) if match is None else match[1]
        if tab not in began:
            known = _opened(page, sealer, tab)
            began[tab] = 0.0 if known is None else known.began
        sizes[tab] = sizes.get(tab, 0) + len(page.cookies.get(name) or "")
    oldest = sorted(began, key=began.__getitem__)
    while oldest and (len(oldest) >= _MOST_TABS or sum(sizes[each] for each in oldest) + size > _MOST_BYTES):
        page.set_cookies += page.cookies.clear_split(_PREFIX + oldest.pop(0))


def _opened(page: PageRequest, sealer: Sealer, tab: str) -> LoginState | None:
    sealed = page.cookies.joined(_PREFIX + tab)
    data = None if sealed is None else sealer.open(sealed, now=page.now, binding=tab.encode("ascii"))
    try:
        return None if data is None else LoginState(**json.loads(data))
    except (ValueError, TypeError):
        return None  # written by another version of this program
