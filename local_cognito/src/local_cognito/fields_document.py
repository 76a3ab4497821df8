"""Input shapes of client ID metadata documents, after botocore's service model (2016-04-18).

Data only; as in `fields`, members missing here are refused.
"""

from __future__ import annotations

from local_cognito.fields import CLIENT_ID, PAGE, POOL_ID, Fields
from local_cognito.shapes import Field

_NAME = r"[^\x00-\x1f\x7f]+"
_ID = Field(str, True, pattern=r"[a-z0-9]+", minimum=1, maximum=64)
_PATTERN = Field(str, pattern=r"https://[!$-;=@-\[\]_a-z~]+", minimum=12, maximum=256)
_SETTINGS: Fields = {
    "UserPoolId": POOL_ID,
    "ClientId": CLIENT_ID,
    "CacheDuration": Field(int, minimum=86400, maximum=31556952),
    "URLPatterns": Field(list, True, minimum=1, maximum=5, item=_PATTERN),
}
CREATE: Fields = {**_SETTINGS, "PolicyName": Field(str, True, pattern=_NAME, minimum=1, maximum=32)}
ONE: Fields = {"UserPoolId": POOL_ID, "CIMDPolicyId": _ID}
UPDATE: Fields = {**_SETTINGS, **ONE, "PolicyName": Field(str, pattern=_NAME, minimum=1, maximum=32)}
LIST: Fields = {
    "UserPoolId": POOL_ID,
    "NextToken": PAGE,
    "MaxResults": Field(int, minimum=1, maximum=60),
}
LIST_URLS: Fields = {**LIST, "CIMDPolicyId": _ID}
UPDATE_URL: Fields = {
    **ONE,
    "URL": Field(str, True, pattern=r"https://[^\s]+", minimum=12, maximum=256),
    "Action": Field(str, True, values=("REFRESH", "INVALIDATE")),
}
