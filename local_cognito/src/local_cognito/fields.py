"""Input shapes of the operations, after botocore's service model (2016-04-18).

Data only. Members of the model that are missing here have no effect in this emulator and are refused.
"""

from __future__ import annotations

from collections.abc import Mapping

from local_cognito.shapes import Field

Fields = Mapping[str, Field]

# Python's re has no \p{..}: [\p{L}\p{M}\p{S}\p{N}\p{P}] is any character but spaces and controls here.
_PRINTABLE = r"[^\s\x00-\x1f\x7f]+"

TEXT = Field(str)
FLAG = Field(bool)
FREE = Field(dict)
METADATA = Field(dict, item=Field(str))
_EMAIL_PHONE = ("phone_number", "email")

POOL_ID = Field(str, True, pattern=r"[\w-]+_[0-9a-zA-Z]+", minimum=1, maximum=55)
CLIENT_ID = Field(str, True, pattern=r"[\w+]+", minimum=1, maximum=128)
USERNAME = Field(str, True, pattern=_PRINTABLE, minimum=1, maximum=128)
GROUP_NAME = USERNAME
# Developer guide, "Adding user pool password requirements": spaces only inside a password.
_PATTERN = r"^[\S]+.*[\S]+$"
PASSWORD = Field(str, pattern=_PATTERN, maximum=256, secret=True)
NEW_PASSWORD = Field(str, True, pattern=_PATTERN, maximum=256, secret=True)
TOKEN = Field(str, True, pattern=r"[A-Za-z0-9-_=.]+", secret=True)
SESSION = Field(str, minimum=20, maximum=4096, secret=True)
NAME = Field(str, True, pattern=r"[\w\s+=,.@-]+", minimum=1, maximum=128)
PAGE = Field(str, minimum=1, pattern=r"[\S]+")
_SECRETS = Field(dict, item=Field(str, secret=True))

_PASSWORD_POLICY = Field(
    dict,
    members={
        "MinimumLength": Field(int, minimum=6, maximum=99),
        "RequireUppercase": FLAG,
        "RequireLowercase": FLAG,
        "RequireNumbers": FLAG,
        "RequireSymbols": FLAG,
        "PasswordHistorySize": Field(int, only=(0,)),
        "TemporaryPasswordValidityDays": Field(int, minimum=0, maximum=365),
    },
)
_SIGN_IN_POLICY = Field(
    dict,
    members={
        "AllowedFirstAuthFactors": Field(
            list,
            minimum=1,
            maximum=5,
            item=Field(str, values=("PASSWORD", "EMAIL_OTP", "SMS_OTP", "WEB_AUTHN")),
        )
    },
)

_SCHEMA_ATTRIBUTE = Field(
    dict,
    members={
        "Name": Field(str, True, pattern=_PRINTABLE, minimum=1, maximum=20),
        "AttributeDataType": Field(str, values=("String", "Number", "DateTime", "Boolean")),
        "DeveloperOnlyAttribute": Field(bool, only=(False,)),
        "Mutable": FLAG,
        "Required": FLAG,
        "NumberAttributeConstraints": FREE,
        "StringAttributeConstraints": FREE,
    },
)

SMS_CONFIGURATION = Field(
    dict, members={"SnsCallerArn": Field(str, True), "ExternalId": TEXT, "SnsRegion": TEXT}
)

_ACR_VALUE = Field(str, True, pattern=r"[\x21\x23-\x5B\x5D-\x7E]+", minimum=1, maximum=64)
_ACR_LEVEL = Field(dict, members={"AcrValue": _ACR_VALUE})

_GRANTS = Field(list, maximum=3, item=Field(str, values=("code", "implicit", "client_credentials")))
_DCR = {
    "EnableStatus": Field(str, values=("Enabled", "Disabled")),
    "OpenDcrEnabled": FLAG,
    "AuthenticatedGrantTypes": _GRANTS,
    "OpenDcrGrantTypes": _GRANTS,
    "AllowedScopes": Field(list, maximum=50, item=Field(str, minimum=1, maximum=256)),
}

