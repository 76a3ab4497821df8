"""Input shapes of sessions and machines' tokens, after botocore's service model (2016-04-18).

Data only; as in `fields`, members missing here are refused.
"""

from __future__ import annotations

from local_cognito.fields import CLIENT_ID, CLIENT_ONLY, METADATA, PAGE, POOL_ID, TOKEN, USER_ONLY, Fields
from local_cognito.shapes import Field

_SESSION_ID = Field(str, True, pattern=r"(tkn|sso)[a-z0-9]{25}", minimum=28, maximum=28)
_ONE: Fields = {
    "SessionId": _SESSION_ID,
    "RevokeAssociatedSessions": Field(str, values=("NONE", "LINKED")),
}
LIST: Fields = {"AccessToken": TOKEN, "NextToken": PAGE}
REVOKE: Fields = {"AccessToken": TOKEN, **_ONE}
ADMIN_LIST: Fields = {**USER_ONLY, "NextToken": PAGE}
ADMIN_REVOKE: Fields = {**USER_ONLY, **_ONE}
SET_POOL: Fields = {
    "UserPoolId": POOL_ID,
    "UserSessionTracking": Field(str, True, values=("ENABLED", "DISABLED")),
    "TokenSession": Field(dict, True, members={"MaxPerUser": Field(int, True, minimum=1, maximum=100)}),
}
SET_CLIENT: Fields = {
    **CLIENT_ONLY,
    "SSOSession": Field(
        dict, True, members={"MaxValidityMinutes": Field(int, True, minimum=0, maximum=129600)}
    ),
}
CLIENT_TOKEN: Fields = {
    "ClientId": CLIENT_ID,
    "Secret": Field(str, True, pattern=r"[\w+]+", minimum=24, maximum=64, secret=True),
    "Scopes": Field(list, maximum=50, item=Field(str, minimum=1, maximum=256)),
    "ClientMetadata": METADATA,
}
