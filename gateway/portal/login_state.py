"""What a browser keeps between leaving for managed login and coming back: a sealed cookie for each tab. Pure.

Invariant: an answer is believed only in the browser that asked, once, within minutes, and only together with
the nonce and the PKCE verifier that were made for it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from dataclasses import asdict, dataclass, field

from gateway.portal.page import PageRequest
from gateway.portal.sealing import Sealer

# Seconds to sign in: as long as one may look for one's phone; oauth2-proxy and Pomerium give 15 minutes.
LIFE = 900.0
# Tabs of one browser that may be on their way at a time; their cookies take 400 bytes each.
_MOST_TABS = 5
_PREFIX = "login_"
# `state` is the tab's name and what only its cookie knows; both are random.
_STATE = re.compile(r"([0-9a-f]{16})\.([A-Za-z0-9_-]{22})")


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
        return f"{self.tab}.{self.secret}"

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
    _make_room(page, sealer)
    sealed = sealer.seal(
        json.dumps(asdict(made)).encode("ascii"), until=page.now + LIFE, binding=made.tab.encode("ascii")
    )
    page.set_cookies.append(page.cookies.set(_PREFIX + made.tab, sealed, max_age=LIFE))
    return made


def finish(page: PageRequest, sealer: Sealer, state: str) -> LoginState | None:
    """The one that this `state` belongs to, used up by it; None where this browser did not ask."""
    match = _STATE.fullmatch(state)
    found = None if match is None else _opened(page, sealer, match[1])
    if match is None or found is None:
        return None
    page.set_cookies.append(page.cookies.clear(_PREFIX + found.tab))
    return found if hmac.compare_digest(found.secret, match[2]) else None


def _make_room(page: PageRequest, sealer: Sealer) -> None:
    began: dict[str, float] = {}
    for name in page.cookies.names(_PREFIX):
        known = _opened(page, sealer, name.removeprefix(_PREFIX))
        began[name] = 0.0 if known is None else known.began
    for name in sorted(began, key=began.__getitem__)[: max(0, len(began) - _MOST_TABS + 1)]:
        page.set_cookies.append(page.cookies.clear(name))


def _opened(page: PageRequest, sealer: Sealer, tab: str) -> LoginState | None:
    sealed = page.cookies.get(_PREFIX + tab)
    data = None if sealed is None else sealer.open(sealed, now=page.now, binding=tab.encode("ascii"))
    try:
        return None if data is None else LoginState(**json.loads(data))
    except (ValueError, TypeError):
        return None  # another version of this program wrote it
