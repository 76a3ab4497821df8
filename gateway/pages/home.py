"""`/`: the portal. Who is signed in and until when, the access token to copy, AWS credentials, the way out.

Not connected yet: what is missing, and the way to the set-up form. Invariant: a token is shown only on the
page of the session it belongs to, only in answer to a form of ours that a person sent (routes.shown), and
nothing on it is kept by a browser (respond.guarded).
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gateway.errors import CognitoUnavailable, CredentialsRefused, NavigationOnly
from gateway.http.answers import Answer
from gateway.pages import signed_out
from gateway.pages.badge import NOT_CONNECTED, Badge
from gateway.pages.respond import see_other
from gateway.pages.setup_admin import may_change
from gateway.sessions.page_request import PageRequest
from gateway.sessions.session import Session
from gateway.tokens.claims import Claims

if TYPE_CHECKING:
    from gateway.aws.identity_pool import Credentials
    from gateway.pages.portal import Portal

NOTICES = {
    "changed": "Your password is changed, and you are signed out everywhere else.",
    "everywhere": "Your password is changed, and you are signed out everywhere else.",
    "changed_here": "Your password is changed. Your sessions elsewhere go on until they expire.",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time as a page shows it; `seconds` are counted from when the page was made."""

    text: str
    iso: str
    seconds: int


@dataclass(frozen=True, slots=True)
class ShownCredentials:
    """Temporary credentials as a page shows them."""

    env: str = field(repr=False)
    ends: Moment


async def show(portal: Portal, page: PageRequest) -> Answer:
    """GET: no token is on it, since every script of the API's pages can fetch it."""
    if not portal.config.cognito.sign_in_pools:
        badge = Badge(NOT_CONNECTED.text, connected=False, link=True)
        return await portal.pages.show(page, "unconfigured", "Not connected yet", badge=badge)
    if page.session is None or page.principal is None:
        return signed_out.come_back(page, portal.sealers.login) or see_other(page.prefix + "/sign_in")
    return await _portal(portal, page, page.session)


async def reveal(portal: Portal, page: PageRequest) -> Answer:
    """POST: the same with what `show` names: `token` or `credentials`."""
    portal.need_pool()
    if page.session is None or page.principal is None:
        return see_other(page.prefix + "/sign_in?notice=ended")
    if not portal.config.sign_in.show_tokens:
        raise NavigationOnly("sign_in.show_tokens is false")
    return await _portal(portal, page, page.session, reveals=page.form.get("show", ""))


async def _portal(portal: Portal, page: PageRequest, session: Session, *, reveals: str = "") -> Answer:
    claims = await portal.id_claims(page)
    name, second = names(session, claims)
    aws, aws_problem = await _aws(portal, page, session) if reveals == "credentials" else (None, None)
    pool = portal.pages.pool(session.pool_id)
    groups = page.principal.claims.groups if page.principal is not None else ()
    token = session.access if reveals == "token" else None
    command = ["curl", "-H", f"Authorization: Bearer {token}", page.origin + "/"]
    shows = portal.config.sign_in.show_tokens
    return await portal.pages.show(
        page,
        "portal",
        "Your account",
        badge=Badge("Connected", connected=True),
        notice=NOTICES.get(page.query.get("notice", "")),
        name=name,
        second=second,
        initial=name[:1].upper(),
        pool=session.pool_id,
        groups=groups,
        has_token=shows,
        token=token,
        token_ends=moment(session.expires, page.now),
        session_ends=moment(session.created + portal.config.sign_in.session.max_age, page.now),
        curl=shlex.join(command),
        # Managed login has a page of its own for it.
        changes_password=pool.domain is None,
        may_set_up=may_change(portal, page),
        has_credentials=shows and pool.configured.identity_pool_id is not None,
        aws=aws,
        aws_problem=aws_problem,
        after=f"{page.prefix}/sign_in?notice=signed_out",
    )


async def _aws(
    portal: Portal, page: PageRequest, session: Session
) -> tuple[ShownCredentials | None, str | None]:
    """Temporary credentials; or why there are none."""
    pool = portal.pages.pool(session.pool_id).configured
    if pool.identity_pool_id is None:
        return None, None
    try:
        given = await portal.credentials.of(pool, session.id_token, now=page.now)
    except (CredentialsRefused, CognitoUnavailable) as refusal:
        return None, refusal.detail
    return ShownCredentials(environment(given, pool.region), moment(given.expires, page.now)), None


def environment(given: Credentials, region: str) -> str:
    """One line for a shell. Pure."""
    variables = {
        "AWS_ACCESS_KEY_ID": given.access_key_id,
        "AWS_SECRET_ACCESS_KEY": given.secret_access_key,
        "AWS_SESSION_TOKEN": given.session_token,
        "AWS_REGION": region,
        # The AWS CLI of version 1 and older SDKs know this name alone.
        "AWS_DEFAULT_REGION": region,
    }
    return "export " + " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())


def names(session: Session, claims: Claims | None) -> tuple[str, str | None]:
    """What to call the person, and a second line that tells them from others of that name. Pure."""
    every = {} if claims is None else claims.every
    known = [every.get(name) for name in ("name", "preferred_username", "email")]
    texts = [text for text in known if isinstance(text, str) and text.strip()]
    # The internal name is an UUID where one signs in with an address.
    first = texts[0] if texts else session.username
    email = every.get("email")
    return first, email if isinstance(email, str) and email != first else None


def moment(when: float, now: float) -> Moment:
    """In UTC: a server does not know where its reader is."""
    at = datetime.fromtimestamp(when, UTC)
    today = at.date() == datetime.fromtimestamp(now, UTC).date()
    text = at.strftime("%H:%M UTC" if today else "%d %b %Y, %H:%M UTC")
    return Moment(text, at.strftime("%Y-%m-%dT%H:%M:%SZ"), max(0, int(when - now)))
