"""Input shapes of identity providers, after botocore's service model (2016-04-18).

Data only; as in `fields`, members missing here are refused.
"""

from __future__ import annotations

from local_cognito.fields import PAGE, POOL_ID, Fields
from local_cognito.shapes import Field

TYPES = ("SAML", "Facebook", "Google", "LoginWithAmazon", "SignInWithApple", "OIDC")
_NAME = Field(str, True, minimum=1, maximum=32, pattern=r"[^_\s][^\s\x00-\x1f\x7f]*[^_\s]")
_TEXTS = Field(dict, item=Field(str, maximum=131072))
CREATE: Fields = {
    "UserPoolId": POOL_ID,
    "ProviderName": _NAME,
    "ProviderType": Field(str, True, values=TYPES),
    "ProviderDetails": Field(dict, True, item=Field(str, maximum=131072)),
    "AttributeMapping": _TEXTS,
}
ONE: Fields = {"UserPoolId": POOL_ID, "ProviderName": _NAME}
LIST: Fields = {
    "UserPoolId": POOL_ID,
    "MaxResults": Field(int, minimum=0, maximum=60),
    "NextToken": PAGE,
}
