"""The cookies of a session: one says which session the browser has, others hold that session's ticket. Pure.

Responses overtake each other: one that was decided before a sign-out, or before another person's sign-in, may
reach the browser after it. So the name of the browser's session stands in a cookie that a sign-in sets, a
sign-out clears and nothing else touches; and a ticket's cookies carry the session's name in their own names.

Invariant: what a renewal sends continues the session whose name it carries, or nothing: it replaces no cookie
of another session, and without the first cookie it is not looked at.
"""

from __future__ import annotations

from gateway.sessions.cookies import Cookies
from gateway.sessions.session import Session

# Behind the prefix: `session` names the session, `session_NAME` and `session_NAME_1`, … hold its ticket.
COOKIE = "session"
# A client can name thousands in one head; of ours there are two or three, of two parts each.
_MOST_CLEARED = 40
# Hexadecimal signs of the session's ID: 64 bits, so that no two sessions of a browser share one.
_NAME = 16


def name_of(session: Session) -> str:
    return session.id[:_NAME]


def sent(cookies: Cookies) -> tuple[str, str] | None:
    """The name of the session that the browser has, and its ticket; None where either is missing."""
    name = cookies.get(COOKIE)
    ticket = None if not name else cookies.joined(f"{COOKIE}_{name}")
    return None if name is None or ticket is None else (name, ticket)


def begun(cookies: Cookies, session: Session, ticket: str, *, max_age: float) -> list[bytes]:
    """Set-Cookie lines of a sign-in: this is the browser's session now, and what it had before goes."""
    name = name_of(session)
    lines = _cleared(cookies, keep=f"{COOKIE}_{name}")
    lines.append(cookies.set(COOKIE, name, max_age=max_age))
    return lines + cookies.set_split(f"{COOKIE}_{name}", ticket, max_age=max_age)


def renewed(cookies: Cookies, session: Session, ticket: str, *, max_age: float) -> list[bytes]:
    """Set-Cookie lines of a renewal: another ticket of the same session."""
    return cookies.set_split(f"{COOKIE}_{name_of(session)}", ticket, max_age=max_age)


def ended(cookies: Cookies) -> list[bytes]:
    """Set-Cookie lines of a sign-out: all that the browser has of any session."""
    return [cookies.clear(name) for name in cookies.names(COOKIE)[:_MOST_CLEARED]]


def left_over(cookies: Cookies, *, dead: str | None = None) -> list[bytes]:
    """Set-Cookie lines that clear tickets of sessions which are not the browser's any more, and of the one
    named `dead`. Harmless whenever they arrive: a later sign-in has another name."""
    current = cookies.get(COOKIE)
    keep = None if current is None or current == dead else f"{COOKIE}_{current}"
    return _cleared(cookies, keep=keep)


def _cleared(cookies: Cookies, *, keep: str | None) -> list[bytes]:
    every = cookies.names(f"{COOKIE}_")
    others = [each for each in every if keep is None or not _part_of(each, keep)]
    return [cookies.clear(each) for each in others[:_MOST_CLEARED]]


def _part_of(cookie: str, first: str) -> bool:
    return cookie == first or cookie.startswith(first + "_")
