"""The return from Cognito's /logout: says what could not be done, and goes on to the destination.

Invariant: the cookie's content was sealed by this gateway, and is used once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway.http.answers import Answer
from gateway.pages import respond
from gateway.pages.return_to import return_path
from gateway.sessions.page_request import PageRequest
from gateway.texts import Text

if TYPE_CHECKING:
    from gateway.pages.portal import Portal

# The cookie's name without its prefix, and its life in seconds: Cognito redirects at once.
AFTER = "after"
LIFE = 300.0

SENTENCES = {
    "revoked": Text(
        "You are signed out of this site. Cognito could not be reached, so tokens copied from here stay "
        "valid until they expire."
    ),
    "everywhere": Text(
        "You are signed out of this site. Cognito did not end your other sessions: they remain active until "
        "they expire."
    ),
    "stored": Text(
        "The session store could not be reached: until it can, other servers of this site may accept a copy "
        "of your session's cookie."
    ),
}


def onward(page: PageRequest, wanted: str) -> str:
    """Return the destination; by default the sign-in page, with a notice."""
    return f"{page.prefix}/sign_in?notice=signed_out" if wanted == "/" else wanted


def come_back(portal: Portal, page: PageRequest) -> Answer | None:
    """Answer a browser that returns from /logout; None for any other request."""
    sealed = page.cookies.joined(AFTER)
    if sealed is None:
        return None
    page.set_cookies += page.cookies.clear_split(AFTER)
    data = portal.sealers.login.open(sealed, now=page.now, binding=AFTER.encode("ascii"))
    if data is None:
        return None
    after = json.loads(data)
    wanted = onward(page, return_path(after["return_to"]))
    if not after["unsaid"]:
        return respond.see_other(wanted)
    return what_is_left(portal, page, wanted, after["unsaid"])


def what_is_left(portal: Portal, page: PageRequest, wanted: str, unsaid: Sequence[str]) -> Answer:
    """Return the page that says what could not be done, and leads to `wanted`."""
    sentences = [SENTENCES[each] for each in unsaid if each in SENTENCES]
    return portal.pages.message(
        page, Text("Signed out here"), sentences, status=502, back=(Text("Continue"), wanted)
    )
