"""Cognito error messages that decide something, recognised by exception name and fixed prefix. Pure.

Cognito's messages quote client input (`Value 'the username' at 'username' failed …`), so a word found
elsewhere in a message may come from the client. Invariant: nothing that a client can put into a message
changes a result here, except the name of the invalid member.
"""

from __future__ import annotations

import re

# Exception → pattern of its message where the app client or the pool's settings are at fault, not the user.
_OF_THE_CLIENT = {
    "InvalidParameterException": re.compile(
        r"[A-Za-z_]{1,40} flow not enabled for this client\.?\Z|Initiate Auth method not supported"
    ),
    "NotAuthorizedException": re.compile(
        r"Unable to verify (?:the )?secret |Client [\w+]{1,128} is configured (?:with|for) secret"
        r"|(?:Invalid )?[Cc]lient secret |SignUp is not permitted for this user pool"
        r"|A client attempted to write unauthorized attribute"
    ),
}
_FLOW = re.compile(r"[A-Za-z_]{1,40} flow not enabled for this client\.?\Z")
_NEEDS_SECRET = re.compile(r"Client [\w+]{1,128} is configured (?:with|for) secret")
# "2 validation errors detected: Value 'x y' at 'username' failed to satisfy constraint: Member must …".
# Quoted input may imitate any of it, so only the last occurrence, at the very end, is read.
_MEMBER = re.compile(
    r".* at '([A-Za-z0-9_.]{1,80})' failed to satisfy constraint: Member must [^']*\Z", re.DOTALL
)
_VALIDATION = re.compile(r"[0-9]{1,3} validation errors? detected: ")
_SCHEMA = "Attributes did not conform to the schema: "
# "given_name: The attribute is required", one per line.
_REQUIRED = re.compile(r"([\w:.-]{1,40}): The attribute(?: [\w:.-]+)? is required")


def of_the_client(code: str, message: str) -> bool:
    """Return whether Cognito refuses the app client or the pool's settings, not the user."""
    beginnings = _OF_THE_CLIENT.get(code)
    return beginnings is not None and beginnings.match(message) is not None


def flow_not_enabled(code: str, message: str) -> bool:
    return code == "InvalidParameterException" and _FLOW.match(message) is not None


def needs_secret(code: str, message: str) -> bool:
    """Return whether the app client has a secret and none was sent."""
    return code == "NotAuthorizedException" and (
        _NEEDS_SECRET.match(message) is not None
        or message.startswith("Unable to verify secret hash: SECRET_HASH was not received")
    )


def wrong_secret(code: str, message: str) -> bool:
    return code == "NotAuthorizedException" and message.startswith("Unable to verify secret hash for client ")


def sign_up_closed(code: str, message: str) -> bool:
    return code == "NotAuthorizedException" and message.startswith("SignUp is not permitted for this user")


def attempts_exceeded(code: str, message: str) -> bool:
    return code == "NotAuthorizedException" and message.startswith("Password attempts exceeded")


def refresh_token_refused(code: str, message: str) -> bool:
    """Return whether a refresh token is refused without being named revoked or expired."""
    return code == "NotAuthorizedException" and message.startswith("Invalid Refresh Token")


def session_over(message: str) -> bool:
    """Return whether a challenge's session is refused, not the answer."""
    return message.startswith(("Invalid session", "Session ", "Your session "))


def missing_attributes(code: str, message: str) -> tuple[str, ...]:
    """Return the attributes that the pool requires, as named in its refusal of a sign-up."""
    if code != "InvalidParameterException" or not message.startswith(_SCHEMA):
        return ()
    lines = message.removeprefix(_SCHEMA).splitlines()
    found = (_REQUIRED.match(line.strip()) for line in lines)
    return tuple(dict.fromkeys(match[1] for match in found if match is not None))


def wrong_member(code: str, message: str) -> str:
    """Return the member that a validation error names (`password`, `userAttributes.1.member.value`)."""
    if code != "InvalidParameterException" or not _VALIDATION.match(message):
        return ""
    match = _MEMBER.match(message)
    return "" if match is None else match[1]
