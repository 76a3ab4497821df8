"""Messages for the person at the browser, from Cognito's errors. Pure.

Invariant: a message does not depend on whether a user exists; what the operator must fix is marked as a
fault, and its details go to the log only. A 503 is never the user's mistake.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import Literal

from gateway.aws import phrases
from gateway.aws.values import CognitoRefused
from gateway.errors import GatewayError
from gateway.texts import Text

# Where to go next: nowhere, to the confirmation, to a new password, back to the start.
Next = Literal["", "confirm", "reset", "again"]


@dataclass(frozen=True, slots=True)
class RefusalText:
    """A message about a refusal. `field`: the form field it concerns; None: the whole form.

    `fault`: the operator must act. `retry_after`: seconds until a retry is useful; None if unknown (Cognito
    does not say).
    """

    sentence: str
    field: str | None = None
    status: int = 400
    next: Next = ""
    fault: bool = False
    retry_after: int | None = None


WRONG = RefusalText(Text("Incorrect username or password."))
TOO_MANY = RefusalText(Text("Too many attempts. Try again later."), status=429)
# The AWS account's own quota, shared by all callers: not a failed attempt of this user.
_THROTTLED = replace(TOO_MANY, fault=True)
PASSKEY_REFUSED = RefusalText(Text("That passkey wasn't accepted. Try again, or sign in another way."))
OUT_OF_DATE = RefusalText(Text("This page has expired. Sign in again."), next="again")
_UNREACHABLE = RefusalText(
    Text("The sign-in service is unavailable at the moment. Try again in a minute."), status=503, fault=True
)
MISCONFIGURED = RefusalText(
    Text("Sign-in is misconfigured. Please tell your administrator."), status=503, fault=True
)
_CODE_WRONG = RefusalText(Text("That code isn't right. Check it and try again."), "code")
_CODE_OLD = RefusalText(Text("That code is no longer valid. Sign in again for a new one."), "code")
# A user who signs in twice within half a minute sees the same code in the app.
_CODE_USED = RefusalText(Text("That code was used already. Wait for your app's next one."), "code")
# One sentence for a wrong, an expired, a too often tried code and an unknown user: Cognito counts attempts
# for some usernames and not for others.
_CODE_NEUTRAL = RefusalText(
    Text(
        "That code isn't right or has expired. Check it or ask for a new one; after several tries wait an "
        "hour."
    ),
    "code",
)
# Cognito's constraints on usernames and passwords: API reference, UsernameType; developer guide, "Adding user
# pool password requirements".
_NO_SUCH_NAME = Text("A username has 1 to 128 characters and no spaces.")
_ENDS = Text("A password has at most 256 characters and no space at its beginning or end.")
_NOT_ACCEPTED = Text("One of your entries is too long or has characters that can't be used.")

# Cognito's own sentences about a password, which the catalogues have; any other is passed on in its language.
_COGNITO_SAID = (
    Text("Password not long enough."),
    Text("Password must have uppercase characters."),
    Text("Password must have lowercase characters."),
    Text("Password must have numeric characters."),
    Text("Password must have symbol characters."),
)

_BUSY = frozenset({"LimitExceededException", "TooManyFailedAttemptsException"})
# Cognito is failing; botocore uses the status as the code where an answer names none.
_UNWELL = frozenset(
    {
        "InternalErrorException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "500",
        "502",
        "503",
        "504",
    }
)
_FAULTS = frozenset(
    {
        "ResourceNotFoundException",
        "InternalErrorException",
        "FeatureUnavailableInTierException",
        "OperationNotEnabledException",
        "ForbiddenException",
        "UnauthorizedException",
        "InvalidLambdaResponseException",
        "UnexpectedLambdaException",
        "InvalidEmailRoleAccessPolicyException",
        "InvalidSmsRoleAccessPolicyException",
        "InvalidSmsRoleTrustRelationshipException",
        "MFAMethodNotFoundException",
        "SoftwareTokenMFANotFoundException",
    }
)


def wait(seconds: float) -> RefusalText | None:
    """Return the message for a wait of so many seconds by our own limits; None if there is no wait."""
    if seconds <= 0:
        return None
    minutes = ceil(seconds / 60)
    sentence = Text.counted(
        "Too many attempts. Try again in a minute.",
        "Too many attempts. Try again in {count} minutes.",
        minutes,
    )
    return replace(TOO_MANY, sentence=sentence, retry_after=ceil(seconds))


def general(error: GatewayError) -> RefusalText:
    """Return the message that is the same for all forms; for unknown errors, that the operator must act."""
    if not isinstance(error, CognitoRefused) or error.code in _UNWELL:
        return _UNREACHABLE
    if error.code == "TooManyRequestsException":
        return _THROTTLED
    if error.code in _BUSY or phrases.attempts_exceeded(error.code, error.message):
        return TOO_MANY
    if error.code == "UserLambdaValidationException":
        return RefusalText(_from_lambda(error.message))
    if error.code == "CodeDeliveryFailureException":
        return RefusalText(Text("We couldn't send the code. Try again later."), status=503, fault=True)
    if error.code == "InvalidParameterException" and not _operators(error):
        return RefusalText((not error.member and _sentence(error.message)) or _NOT_ACCEPTED)
    return MISCONFIGURED


def sign_in(error: GatewayError) -> RefusalText:
    """Return the message after a username and password, or a username alone, was refused."""
    if isinstance(error, CognitoRefused):
        if error.code == "UserNotConfirmedException":
            return RefusalText(Text("This account isn't confirmed yet."), next="confirm")
        if error.code == "PasswordResetRequiredException":
            return RefusalText(Text("Reset your password before you sign in."), next="reset")
        if error.code == "UserNotFoundException":
            return WRONG
        if error.code == "NotAuthorizedException" and not _operators(error):
            if phrases.attempts_exceeded(error.code, error.message):
                return TOO_MANY
            if error.message.startswith("Temporary password has expired"):
                return RefusalText(
                    Text("Your temporary password has expired. Ask your administrator for a new one.")
                )
            return WRONG
        if error.code == "InvalidParameterException" and not _operators(error):
            # A username that no pool could have; Cognito validates it before anything else.
            return WRONG
    return general(error)


def challenge(error: GatewayError) -> RefusalText:
    """Return the message after an answer to a challenge was refused."""
    if isinstance(error, CognitoRefused):
        if error.code == "CodeMismatchException":
            return OUT_OF_DATE if phrases.session_over(error.message) else _CODE_WRONG
        if error.code == "EnableSoftwareTokenMFAException":
            return _CODE_WRONG
        if error.code == "ExpiredCodeException" and error.message.startswith("Your software token"):
            return _CODE_USED
        if error.code == "ExpiredCodeException":
            return OUT_OF_DATE if phrases.session_over(error.message) else _CODE_OLD
        if error.code == "NotAuthorizedException" and phrases.session_over(error.message):
            return OUT_OF_DATE
        about = _password(error, "new_password") or _by_member(error, _OF_CHALLENGES)
        if about is not None:
            return about
        if error.code == "InvalidParameterException":
            return general(error)
    return sign_in(error)


def passkey(error: GatewayError) -> RefusalText:
    """Return the message after a passkey was refused at sign-in."""
    if isinstance(error, CognitoRefused) and not _operators(error):
        if error.code == "NotAuthorizedException" and phrases.session_over(error.message):
            return OUT_OF_DATE
        if error.code in {"InvalidParameterException", "NotAuthorizedException", "UserNotFoundException"}:
            return PASSKEY_REFUSED
    return challenge(error)


def new_passkey(error: GatewayError) -> RefusalText:
    """Return the message after a new passkey was refused."""
    if isinstance(error, CognitoRefused):
        if _session_over(error):
            return ENDED
        if error.code == "LimitExceededException":
            return RefusalText(Text("You have as many passkeys as an account can have. Delete one first."))
        if error.code in _NO_PASSKEYS:
            return NO_PASSKEYS
        if error.code.startswith("WebAuthn") or error.code == "InvalidParameterException":
            return RefusalText(Text("That passkey couldn't be added. Try again."))
    return general(error)


def own_account(error: GatewayError) -> RefusalText:
    """Return the message after a signed-in user's own account could not be read or changed."""
    if isinstance(error, CognitoRefused) and _session_over(error):
        return ENDED
    return general(error)


