"""Device tracking: what a sign-in is given, how it is confirmed, and what refreshing asks for."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from local_cognito import srp
from tests.support.emulator import PASSWORD, Cognito, claims
from tests.support.srp_client import SrpClient

ALWAYS = {"ChallengeRequiredOnNewDevice": False, "DeviceOnlyRememberedOnUserPrompt": False}
REFUSED = ("NotAuthorizedException", "Invalid Refresh Token")
FLOWS = ["ALLOW_USER_SRP_AUTH", "ALLOW_USER_PASSWORD_AUTH", "ALLOW_USER_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]


class Tracked:
    """bob in a pool that remembers devices."""

    def __init__(self, cognito: Cognito, devices: dict[str, bool] | None = None, **client: Any) -> None:
        self.cognito = cognito
        self.pool_id = cognito.new_pool(DeviceConfiguration=ALWAYS if devices is None else devices)
        self.client_id = cognito.new_client(self.pool_id, **{"ExplicitAuthFlows": FLOWS, **client})
        cognito.new_user("bob", PASSWORD, self.pool_id)

    def sign_in(self, name: str = "bob") -> dict[str, Any]:
        proof = SrpClient(self.pool_id, PASSWORD)
        asked = self.cognito.call(
            "InitiateAuth",
            ClientId=self.client_id,
            AuthFlow="USER_SRP_AUTH",
            AuthParameters={"USERNAME": name, "SRP_A": proof.public},
        )
        answer = self.cognito.call(
            "RespondToAuthChallenge",
            ClientId=self.client_id,
            ChallengeName="PASSWORD_VERIFIER",
            ChallengeResponses=proof.answer(asked["ChallengeParameters"], self.cognito.clock.now),
        )
        return dict(answer["AuthenticationResult"])

    def confirmation(self, tokens: dict[str, Any], **changes: Any) -> dict[str, Any]:
        return {
            "AccessToken": tokens["AccessToken"],
            "DeviceKey": tokens["NewDeviceMetadata"]["DeviceKey"],
            "DeviceName": "a test",
            "DeviceSecretVerifierConfig": verifier(),
            **changes,
        }

    def confirmed(self) -> tuple[dict[str, Any], str]:
        """A sign-in's tokens and its device's key."""
        tokens = self.sign_in()
        self.cognito.call("ConfirmDevice", **self.confirmation(tokens))
        return tokens, tokens["NewDeviceMetadata"]["DeviceKey"]

    def refresh_requests(self, tokens: dict[str, Any], key: str | None) -> list[tuple[str, dict[str, Any]]]:
        """By both operations that refresh."""
        refresh, by_flow = tokens["RefreshToken"], {} if key is None else {"DEVICE_KEY": key}
        newer = {"ClientId": self.client_id, "RefreshToken": refresh}
        return [
            ("InitiateAuth", self.cognito.refresh_request(refresh, self.client_id, **by_flow)),
            ("GetTokensFromRefreshToken", newer if key is None else {**newer, "DeviceKey": key}),
        ]

    def check_refused(self, tokens: dict[str, Any], key: str | None) -> None:
        for operation, request in self.refresh_requests(tokens, key):
            assert self.cognito.refused(operation, **request) == REFUSED


def verifier(value: bytes = b"\x02" * 300, salt: bytes = b"\x01" * 16) -> dict[str, str]:
    return {
        "PasswordVerifier": base64.b64encode(value).decode(),
        "Salt": base64.b64encode(salt).decode(),
    }


def test_the_pools_setting_is_described_and_an_update_without_it_turns_it_off(cognito: Cognito) -> None:
    at = Tracked(cognito)
    described = cognito.call("DescribeUserPool", UserPoolId=at.pool_id)["UserPool"]
    assert described["DeviceConfiguration"] == ALWAYS
    cognito.call("UpdateUserPool", UserPoolId=at.pool_id)
    assert "DeviceConfiguration" not in cognito.call("DescribeUserPool", UserPoolId=at.pool_id)["UserPool"]
    assert "NewDeviceMetadata" not in at.sign_in()


def test_a_confirmed_device_refreshes_and_its_key_is_in_the_access_token(cognito: Cognito) -> None:
    at = Tracked(cognito)
    tokens, key = at.confirmed()
    assert key.startswith("us-east-1_")
    assert claims(tokens["AccessToken"])["device_key"] == key
    assert "device_key" not in claims(tokens["IdToken"])
    for operation, request in at.refresh_requests(tokens, key):
        result = cognito.call(operation, **request)["AuthenticationResult"]
        assert claims(result["AccessToken"])["device_key"] == key
        assert "NewDeviceMetadata" not in result


def test_without_the_right_key_of_a_confirmed_device_nothing_is_refreshed(cognito: Cognito) -> None:
    at = Tracked(cognito)
    unconfirmed = at.sign_in()
    at.check_refused(unconfirmed, unconfirmed["NewDeviceMetadata"]["DeviceKey"])
    tokens, key = at.confirmed()
    _, another = at.confirmed()
    assert another != key
    for wrong in (None, another, "us-east-1_0"):
        at.check_refused(tokens, wrong)
    cognito.call("ForgetDevice", AccessToken=tokens["AccessToken"], DeviceKey=key)
    at.check_refused(tokens, key)


def test_rotation_keeps_the_device(cognito: Cognito) -> None:
    rotation = {"Feature": "ENABLED", "RetryGracePeriodSeconds": 0}
    at = Tracked(cognito, RefreshTokenRotation=rotation, ExplicitAuthFlows=["ALLOW_USER_SRP_AUTH"])
    tokens, key = at.confirmed()
    for _ in range(2):
        request = {"ClientId": at.client_id, "RefreshToken": tokens["RefreshToken"]}
        assert cognito.refused("GetTokensFromRefreshToken", **request) == REFUSED
        tokens = cognito.call("GetTokensFromRefreshToken", **request, DeviceKey=key)["AuthenticationResult"]


@pytest.mark.parametrize("flow", ["USER_PASSWORD_AUTH", "USER_AUTH"])
def test_only_a_password_proved_by_srp_gives_a_device(cognito: Cognito, flow: str) -> None:
    at = Tracked(cognito)
    tokens = cognito.call(
        "InitiateAuth",
        ClientId=at.client_id,
        AuthFlow=flow,
        AuthParameters={"USERNAME": "bob", "PASSWORD": PASSWORD, "PREFERRED_CHALLENGE": "PASSWORD"},
    )["AuthenticationResult"]
    assert "NewDeviceMetadata" not in tokens
    at.check_refused(tokens, None)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"DeviceKey": "us-east-1_0"}, "Invalid device key given."),
        ({"DeviceSecretVerifierConfig": None}, "Invalid Salt in DeviceSecretVerifierConfig"),
        ({"DeviceSecretVerifierConfig": {"Salt": "AQ=="}}, "Invalid PasswordVerifier in"),
        ({"DeviceSecretVerifierConfig": verifier(salt=b"")}, "Invalid Salt in"),
        ({"DeviceSecretVerifierConfig": verifier(salt=b"s" * 65)}, "Invalid Salt in"),
        ({"DeviceSecretVerifierConfig": {**verifier(), "PasswordVerifier": "no base64"}}, "Invalid Password"),
        ({"DeviceSecretVerifierConfig": verifier(b"\0")}, "Invalid PasswordVerifier in"),
        ({"DeviceSecretVerifierConfig": verifier(b"\x01")}, "Invalid PasswordVerifier in"),
        ({"DeviceSecretVerifierConfig": verifier(srp.N.to_bytes(385, "big"))}, "Invalid PasswordVerifier in"),
        ({"DeviceSecretVerifierConfig": verifier(b"\x02" * 386)}, "Invalid PasswordVerifier in"),
    ],
)
def test_requests_that_confirm_no_device(cognito: Cognito, changes: dict[str, Any], told: str) -> None:
    at = Tracked(cognito)
    tokens = at.sign_in()
    code, message = cognito.refused("ConfirmDevice", **at.confirmation(tokens, **changes))
    assert code == "InvalidParameterException"
    assert message.startswith(told)
    at.check_refused(tokens, tokens["NewDeviceMetadata"]["DeviceKey"])


def test_a_device_is_confirmed_once_and_by_its_own_sign_in(cognito: Cognito) -> None:
    at = Tracked(cognito)
    tokens, another = at.sign_in(), at.sign_in()
    key = tokens["NewDeviceMetadata"]["DeviceKey"]
    stolen = at.confirmation(another, DeviceKey=key)
    assert cognito.refused("ConfirmDevice", **stolen)[1] == "Invalid device key given."
    assert cognito.call("ConfirmDevice", **at.confirmation(tokens)) == {"UserConfirmationNecessary": False}
    assert cognito.refused("ConfirmDevice", **at.confirmation(tokens))[0] == "DeviceKeyExistsException"


def test_an_opt_in_pool_remembers_on_request(cognito: Cognito) -> None:
    at = Tracked(cognito, {"DeviceOnlyRememberedOnUserPrompt": True})
    tokens = at.sign_in()
    key = tokens["NewDeviceMetadata"]["DeviceKey"]
    assert cognito.call("ConfirmDevice", **at.confirmation(tokens)) == {"UserConfirmationNecessary": True}
    who = {"AccessToken": tokens["AccessToken"]}
    assert cognito.call("ListDevices", **who) == {"Devices": []}
    # Tracked is enough for refreshing; remembered it is what could stand in for a second factor.
    for operation, request in at.refresh_requests(tokens, key):
        cognito.call(operation, **request)
    cognito.call("UpdateDeviceStatus", **who, DeviceKey=key, DeviceRememberedStatus="remembered")
    (device,) = cognito.call("ListDevices", **who)["Devices"]
    assert device["DeviceKey"] == key
    assert {"Name": "device_name", "Value": "a test"} in device["DeviceAttributes"]


def test_devices_are_the_users_own(cognito: Cognito) -> None:
    at = Tracked(cognito)
    _, key = at.confirmed()
    cognito.new_user("carol", PASSWORD, at.pool_id)
    hers = {"AccessToken": at.sign_in("carol")["AccessToken"], "DeviceKey": key}
    for operation in ("GetDevice", "ForgetDevice", "UpdateDeviceStatus"):
        assert cognito.refused(operation, **hers) == ("ResourceNotFoundException", "Device does not exist.")
    assert cognito.call("ListDevices", AccessToken=hers["AccessToken"]) == {"Devices": []}


def test_a_list_of_devices_has_pages(cognito: Cognito) -> None:
    at = Tracked(cognito)
    keys = [at.confirmed()[1] for _ in range(3)]
    who = {"AccessToken": at.sign_in()["AccessToken"]}
    first = cognito.call("ListDevices", **who, Limit=2)
    rest = cognito.call("ListDevices", **who, Limit=2, PaginationToken=first["PaginationToken"])
    assert [device["DeviceKey"] for device in first["Devices"] + rest["Devices"]] == keys


def test_a_pool_that_does_not_track_devices_has_none(cognito: Cognito) -> None:
    tokens = cognito.sign_in()
    who = {"AccessToken": tokens["AccessToken"]}
    for operation, more in (
        ("ListDevices", {}),
        ("ConfirmDevice", {"DeviceKey": "us-east-1_0", "DeviceSecretVerifierConfig": verifier()}),
    ):
        assert cognito.refused(operation, **who, **more)[0] == "InvalidUserPoolConfigurationException"
    # A key from before tracking was turned off changes nothing.
    request = cognito.refresh_request(tokens["RefreshToken"], DEVICE_KEY="us-east-1_0")
    assert cognito.call("InitiateAuth", **request)["AuthenticationResult"]
