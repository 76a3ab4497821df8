"""The cookies of a session: one names the browser's session, others hold that session's ticket. Pure.

Responses may overtake each other: one decided before a sign-out, or before another user's sign-in, may reach
the browser after it. So one cookie, set by a sign-in and cleared by a sign-out only, holds the name of the
browser's session, and the cookies of a ticket carry the session's name in their own names.

Invariant: what a renewal sends continues the session whose name it carries, or nothing: it replaces no cookie
of another session, and without the first cookie it is ignored.
"""

from __future__ import annotations

from gateway.sessions.cookies import Cookies
from gateway.sessions.session import Session

# After the prefix: `session` names the session; `session_NAME` and `session_NAME_1`, … hold its ticket.
COOKIE = "session"
# A client can name thousands of cookies in one head; ours are two or three, of two parts each.
_MOST_CLEARED = 40
# Hexadecimal digits of the session's ID: 64 bits, so that no two sessions of a browser share one.
_NAME = 16


def name_of(session: Session) -> str:
    return session.id[:_NAME]


def sent(cookies: Cookies) -> tuple[str, str] | None:
    """Return the name of the browser's session and its ticket; None if either is missing."""
    name = cookies.get(COOKIE)
    ticket = None if not name else cookies.joined(f"{COOKIE}_{name}")
    return None if name is None or ticket is None else (name, ticket)


def begun(cookies: Cookies, session: Session, ticket: str, *, max_age: float) -> list[bytes]:
    """Return the Set-Cookie lines of a sign-in: they set the session and clear the previous one."""
    name = name_of(session)
    lines = _cleared(cookies, keep=f"{COOKIE}_{name}")
    lines.append(cookies.set(COOKIE, name, max_age=max_age))
    return lines + cookies.set_split(f"{COOKIE}_{name}", ticket, max_age=max_age)


def renewed(cookies: Cookies, session: Session, ticket: str, *, max_age: float) -> list[bytes]:
    """Return the Set-Cookie lines of a renewal: a new ticket for the same session."""
    return cookies.set_split(f"{COOKIE}_{name_of(session)}", ticket, max_age=max_age)


def ended(cookies: Cookies) -> list[bytes]:
    """Return the Set-Cookie lines of a sign-out: they clear every session cookie of the browser."""
    return [cookies.clear(name) for name in cookies.names(COOKIE)[:_MOST_CLEARED]]


def left_over(cookies: Cookies, *, dead: str | None = None) -> list[bytes]:
    """Return Set-Cookie lines that clear tickets of other sessions than the browser's, and of `dead`.

    They are harmless whenever they arrive: a later sign-in has another name.
    """
    current = cookies.get(COOKIE)
    keep = None if current is None or current == dead else f"{COOKIE}_{current}"
    return _cleared(cookies, keep=keep)


def _cleared(cookies: Cookies, *, keep: str | None) -> list[bytes]:
    every = cookies.names(f"{COOKIE}_")
    others = [each for each in every if keep is None or not _part_of(each, keep)]
    return [cookies.clear(each) for each in others[:_MOST_CLEARED]]


def _part_of(cookie: str, first: str) -> bool:
    return cookie == first or cookie.startswith(first + "_")
