"""Input shapes of passkeys, after botocore's service model (2016-04-18).

Data only; as in `fields`, members missing here are refused.
"""

from __future__ import annotations

from local_cognito.fields import PAGE, TOKEN, Fields
from local_cognito.shapes import Field

COMPLETE: Fields = {"AccessToken": TOKEN, "Credential": Field(dict, True)}
LIST: Fields = {
    "AccessToken": TOKEN,
    "NextToken": PAGE,
    "MaxResults": Field(int, minimum=0, maximum=20),
}
DELETE: Fields = {"AccessToken": TOKEN, "CredentialId": Field(str, True, maximum=131072)}
