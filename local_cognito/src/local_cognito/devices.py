"""Device tracking: device keys of sign-ins, their confirmation, and refreshing with them.

Invariant: in a pool that tracks devices, a refresh token of the API works only with the device key issued
with it, and only while that device is confirmed and not forgotten. Sources: developer guide, "Working with
user devices in your user pool" and "Getting a device key"; AWS knowledge center, "Invalid Refresh Token".
docs/local-cognito.md says what they leave open.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Mapping
from typing import Any

from local_cognito.errors import AwsError, invalid_parameter, not_authorized, not_found
from local_cognito.pages import page
from local_cognito.sessions import Turn, open_device_session
from local_cognito.srp import N, Verifier
from local_cognito.state import Device, Pool, State, User
from local_cognito.state_sign_in import Grant
from local_cognito.tokens import read_access_token

Request = Mapping[str, Any]
Answer = dict[str, Any]

# Clients use salts of 16 bytes (RFC 5054 section 3.2: "at least 128 bits"); two's complement may add a byte,
# and leading zeros may shorten it.
_LONGEST_SALT = 64


def new_device(pool: Pool, grant: Grant) -> Answer:
    """Return NewDeviceMetadata for a new sign-in, if the pool tracks devices."""
    if not pool.tracks_devices:
        return {}
    grant.device_key = f"{pool.id.partition('_')[0]}_{uuid.uuid4()}"
    return {"NewDeviceMetadata": {"DeviceKey": grant.device_key, "DeviceGroupKey": group_key(pool)}}


def group_key(pool: Pool) -> str:
    """Return the group of all devices of a pool."""
    # Cognito's are short and opaque, such as `-dXk3c9kq`.
    return "-" + base64.urlsafe_b64encode(pool.secret[:6]).decode()


def asked_to_prove(turn: Turn, user: User) -> Answer | None:
    """Return the challenge DEVICE_SRP_AUTH if the sign-in presented a remembered device; otherwise None."""
    if not turn.device or not turn.pool.tracks_devices:
        return None
    device = user.devices.get(turn.device)
    if device is None:
        raise not_found("Device does not exist.")
    if not device.remembered:
        return None
    open_device_session(turn, user.username)
    return {
        "ChallengeName": "DEVICE_SRP_AUTH",
        "ChallengeParameters": {"USERNAME": user.username, "DEVICE_KEY": device.key},
    }


def check_device(pool: Pool, user: User, grant: Grant, key: str | None, now: float) -> None:
    """Raise NotAuthorizedException unless this sign-in may be refreshed with this device key."""
    # Managed login does not take part in device tracking (Amplify's documentation, "Remember a device").
    if not pool.tracks_devices or grant.managed:
        return
    device = user.devices.get(grant.device_key or "")
    if device is None or key != device.key:
        raise not_authorized("Invalid Refresh Token")
    device.authenticated = now


def confirm_device(state: State, request: Request, now: float) -> Answer:
    pool, user, grant = _holder(state, request, now)
    key = request["DeviceKey"]
    if key in user.devices:
        raise AwsError("DeviceKeyExistsException", "Device already exists.")
    if key != grant.device_key:
        raise invalid_parameter("Invalid device key given.")
    given = request.get("DeviceSecretVerifierConfig", {})
    proof = Verifier(
        _number(given, "Salt", longest=_LONGEST_SALT), _number(given, "PasswordVerifier", longest=385)
    )
    # RFC 5054 section 2.5.3: the verifier is a power of g modulo N; 0 and 1 would match any password.
    if not 1 < proof.value < N:
        raise invalid_parameter("Invalid PasswordVerifier in DeviceSecretVerifierConfig")
    asks = bool(pool.settings["DeviceConfiguration"].get("DeviceOnlyRememberedOnUserPrompt"))
    user.devices[key] = Device(
        key=key,
        name=request.get("DeviceName"),
        proof=proof,
        remembered=not asks,
        created=now,
        modified=now,
        authenticated=now,
    )
    return {"UserConfirmationNecessary": asks}


def _number(given: Mapping[str, str], name: str, *, longest: int) -> int:
    """Decode a Base64 number in big-endian bytes, as Cognito's own clients send it."""
    try:
        data = base64.b64decode(given.get(name, ""), validate=True)
    except binascii.Error:
        data = b""
    if not 0 < len(data) <= longest:
        raise invalid_parameter(f"Invalid {name} in DeviceSecretVerifierConfig")
    return int.from_bytes(data, "big")


def get_device(state: State, request: Request, now: float) -> Answer:
    _, user, _ = _holder(state, request, now)
    return {"Device": _described(_device(user, request["DeviceKey"]))}


def list_devices(state: State, request: Request, now: float) -> Answer:
    _, user, _ = _holder(state, request, now)
    items = [_described(device) for device in user.devices.values() if device.remembered]
    size = request.get("Limit") or 60
    return page(items, size, request.get("PaginationToken"), names=("Devices", "PaginationToken"))


def forget_device(state: State, request: Request, now: float) -> Answer:
    _, user, _ = _holder(state, request, now)
    del user.devices[_device(user, request["DeviceKey"]).key]
    return {}


def update_device_status(state: State, request: Request, now: float) -> Answer:
    _, user, _ = _holder(state, request, now)
    device = _device(user, request["DeviceKey"])
    device.remembered = request.get("DeviceRememberedStatus") == "remembered"
    device.modified = now
    return {}


def _holder(state: State, request: Request, now: float) -> tuple[Pool, User, Grant]:
    pool, user, grant = read_access_token(state, request["AccessToken"], now)
    if not pool.tracks_devices:
        raise AwsError("InvalidUserPoolConfigurationException", "Device tracking is not enabled.")
    return pool, user, grant


def _device(user: User, key: str) -> Device:
    device = user.devices.get(key)
    if device is None:
        raise not_found("Device does not exist.")
    return device


def _described(device: Device) -> dict[str, Any]:
    attributes = {"device_status": "valid", **({"device_name": device.name} if device.name else {})}
    return {
        "DeviceKey": device.key,
        "DeviceAttributes": [{"Name": name, "Value": value} for name, value in attributes.items()],
        "DeviceCreateDate": device.created,
        "DeviceLastModifiedDate": device.modified,
        "DeviceLastAuthenticatedDate": device.authenticated,
    }
