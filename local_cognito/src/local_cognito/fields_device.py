"""Input shapes of the operations on devices, after botocore's service model (2016-04-18).

Data only; as in `fields`, members missing here are refused.
"""

from __future__ import annotations

from local_cognito.fields import PAGE, TOKEN, Fields
from local_cognito.shapes import Field

DEVICE_KEY = Field(str, True, pattern=r"[\w-]+_[0-9a-f-]+", minimum=1, maximum=55)

CONFIRM: Fields = {
    "AccessToken": TOKEN,
    "DeviceKey": DEVICE_KEY,
    "DeviceName": Field(str, minimum=1, maximum=1024),
    "DeviceSecretVerifierConfig": Field(
        dict,
        members={
            "PasswordVerifier": Field(str, maximum=131072, secret=True),
            "Salt": Field(str, maximum=131072, secret=True),
        },
    ),
}
# The model makes the access token optional, for callers that AWS identifies otherwise; not emulated.
ONE: Fields = {"AccessToken": TOKEN, "DeviceKey": DEVICE_KEY}
LIST: Fields = {
    "AccessToken": TOKEN,
    "Limit": Field(int, minimum=0, maximum=60),
    "PaginationToken": PAGE,
}
UPDATE: Fields = {**ONE, "DeviceRememberedStatus": Field(str, values=("remembered", "not_remembered"))}