# Members about the look and origin of mail are stored and returned; no mail is sent.
_POOL_SETTINGS: dict[str, Field] = {
    "Policies": Field(dict, members={"PasswordPolicy": _PASSWORD_POLICY, "SignInPolicy": _SIGN_IN_POLICY}),
    "DeletionProtection": Field(str, values=("ACTIVE", "INACTIVE")),
    "LambdaConfig": Field(dict, only=({},)),
    "AutoVerifiedAttributes": Field(list, item=Field(str, values=_EMAIL_PHONE)),
    "EmailVerificationMessage": TEXT,
    "EmailVerificationSubject": TEXT,
    "SmsVerificationMessage": TEXT,
    "SmsAuthenticationMessage": TEXT,
    "VerificationMessageTemplate": FREE,
    "MfaConfiguration": Field(str, values=("OFF", "ON", "OPTIONAL")),
    "SmsConfiguration": SMS_CONFIGURATION,
    "UserAttributeUpdateSettings": Field(
        dict,
        members={
            "AttributesRequireVerificationBeforeUpdate": Field(list, item=Field(str, values=_EMAIL_PHONE))
        },
    ),
    "EmailConfiguration": FREE,
    "UserPoolTags": METADATA,
    "AdminCreateUserConfig": Field(
        dict,
        members={
            "AllowAdminCreateUserOnly": FLAG,
            "UnusedAccountValidityDays": Field(int, minimum=0, maximum=365),
            "InviteMessageTemplate": FREE,
        },
    ),
    "AccountRecoverySetting": Field(
        dict,
        members={
            "RecoveryMechanisms": Field(
                list,
                minimum=1,
                maximum=2,
                item=Field(
                    dict,
                    members={
                        "Priority": Field(int, True, minimum=1, maximum=2),
                        "Name": Field(
                            str, True, values=("verified_email", "verified_phone_number", "admin_only")
                        ),
                    },
                ),
            )
        },
    ),
    # Issuers here are this server's address, in AWS's original form.
    "IssuerConfiguration": Field(
        dict, members={"Type": Field(str, True, values=("ORIGINAL", "UPDATED"), only=("ORIGINAL",))}
    ),
    "AcrConfiguration": Field(dict, members={f"Level{level}": _ACR_LEVEL for level in range(1, 5)}),
    "DcrConfiguration": Field(dict, members=_DCR),
    "UserPoolTier": Field(str, values=("LITE", "ESSENTIALS", "PLUS")),
    "DeviceConfiguration": Field(
        dict, members={"ChallengeRequiredOnNewDevice": FLAG, "DeviceOnlyRememberedOnUserPrompt": FLAG}
    ),
}

CREATE_USER_POOL: Fields = {
    **_POOL_SETTINGS,
    "PoolName": NAME,
    "AliasAttributes": Field(list, item=Field(str, values=(*_EMAIL_PHONE, "preferred_username"))),
    "UsernameAttributes": Field(list, item=Field(str, values=_EMAIL_PHONE)),
    "Schema": Field(list, minimum=1, maximum=50, item=_SCHEMA_ATTRIBUTE),
    "UsernameConfiguration": Field(dict, members={"CaseSensitive": Field(bool, True)}),
}
UPDATE_USER_POOL: Fields = {
    **_POOL_SETTINGS,
    "UserPoolId": POOL_ID,
    "PoolName": Field(str, pattern=NAME.pattern, minimum=1, maximum=128),
}
POOL_ONLY: Fields = {"UserPoolId": POOL_ID}
LIST_USER_POOLS: Fields = {"MaxResults": Field(int, True, minimum=1, maximum=60), "NextToken": PAGE}

AUTH_FLOWS = (
    "ADMIN_NO_SRP_AUTH",
    "CUSTOM_AUTH_FLOW_ONLY",
    "USER_PASSWORD_AUTH",
    "ALLOW_ADMIN_USER_PASSWORD_AUTH",
    "ALLOW_CUSTOM_AUTH",
    "ALLOW_USER_PASSWORD_AUTH",
    "ALLOW_USER_SRP_AUTH",
    "ALLOW_REFRESH_TOKEN_AUTH",
    "ALLOW_USER_AUTH",
    "ALLOW_TOKEN_EXCHANGE_DELEGATION",
    "ALLOW_TOKEN_EXCHANGE_IMPERSONATION",
    # Not in the model's list of values, but in its documentation of GetClientToken.
    "ALLOW_CLIENT_TOKEN_AUTH",
)
_UNIT = Field(str, values=("seconds", "minutes", "hours", "days"))
_ATTRIBUTE_NAMES = Field(list, item=Field(str, minimum=1, maximum=2048))
URL = Field(str, minimum=1, maximum=1024, pattern=_PRINTABLE)

