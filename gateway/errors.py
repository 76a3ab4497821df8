"""Every way a request is refused, and every way a command fails: one class per reason.

A `Refusal` carries all that the one renderer (gateway/http/answers.py) needs: the status, the RFC 6750
error code, a text that is safe to show to anyone, and the `reason`, a word from a fixed set for log and
metric. The exact check that failed goes into `str(refusal)`, which only ever reaches the log.

Invariant: nothing a client sent is part of `title` or `detail`; nothing secret is part of anything here.
"""

from __future__ import annotations

import errno
import os
from typing import ClassVar


class GatewayError(Exception):
    """A command cannot do its work: one sentence for the user, exit code 1, no traceback."""


class ConfigurationError(GatewayError):
    """The configuration is invalid; the message holds every mistake, one a line."""


def system_said(error: OSError) -> str:
    """Return the system's word about a file, and what to do where that is not plain from it."""
    told = (error.strerror or "cannot be read").lower()
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"{told}: let this user (uid {os.geteuid()}) have it (chown, chmod), or run as its owner"
    if error.errno == errno.EROFS:
        return f"{told}: choose a place that can be written"
    if error.errno == errno.ENOSPC:
        return f"{told}: make room, or choose another place"
    return told


class Refusal(Exception):
    """A request is not served. Subclasses say why; instances may add what exactly, for the log only."""

    status: ClassVar[int]
    reason: ClassVar[str]
    title: ClassVar[str]
    detail: ClassVar[str]
    # RFC 6750 section 3.1 error code; None where the answer carries no challenge with an error.
    error: ClassVar[str | None] = None
    # RFC 6750 section 3: with a WWW-Authenticate challenge or without.
    challenge: ClassVar[bool] = False
    # Seconds for the Retry-After header; None leaves it out.
    retry_after: int | None = None
    # RFC 6750 section 3: the scopes that would do, for the challenge; empty leaves it out.
    scope: str = ""
    # The connection's framing can no longer be trusted, or the client should go away.
    close: ClassVar[bool] = False
    # The configuration's key whose value was reached; None where no limit is the cause.
    limit: str | None = None

    def __init__(self, exact: str | None = None, *, limit: str | None = None) -> None:
        super().__init__(exact if exact is not None else self.detail)
        if limit is not None:
            self.limit = limit


# --- who asks: 401 and 400 (RFC 6750) ---------------------------------------------------------------------


class NoCredentials(Refusal):
    # RFC 6750 section 3.1: no error code when the request lacks any authentication information.
    status, reason, challenge = 401, "no_credentials", True
    title, detail = "Authentication required", "This resource needs an access token."


class BearerMissing(NoCredentials):
    """API Gateway's Cognito authorizer takes a token alone in the header; RFC 6750 section 2.1 does not."""

    reason = "bearer_missing"
    detail = "The Authorization header holds a token without the word Bearer and a space before it."


class MalformedAuthorization(Refusal):
    status, reason, challenge, error = 400, "malformed_authorization", True, "invalid_request"
    title, detail = "Invalid request", "The Authorization header is malformed."


class TwoCredentials(MalformedAuthorization):
    reason = "two_credentials"
    detail = "The request carries more than one set of credentials."


class InvalidToken(Refusal):
    """The token is not one we accept. One subclass per reason; the client hears one sentence for all."""

    status, reason, challenge, error = 401, "token_invalid", True, "invalid_token"
    title, detail = "Invalid token", "The access token is invalid."


class TokenTooLarge(InvalidToken):
    reason, limit = "token_too_large", "cognito.max_token_size"
    detail = "The access token is larger than this server accepts."


class TokenMalformed(InvalidToken):
    """Not three parts of canonical base64url (RFC 7515 section 3.1, RFC 4648 section 5; stricter)."""

    reason = "token_malformed"


class TokenHeaderRefused(InvalidToken):
    """The header is not strict JSON, or holds a member besides alg, kid and typ (stricter than RFC 7515)."""

    reason = "token_header"


class TokenAlgorithmRefused(InvalidToken):
    reason = "token_algorithm"


class UnknownKey(InvalidToken):
    reason = "unknown_key"


class BadSignature(InvalidToken):
    reason = "bad_signature"


class TokenPayloadRefused(InvalidToken):
    """The payload is not strict JSON, or a claim is missing or of the wrong type."""

    reason = "token_payload"


class TokenExpired(InvalidToken):
    reason = "token_expired"
    detail = "The access token has expired."


class TokenNotYetValid(InvalidToken):
    """`nbf` in the future, or `iat`/`auth_time` further in the future than clocks drift."""

    reason = "token_not_yet_valid"


class WrongIssuer(InvalidToken):
    reason = "wrong_issuer"


class WrongTokenUse(InvalidToken):
    reason = "wrong_token_use"


