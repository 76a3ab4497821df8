"""`/oauth2/userinfo`: the caller's claims as JSON, for programs and single-page apps.

Invariant: the answer contains no token, only claims of verified ones.
"""

from __future__ import annotations

from gateway.errors import NoCredentials
from gateway.http.answers import Answer, json_answer
from gateway.pages.portal import Portal
from gateway.sessions.page_request import PageRequest

# Claims that bind an ID token to its sign-in and say nothing about the user.
_OF_THE_TOKEN = frozenset({"at_hash", "nonce"})


async def userinfo(portal: Portal, page: PageRequest) -> Answer:
    """Handle GET: return the caller's claims. Raises Refusal."""
    principal = await portal.caller(page)
    if principal is None:
        raise NoCredentials
    page.request.principal = principal
    claims = dict(principal.claims.every)
    about = None if page.request.credentials else await portal.id_claims(page)
    if about is not None:
        # The ID token adds the e-mail address and the like; on conflict the access token wins.
        extra = {name: value for name, value in about.every.items() if name not in _OF_THE_TOKEN}
        claims = extra | claims
    return json_answer(claims)