_CLIENT_SETTINGS: dict[str, Field] = {
    "RefreshTokenValidity": Field(int, minimum=0, maximum=315360000),
    "AccessTokenValidity": Field(int, minimum=1, maximum=86400),
    "IdTokenValidity": Field(int, minimum=1, maximum=86400),
    "TokenValidityUnits": Field(
        dict, members={"AccessToken": _UNIT, "IdToken": _UNIT, "RefreshToken": _UNIT}
    ),
    "ReadAttributes": _ATTRIBUTE_NAMES,
    "WriteAttributes": _ATTRIBUTE_NAMES,
    "ExplicitAuthFlows": Field(list, item=Field(str, values=AUTH_FLOWS)),
    "SupportedIdentityProviders": Field(
        list, item=Field(str, minimum=1, maximum=32, pattern=r"[^\x00-\x1f\x7f]+")
    ),
    "CallbackURLs": Field(list, maximum=100, item=URL),
    "LogoutURLs": Field(list, maximum=100, item=URL),
    "DefaultRedirectURI": URL,
    "AllowedOAuthFlows": Field(
        list,
        maximum=3,
        item=Field(
            str,
            values=("code", "implicit", "client_credentials"),
            # Implicit flow: OAuth 2.1 has dropped it, and it is not emulated.
            only=("code", "client_credentials"),
        ),
    ),
    "AllowedOAuthScopes": Field(list, maximum=50, item=Field(str, minimum=1, maximum=256)),
    "AllowedOAuthFlowsUserPoolClient": FLAG,
    "PreventUserExistenceErrors": Field(str, values=("LEGACY", "ENABLED")),
    "EnableTokenRevocation": FLAG,
    "EnablePropagateAdditionalUserContextData": FLAG,
    "AuthSessionValidity": Field(int, minimum=3, maximum=15),
    "RefreshTokenRotation": Field(
        dict,
        members={
            "Feature": Field(str, True, values=("ENABLED", "DISABLED")),
            "RetryGracePeriodSeconds": Field(int, minimum=0, maximum=60),
        },
    ),
}
CREATE_CLIENT: Fields = {
    **_CLIENT_SETTINGS,
    "UserPoolId": POOL_ID,
    "ClientName": NAME,
    "GenerateSecret": FLAG,
    "ClientSecret": Field(str, pattern=r"[\w+]+", minimum=24, maximum=64, secret=True),
}
UPDATE_CLIENT: Fields = {
    **_CLIENT_SETTINGS,
    "UserPoolId": POOL_ID,
    "ClientId": CLIENT_ID,
    "ClientName": Field(str, pattern=NAME.pattern, minimum=1, maximum=128),
}
CLIENT_ONLY: Fields = {"UserPoolId": POOL_ID, "ClientId": CLIENT_ID}
LIST_CLIENTS: Fields = {
    "UserPoolId": POOL_ID,
    "MaxResults": Field(int, minimum=1, maximum=60),
    "NextToken": PAGE,
    "ClientType": Field(str, values=("REGULAR", "DCR")),
}

ATTRIBUTES = Field(
    list,
    item=Field(
        dict,
        members={
            "Name": Field(str, True, minimum=1, maximum=32, pattern=_PRINTABLE),
            "Value": Field(str, maximum=2048),
        },
    ),
)
CREATE_USER: Fields = {
    "UserPoolId": POOL_ID,
    "Username": USERNAME,
    "UserAttributes": ATTRIBUTES,
    "ValidationData": ATTRIBUTES,
    "TemporaryPassword": PASSWORD,
    "ForceAliasCreation": FLAG,
    "MessageAction": Field(str, values=("RESEND", "SUPPRESS")),
    "DesiredDeliveryMediums": Field(list, item=Field(str, values=("SMS", "EMAIL"))),
    "ClientMetadata": METADATA,
}
USER_ONLY: Fields = {"UserPoolId": POOL_ID, "Username": USERNAME}
SET_PASSWORD: Fields = {
    **USER_ONLY,
    "Password": NEW_PASSWORD,
    "Permanent": FLAG,
}
LIST_USERS: Fields = {
    "UserPoolId": POOL_ID,
    "AttributesToGet": Field(list, item=Field(str, minimum=1, maximum=32)),
    "Limit": Field(int, minimum=0, maximum=60),
    "PaginationToken": PAGE,
    "Filter": Field(str, maximum=256),
}
CREATE_GROUP: Fields = {
    "UserPoolId": POOL_ID,
    "GroupName": GROUP_NAME,
    "Description": Field(str, maximum=2048),
    "RoleArn": Field(str, minimum=20, maximum=2048, pattern=r"arn:[\w+=/,.@-]+(:[\w+=/,.@-]*)+"),
    "Precedence": Field(int, minimum=0),
}
_LIMIT: Fields = {"Limit": Field(int, minimum=0, maximum=60), "NextToken": PAGE}
LIST_IN_POOL: Fields = {"UserPoolId": POOL_ID, **_LIMIT}
LIST_OF_USER: Fields = {**USER_ONLY, **_LIMIT}
GROUP_ONLY: Fields = {"UserPoolId": POOL_ID, "GroupName": GROUP_NAME}
LIST_IN_GROUP: Fields = {**GROUP_ONLY, **_LIMIT}
USER_AND_GROUP: Fields = {**USER_ONLY, "GroupName": GROUP_NAME}