class NotAnIdToken(WrongTokenUse):
    """A real token, asked to be exchanged for AWS credentials: identity pools take ID tokens only."""

    detail = "AWS credentials need the ID token, or a signed-in browser."


class WrongClient(InvalidToken):
    reason = "wrong_client"


class WrongAudience(InvalidToken):
    """An access token bound to another resource (RFC 8707), or to none where one is required."""

    reason = "wrong_audience"


class TokenRevoked(InvalidToken):
    """Cognito does not stand by it any more: signed out, disabled, deleted."""

    reason = "token_revoked"
    detail = "The access token has been revoked."


class SignedOut(TokenRevoked):
    """Of an open stream: the session that opened it was signed out here."""

    reason = "signed_out"


# --- may they: 403 (RFC 6750 section 3.1) ------------------------------------------------------------------


class Forbidden(Refusal):
    """The principal is known and falls short of what the route asks for; here: of its scopes.

    RFC 6750 knows one error code for all of it.
    """

    status, reason, challenge, error = 403, "insufficient_scope", True, "insufficient_scope"
    title, detail = "Forbidden", "The access token does not grant access to this resource."

    def __init__(self, exact: str | None = None, *, scope: str = "") -> None:
        """`scope`: the names of all scopes the resource needs, which may not be what is missing."""
        super().__init__(exact)
        self.scope = scope


class MissingGroup(Forbidden):
    reason = "missing_group"


class MissingClaim(Forbidden):
    reason = "missing_claim"


class InsufficientAuthentication(Refusal):
    """Signed in too long ago or too weakly for this route (RFC 9470): the user should sign in again."""

    status, reason, challenge = 401, "insufficient_authentication", True
    title, error = "Sign in again", "insufficient_user_authentication"
    detail = "This resource needs a more recent or a stronger sign-in."

    def __init__(self, exact: str, *, acr_values: str, max_age: int | None) -> None:
        super().__init__(exact)
        # RFC 9470 section 3: what would do, for the challenge and for the new sign-in.
        self.acr_values = acr_values
        self.max_age = max_age


class WrongPool(Forbidden):
    """The token is accepted, but this route is another user pool's."""

    reason = "wrong_pool"


class CrossOrigin(Refusal):
    """Signed in by a cookie, but asked by a page of another site (the browser says so, or says nothing)."""

    status, reason = 403, "cross_origin"
    title, detail = "Forbidden", "This request was made by another site."


class NavigationOnly(Refusal):
    """A token, AWS credentials or the set-up form, asked for by a script or a link; or turned off."""

    status, reason = 403, "navigation_only"
    title, detail = "Forbidden", "Only the gateway's own pages show this, to a person who asks for it there."


class CredentialsRefused(Refusal):
    """The identity pool gives this user no AWS credentials."""

    status, reason = 403, "credentials_refused"
    title, detail = "Forbidden", "AWS gives this user no credentials."


class IdTokenRequired(Refusal):
    """The upstream is AWS, and an access token cannot be exchanged for AWS credentials."""

    status, reason = 403, "id_token_required"
    title, detail = "Forbidden", "This API needs the ID token, or a signed-in browser."


class FormRefused(Refusal):
    """A form without a token that this gateway wrote for this browser."""

    status, reason = 403, "form_refused"
    title, detail = "Form expired", "This form is too old, or was not made for this browser: open it again."


class OriginRefused(Refusal):
    """A browser asks on behalf of a page of an origin that may not read our answers."""

    status, reason = 403, "origin_refused"
    title, detail = "Forbidden", "Pages of this origin may not use this API."


# --- what is asked: 400, 404, 408, 413, 431 ----------------------------------------------------------------


class BadRequest(Refusal):
    """The request's framing or head is wrong; the connection is closed after the answer."""

    status, reason, close = 400, "bad_request", True
    title, detail = "Bad request", "The request is malformed."


class BadTarget(BadRequest):
    """RFC 9112 section 3.2: printable ASCII alone, and no fragment; clients percent-encode the rest."""

    reason = "bad_target"
    detail = "The request target holds a character that has to be percent-encoded, or a fragment."


class AmbiguousPath(Refusal):
    status, reason = 400, "ambiguous_path"
    title, detail = "Bad request", "The path is ambiguous: servers do not agree on what it means."


class SignInRefused(Refusal):
    """A browser came back from managed login with something that this gateway did not send it for."""

    status, reason = 400, "sign_in_refused"
    title, detail = "Sign-in failed", "This sign-in cannot be completed: begin again."


class MalformedForm(Refusal):
    status, reason = 400, "malformed_form"
    title, detail = "Bad request", "The form or the query is malformed."


class OriginalRequestUnclear(Refusal):
    """The proxy that asks did not identify the original request, or not completely."""

    status, reason = 403, "original_request_unclear"
    title, detail = "Forbidden", "The proxy did not identify the original request."


