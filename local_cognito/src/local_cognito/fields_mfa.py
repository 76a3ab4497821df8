"""Input shapes of multi-factor authentication, after botocore's service model (2016-04-18).

Data only; as in `fields`, members missing here are refused.
"""

from __future__ import annotations

from local_cognito.fields import FLAG, POOL_ID, SESSION, SMS_CONFIGURATION, TEXT, TOKEN, USER_ONLY, Fields
from local_cognito.shapes import Field

_OPTIONAL_TOKEN = Field(str, pattern=TOKEN.pattern, secret=True)
ASSOCIATE: Fields = {"AccessToken": _OPTIONAL_TOKEN, "Session": SESSION}
VERIFY: Fields = {
    **ASSOCIATE,
    "UserCode": Field(str, True, pattern=r"[0-9]+", minimum=6, maximum=6, secret=True),
    "FriendlyDeviceName": Field(str, maximum=131072),
}
_PREFERENCE = Field(dict, members={"Enabled": FLAG, "PreferredMfa": FLAG})
_PREFERENCES: Fields = {
    "SMSMfaSettings": _PREFERENCE,
    "SoftwareTokenMfaSettings": _PREFERENCE,
    "EmailMfaSettings": _PREFERENCE,
    "WebAuthnMfaSettings": Field(dict, members={"Enabled": FLAG}),
}
PREFER: Fields = {"AccessToken": TOKEN, **_PREFERENCES}
ADMIN_PREFER: Fields = {**USER_ONLY, **_PREFERENCES}
SET_CONFIG: Fields = {
    "UserPoolId": POOL_ID,
    "MfaConfiguration": Field(str, values=("OFF", "ON", "OPTIONAL")),
    "SmsMfaConfiguration": Field(
        dict, members={"SmsAuthenticationMessage": TEXT, "SmsConfiguration": SMS_CONFIGURATION}
    ),
    "SoftwareTokenMfaConfiguration": Field(dict, members={"Enabled": FLAG}),
    "WebAuthnConfiguration": Field(
        dict,
        members={
            "RelyingPartyId": Field(str, minimum=1, maximum=127),
            "UserVerification": Field(str, values=("required", "preferred")),
            "FactorConfiguration": Field(
                str, values=("SINGLE_FACTOR", "MULTI_FACTOR_WITH_USER_VERIFICATION")
            ),
        },
    ),
    "EmailMfaConfiguration": Field(dict, members={"Message": TEXT, "Subject": TEXT}),
}
