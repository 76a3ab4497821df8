"""Operations of signed-in users on their own account, authorized by their access token.

Unsigned operations only. They need the scope `aws.cognito.signin.user.admin`, which every token of our own
pages has. Invariant: nothing is read or changed but the account of the token's user.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from gateway.aws.cognito_client import CognitoClient
from gateway.aws.values import CognitoRefused, OwnUser, Passkey, PoolAddress, UserSession

# Developer guide, "Passkey": at most 20 for each user; ListWebAuthnCredentials returns as many at once.
_MOST_PASSKEYS = 20
# Two pages of ListUserSessions. A pool allows a user 20 sessions of tokens by default.
_MOST_SESSIONS = 250
# API reference, SetUserMFAPreference: second factor → member of the request.
_FACTORS = {
    "SOFTWARE_TOKEN_MFA": "SoftwareTokenMfaSettings",
    "SMS_MFA": "SMSMfaSettings",
    "EMAIL_OTP": "EmailMfaSettings",
}


class OwnAccount:
    """One user pool and one of its app clients. Methods raise GatewayError; CognitoRefused if Cognito
    refuses."""

    def __init__(self, address: PoolAddress) -> None:
        self._connection = CognitoClient(address, "password")

    def seen_from(self, client: str) -> OwnAccount:
        """Return a copy for one user, whose IP address is sent to Cognito (threat protection)."""
        other = copy.copy(self)
        other._connection = self._connection.seen_from(client)
        return other

    def read(self, access_token: str) -> OwnUser:
        answer = self._connection.call("get_user", AccessToken=access_token)
        return OwnUser(
            username=answer["Username"],
            attributes={each["Name"]: each.get("Value", "") for each in answer.get("UserAttributes") or ()},
            factors=tuple(answer.get("UserMFASettingList") or ()),
            preferred=answer.get("PreferredMfaSetting") or "",
        )

    def update(self, access_token: str, values: Mapping[str, str]) -> tuple[str, ...]:
        """Change attributes; return those for which a code was sent to the new address."""
        given = [{"Name": name, "Value": value} for name, value in values.items()]
        answer = self._connection.call(
            "update_user_attributes", AccessToken=access_token, UserAttributes=given
        )
        sent = answer.get("CodeDeliveryDetailsList") or ()
        return tuple(each["AttributeName"] for each in sent if each.get("AttributeName"))

    def verify(self, access_token: str, attribute: str, code: str) -> None:
        self._connection.call(
            "verify_user_attribute", AccessToken=access_token, AttributeName=attribute, Code=code
        )

    def send_code(self, access_token: str, attribute: str) -> None:
        self._connection.call(
            "get_user_attribute_verification_code", AccessToken=access_token, AttributeName=attribute
        )

    def delete(self, access_token: str) -> None:
        """Delete the account, permanently."""
        self._connection.call("delete_user", AccessToken=access_token)

    # --- second factors ---

    def begin_authenticator(self, access_token: str) -> str:
        """Return a new key for an authenticator app; the one in use stays until it is verified."""
        answer = self._connection.call("associate_software_token", AccessToken=access_token)
        return str(answer["SecretCode"])

    def finish_authenticator(self, access_token: str, code: str) -> None:
        """Verify the app's first code, and ask for codes of the app from now on."""
        answer = self._connection.call("verify_software_token", AccessToken=access_token, UserCode=code)
        if answer.get("Status") != "SUCCESS":
            raise CognitoRefused("EnableSoftwareTokenMFAException", "incorrect code: try the next one")
        self.use_factor(access_token, "SOFTWARE_TOKEN_MFA", preferred=True)

    def use_factor(self, access_token: str, factor: str, *, preferred: bool) -> None:
        """Use a second factor that is set up, along with others."""
        self._connection.call(
            "set_user_mfa_preference",
            AccessToken=access_token,
            **{_FACTORS[factor]: {"Enabled": True, "PreferredMfa": preferred}},
        )

    def drop_factor(self, access_token: str, factor: str) -> None:
        self._connection.call(
            "set_user_mfa_preference", AccessToken=access_token, **{_FACTORS[factor]: {"Enabled": False}}
        )

    # --- passkeys ---

    def passkeys(self, access_token: str) -> list[Passkey]:
        answer = self._connection.call(
            "list_web_authn_credentials", AccessToken=access_token, MaxResults=_MOST_PASSKEYS
        )
        return [_passkey(each) for each in answer.get("Credentials") or ()]

    def begin_passkey(self, access_token: str) -> Mapping[str, Any]:
        """Return PublicKeyCredentialCreationOptionsJSON (WebAuthn level 3) for the browser."""
        answer = self._connection.call("start_web_authn_registration", AccessToken=access_token)
        options: Mapping[str, Any] = answer["CredentialCreationOptions"]
        return options

    def finish_passkey(self, access_token: str, credential: Mapping[str, Any]) -> None:
        """Register the browser's RegistrationResponseJSON."""
        self._connection.call(
            "complete_web_authn_registration", AccessToken=access_token, Credential=credential
        )

    def delete_passkey(self, access_token: str, passkey_id: str) -> None:
        self._connection.call(
            "delete_web_authn_credential", AccessToken=access_token, CredentialId=passkey_id
        )

    # --- sessions ---

    def sessions(self, access_token: str) -> list[UserSession]:
        """Return the user's sessions, the last used first; at most _MOST_SESSIONS."""
        found: list[UserSession] = []
        position: dict[str, str] = {}
        while True:
            answer = self._connection.call("list_user_sessions", AccessToken=access_token, **position)
            found += [_session(each) for each in answer.get("Sessions") or () if each.get("SessionId")]
            if not answer.get("NextToken") or len(found) >= _MOST_SESSIONS:
                break
            position = {"NextToken": answer["NextToken"]}
        return sorted(found[:_MOST_SESSIONS], key=lambda each: each.active, reverse=True)

    def end_session(self, access_token: str, session_id: str, *, linked: bool) -> None:
        """Revoke a session; `linked`: also the browser's session that it came through, or those that came
        through it. One that has ended is none to revoke."""
        try:
            self._connection.call(
                "revoke_user_session",
                AccessToken=access_token,
                SessionId=session_id,
                RevokeAssociatedSessions="LINKED" if linked else "NONE",
            )
        except CognitoRefused as refused:
            if refused.code != "ResourceNotFoundException":
                raise


def _session(given: Mapping[str, Any]) -> UserSession:
    location = given.get("LastLocation") or {}
    # API reference: a country that could not be found out is called `unknown`.
    place = [location.get(name) for name in ("City", "Country")]
    created = given["CreateDate"].timestamp()
    active = given.get("LastActiveDate")
    return UserSession(
        id=given["SessionId"],
        client_id=given.get("ClientId") or "",
        browser=given.get("SessionType") == "SSO",
        created=created,
        active=created if active is None else active.timestamp(),
        device=_known(given.get("DeviceType")),
        address=_known(given.get("LastIPAddress")),
        place=", ".join(filter(None, map(_known, place))),
        origin=given.get("OriginSessionId") or "",
        current=bool(given.get("IsCurrentSession")),
    )


def _known(text: str | None) -> str:
    return "" if text is None or text.casefold() == "unknown" else text


def _passkey(given: Mapping[str, Any]) -> Passkey:
    return Passkey(
        id=given["CredentialId"],
        name=given.get("FriendlyCredentialName") or "",
        roaming=given.get("AuthenticatorAttachment") == "cross-platform",
        created=given["CreatedAt"].timestamp(),
    )
