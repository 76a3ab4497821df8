"""Managed login: redirect to Cognito's own pages and redeem the code (OpenID Connect Core section 3.1, RFC
7636).

`/oauth2/start` redirects, `/oauth2/callback` returns. Invariant: a session begins only with tokens issued for
the sign-in that this browser started: user pool, state, nonce, PKCE verifier and redirect URI all match.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import urlencode

from gateway.aws.values import Tokens
from gateway.config.model import UserPool
from gateway.errors import GatewayError, InternalError, NoCredentials, NotFound, Refusal, SignInRefused
from gateway.http.answers import Answer
from gateway.http.navigation import accepts_html
from gateway.observe.bridge import redact
from gateway.pages import login_state, refusal_texts, respond
from gateway.pages.attempts import ADDRESS, by_address
from gateway.pages.login_state import LoginState
from gateway.pages.negotiation import language_at_cognito
from gateway.pages.portal import Portal
from gateway.pages.providers import offered
from gateway.pages.refusal_texts import RefusalText
from gateway.pages.sign_in_target import SignInTarget, asked
from gateway.sessions.cognito import client_secret
from gateway.sessions.page_request import PageRequest
from gateway.sessions.token_endpoint import redeem
from gateway.texts import Text

# Characters of the provider's error on the page, and in the log (limit for unverified values).
_SHOWN, _LOGGED = 300, 128
# Digits of max_age: a day has five (seconds).
_LONGEST_AGE = 6
# The destination of a user who asked for no page.
_FRONT = "/"


async def start(portal: Portal, page: PageRequest) -> Answer:
    """Handle GET /start. `pool` names the user pool; with several pools and none named, a page asks."""
    wanted = asked(page, portal.pages.pools, portal.pages.levels)
    if wanted.pool_id is None and _any_domain(portal):
        return respond.see_other(wanted.link(page, "/sign_in"))
    pool, domain = _pool(portal, wanted.pool_id)
    _need_visit(page)
    state = login_state.begin(page, portal.sealers.login, pool.id, wanted.return_to)
    # Without `scope` Cognito grants all that the app client allows; openid must be among them.
    query = {
        "response_type": "code",
        "client_id": pool.client_ids[0],
        "redirect_uri": page.url("/callback"),
        "state": state.state,
        "nonce": state.nonce,
        "code_challenge": state.challenge,
        "code_challenge_method": "S256",
    }
    if len(pool.audiences) == 1:
        # RFC 8707 section 2: the access token is then bound to this gateway.
        query["resource"] = pool.audiences[0]
    if (provider := page.query.get("identity_provider", "")) in offered(portal.config, pool):
        query["identity_provider"] = provider
    query |= _again_query(page, wanted.acr_values)
    if language := language_at_cognito(page):
        query["lang"] = language
    return respond.see_other(f"{domain}/oauth2/authorize?{urlencode(query)}")


def _again_query(page: PageRequest, acr_values: str) -> dict[str, str]:
    """Return the query members for a stronger or newer sign-in (OpenID Connect Core section 3.1.2.1)."""
    query = {"acr_values": acr_values} if acr_values else {}
    max_age = page.query.get("max_age", "")
    if max_age.isascii() and max_age.isdigit() and len(max_age) <= _LONGEST_AGE:
        # `prompt` makes Cognito ask again even if an identity provider ignores max_age.
        query |= {"max_age": max_age, "prompt": "login"}
    return query


async def callback(portal: Portal, page: PageRequest) -> Answer:
    """Handle GET /callback (RFC 6749 section 4.1.2). forms.py has already refused repeated parameters.

    A callback that cannot be completed (reloaded, sent twice, overtaken by another tab) is no dead end: a
    signed-in user goes on, anyone else starts over with the same destination.
    """
    if not _any_domain(portal):
        raise NotFound
    _need_visit(page)
    text = page.query.get("state", "")
    state = login_state.find(page, portal.sealers.login, text)
    if state is None:
        pool_id, return_to = login_state.unverified_wanted(text)
        if page.session is not None:
            return respond.see_other(return_to or _FRONT)
        refusal = SignInRefused("state is missing, used, old or another browser's")
        return _again(portal, page, refusal, SignInTarget(pool_id, return_to))
    wanted = SignInTarget(state.pool_id, state.return_to)
    if "error" in page.query:
        return _again(portal, page, SignInRefused(_said(page, _LOGGED)), wanted, said=_said(page, _SHOWN))
    pool, domain = _pool(portal, state.pool_id)
    # A state can be replayed while its cookie lives, and each replay would call Cognito.
    attempts, keys = portal.pages.attempts, [by_address(ADDRESS, page.client)]
    if refusal_text := refusal_texts.wait(attempts.wait(keys, page.moment)):
        return _wait(portal, page, refusal_text)
    attempts.count(keys, page.moment)
    try:
        if not page.query.get("code"):
            raise SignInRefused("neither code nor error came back")
        await _finish(portal, page, pool, domain, state)
    except Refusal as refusal:
        if not isinstance(refusal, SignInRefused):
            attempts.take_back(keys, page.moment)  # the code was not at fault
        elif page.session is not None:
            # Reloaded: the existing session has used the code.
            return respond.see_other(state.return_to or _FRONT)
        return _again(portal, page, refusal, wanted)
    attempts.take_back(keys, page.moment)
    login_state.use_up(page, state)
    return respond.see_other(state.return_to or _FRONT)


def _need_visit(page: PageRequest) -> None:
    """Refuse HEAD: a link checker neither starts nor completes a sign-in. Raises NoCredentials."""
    if page.method == "HEAD":
        raise NoCredentials("HEAD on a URL that starts or completes a sign-in")


async def _finish(portal: Portal, page: PageRequest, pool: UserPool, domain: str, state: LoginState) -> None:
    tokens = await redeem(
        domain,
        portal.config.cognito.egress,
        client_id=pool.client_ids[0],
        client_secret=_secret(pool),
        code=page.query["code"],
        verifier=state.verifier,
        redirect_uri=page.url("/callback"),
    )
    await _check_id_token(portal, pool, tokens, state, page.now)
    await portal.signed_in(page, pool, tokens, state.return_to)


def _any_domain(portal: Portal) -> bool:
    return any(pool.domain is not None for pool in portal.config.cognito.sign_in_pools)


def _pool(portal: Portal, pool_id: str | None) -> tuple[UserPool, str]:
    """Return a pool with managed login and its domain. Raises NotFound for any other pool."""
    pool = None if pool_id is None else portal.pool(pool_id)
    if pool is None or pool.domain is None:
        raise NotFound
    return pool, pool.domain.rstrip("/")


def _secret(pool: UserPool) -> str | None:
    try:
        return client_secret(pool)
    except GatewayError as error:
        raise InternalError(str(error)) from None


async def _check_id_token(
    portal: Portal, pool: UserPool, tokens: Tokens, state: LoginState, now: float
) -> None:
    """Verify the ID token and its nonce and at_hash (OpenID Connect Core sections 3.1.3.7 and 3.1.3.8)."""
    claims = (await portal.prover.verified(pool, tokens.id, "id", now=now)).every
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), state.nonce.encode()):
        raise SignInRefused("the ID token's nonce is not the one that was sent")
    expected = claims.get("at_hash")
    if expected is not None and expected != at_hash(tokens.access):
        raise SignInRefused("the ID token was not issued with this access token")


def at_hash(access_token: str) -> str:
    """Return the left half of the token's SHA-256, for RS256 (OpenID Connect Core section 3.1.3.6)."""
    half = hashlib.sha256(access_token.encode("ascii")).digest()[:16]
    return base64.urlsafe_b64encode(half).rstrip(b"=").decode("ascii")


