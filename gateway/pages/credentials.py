"""`/oauth2/credentials`: temporary AWS credentials for a signed-in user or for an ID token.

Invariant: credentials go only to a caller who presents, in this request, the valid ID token they were issued
for, and never to a user whose sign-in is known to be revoked.
"""

from __future__ import annotations

from datetime import UTC, datetime

from gateway.aws.values import ROLE_ARN
from gateway.config.model import UserPool
from gateway.errors import CredentialsRefused, NavigationOnly, NoCredentials, NotAnIdToken, WrongTokenUse
from gateway.http.answers import Answer, json_answer
from gateway.pages.portal import Portal
from gateway.sessions.page_request import PageRequest
from gateway.tokens.bearer import bearer_token


async def credentials(portal: Portal, page: PageRequest) -> Answer:
    """Handle GET with a bearer ID token: the format of the AWS CLI's credential_process, plus the identity
    ID.

    A session is not enough: any script on the API's pages could send it."""
    portal.need_pool()
    authorization = page.request.credentials
    if not authorization:
        raise NoCredentials if page.session is None else NavigationOnly("a session's credentials, by GET")
    try:
        pool = await portal.pool_of_id_token(page)
    except WrongTokenUse as refusal:
        raise NotAnIdToken(str(refusal)) from None
    return await _given(portal, page, pool, bearer_token(authorization).decode("ascii"))


async def of_the_session(portal: Portal, page: PageRequest) -> Answer:
    """Handle POST from our own form, for the session's user."""
    portal.need_pool()
    claims = await portal.id_claims(page)
    pool = None if claims is None else portal.pool(claims.pool_id)
    if page.session is None or pool is None:
        raise NoCredentials
    if not portal.config.sign_in.show_tokens:
        raise NavigationOnly("sign_in.show_tokens is false")
    return await _given(portal, page, pool, page.session.id_token)


async def _given(portal: Portal, page: PageRequest, pool: UserPool, id_token: str) -> Answer:
    """Return the credentials of an ID token verified just now. AWS checks `?role=` against
    `cognito:roles`."""
    role = page.query.get("role")
    if role is not None and ROLE_ARN.fullmatch(role) is None:
        raise CredentialsRefused("role is not the ARN of an IAM role")
    given = await portal.credentials.of(pool, id_token, role=role, now=page.now)
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
