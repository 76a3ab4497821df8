"""`/oauth2/userinfo`: the caller's claims as JSON, for programs and for single-page apps.

Invariant: no token is in the answer, only what verified ones say.
"""

from __future__ import annotations

from gateway.errors import NoCredentials
from gateway.portal.page import PageRequest
from gateway.portal.portal import Portal
from gateway.proxy.answers import Answer, json_answer


async def userinfo(portal: Portal, page: PageRequest) -> Answer:
    principal = await portal.caller(page)
    if principal is None:
        raise NoCredentials
    return json_answer(principal.claims.every)
