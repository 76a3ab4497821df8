"""STS GetCallerIdentity, for credentials that an identity pool issued.

Invariant: unlike anywhere else in this server, the signature is verified, since it proves the credentials.
"""

from __future__ import annotations

import hmac
from typing import Any

from local_cognito.errors import AwsError
from local_cognito.iam.sigv4 import Signed, access_key, check
from local_cognito.state import ACCOUNT, State

# AWS's session name in an identity pool's enhanced flow.
_SESSION = "CognitoIdentityCredentials"


def get_caller_identity(state: State, request: Signed, now: float) -> dict[str, Any]:
    credentials = state.credentials.get(access_key(request))
    role = state.roles.get(credentials.role) if credentials is not None else None
    token = request.headers.get("x-amz-security-token", "")
    if (
        credentials is None
        or role is None
        or not hmac.compare_digest(credentials.session_token.encode(), token.encode())
    ):
        raise AwsError("InvalidClientTokenId", "The security token included in the request is invalid.", 403)
    check(request, credentials.secret, now)
    if now >= credentials.expires:
        raise AwsError("ExpiredToken", "The security token included in the request is expired", 403)
    return {
        "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{role.name}/{_SESSION}",
        "UserId": f"{role.role_id}:{_SESSION}",
        "Account": ACCOUNT,
    }
