"""What a browser keeps between leaving for managed login and coming back: a sealed cookie for each tab. Pure.

Invariant: an answer is believed only in the browser that asked, within minutes, until it led to a session,
and together with the nonce and the PKCE verifier that were made for it.
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

# Seconds to sign in: as long as one may look for one's phone; oauth2-proxy and Pomerium give 15 minutes.
LIFE = 900.0
# Tabs of one browser that may be on their way at a time; their cookies take 400 bytes each, with a long way
# back more: of all together so many, beside a session and within a head of 32 KiB.
_MOST_TABS, _MOST_BYTES = 5, 8192
_PREFIX = "login_"
# `state` is the tab's name and what only its cookie knows, both random; then, for who comes back after the
# cookie is gone, where they wanted to go. Cognito takes no longer state than a browser's address bar holds.
_STATE = re.compile(r"([0-9a-f]{16})\.([A-Za-z0-9_-]{22})(?:\.([A-Za-z0-9_-]{0,1400}))?")
_TAB = re.compile(_PREFIX + "([0-9a-f]{16})")
_LONGEST_WANTED = 1024


@dataclass(frozen=True, slots=True)
class LoginState:
    tab: str
    # Where one is to sign in: the answer is redeemed there, and nowhere else (RFC 9700 section 4.4, mix-up).
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
        """RFC 7636 section 4.2, method S256."""
        digest = hashlib.sha256(self.verifier.encode("ascii")).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def begin(page: PageRequest, sealer: Sealer, pool_id: str, return_to: str) -> LoginState:
    """A new one, in a cookie of its own; beyond the bound the tab that left first is forgotten."""
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
    """The one that this `state` belongs to; None where this browser did not ask, or it is used up."""
    match = _STATE.fullmatch(state)
    found = None if match is None else _opened(page, sealer, match[1])
    if match is None or found is None:
        return None
    return found if hmac.compare_digest(found.secret, match[2]) else None


def use_up(page: PageRequest, state: LoginState) -> None:
    """It led to a session: it does so once."""
    page.set_cookies += page.cookies.clear_split(_PREFIX + state.tab)


def unverified_wanted(state: str) -> tuple[str | None, str]:
    """Which pool, and where to, as the writer of this `state` says: a path of this site, or empty."""
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
    """Beyond the bounds the tabs that left first are forgotten."""
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
        return None  # another version of this program wrote it