def profile(error: GatewayError) -> RefusalText:
    """Return the message after a change of a user's own attributes was refused."""
    if isinstance(error, CognitoRefused):
        if _session_over(error):
            return ENDED
        if error.code == "NotAuthorizedException":
            return RefusalText(Text("One of your entries can't be changed here."), fault=True)
        if error.code in {"InvalidParameterException", "CodeDeliveryFailureException"}:
            return RefusalText(Text("One of your entries can't be used. Check them and try again."))
    return general(error)


def attribute_code(error: GatewayError) -> RefusalText:
    """Return the message after the code of a changed address was refused."""
    if isinstance(error, CognitoRefused) and _session_over(error):
        return ENDED
    return code(error)


def authenticator(error: GatewayError) -> RefusalText:
    """Return the message after the first code of an authenticator app was refused."""
    if isinstance(error, CognitoRefused) and _session_over(error):
        return ENDED
    return challenge(error)


def sign_up(error: GatewayError) -> RefusalText:
    """Return the message after a sign-up was refused. Callers handle UsernameExists and AliasExists,
    neutrally."""
    if isinstance(error, CognitoRefused):
        about = _password(error, "password") or _by_member(error, _OF_SIGN_UP)
        if about is not None:
            return about
        if error.code == "InvalidParameterException":
            if error.message.startswith("Username cannot be of email format"):
                return RefusalText(Text("Choose a username that isn't an email address."), "username")
            if error.message.startswith("Username should be an email"):
                return RefusalText(Text("Enter an email address as the username."), "username")
    return general(error)


