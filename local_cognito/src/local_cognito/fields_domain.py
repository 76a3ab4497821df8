"""Input shapes of domains and resource servers, after botocore's service model (2016-04-18).

Data only; as in `fields`, members missing here are refused.
"""

from __future__ import annotations

from local_cognito.fields import PAGE, POOL_ID, Fields
from local_cognito.shapes import Field

_DOMAIN = Field(str, True, minimum=1, maximum=63, pattern=r"[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?")
CREATE_DOMAIN: Fields = {
    "UserPoolId": POOL_ID,
    "Domain": _DOMAIN,
    "ManagedLoginVersion": Field(int, minimum=1, maximum=2),
}
DESCRIBE_DOMAIN: Fields = {"Domain": _DOMAIN}
DELETE_DOMAIN: Fields = {"UserPoolId": POOL_ID, "Domain": _DOMAIN}

_IDENTIFIER = Field(str, True, minimum=1, maximum=256, pattern=r"[\x21\x23-\x5B\x5D-\x7E]+")
RESOURCE_SERVER_ONLY: Fields = {"UserPoolId": POOL_ID, "Identifier": _IDENTIFIER}
RESOURCE_SERVER: Fields = {
    **RESOURCE_SERVER_ONLY,
    "Name": Field(str, True, minimum=1, maximum=256, pattern=r"[\w\s+=,.@-]+"),
    "Scopes": Field(
        list,
        maximum=100,
        item=Field(
            dict,
            members={
                "ScopeName": Field(
                    str, True, minimum=1, maximum=256, pattern=r"[\x21\x23-\x2E\x30-\x5B\x5D-\x7E]+"
                ),
                "ScopeDescription": Field(str, True, minimum=1, maximum=256),
            },
        ),
    ),
}
LIST_RESOURCE_SERVERS: Fields = {
    "UserPoolId": POOL_ID,
    "MaxResults": Field(int, minimum=1, maximum=50),
    "NextToken": PAGE,
}