class HeadTooLarge(BadRequest):
    status, reason = 431, "head_too_large"
    title, detail = "Request header fields too large", "The request head is larger than this server accepts."
    limit = "listen.max_header_size"


class BodyTooLarge(BadRequest):
    status, reason = 413, "body_too_large"
    title, detail = "Content too large", "The request body is larger than this server accepts."
    limit = "listen.max_body_size"


class UpgradeRefused(BadRequest):
    """A signature covers one request, and nothing that is said afterwards."""

    status, reason = 400, "upgrade_refused"
    title, detail = "Bad request", "WebSockets are not served here."


class ReservedQueryNames(Refusal):
    """The query would give AWS a signature, credentials or orders beside ours."""

    status, reason = 400, "reserved_query_names"
    title, detail = "Bad request", "The query has names that are reserved for signatures."


class SlowClient(BadRequest):
    status, reason = 408, "client_timeout"
    title, detail = "Request timeout", "The request did not arrive in time."
    limit = "listen.idle_timeout"


class MethodNotAllowed(BadRequest):
    status, reason = 405, "method_not_allowed"
    title, detail = "Method not allowed", "This method is not served here."
    # RFC 9110 section 15.5.6: a 405 says what is allowed. CONNECT and TRACE never are.
    allow = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"


class ReadOnly(MethodNotAllowed):
    """A document of ours can be read, nothing else."""

    allow = "GET, HEAD"


class NotFound(Refusal):
    """Under the reserved prefix only: what we do not know there is ours to refuse, never proxied."""

    status, reason = 404, "not_found"
    title, detail = "Not found", "There is nothing at this address."


class RateLimited(Refusal):
    """RFC 6585 section 4. `left` and `policy` are the values of RateLimit and RateLimit-Policy."""

    status, reason, limit = 429, "rate_limited", "rate_limit.requests_per_second"
    title, detail = "Too many requests", "Too many requests in a short time."

    def __init__(self, exact: str, *, retry_after: int, left: str, policy: str) -> None:
        super().__init__(exact)
        self.retry_after = retry_after
        self.left = left
        self.policy = policy


class TooManyConnections(BadRequest):
    status, reason = 503, "too_many_connections"
    title, detail = "Service unavailable", "This server has as many connections as it accepts."
    retry_after = 1
    limit = "listen.max_connections"


# --- whose fault it is: Cognito, us, the upstream ----------------------------------------------------------


class NoKeys(Refusal):
    """No key set to decide with: Cognito's key endpoint cannot be had."""

    status, reason = 503, "no_keys"
    title, detail = "Service unavailable", "Tokens cannot be verified at the moment."
    # 10 s: the cool-down between two fetches of a key set; asking sooner cannot help.
    retry_after = 10


class CognitoUnavailable(Refusal):
    """Cognito is needed for this very request, and gives no answer."""

    status, reason = 503, "cognito_unavailable"
    title, detail = "Service unavailable", "Cognito cannot be reached at the moment: try again."
    # Nobody knows; soon enough for a person who waits.
    retry_after = 5


class SessionsUnavailable(Refusal):
    """The store of sessions cannot be reached: whether this one still lives is not known."""

    status, reason = 503, "sessions_unavailable"
    title, detail = "Service unavailable", "Sessions cannot be looked up at the moment."
    # Redis takes about a second to restart.
    retry_after = 1


class RevocationUnknown(Refusal):
    """Cognito cannot be asked whether it stands by the token, and `on_error: deny` waits for that."""

    status, reason = 503, "revocation_unknown"
    title, detail = "Service unavailable", "Tokens cannot be checked at the moment."
    # The longest pause between two attempts.
    retry_after = 10


class NotConfigured(Refusal):
    status, reason = 503, "not_configured"
    title, detail = "Not configured", "This gateway has no user pool yet."


class InternalError(Refusal):
    """A bug of ours: fails closed, and the log has the traceback."""

    status, reason, close = 500, "internal_error", True
    title, detail = "Internal server error", "The gateway failed to handle the request."


class UpstreamUnreachable(Refusal):
    status, reason = 502, "upstream_unreachable"
    title, detail = "Bad gateway", "The upstream cannot be reached."


class UpstreamBroken(Refusal):
    status, reason = 502, "upstream_broken"
    title, detail = "Bad gateway", "The upstream's answer is malformed."


class UpstreamSilent(Refusal):
    status, reason = 504, "upstream_timeout"
    title, detail = "Gateway timeout", "The upstream did not answer in time."
    limit = "upstream.response_timeout"


class UpstreamBusy(Refusal):
    status, reason = 503, "upstream_busy"
    title, detail = "Service unavailable", "Too many requests wait for the upstream."
    retry_after = 1
    limit = "upstream.max_connections"