def _wait(portal: Portal, page: PageRequest, refusal_text: RefusalText) -> Answer:
    page.request.decision, page.request.reason = "refused", SignInRefused.reason
    answer = portal.pages.message(
        page, Text("Sign-in failed"), [Text.of(refusal_text.sentence)], status=refusal_text.status
    )
    assert refusal_text.retry_after is not None, "of our own count, which knows"
    answer.headers.append((b"Retry-After", b"%d" % refusal_text.retry_after))
    return answer


def _said(page: PageRequest, most: int) -> str:
    """Return the provider's unverified error on one line, bounded (RFC 6749 section 4.1.2.1)."""
    said = ": ".join(filter(None, (page.query["error"], page.query.get("error_description", ""))))
    line = "".join(sign if sign.isprintable() else " " for sign in said)
    return line if len(line) <= most else line[: most - 1] + "…"


def _again(
    portal: Portal, page: PageRequest, refusal: Refusal, wanted: SignInTarget, *, said: str = ""
) -> Answer:
    """Return a page that says what happened and links to another try; for programs, raise the refusal."""
    portal.pages.log.event(
        "sign_in_refused",
        level="warning",
        request_id=page.request_id,
        client=page.client,
        pool=wanted.pool_id if wanted.pool_id in portal.pages.pools else None,
        reason=refusal.reason,
        exact=redact(str(refusal)),
    )
    if not accepts_html(page.request):
        raise refusal
    # A single pool need not be named.
    several = len(portal.pages.pools) > 1 and wanted.pool_id in portal.pages.pools
    # Beside our own form, people may also try another way.
    pools = portal.config.cognito.sign_in_pools
    managed = any(pool.managed for pool in pools if wanted.pool_id in {pool.id, None} or len(pools) == 1)
    path = "/start" if managed else "/sign_in"
    again = SignInTarget(wanted.pool_id if several else None, wanted.return_to).link(page, path)
    page.request.decision = "error" if refusal.status >= 500 else "refused"
    page.request.reason = refusal.reason
    sentences = [Text("The sign-in service says: {said}", said=said) if said else Text.of(refusal.detail)]
    answer = portal.pages.message(
        page, Text.of(refusal.title), sentences, status=refusal.status, back=(Text("Try again"), again)
    )
    if refusal.retry_after is not None:
        answer.headers.append((b"Retry-After", b"%d" % refusal.retry_after))
    return answer