_FLOW = Field(
    str,
    True,
    values=(
        "USER_SRP_AUTH",
        "REFRESH_TOKEN_AUTH",
        "REFRESH_TOKEN",
        "CUSTOM_AUTH",
        "ADMIN_NO_SRP_AUTH",
        "USER_PASSWORD_AUTH",
        "ADMIN_USER_PASSWORD_AUTH",
        "USER_AUTH",
    ),
)
_CHALLENGE = Field(
    str,
    True,
    values=(
        "SMS_MFA",
        "EMAIL_OTP",
        "SOFTWARE_TOKEN_MFA",
        "SELECT_MFA_TYPE",
        "MFA_SETUP",
        "PASSWORD_VERIFIER",
        "CUSTOM_CHALLENGE",
        "SELECT_CHALLENGE",
        "DEVICE_SRP_AUTH",
        "DEVICE_PASSWORD_VERIFIER",
        "ADMIN_NO_SRP_AUTH",
        "NEW_PASSWORD_REQUIRED",
        "SMS_OTP",
        "PASSWORD",
        "WEB_AUTHN",
        "PASSWORD_SRP",
    ),
)
# Used by risk analysis and analytics, which are not emulated; clients send them routinely.
CONTEXT: dict[str, Field] = {"ClientMetadata": METADATA, "AnalyticsMetadata": FREE}

_ENCODED = Field(str, maximum=131072)
# Recorded (GET /_contexts).
USER_CONTEXT = Field(dict, members={"IpAddress": Field(str, maximum=131072), "EncodedData": _ENCODED})
_ADMIN_CONTEXT = Field(
    dict,
    members={
        "IpAddress": Field(str, True),
        "ServerName": Field(str, True),
        "ServerPath": Field(str, True),
        "HttpHeaders": Field(list, True),
        "EncodedData": _ENCODED,
    },
)

INITIATE_AUTH: Fields = {
    **CONTEXT,
    "AuthFlow": _FLOW,
    "AuthParameters": _SECRETS,
    "ClientId": CLIENT_ID,
    "Session": SESSION,
    "UserContextData": USER_CONTEXT,
}
ADMIN_INITIATE_AUTH: Fields = {
    **CONTEXT,
    "UserPoolId": POOL_ID,
    "ClientId": CLIENT_ID,
    "AuthFlow": _FLOW,
    "AuthParameters": _SECRETS,
    "ContextData": _ADMIN_CONTEXT,
}
RESPOND: Fields = {
    **CONTEXT,
    "ClientId": CLIENT_ID,
    "ChallengeName": _CHALLENGE,
    "Session": SESSION,
    "ChallengeResponses": _SECRETS,
    "UserContextData": USER_CONTEXT,
}
ADMIN_RESPOND: Fields = {
    **CONTEXT,
    "UserPoolId": POOL_ID,
    "ClientId": CLIENT_ID,
    "ChallengeName": _CHALLENGE,
    "Session": SESSION,
    "ChallengeResponses": _SECRETS,
    "ContextData": _ADMIN_CONTEXT,
}
ACCESS_TOKEN: Fields = {"AccessToken": TOKEN}
REVOKE_TOKEN: Fields = {
    "Token": TOKEN,
    "ClientId": CLIENT_ID,
    "ClientSecret": Field(str, pattern=r"[\w+]+", minimum=24, maximum=64, secret=True),
    "RevokeAssociatedSessions": Field(str, values=("NONE", "LINKED")),
}
