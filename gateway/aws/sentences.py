"""botocore's errors as one sentence each: what went wrong and what to do.

Invariant: a server's message is shown only if it is short prose; anything that may be a token or a secret is
left out (an emulator was seen to answer with the whole token as its message).
"""

from __future__ import annotations

import re

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigParseError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    InvalidConfigError,
    InvalidRegionError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
    SSOError,
    TokenRetrievalError,
)

from gateway.aws import phrases
from gateway.aws.boto_egress import explain_egress
from gateway.aws.values import CognitoRefused, Flow, NoAwsCredentials
from gateway.config.model import DIRECT, Egress
from gateway.errors import GatewayError

# Long runs without a space are tokens, hashes or keys; Cognito's prose has none of 40 characters.
_OPAQUE = re.compile(r"\S{40,}")


_ENDS = "a password at Cognito has at most 256 characters and no space at its beginning or end"
_PLAIN = {
    "UserNotFoundException": "incorrect username or password",
    "UserNotConfirmedException": "the user is not confirmed yet: confirm the account first",
    "PasswordResetRequiredException": "the user's password must be reset first",
    "TooManyRequestsException": "Cognito is throttling requests: try again later",
    "LimitExceededException": "too many attempts: try again later",
    "UnrecognizedClientException": "the AWS credentials are not valid: check --profile or AWS_ACCESS_KEY_ID",
    "InvalidSignatureException": "the AWS credentials are wrong: check the secret key and the clock",
    "ExpiredTokenException": "the AWS credentials have expired: get new ones",
    "MissingAuthenticationTokenException": "Cognito asks for AWS credentials: name a profile with --profile",
    "AccessDeniedException": "these AWS credentials may not do this: the admin flow needs the actions "
    "cognito-idp:AdminInitiateAuth and AdminRespondToAuthChallenge; --flow password needs none",
}
# Request member named by a validation error → message.
_MEMBERS = {
    "password": _ENDS,
    "proposedPassword": _ENDS,
    "username": "invalid username: Cognito allows 1 to 128 characters without spaces",
    "USERNAME": "invalid username: Cognito allows 1 to 128 characters without spaces",
    "PASSWORD": _ENDS,
    "NEW_PASSWORD": _ENDS,
    "userCode": "the code is six digits",
}
_FLOW_SETTING = {
    "admin": "ALLOW_ADMIN_USER_PASSWORD_AUTH",
    "password": "ALLOW_USER_PASSWORD_AUTH",
    "srp": "ALLOW_USER_SRP_AUTH",
    "choice": "ALLOW_USER_AUTH",
}


def refused(error: ClientError, *, client_id: str, flow: Flow) -> CognitoRefused:
    """Return the refusal with a sentence for the user of a command."""
    details = error.response.get("Error", {})
    code, message = details.get("Code", "unknown"), details.get("Message", "")
    # From the whole message: one with a long quotation is not shown but still names its member.
    member = phrases.wrong_member(code, message)
    return CognitoRefused(code, _sentence(code, message, client_id, flow), shown(message), member)


def _sentence(code: str, message: str, client_id: str, flow: str) -> str:
    if phrases.flow_not_enabled(code, message):
        setting = _FLOW_SETTING[flow]
        return f"app client {client_id} does not allow this flow: add {setting} to it, or use another --flow"
    if phrases.needs_secret(code, message):
        return (
            f"app client {client_id} has a secret: name its file as client_secret_file in the configuration"
        )
    if phrases.wrong_secret(code, message):
        return f"the client secret is not that of app client {client_id}: check client_secret_file"
    if phrases.attempts_exceeded(code, message):
        return "too many failed attempts for this user: wait up to 15 minutes and try again"
    if phrases.refresh_token_refused(code, message):
        return (
            "Cognito refuses the refresh token (Invalid Refresh Token): sign in again; where the user pool "
            "remembers devices, only sign-ins with --flow srp can be renewed"
        )
    if code == "ResourceNotFoundException":
        return f"no such user pool or app client ({client_id}): check the IDs and the region"
    if code in _PLAIN:
        return _PLAIN[code]
    if about := _MEMBERS.get(phrases.wrong_member(code, message).rpartition(".")[2]):
        return about
    return f"Cognito refused: {code}: {shown(message)}".rstrip(": ")


