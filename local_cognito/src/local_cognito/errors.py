"""What the local Cognito answers when it refuses: AWS's exception names and Cognito's own sentences.

Invariant: every refusal leaves as one `AwsError`; the wire layer renders nothing else. `CannotRun` is for the
person who starts it: no client ever sees one.
"""

from __future__ import annotations


class CannotRun(Exception):
    """The local Cognito cannot start: one sentence that says what to change."""


class SeedRefused(CannotRun):
    """A seed file is refused; the message names the place."""


class AwsError(Exception):
    """One AWS-shaped refusal: `type` is the exception's name in the API model, `status` the HTTP status."""

    def __init__(self, type_: str, message: str, status: int = 400) -> None:
        super().__init__(f"{type_}: {message}")
        self.type = type_
        self.message = message
        self.status = status


def invalid_parameter(message: str) -> AwsError:
    return AwsError("InvalidParameterException", message)


def not_authorized(message: str) -> AwsError:
    return AwsError("NotAuthorizedException", message)


def not_found(message: str) -> AwsError:
    return AwsError("ResourceNotFoundException", message)


def wrong_password() -> AwsError:
    """The one sentence for a wrong password and, with PreventUserExistenceErrors, an unknown user."""
    return not_authorized("Incorrect username or password.")
