"""`/oauth2/credentials`: temporary AWS credentials of whoever is signed in, or brings an ID token.

Invariant: credentials go only to who shows, at that moment, the valid ID token they were given for, and to
nobody of whom it is known that Cognito does not stand by them any more.
"""

from __future__ import annotations

from datetime import UTC, datetime

from gateway.config.model import UserPool
from gateway.errors import NoCredentials, NotAnIdToken, WrongTokenUse
from gateway.portal.page import PageRequest
from gateway.portal.portal import Portal
from gateway.proxy.answers import Answer, json_answer
from gateway.verify.bearer import bearer_token


async def credentials(portal: Portal, page: PageRequest) -> Answer:
    """In the form that the AWS CLI's credential_process reads, with the identity besides."""
    pool, id_token = await _proven(portal, page)
    given = await portal.credentials.of(pool, id_token, now=page.now)
    return json_answer(
        {
            "Version": 1,
            "AccessKeyId": given.access_key_id,
            "SecretAccessKey": given.secret_access_key,
            "SessionToken": given.session_token,
            "Expiration": datetime.fromtimestamp(given.expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "IdentityId": given.identity_id,
        }
    )


async def _proven(portal: Portal, page: PageRequest) -> tuple[UserPool, str]:
    """The caller's pool and ID token, verified just now: from the Authorization header, else the session."""
    portal.need_pool()
    authorization = page.request.credentials
    if not authorization:
        claims = await portal.id_claims(page)
        pool = None if claims is None else portal.pool(claims.pool_id)
        if page.session is None or pool is None:
            raise NoCredentials
        return pool, page.session.id_token
    try:
        pool = await portal.pool_of_id_token(page)
    except WrongTokenUse as refusal:
        raise NotAnIdToken(str(refusal)) from None
    return pool, bearer_token(authorization).decode("ascii")
