"""Authorization codes and browser sessions of managed login.

Invariant: a code is redeemed once, within five minutes, by its own client and with the verifier of its
challenge; any failed attempt uses it up.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from local_cognito.oauth.authorize import Ask
from local_cognito.state import AuthCode, BrowserSession, Client, Pool, User

_CODE_SECONDS = 300
# Seconds. Developer guide: lifetime of the managed login cookie.
_BROWSER_SECONDS = 3600


class BadCode(Exception):
    """The code is not valid for this request."""


def issue(ask: Ask, session: BrowserSession, now: float) -> str:
    code = secrets.token_urlsafe(32)
    ask.pool.auth_codes[code] = AuthCode(
        client_id=ask.client.id,
        username=session.username,
        redirect_uri=ask.redirect_uri,
        scopes=ask.scopes,
        nonce=ask.nonce,
        challenge=ask.code_challenge,
        auth_time=session.auth_time,
        expires=now + _CODE_SECONDS,
    )
    return code


def redeem(
    pool: Pool, client: Client, code: str, *, redirect_uri: str | None, verifier: str | None, now: float
) -> AuthCode:
    """Redeem a code. Raises BadCode."""
    found = pool.auth_codes.pop(code, None)
    if found is None or found.client_id != client.id or now >= found.expires:
        raise BadCode
    # RFC 6749 section 4.1.3: the same redirect URI as in the authorization request.
    if found.redirect_uri != redirect_uri:
        raise BadCode
    # RFC 7636 section 4.6. A verifier without a challenge is a confused client's.
    if (found.challenge is None) != (verifier is None):
        raise BadCode
    if verifier is not None and found.challenge is not None:
        digest = hashlib.sha256(verifier.encode()).digest()
        derived = base64.urlsafe_b64encode(digest).rstrip(b"=")
        if not hmac.compare_digest(derived, found.challenge.encode()):
            raise BadCode
    return found


def open_browser(pool: Pool, user: User, now: float) -> tuple[str, BrowserSession]:
    """Open a browser session; return the cookie's value and the session."""
    key = secrets.token_urlsafe(32)
    session = BrowserSession(user.username, int(now), now + _BROWSER_SECONDS)
    pool.browsers[key] = session
    return key, session


def browser(pool: Pool, cookie: str | None, now: float) -> BrowserSession | None:
    """Return this browser's session, if its account may still sign in."""
    session = pool.browsers.get(cookie or "")
    if session is None or now >= session.expires:
        return None
    user = pool.users.get(pool.fold(session.username))
    return session if user is not None and user.enabled else None
