"""Input shapes of token exchange, after botocore's service model (2016-04-18).

Data only; as in `fields`, members missing here are refused.
"""

from __future__ import annotations

from local_cognito.fields import CLIENT_ID, Fields
from local_cognito.shapes import Field

_VISIBLE = r"[\x21\x23-\x5B\x5D-\x7E]+"
_TOKEN = r"[A-Za-z0-9-_+/=.]+"  # noqa: S105  a pattern, not a password
_TYPES = ("ACCESS_TOKEN", "ID_TOKEN", "SAML2")
_TARGETS = Field(list, maximum=1, item=Field(str, minimum=1, maximum=256, pattern=_VISIBLE))

# Tokens of other identity providers are not emulated, nor are SAML assertions.
DERIVE: Fields = {
    "ClientId": CLIENT_ID,
    "ClientSecret": Field(str, pattern=r"[\w+]+", minimum=24, maximum=64, secret=True),
    "SubjectToken": Field(str, True, pattern=_TOKEN, maximum=131072, secret=True),
    "SubjectTokenType": Field(str, True, values=_TYPES),
    "ActorToken": Field(str, pattern=_TOKEN, maximum=131072, secret=True),
    "ActorTokenType": Field(str, values=_TYPES),
    "Scopes": Field(list, maximum=50, item=Field(str, minimum=1, maximum=256, pattern=_VISIBLE)),
    "Audiences": _TARGETS,
    "Resources": _TARGETS,
    "RequestedTokenType": Field(str, values=_TYPES[:2]),
}
