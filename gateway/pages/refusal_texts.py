"""Cognito's refusals in words for the person at the browser. Pure.

Invariant: what is said is the same whether a user exists or not; what the operator must fix is said as such,
and its details go to the log only. A 503 is never the person's mistake.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import Literal

from gateway.aws import phrases
from gateway.aws.values import CognitoRefused
from gateway.errors import GatewayError

# Where to go on: nowhere else, to the confirmation, to a new password, to the beginning.
Next = Literal["", "confirm", "reset", "again"]


@dataclass(frozen=True, slots=True)
class RefusalText:
    """`field`: the form's field it is about; None: about all of it. `fault`: the operator must look.

    `retry_after`: seconds until it is worth trying again; None where nobody knows (Cognito does not say).
    """

    sentence: str
    field: str | None = None
    status: int = 400
    next: Next = ""
    fault: bool = False
    retry_after: int | None = None


WRONG = RefusalText("Incorrect username or password.")
TOO_MANY = RefusalText("Too many attempts. Try again later.", status=429)
# The account's own quota at AWS, whoever asks: nobody has guessed anything.
_THROTTLED = replace(TOO_MANY, fault=True)
OUT_OF_DATE = RefusalText("This page has expired. Sign in again.", next="again")
_UNREACHABLE = RefusalText(
    "The sign-in service is unavailable at the moment. Try again in a minute.", status=503, fault=True
)
MISCONFIGURED = RefusalText(
    "Sign-in is misconfigured. Please tell your administrator.", status=503, fault=True
)
_CODE_WRONG = RefusalText("That code isn't right. Check it and try again.", "code")
_CODE_OLD = RefusalText("That code is no longer valid. Sign in again for a new one.", "code")
# Who signs in twice within half a minute sees the same code in their app.
_CODE_USED = RefusalText("That code was used already. Wait for your app's next one.", "code")
# One sentence for wrong, old, tried too often, and for a user there is none of: Cognito counts the codes of
# some names and not of others.
_CODE_NEUTRAL = RefusalText(
    "That code isn't right or has expired. Check it or ask for a new one; after several tries wait an hour.",
    "code",
)
# Cognito's form of a username and of a password: API reference, UsernameType; developer guide, "Adding user
# pool password requirements".
_NO_SUCH_NAME = "A username has 1 to 128 characters and no spaces."
_ENDS = "A password has at most 256 characters and no space at its beginning or end."
_NOT_ACCEPTED = "One of your entries is too long or has characters that can't be used."

_BUSY = frozenset({"LimitExceededException", "TooManyFailedAttemptsException"})
# Cognito's own trouble; botocore makes a code of the status where an answer names none.
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
    """What is said to whoever has to wait so long by our own count; None: nobody has to."""
    if seconds <= 0:
        return None
    minutes = ceil(seconds / 60)
    left = f"{minutes} minutes" if minutes > 1 else "a minute"
    return replace(TOO_MANY, sentence=f"Too many attempts. Try again in {left}.", retry_after=ceil(seconds))


def general(error: GatewayError) -> RefusalText:
    """What is the same for all forms; for what is nobody's in particular, the operator's."""
    if not isinstance(error, CognitoRefused) or error.code in _UNWELL:
        return _UNREACHABLE
    if error.code == "TooManyRequestsException":
        return _THROTTLED
    if error.code in _BUSY or phrases.attempts_exceeded(error.code, error.message):
        return TOO_MANY
    if error.code == "UserLambdaValidationException":
        return RefusalText(_from_lambda(error.message))
    if error.code == "CodeDeliveryFailureException":
        return RefusalText("We couldn't send the code. Try again later.", status=503, fault=True)
    if error.code == "InvalidParameterException" and not _operators(error):
        return RefusalText((not error.member and _sentence(error.message)) or _NOT_ACCEPTED)
    return MISCONFIGURED


def sign_in(error: GatewayError) -> RefusalText:
    """After a username and a password, or a username alone."""
    if isinstance(error, CognitoRefused):
        if error.code == "UserNotConfirmedException":
            return RefusalText("This account isn't confirmed yet.", next="confirm")
        if error.code == "PasswordResetRequiredException":
            return RefusalText("Reset your password before you sign in.", next="reset")
        if error.code == "UserNotFoundException":
            return WRONG
        if error.code == "NotAuthorizedException" and not _operators(error):
            if phrases.attempts_exceeded(error.code, error.message):
                return TOO_MANY
            if error.message.startswith("Temporary password has expired"):
                return RefusalText(
                    "Your temporary password has expired. Ask your administrator for a new one."
                )
            return WRONG
        if error.code == "InvalidParameterException" and not _operators(error):
            # A username that no pool could have; Cognito checks its form before anything else.
            return WRONG
    return general(error)


def challenge(error: GatewayError) -> RefusalText:
    """After the answer to a challenge."""
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


def sign_up(error: GatewayError) -> RefusalText:
    """UsernameExists and AliasExists are the caller's to answer neutrally before it asks here."""
    if isinstance(error, CognitoRefused):
        about = _password(error, "password") or _by_member(error, _OF_SIGN_UP)
        if about is not None:
            return about
        if error.code == "InvalidParameterException":
            if error.message.startswith("Username cannot be of email format"):
                return RefusalText("Choose a username that isn't an email address.", "username")
            if error.message.startswith("Username should be an email"):
                return RefusalText("Enter an email address as the username.", "username")
    return general(error)


