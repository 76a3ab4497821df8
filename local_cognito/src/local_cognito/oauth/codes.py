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
from local_cognito.session_tracking import begin_sso_session
from local_cognito.state import Client, Pool, State, User
from local_cognito.state_sign_in import AuthCode, BrowserSession

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
        methods=session.methods,
        resource=ask.resource,
        document=ask.document,
        origin=session.tracked.id if session.tracked is not None else None,
    )
    return code


def redeem(
    pool: Pool,
    client: Client,
    code: str,
    *,
    document: str,
    redirect_uri: str | None,
    verifier: str | None,
    now: float,
) -> AuthCode:
    """Redeem a code. Raises BadCode."""
    found = pool.auth_codes.pop(code, None)
    if found is None or (found.client_id, found.document) != (client.id, document):
        raise BadCode
    if now >= found.expires:
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


def open_browser(
    state: State, ask: Ask, user: User, now: float, methods: tuple[str, ...]
) -> tuple[str, BrowserSession]:
    """Open a browser session; return the cookie's value and the session."""
    pool, key = ask.pool, secrets.token_urlsafe(32)
    seconds = max(each.sso_minutes for each in pool.clients.values()) * 60 if pool.tracks_sessions else 0
    session = BrowserSession(user.username, int(now), now + max(seconds, _BROWSER_SECONDS), methods)
    begin_sso_session(state, pool, ask.client, session, now)
    pool.browsers[key] = session
    return key, session


def browser(ask: Ask, cookie: str | None, now: float) -> BrowserSession | None:
    """Return this browser's session, if its account may still sign in and this client reuses it."""
    pool = ask.pool
    session = pool.browsers.get(cookie or "")
    if session is None or now >= session.expires:
        return None
    # Measured from the last fresh authentication (API reference, ClientSSOSessionConfigType).
    if pool.tracks_sessions and now >= session.auth_time + ask.client.sso_minutes * 60:
        return None
    user = pool.users.get(pool.fold(session.username))
    return session if user is not None and user.enabled else None
