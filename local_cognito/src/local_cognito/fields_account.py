"""Input shapes of the operations on a user's own account, after botocore's service model (2016-04-18).

Data only; as in `fields`, members missing here are refused.
"""

from __future__ import annotations

from local_cognito.fields import (
    ATTRIBUTES,
    CLIENT_ID,
    CONTEXT,
    METADATA,
    NEW_PASSWORD,
    PASSWORD,
    SESSION,
    TOKEN,
    USER_CONTEXT,
    USER_ONLY,
    USERNAME,
    Fields,
)
from local_cognito.fields_device import DEVICE_KEY
from local_cognito.shapes import Field

_SECRET_HASH = Field(str, pattern=r"[\w+=/]+", minimum=1, maximum=128, secret=True)
_CODE = Field(str, True, pattern=r"[\S]+", minimum=1, maximum=2048, secret=True)
_ATTRIBUTE_NAME = Field(str, True, minimum=1, maximum=32)

_NAMED: Fields = {
    **CONTEXT,
    "ClientId": CLIENT_ID,
    "SecretHash": _SECRET_HASH,
    "Username": USERNAME,
    "UserContextData": USER_CONTEXT,
}
SIGN_UP: Fields = {
    **_NAMED,
    "Password": PASSWORD,
    "UserAttributes": ATTRIBUTES,
    "ValidationData": ATTRIBUTES,
}
CONFIRM_SIGN_UP: Fields = {
    **_NAMED,
    "ConfirmationCode": _CODE,
    "ForceAliasCreation": Field(bool),
    "Session": SESSION,
}
RESEND: Fields = _NAMED
FORGOT: Fields = _NAMED
CONFIRM_FORGOT: Fields = {**_NAMED, "ConfirmationCode": _CODE, "Password": NEW_PASSWORD}
CHANGE_PASSWORD: Fields = {
    "AccessToken": TOKEN,
    "PreviousPassword": PASSWORD,
    "ProposedPassword": NEW_PASSWORD,
}
USER_AND_METADATA: Fields = {**USER_ONLY, "ClientMetadata": METADATA}
_SOME_ATTRIBUTES = Field(list, True, item=ATTRIBUTES.item)
UPDATE_ATTRIBUTES: Fields = {
    "AccessToken": TOKEN,
    "UserAttributes": _SOME_ATTRIBUTES,
    "ClientMetadata": METADATA,
}
ADMIN_UPDATE_ATTRIBUTES: Fields = {**USER_AND_METADATA, "UserAttributes": _SOME_ATTRIBUTES}
DELETE_ATTRIBUTES: Fields = {
    "AccessToken": TOKEN,
    "UserAttributeNames": Field(list, True, item=Field(str, minimum=1, maximum=32)),
}
ASK_ATTRIBUTE_CODE: Fields = {
    "AccessToken": TOKEN,
    "AttributeName": _ATTRIBUTE_NAME,
    "ClientMetadata": METADATA,
}
VERIFY_ATTRIBUTE: Fields = {"AccessToken": TOKEN, "AttributeName": _ATTRIBUTE_NAME, "Code": _CODE}
GET_TOKENS: Fields = {
    "RefreshToken": TOKEN,
    "ClientId": CLIENT_ID,
    "ClientSecret": Field(str, pattern=r"[\w+]+", minimum=24, maximum=64, secret=True),
    "DeviceKey": Field(str, pattern=DEVICE_KEY.pattern, minimum=1, maximum=55),
    "ClientMetadata": METADATA,
}