def code(error: GatewayError) -> RefusalText:
    """After a confirmation code or one for a forgotten password: nothing about the account."""
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
        if error.code in _NO_SESSION or (
            error.code == "NotAuthorizedException" and error.message.startswith(_ACCESS_TOKEN)
        ):
            return RefusalText("Your session has expired. Sign in to continue.", next="again")
        if (
            error.code == "NotAuthorizedException"
            and not _operators(error)
            and not phrases.attempts_exceeded(error.code, error.message)
        ):
            return _WRONG_PASSWORD
    return general(error)


def sending(error: GatewayError) -> RefusalText:
    """After the request to send a code, where what is refused says nothing about an account."""
    if isinstance(error, CognitoRefused) and error.member:
        return RefusalText(_NO_SUCH_NAME, "username")
    if isinstance(error, CognitoRefused) and error.code in _BUSY:
        return TOO_MANY
    return code(error)


# What was asked with the access token, and the user it belongs to is not there any more.
_NO_SESSION = frozenset(
    {"UserNotFoundException", "UserNotConfirmedException", "PasswordResetRequiredException"}
)
_ACCESS_TOKEN = ("Access Token", "Invalid Access Token")
_WRONG_PASSWORD = RefusalText("Incorrect password.", "password")
# The request's member that a validation error names → what is said, beside which field.
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


def _by_member(error: CognitoRefused, told: Mapping[str, RefusalText]) -> RefusalText | None:
    return told.get(error.member.rpartition(".")[2])


def _operators(error: CognitoRefused) -> bool:
    """Whether the app client or the pool is at fault, whatever the exception's name."""
    return error.of_the_client or error.code in _FAULTS


def _password(error: CognitoRefused, field: str) -> RefusalText | None:
    if error.code == "PasswordHistoryPolicyViolationException":
        return RefusalText("You've used this password before. Choose another.", field)
    if error.code != "InvalidPasswordException":
        return None
    # The part behind the colon in "Password did not conform with policy: Password must have …".
    said = error.message.rpartition(":")[2].strip()
    return RefusalText(_sentence(said) or "This password can't be used. Choose another.", field)


def _from_lambda(message: str) -> str:
    # "PreSignUp failed with error Only colleagues may sign up.": the operator's own words to the user.
    own = message.partition(" failed with error ")[2] or message
    return _sentence(own) or "This wasn't accepted."


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""