def shown(message: str) -> str:
    return "" if _OPAQUE.search(message) or len(message) > 300 else message


def explain(
    error: BotoCoreError | ValueError,
    *,
    endpoint: str | None,
    egress: Egress = DIRECT,
    flow: Flow | None = None,
) -> GatewayError:
    """Return why a request could not be made or got no response; `flow` of a sign-in, if it is one."""
    where = endpoint or "AWS"
    on_the_way = explain_egress(error, egress)
    if on_the_way is not None:
        return on_the_way
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        instead = "; --flow password needs none" if flow == "admin" else ""
        return NoAwsCredentials(
            "no AWS credentials found: name a profile with --profile, or set AWS_ACCESS_KEY_ID and "
            f"AWS_SECRET_ACCESS_KEY{instead}"
        )
    if isinstance(error, ProfileNotFound):
        profile = error.kwargs.get("profile")
        return NoAwsCredentials(
            f"the AWS profile {profile} does not exist: check --profile and ~/.aws/config"
        )
    if isinstance(error, (ConfigParseError, InvalidConfigError, CredentialRetrievalError)):
        return NoAwsCredentials(_configured_badly(error))
    if isinstance(error, (SSOError, TokenRetrievalError)):
        return NoAwsCredentials(
            "the AWS credentials are those of an SSO session that has ended: run `aws sso login` (with the "
            "same --profile)"
        )
    if isinstance(error, (EndpointConnectionError, ConnectTimeoutError)):
        return GatewayError(
            f"cannot reach Cognito at {where}: check the endpoint, the region and the network"
        )
    if isinstance(error, ReadTimeoutError):
        return GatewayError(f"Cognito at {where} did not answer in time: try again")
    if isinstance(error, InvalidRegionError):
        return GatewayError("unknown AWS region: check --region and the user pool ID")
    if isinstance(error, ValueError):
        return GatewayError(f"{where} is not an endpoint URL: for example http://127.0.0.1:9229")
    if isinstance(error, ParamValidationError):
        # botocore validates lengths before it sends anything; Cognito would refuse them too.
        return CognitoRefused(
            "InvalidParameterException",
            "the request is not one Cognito accepts: check the pool ID, the client ID and the input",
        )
    # Other messages contain no input of ours, but possibly a URL that should not be shown.
    return GatewayError(f"the request to Cognito at {where} failed ({type(error).__name__})")


def _configured_badly(error: BotoCoreError) -> str:
    """Return what prevents a profile in AWS's own files from being used, and the fix."""
    details = error.kwargs
    if isinstance(error, ConfigParseError):
        # The cause's text quotes the line, which may be a secret key: its number is enough.
        line = _line_of(details.get("error"))
        where = f"{details.get('path')}, {line}" if line else str(details.get("path"))
        return (
            f"{where}: this is not AWS's configuration format, sections in [brackets] and `key = value`: "
            "fix it (`aws configure list` reads the same file)"
        )
    if isinstance(error, CredentialRetrievalError):
        # The other program's output is left out: it may contain part of the credentials.
        return (
            "the AWS credentials could not be obtained from their source "
            f"({details.get('provider')}): fix what `aws sts get-caller-identity` reports, or "
            "name another profile with --profile"
        )
    about = shown(str(details.get("error_msg") or error)).rstrip(". ")
    return f"the AWS profile cannot be used: {about}: fix it in ~/.aws/config, or name another with --profile"


def _line_of(cause: object) -> str:
    """Return the line on which configparser failed; empty if it does not say."""
    number = getattr(cause, "lineno", None)
    errors = getattr(cause, "errors", None)
    if number is None and errors:
        number = errors[0][0]
    return f"line {number}" if number else ""
