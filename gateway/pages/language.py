"""`/language`: the reader chooses the language of the pages, and this browser remembers it.

Invariant: the cookie contains one of the configured languages, and the answer leads to a page of ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.http.answers import Answer
from gateway.pages.negotiation import COOKIE
from gateway.pages.respond import see_other
from gateway.pages.return_to import page_wanted
from gateway.sessions.page_request import PageRequest

if TYPE_CHECKING:
    from gateway.pages.portal import Portal

# Seconds: browsers keep no cookie for longer than 400 days (RFC 6265bis section 5.5).
_LIFE = 400 * 86400.0


async def show(portal: Portal, page: PageRequest) -> Answer:
    """Handle GET, after a form that had expired: go back to its page."""
    del portal
    return see_other(_back(page, page.query.get("return_to")))


async def choose(portal: Portal, page: PageRequest) -> Answer:
    """Handle POST: remember the language, and go back to the page."""
    chosen = page.form.get("language")
    if chosen in portal.pages.look.languages and chosen is not None:
        page.set_cookies.append(page.cookies.set(COOKIE, chosen, max_age=_LIFE))
    return see_other(_back(page, page.form.get("return_to")))


def _back(page: PageRequest, wanted: str | None) -> str:
    """Return the page to go back to. What begins with our prefix is never forwarded to the API."""
    safe = page_wanted(wanted)
    return safe if safe.startswith(f"{page.prefix}/") else f"{page.prefix}/"
