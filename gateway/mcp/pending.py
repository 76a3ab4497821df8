"""Pending authorizations: a sealed cookie for each, from /authorize to the redirect to the client.

The cookie holds the request and, after sign-in, its tokens, so that the gateway stores nothing for users who
have not decided. Invariant: an authorization continues only in the browser that began it, within minutes, and
ends once.
"""

from __future__ import annotations

import json
import re
import secrets
import zlib
from dataclasses import asdict, dataclass, replace

from gateway.errors import SessionsUnavailable
from gateway.mcp.authorization import Authorization
from gateway.sessions import session as form
from gateway.sessions.cookies import longest
from gateway.sessions.page_request import PageRequest
from gateway.sessions.sealing import Sealer
from gateway.sessions.session import Session

# Seconds, as for managed login: signing in may need a phone, and reading the consent page takes time.
LIFE = 900.0
# Pending authorizations of a browser, and bytes of their cookies, which share a 32 KiB head with a session.
# One with tokens takes some 5,000.
_MOST, _MOST_BYTES = 3, 11_000
_COOKIE = "mcp_"
_TAB = re.compile(r"[0-9a-f]{16}")
_NAME = re.compile(_COOKIE + "([0-9a-f]{16})(?:_[0-9])?")
_RETURN = re.compile(r"/consent\?request=([0-9a-f]{16})")
# Bytes of JSON in a sealed cookie: three tokens of the largest kind take less.
_LARGEST = 256 * 1024


@dataclass(frozen=True, slots=True)
class Pending:
    """`tab` names it in addresses; `session` None: nobody has signed in for it yet."""

    tab: str
    began: float
    authorization: Authorization
    session: Session | None = None
    # What the person knows themselves by: their e-mail address, where there is one.
    user: str = ""

    @property
    def return_to(self) -> str:
        """Behind the prefix: where the sign-in leads."""
        return f"/consent?request={self.tab}"


def tab_of(return_to: str, prefix: str) -> str | None:
    """Return the authorization that a sign-in is for, by its return address; None: for none."""
    match = _RETURN.fullmatch(return_to.removeprefix(prefix)) if return_to.startswith(prefix) else None
    return None if match is None else match[1]


def begin(page: PageRequest, sealer: Sealer, authorization: Authorization) -> Pending:
    """Keep a new one with the browser; beyond the bounds the ones that began first are forgotten."""
    made = Pending(secrets.token_hex(8), page.now, authorization)
    _keep(page, sealer, made)
    return made


def found(page: PageRequest, sealer: Sealer, tab: str) -> Pending | None:
    """Return the one of this name; None where this browser has none, or its time has passed."""
    if not _TAB.fullmatch(tab) or page.known_browser is None:
        return None
    return _opened(page, sealer, tab)


def signed_in(page: PageRequest, sealer: Sealer, pending: Pending, session: Session, user: str) -> None:
    """Keep it with the tokens of its sign-in."""
    _keep(page, sealer, replace(pending, session=session, user=user))


def forget(page: PageRequest, pending: Pending) -> None:
    """Clear a pending authorization that was decided."""
    page.set_cookies += page.cookies.clear_split(_COOKIE + pending.tab)


def _keep(page: PageRequest, sealer: Sealer, pending: Pending) -> None:
    sealed = sealer.seal(_encoded(pending), until=pending.began + LIFE, binding=_binding(page, pending.tab))
    if len(sealed) > longest():
        raise SessionsUnavailable(f"tokens of {len(sealed)} bytes do not fit into cookies")
    _make_room(page, sealer, pending.tab, size=len(sealed))
    page.set_cookies += page.cookies.set_split(_COOKIE + pending.tab, sealed, max_age=LIFE)


def _make_room(page: PageRequest, sealer: Sealer, tab: str, *, size: int) -> None:
    began: dict[str, float] = {}
    sizes: dict[str, int] = {}
    for name in page.cookies.names(_COOKIE):
        match = _NAME.fullmatch(name)
        other = name.removeprefix(_COOKIE) if match is None else match[1]
        if other == tab:
            continue
        if other not in began:
            known = _opened(page, sealer, other)
            began[other] = 0.0 if known is None else known.began
        sizes[other] = sizes.get(other, 0) + len(page.cookies.get(name) or "")
    oldest = sorted(began, key=began.__getitem__)
    while oldest and (len(oldest) >= _MOST or sum(sizes[each] for each in oldest) + size > _MOST_BYTES):
        page.set_cookies += page.cookies.clear_split(_COOKIE + oldest.pop(0))


def _opened(page: PageRequest, sealer: Sealer, tab: str) -> Pending | None:
    sealed = page.cookies.joined(_COOKIE + tab)
    if sealed is None:
        return None
    data = sealer.open(sealed, now=page.now, binding=_binding(page, tab))
    try:
        return None if data is None else _decoded(data)
    except (ValueError, TypeError, KeyError, zlib.error):
        return None  # another version of this program wrote it


def _binding(page: PageRequest, tab: str) -> bytes:
    return f"{tab} {page.browser_id}".encode("ascii")


def _encoded(pending: Pending) -> bytes:
    return zlib.compress(json.dumps(asdict(pending), separators=(",", ":")).encode("ascii"), 6)


def _decoded(data: bytes) -> Pending:
    inflate = zlib.decompressobj()
    members = json.loads(inflate.decompress(data, _LARGEST))
    asked, session = members["authorization"], members["session"]
    return Pending(
        members["tab"],
        members["began"],
        Authorization(**{**asked, "scopes": tuple(asked["scopes"])}),
        form.of_members(session),
        members["user"],
    )
