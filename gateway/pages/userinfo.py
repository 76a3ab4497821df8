"""`/oauth2/userinfo`: the caller's claims as JSON, for programs and for single-page apps.

Invariant: no token is in the answer, only what verified ones say.
"""

from __future__ import annotations

from gateway.errors import NoCredentials
from gateway.http.answers import Answer, json_answer
from gateway.pages.portal import Portal
from gateway.sessions.page_request import PageRequest

# Of the ID token alone: what bound it to its sign-in tells nobody who the user is.
_OF_THE_TOKEN = frozenset({"at_hash", "nonce"})


async def userinfo(portal: Portal, page: PageRequest) -> Answer:
    principal = await portal.caller(page)
    if principal is None:
        raise NoCredentials
    page.request.principal = principal
    claims = dict(principal.claims.every)
    about = None if page.request.credentials else await portal.id_claims(page)
    if about is not None:
        # The ID token knows the e-mail address and the like; where both speak, the token that opens the API.
        extra = {name: value for name, value in about.every.items() if name not in _OF_THE_TOKEN}
        claims = extra | claims
    return json_answer(claims)
