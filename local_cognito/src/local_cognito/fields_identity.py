"""Input shapes of identity pools, after botocore's service model (2014-06-30), and of tags.

Data only; as in `fields`, members missing here are refused.
"""

from __future__ import annotations

from local_cognito.fields import FLAG, METADATA, PAGE, Fields
from local_cognito.shapes import Field

IDENTITY_POOL_ID = Field(str, True, minimum=1, maximum=55, pattern=r"[\w-]+:[0-9a-f-]+")
_ARN = Field(str, True, minimum=20, maximum=2048)
_PROVIDER = Field(
    dict,
    members={
        "ProviderName": Field(str, True, minimum=1, maximum=128, pattern=r"[\w._:/-]+"),
        "ClientId": Field(str, True, minimum=1, maximum=128, pattern=r"[\w_]+"),
        "ServerSideTokenCheck": FLAG,
    },
)
# Other providers (social, SAML, OIDC, developer) and the classic flow are not emulated.
_SETTINGS: Fields = {
    "IdentityPoolName": Field(str, True, minimum=1, maximum=128, pattern=r"[\w\s+=,.@-]+"),
    "AllowUnauthenticatedIdentities": Field(bool, True),
    "AllowClassicFlow": Field(bool, only=(False,)),
    "SupportedLoginProviders": Field(dict, only=({},)),
    "OpenIdConnectProviderARNs": Field(list, only=([],)),
    "SamlProviderARNs": Field(list, only=([],)),
    "CognitoIdentityProviders": Field(list, item=_PROVIDER),
    "IdentityPoolTags": METADATA,
}
CREATE_POOL: Fields = _SETTINGS
UPDATE_POOL: Fields = {**_SETTINGS, "IdentityPoolId": IDENTITY_POOL_ID}
POOL_ONLY: Fields = {"IdentityPoolId": IDENTITY_POOL_ID}
LIST_POOLS: Fields = {"MaxResults": Field(int, True, minimum=1, maximum=60), "NextToken": PAGE}

_RULE = Field(
    dict,
    members={
        "Claim": Field(str, True, minimum=1, maximum=64),
        "MatchType": Field(str, True, values=("Equals", "Contains", "StartsWith", "NotEqual")),
        "Value": Field(str, True, minimum=1, maximum=128),
        "RoleARN": _ARN,
    },
)
_MAPPING = Field(
    dict,
    members={
        "Type": Field(str, True, values=("Token", "Rules")),
        "AmbiguousRoleResolution": Field(str, values=("AuthenticatedRole", "Deny")),
        "RulesConfiguration": Field(
            dict, members={"Rules": Field(list, True, minimum=1, maximum=400, item=_RULE)}
        ),
    },
)
SET_ROLES: Fields = {
    **POOL_ONLY,
    "Roles": Field(dict, True, maximum=2, item=Field(str, minimum=20, maximum=2048)),
    "RoleMappings": Field(dict, maximum=10, item=_MAPPING),
}
_LOGINS = Field(dict, maximum=10, item=Field(str, maximum=50000, secret=True))
GET_ID: Fields = {
    **POOL_ONLY,
    "AccountId": Field(str, minimum=1, maximum=15, pattern=r"\d+"),
    "Logins": _LOGINS,
}
GET_CREDENTIALS: Fields = {
    "IdentityId": IDENTITY_POOL_ID,
    "Logins": _LOGINS,
    "CustomRoleArn": Field(str, minimum=20, maximum=2048),
}
TAG: Fields = {"ResourceArn": _ARN, "Tags": Field(dict, True, item=Field(str, maximum=256))}
UNTAG: Fields = {"ResourceArn": _ARN, "TagKeys": Field(list, True, item=Field(str, maximum=128))}
LIST_TAGS: Fields = {"ResourceArn": _ARN}
