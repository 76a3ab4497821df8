"""Cognito's refusals in words for the person at the browser. Pure.

Invariant: what is said is the same whether a user exists or not; what the operator must mend is said as such,
and its details go to the log only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import Literal

from gateway.aws.values import CognitoRefused
from gateway.errors import GatewayError

# Where to go on: nowhere else, to the confirmation, to a new password, to the beginning.
Next = Literal["", "confirm", "reset", "again"]


@dataclass(frozen=True, slots=True)
class Told:
    """`field`: the form's field it is about; None: about all of it. `fault`: the operator must look.

    `retry_after`: seconds until it is worth trying again; None where nobody knows (Cognito does not say).
    """

    sentence: str
    field: str | None = None
    status: int = 400
    next: Next = ""
    fault: bool = False
    retry_after: int | None = None


WRONG = Told("The username or the password is not right.")
TOO_MANY = Told("Too many attempts. Wait some minutes and try again.", status=429)
# The account's own quota at AWS, whoever asks: nobody has guessed anything.
_THROTTLED = replace(TOO_MANY, fault=True)
OUT_OF_DATE = Told("This took too long, or the page was used twice. Sign in again.", next="again")
_UNREACHABLE = Told(
    "The sign-in service cannot be reached at the moment. Try again in a minute.", status=503, fault=True
)
_MISCONFIGURED = Told(
    "This does not work at the moment: the gateway and its user pool do not fit together. "
    "Whoever runs it finds the reason in its log.",
    status=503,
    fault=True,
)
_CODE_WRONG = Told("This code is not right. Look again, or ask for another.", "code")
_CODE_OLD = Told("This code is no longer valid. Ask for another.", "code")
# Who signs in twice within half a minute sees the same code in their app.
_CODE_USED = Told("This code was used already. Wait for your app's next one.", "code")
# One sentence for wrong, old, and for a user there is none of.
_CODE_NEUTRAL = Told("This code is not right or no longer valid. Look again, or ask for another.", "code")

_BUSY = frozenset({"LimitExceededException", "TooManyFailedAttemptsException"})
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


def wait(seconds: float) -> Told | None:
    """What is said to whoever has to wait so long by our own count; None: nobody has to."""
    return replace(TOO_MANY, retry_after=ceil(seconds)) if seconds > 0 else None


def general(error: GatewayError) -> Told:
    """What is the same for all forms; for what is nobody's in particular, the operator's."""
    if not isinstance(error, CognitoRefused):
        return _UNREACHABLE
    if error.code == "TooManyRequestsException":
        return _THROTTLED
    if error.code in _BUSY or error.message == "Password attempts exceeded":
        return TOO_MANY
    if error.code == "UserLambdaValidationException":
        return Told(_from_lambda(error.message))
    if error.code == "CodeDeliveryFailureException":
        return Told("The code could not be sent. Try again later.", status=503, fault=True)
    return _MISCONFIGURED


def sign_in(error: GatewayError) -> Told:
    """After a username and a password, or a username alone."""
    if isinstance(error, CognitoRefused):
        if error.code == "UserNotConfirmedException":
            return Told("The account is not confirmed yet.", next="confirm")
        if error.code == "PasswordResetRequiredException":
            return Told("The password must be changed before you can sign in.", next="reset")
        if error.code == "UserNotFoundException":
            return WRONG
        if error.code == "NotAuthorizedException" and not _operators(error):
            if error.message == "Password attempts exceeded":
                return TOO_MANY
            if error.message.startswith("Temporary password has expired"):
                return Told("The temporary password has expired. Ask your administrator for another.")
            return WRONG
        if error.code == "InvalidParameterException" and not _operators(error):
            # A username that no pool could have; Cognito checks its form before anything else.
            return WRONG
    return general(error)


def challenge(error: GatewayError) -> Told:
    """After the answer to a challenge."""
    if isinstance(error, CognitoRefused):
        if error.code == "CodeMismatchException":
            return OUT_OF_DATE if "session" in error.message.lower() else _CODE_WRONG
        if error.code == "EnableSoftwareTokenMFAException":
            return _CODE_WRONG
        if error.code == "ExpiredCodeException" and "software token" in error.message:
            return _CODE_USED
        if error.code == "ExpiredCodeException":
            return _CODE_OLD if "code" in error.message.lower() else OUT_OF_DATE
        if error.code == "NotAuthorizedException" and "session" in error.message.lower():
            return OUT_OF_DATE
        about = _password(error, "new_password")
        if about is not None:
            return about
        if error.code == "InvalidParameterException" and not _operators(error):
            return Told(_sentence(error.message) or "This was not accepted. Check what you entered.")
    return sign_in(error)


def sign_up(error: GatewayError) -> Told:
    """UsernameExists and AliasExists are the caller's to answer neutrally before it asks here."""
    if isinstance(error, CognitoRefused):
        about = _password(error, "password")
        if about is not None:
            return about
        if error.code == "InvalidParameterException" and not _operators(error):
            if "email format" in error.message:
                return Told("Choose a username that is not an e-mail address.", "username")
            if error.message.startswith("Username should be an email"):
                return Told("Enter an e-mail address as the username.", "username")
            return Told(_sentence(error.message) or "This was not accepted. Check what you entered.")
    return general(error)


def code(error: GatewayError) -> Told:
    """After a confirmation code or one for a forgotten password: nothing about the account."""
    if isinstance(error, CognitoRefused):
        about = _password(error, "new_password")
        if about is not None:
            return about
        if error.code in {
            "CodeMismatchException",
            "ExpiredCodeException",
            "UserNotFoundException",
            "AliasExistsException",
            "InvalidParameterException",
        } and not _operators(error):
            return _CODE_NEUTRAL
        if error.code == "NotAuthorizedException" and not _operators(error):
            return _CODE_NEUTRAL
    return general(error)


def change_password(error: GatewayError) -> Told:
    if isinstance(error, CognitoRefused):
        about = _password(error, "new_password")
        if about is not None:
            return about
        if error.code == "NotAuthorizedException":
            if "Access Token" in error.message:
                return Told("You were signed out elsewhere. Sign in again.", next="again")
            if not _operators(error) and error.message != "Password attempts exceeded":
                return Told("The current password is not right.", "password")
    return general(error)


def _operators(error: CognitoRefused) -> bool:
    """Whether the app client or the pool is at fault, whatever the exception's name."""
    return error.of_the_client or error.code in _FAULTS


def _password(error: CognitoRefused, field: str) -> Told | None:
    if error.code == "PasswordHistoryPolicyViolationException":
        return Told("You have used this password before. Choose another.", field)
    if error.code != "InvalidPasswordException":
        return None
    # The part behind the colon in "Password did not conform with policy: Password must have …".
    said = error.message.rpartition(":")[2].strip()
    return Told(_sentence(said) or "The pool does not take this password. Choose another.", field)


def _from_lambda(message: str) -> str:
    # "PreSignUp failed with error Only colleagues may sign up.": the operator's own words to the user.
    own = message.partition(" failed with error ")[2] or message
    return _sentence(own) or "This was not accepted."


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""
