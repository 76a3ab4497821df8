"""A remembered device that proves itself: pycognito's implementation against the local Cognito."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import botocore.exceptions
import pytest
from pycognito.aws_srp import AWSSRP, generate_hash_device
from pycognito.exceptions import SoftwareTokenMFAChallengeException

from local_cognito import totp
from local_cognito.server import LocalCognito
from tests.support import local_cognito
from tests.support.emulator import claims

POOL, CLIENT, PASSWORD = "us-east-1_Device123", "deviceclient", "Correct-Horse-1"
FLOWS = ["ALLOW_USER_SRP_AUTH", "ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
INSTEAD = {"ChallengeRequiredOnNewDevice": True, "DeviceOnlyRememberedOnUserPrompt": False}
BESIDES = {"ChallengeRequiredOnNewDevice": False, "DeviceOnlyRememberedOnUserPrompt": False}
ASKED = {"ChallengeRequiredOnNewDevice": True, "DeviceOnlyRememberedOnUserPrompt": True}


class At:
    def __init__(self, local: LocalCognito) -> None:
        self.local = local
        self.idp = local_cognito.client(local.url)

    def sign_in(self, user: str = "alice", password: str = PASSWORD, **device: str) -> dict[str, Any]:
        srp = AWSSRP(user, password, POOL, CLIENT, client=self.idp, **device)
        answer: dict[str, Any] = srp.authenticate_user()
        return answer

    def remembered(self) -> dict[str, str]:
        """Sign alice in, confirm her device, and set up a second factor; return what the device keeps."""
        result = self.sign_in()["AuthenticationResult"]
        new, access = result["NewDeviceMetadata"], result["AccessToken"]
        key, group = new["DeviceKey"], new["DeviceGroupKey"]
        password, verifier = generate_hash_device(group, key)
        self.idp.confirm_device(AccessToken=access, DeviceKey=key, DeviceSecretVerifierConfig=verifier)
        secret = self.idp.associate_software_token(AccessToken=access)["SecretCode"]
        code = totp.code_at(secret, int(time.time() // 30))
        self.idp.verify_software_token(AccessToken=access, UserCode=code)
        self.idp.set_user_mfa_preference(AccessToken=access, SoftwareTokenMfaSettings={"Enabled": True})
        self.access = access
        with pytest.raises(SoftwareTokenMFAChallengeException):
            self.sign_in()
        return {"device_key": key, "device_group_key": group, "device_password": password}


@contextmanager
def at(devices: dict[str, bool]) -> Iterator[At]:
    users = [{"Username": name, "Password": PASSWORD} for name in ("alice", "bob")]
    pool = {"Id": POOL, "PoolName": "devices", "DeviceConfiguration": devices, "Users": users}
    pool["Clients"] = [{"ClientId": CLIENT, "ClientName": "a", "ExplicitAuthFlows": FLOWS}]
    with local_cognito.running({"UserPools": [pool]}) as local:
        app = {"Enabled": True}
        place = At(local)
        place.idp.set_user_pool_mfa_config(
            UserPoolId=POOL, MfaConfiguration="OPTIONAL", SoftwareTokenMfaConfiguration=app
        )
        yield place


def refused(place: At, user: str = "alice", password: str = PASSWORD, **device: str) -> str:
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        place.sign_in(user, password, **device)
    return str(caught.value.response["Error"]["Code"])


def test_a_remembered_device_takes_the_place_of_the_second_factor() -> None:
    with at(INSTEAD) as place:
        device = place.remembered()
        result = place.sign_in(**device)["AuthenticationResult"]
        assert "NewDeviceMetadata" not in result
        assert claims(result["AccessToken"])["device_key"] == device["device_key"]
        # The refresh token is the device's.
        parameters = {"REFRESH_TOKEN": result["RefreshToken"]}
        request = {"ClientId": CLIENT, "AuthFlow": "REFRESH_TOKEN_AUTH"}
        with pytest.raises(botocore.exceptions.ClientError):
            place.idp.initiate_auth(AuthParameters=parameters, **request)
        place.idp.initiate_auth(AuthParameters={**parameters, "DEVICE_KEY": device["device_key"]}, **request)


def test_neither_a_wrong_device_password_nor_another_users_device_does() -> None:
    with at(INSTEAD) as place:
        device = place.remembered()
        assert refused(place, **{**device, "device_password": "x" * 56}) == "NotAuthorizedException"
        assert refused(place, **{**device, "device_group_key": "-other"}) == "NotAuthorizedException"
        assert refused(place, password="Wrong-Horse-1", **device) == "NotAuthorizedException"
        assert refused(place, user="bob", **device) == "ResourceNotFoundException"
        unknown = {**device, "device_key": device["device_key"][:-1] + "_"}
        assert refused(place, **unknown) == "ResourceNotFoundException"


def test_no_device_is_asked_without_the_password() -> None:
    with at(INSTEAD) as place:
        device = place.remembered()
        answers = {"USERNAME": "alice", "DEVICE_KEY": device["device_key"], "SRP_A": "2"}
        for more in ({}, {"Session": "s" * 40}):
            with pytest.raises(botocore.exceptions.ClientError, match="Invalid session"):
                place.idp.respond_to_auth_challenge(
                    ClientId=CLIENT, ChallengeName="DEVICE_SRP_AUTH", ChallengeResponses=answers, **more
                )


def test_where_the_pool_wants_it_the_second_factor_comes_on_top() -> None:
    with at(BESIDES) as place:
        device = place.remembered()
        assert place.sign_in(**device)["ChallengeName"] == "SOFTWARE_TOKEN_MFA"


def test_a_device_that_is_not_remembered_or_was_forgotten() -> None:
    with at(ASKED) as place:
        device = place.remembered()
        with pytest.raises(SoftwareTokenMFAChallengeException):
            place.sign_in(**device)
        mine = {"AccessToken": place.access, "DeviceKey": device["device_key"]}
        place.idp.update_device_status(**mine, DeviceRememberedStatus="remembered")
        assert place.idp.list_devices(AccessToken=place.access)["Devices"]
        place.sign_in(**device)
        place.idp.forget_device(**mine)
        assert refused(place, **device) == "ResourceNotFoundException"
