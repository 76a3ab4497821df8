"""Error responses: AWS's exception names with Cognito's own messages.

Invariant: every refusal is an `AwsError`; the wire layer renders nothing else. `CannotRun` is for the user
who starts the server: no client ever sees one.
"""

from __future__ import annotations


class CannotRun(Exception):
    """The local Cognito cannot start; the message says what to change."""


class SeedRefused(CannotRun):
    """A seed file is invalid; the message names the place."""


class AwsError(Exception):
    """An AWS error response. `type` is the exception's name in the API model, `status` the HTTP status."""

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
    """Return the error for a wrong password and, with PreventUserExistenceErrors, for an unknown user."""
    return not_authorized("Incorrect username or password.")