def code(error: GatewayError) -> RefusalText:
    """Return the message after a code was refused; it reveals nothing about the account."""
    if isinstance(error, CognitoRefused):
        about = _password(error, "new_password") or _by_member(error, _OF_CODES)
        if about is not None:
            return about
        if error.code in {
            "CodeMismatchException",
            "ExpiredCodeException",
            "UserNotFoundException",
            "AliasExistsException",
            "InvalidParameterException",
            *_BUSY,
        } and not _operators(error):
            return _CODE_NEUTRAL
        if error.code == "NotAuthorizedException" and not _operators(error):
            return _CODE_NEUTRAL
    return general(error)


def change_password(error: GatewayError) -> RefusalText:
    if isinstance(error, CognitoRefused):
        about = _password(error, "new_password") or _by_member(error, _OF_CHANGE)
        if about is not None:
            return about
        if _session_over(error):
            return ENDED
        if (
            error.code == "NotAuthorizedException"
            and not _operators(error)
            and not phrases.attempts_exceeded(error.code, error.message)
        ):
            return _WRONG_PASSWORD
    return general(error)


def sending(error: GatewayError) -> RefusalText:
    """Return the message after a request to send a code was refused for reasons that reveal nothing."""
    if isinstance(error, CognitoRefused) and error.member:
        return RefusalText(_NO_SUCH_NAME, "username")
    if isinstance(error, CognitoRefused) and error.code in _BUSY:
        return TOO_MANY
    return code(error)


# The call used the session's access token, and its user no longer exists or may not sign in.
_NO_SESSION = frozenset(
    {"UserNotFoundException", "UserNotConfirmedException", "PasswordResetRequiredException"}
)
_ACCESS_TOKEN = ("Access Token", "Invalid Access Token")
NO_PASSKEYS = RefusalText(Text("Passkeys aren't available for your account."), fault=True)
ENDED = RefusalText(Text("Your session has expired. Sign in to continue."), next="again")
# The pool's settings do not allow passkeys.
_NO_PASSKEYS = frozenset(
    {
        "WebAuthnConfigurationMissingException",
        "WebAuthnNotEnabledException",
    }
)
_WRONG_PASSWORD = RefusalText(Text("Incorrect password."), "password")
# Request member named by a validation error → message and form field.
_OF_SIGN_UP = {"username": RefusalText(_NO_SUCH_NAME, "username"), "password": RefusalText(_ENDS, "password")}
_OF_CODES = {
    "username": RefusalText(_NO_SUCH_NAME, "username"),
    "password": RefusalText(_ENDS, "new_password"),
}
_OF_CHANGE = {
    "proposedPassword": RefusalText(_ENDS, "new_password"),
    # No account has such a password.
    "previousPassword": _WRONG_PASSWORD,
}
_OF_CHALLENGES = {
    "NEW_PASSWORD": RefusalText(_ENDS, "new_password"),
    "PASSWORD": WRONG,
    "userCode": _CODE_WRONG,
    "session": OUT_OF_DATE,
}


def _session_over(error: CognitoRefused) -> bool:
    """Return whether Cognito refuses the session's access token, or its user."""
    return error.code in _NO_SESSION or (
        error.code == "NotAuthorizedException" and error.message.startswith(_ACCESS_TOKEN)
    )


def _by_member(error: CognitoRefused, texts: Mapping[str, RefusalText]) -> RefusalText | None:
    return texts.get(error.member.rpartition(".")[2])


def _operators(error: CognitoRefused) -> bool:
    """Return whether the app client or the pool is at fault, whatever the exception's name."""
    return error.of_the_client or error.code in _FAULTS


def _password(error: CognitoRefused, field: str) -> RefusalText | None:
    if error.code == "PasswordHistoryPolicyViolationException":
        return RefusalText(Text("You've used this password before. Choose another."), field)
    if error.code != "InvalidPasswordException":
        return None
    # Cognito: "Password did not conform with policy: Password must have …".
    said = error.message.rpartition(":")[2].strip()
    sentence = next((text for text in _COGNITO_SAID if text == _sentence(said)), _sentence(said))
    return RefusalText(sentence or Text("This password can't be used. Choose another."), field)


def _from_lambda(message: str) -> str:
    # "PreSignUp failed with error Only colleagues may sign up.": the operator's own message to the user.
    own = message.partition(" failed with error ")[2] or message
    return _sentence(own) or Text("This wasn't accepted.")


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""
