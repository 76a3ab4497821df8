"""`/`: the portal. Shows who is signed in and until when, the access token, AWS credentials and sign-out.

Without a user pool it says what is missing and links to the set-up form. Invariant: a token is shown only on
the page of its own session, only after our own form was submitted by a person (routes.shown), and no browser
stores the page (respond.guarded).
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gateway.errors import CognitoUnavailable, CredentialsRefused, NavigationOnly
from gateway.http.answers import Answer
from gateway.http.navigation import shown_to_a_person
from gateway.pages import signed_out
from gateway.pages.badge import CONNECTED, NOT_CONNECTED
from gateway.pages.example_route import example_path
from gateway.pages.providers import is_federated
from gateway.pages.recent import may_manage
from gateway.pages.respond import see_other
from gateway.pages.setup_admin import may_change
from gateway.sessions.page_request import PageRequest
from gateway.sessions.session import Session
from gateway.texts import Text
from gateway.tokens.claims import Claims

if TYPE_CHECKING:
    from gateway.aws.identity_pool import Credentials
    from gateway.pages.portal import Portal

NOTICES = {
    "changed": Text("Your password is changed, and you are signed out everywhere else."),
    "everywhere": Text("Your password is changed, and you are signed out everywhere else."),
    "changed_here": Text("Your password is changed. Your other sessions remain active until they expire."),
}


@dataclass(frozen=True, slots=True)
class Moment:
    """A time as a page shows it; `seconds` counts from when the page was rendered."""

    text: str
    iso: str
    seconds: int


@dataclass(frozen=True, slots=True)
class ShownCredentials:
    """Temporary AWS credentials as a page shows them."""

    env: str = field(repr=False)
    ends: Moment


async def show(portal: Portal, page: PageRequest) -> Answer:
    """Handle GET. The page contains no token, since any script of the API's pages can fetch it; except once,
    after `reveal`, in a window."""
    if not portal.config.cognito.sign_in_pools:
        badge = replace(NOT_CONNECTED, link=True)
        return await portal.pages.show(page, "unconfigured", Text("Not connected yet"), badge=badge)
    if page.session is None or page.principal is None:
        return signed_out.come_back(portal, page) or see_other(page.prefix + "/sign_in")
    asked = (
        page.outcome is not None and not page.outcome.refused and shown_to_a_person(page.request, page.origin)
    )
    return await _portal(portal, page, page.session, reveals=page.form.get("show", "") if asked else "")


async def reveal(portal: Portal, page: PageRequest) -> Answer:
    """Handle POST: redirect to the same page, which shows once what the field `show` names, `token` or
    `credentials`."""
    portal.need_pool()
    if page.session is None or page.principal is None:
        return see_other(page.prefix + "/sign_in?notice=ended")
    if not portal.config.sign_in.show_tokens:
        raise NavigationOnly("sign_in.show_tokens is false")
    return portal.pages.after_post(page)


async def _portal(portal: Portal, page: PageRequest, session: Session, *, reveals: str = "") -> Answer:
    claims = await portal.id_claims(page)
    name, second = names(session, claims)
    aws, aws_problem = await _aws(portal, page, session) if reveals == "credentials" else (None, None)
    pool = portal.pages.pool(session.pool_id)
    groups = page.principal.claims.groups if page.principal is not None else ()
    token = session.access if reveals == "token" else None
    path = "/" if token is None else _example(portal, page)
    command = ["curl", "-H", f"Authorization: Bearer {token}", page.origin + path]
    shows = portal.config.sign_in.show_tokens
    return await portal.pages.show(
        page,
        "portal",
        Text("Your account"),
        badge=replace(CONNECTED, link=may_change(portal, page)),
        notice=NOTICES.get(page.query.get("notice", "")),
        name=name,
        second=second,
        initial=initial(name),
        pool=session.pool_id,
        base_url=page.origin,
        groups=groups,
        has_token=shows,
        token=token,
        token_ends=moment(session.expires, page.now),
        session_ends=moment(session.created + portal.config.sign_in.session.max_age, page.now),
        curl=shlex.join(command),
        # Managed login has its own page for it.
        changes_password=not pool.managed and not is_federated(claims),
        has_account=may_manage(page),
        may_set_up=may_change(portal, page),
        has_credentials=shows and pool.configured.identity_pool_id is not None,
        aws=aws,
        aws_problem=aws_problem,
        after=f"{page.prefix}/sign_in?notice=signed_out",
    )


def _example(portal: Portal, page: PageRequest) -> str:
    assert page.principal is not None, "the portal is shown to signed-in users"
    return example_path(portal.config.routes, portal.route_table, page.principal, page.now)


async def _aws(
    portal: Portal, page: PageRequest, session: Session
) -> tuple[ShownCredentials | None, Text | None]:
    """Return temporary credentials, or why there are none."""
    pool = portal.pages.pool(session.pool_id).configured
    if pool.identity_pool_id is None:
        return None, None
    try:
        given = await portal.credentials.of(pool, session.id_token, now=page.now)
    except (CredentialsRefused, CognitoUnavailable) as refusal:
        return None, Text.of(refusal.detail)
    return ShownCredentials(environment(given, pool.region), moment(given.expires, page.now)), None


def environment(given: Credentials, region: str) -> str:
    """Return the credentials as one line for a shell. Pure."""
    variables = {
        "AWS_ACCESS_KEY_ID": given.access_key_id,
        "AWS_SECRET_ACCESS_KEY": given.secret_access_key,
        "AWS_SESSION_TOKEN": given.session_token,
        "AWS_REGION": region,
        # AWS CLI 1 and older SDKs read this name only.
        "AWS_DEFAULT_REGION": region,
    }
    return "export " + " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())


def names(session: Session, claims: Claims | None) -> tuple[str, str | None]:
    """Return the person's name, and a second line that distinguishes namesakes. Pure."""
    every = {} if claims is None else claims.every
    known = [every.get(name) for name in ("name", "preferred_username", "email")]
    texts = [text for text in known if isinstance(text, str) and text.strip()]
    # The username is a UUID where users sign in with an address.
    first = texts[0] if texts else session.username
    email = every.get("email")
    return first, email if isinstance(email, str) and email != first else None


def initial(name: str) -> str:
    """Return the letter that stands for the person: the first letter or digit of the name. Pure."""
    return next((character for character in name if character.isalnum()), "?").upper()


def moment(when: float, now: float) -> Moment:
    """Return a time as text in UTC: the server does not know its reader's time zone."""
    at = datetime.fromtimestamp(when, UTC)
    today = at.date() == datetime.fromtimestamp(now, UTC).date()
    text = at.strftime("%H:%M UTC" if today else "%d %b %Y, %H:%M UTC")
    return Moment(text, at.strftime("%Y-%m-%dT%H:%M:%SZ"), max(0, int(when - now)))
