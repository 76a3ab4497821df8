"""Request refusals and command errors: one exception class per reason.

A `Refusal` carries everything the one renderer (gateway/http/answers.py) needs: the status, the RFC 6750
error code, a text that is safe to show to anyone, and the `reason`, a word from a fixed set for logs and
metrics. The exact check that failed is `str(refusal)`, which is only ever logged.

Invariant: `title` and `detail` hold nothing a client sent, and nothing in this module holds a secret.
"""

from __future__ import annotations

import errno
import os
from typing import ClassVar

from gateway.texts import Text


class GatewayError(Exception):
    """A command failed: one sentence for the user, exit code 1, no traceback."""


class ConfigurationError(GatewayError):
    """The configuration is invalid; the message lists every mistake, one per line."""


def system_said(error: OSError) -> str:
    """Return the operating system's reason for a file error, and what to do where it is not obvious."""
    reason = (error.strerror or "cannot be read").lower()
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"{reason}: grant this user (uid {os.geteuid()}) access (chown, chmod), or run as the owner"
    if error.errno == errno.EROFS:
        return f"{reason}: choose a writable path"
    if error.errno == errno.ENOSPC:
        return f"{reason}: free some space, or choose another path"
    return reason


class Refusal(Exception):
    """A request that is not served. Subclasses give the reason; instances may add detail for the log only."""

    status: ClassVar[int]
    reason: ClassVar[str]
    title: ClassVar[str]
    detail: str
    # RFC 6750 section 3.1 error code; None if the challenge carries no error.
    error: ClassVar[str | None] = None
    # Whether the response carries a WWW-Authenticate challenge (RFC 6750 section 3).
    challenge: ClassVar[bool] = False
    # Seconds for the Retry-After header; None omits it.
    retry_after: int | None = None
    # RFC 6750 section 3: the scopes that would suffice, for the challenge; empty omits them.
    scope: str = ""
    # Close the connection: its framing can no longer be trusted, or the client should go away.
    close: ClassVar[bool] = False
    # The configuration key of the limit that was reached; None if no limit is the cause.
    limit: str | None = None

    def __init__(self, exact: str | None = None, *, limit: str | None = None) -> None:
        super().__init__(exact if exact is not None else self.detail)
        if limit is not None:
            self.limit = limit


# --- authentication: 401 and 400 (RFC 6750) ----------------------------------------------------------------


class NoCredentials(Refusal):
    # RFC 6750 section 3.1: no error code when the request lacks any authentication information.
    status, reason, challenge = 401, "no_credentials", True
    title, detail = "Authentication required", "This resource needs an access token."
    # How the route asks people to sign in (RFC 9470): for their redirect, not for the challenge.
    acr_values = ""


class BearerMissing(NoCredentials):
    """A bare token, as API Gateway's authorizer accepts it; RFC 6750 section 2.1 requires the scheme."""

    reason = "bearer_missing"
    detail = "The Authorization header holds a token without the Bearer scheme before it."


class MalformedAuthorization(Refusal):
    status, reason, challenge, error = 400, "malformed_authorization", True, "invalid_request"
    title, detail = "Invalid request", "The Authorization header is malformed."


class TwoCredentials(MalformedAuthorization):
    reason = "two_credentials"
    detail = "The request carries more than one set of credentials."


class InvalidToken(Refusal):
    """The token is not accepted. One subclass per reason; clients see one description for most of them."""

    status, reason, challenge, error = 401, "token_invalid", True, "invalid_token"
    title, detail = "Invalid token", "The access token is invalid."


class TokenTooLarge(InvalidToken):
    reason, limit = "token_too_large", "cognito.max_token_size"
    detail = "The access token is larger than this server accepts."


class TokenMalformed(InvalidToken):
    """Not three parts of canonical base64url (stricter than RFC 7515 section 3.1 and RFC 4648 section 5)."""

    reason = "token_malformed"


class TokenHeaderRefused(InvalidToken):
    """The header is not strict JSON, or has a member other than alg, kid and typ (stricter than RFC 7515)."""

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
    """`nbf` is in the future, or `iat` or `auth_time` is further ahead than clocks drift."""

    reason = "token_not_yet_valid"


class WrongIssuer(InvalidToken):
    reason = "wrong_issuer"


class WrongTokenUse(InvalidToken):
    reason = "wrong_token_use"


class NotAnIdToken(WrongTokenUse):
    """A valid access token where AWS credentials were requested: identity pools accept ID tokens only."""

    detail = "AWS credentials need the ID token, or a signed-in browser."


class WrongClient(InvalidToken):
    reason = "wrong_client"


class WrongAudience(InvalidToken):
    """The access token is bound to another resource (RFC 8707), or to none where one is required."""

    reason = "wrong_audience"


class TokenRevoked(InvalidToken):
    """Cognito no longer accepts the token: the user signed out, or was disabled or deleted."""

    reason = "token_revoked"
    detail = "The access token has been revoked."


class SignedOut(TokenRevoked):
    """The session that opened this stream was signed out here."""

    reason = "signed_out"


# --- authorization: 403 (RFC 6750 section 3.1) -------------------------------------------------------------


class Forbidden(Refusal):
    """The principal does not meet the route's requirements; this class itself: its scopes.

    RFC 6750 has one error code for every such case.
    """

    status, reason, challenge, error = 403, "insufficient_scope", True, "insufficient_scope"
    title, detail = "Forbidden", "The access token does not grant access to this resource."

    def __init__(self, exact: str | None = None, *, scope: str = "") -> None:
        """`scope` names every scope the resource needs, not only the missing ones."""
        super().__init__(exact)
        self.scope = scope


class MissingGroup(Forbidden):
    reason = "missing_group"


class MissingClaim(Forbidden):
    reason = "missing_claim"


class InsufficientAuthentication(Refusal):
    """The sign-in is too old or too weak for this route (RFC 9470): the user has to sign in again."""

    status, reason, challenge = 401, "insufficient_authentication", True
    title, error = "Sign in again", "insufficient_user_authentication"
    detail = "This resource needs a more recent or a stronger sign-in."

    def __init__(self, exact: str, *, acr_values: str, max_age: int | None, weak: bool) -> None:
        """`weak`: not only too old."""
        super().__init__(exact)
        self.weak = weak
        # RFC 9470 section 3: what would suffice, for the challenge and for the new sign-in.
        self.acr_values = acr_values
        self.max_age = max_age


class WrongPool(Forbidden):
    """The token is valid, but the route requires another user pool."""

    reason = "wrong_pool"


class CrossOrigin(Refusal):
    """Authenticated by a cookie, but made by another site's page, or the browser does not say by which."""

    status, reason = 403, "cross_origin"
    title, detail = "Forbidden", "This request was made by another site."


class NavigationOnly(Refusal):
    """A script or link requested a token, AWS credentials or the set-up form; or the feature is off."""

    status, reason = 403, "navigation_only"
    title, detail = "Forbidden", "This is shown only on the gateway's own pages, at a person's request."


class CredentialsRefused(Refusal):
    """The identity pool gives this user no AWS credentials."""

    status, reason = 403, "credentials_refused"
    title, detail = "Forbidden", "AWS gives this user no credentials."


class IdTokenRequired(Refusal):
    """The upstream is AWS, and an access token cannot be exchanged for AWS credentials."""

    status, reason = 403, "id_token_required"
    title, detail = "Forbidden", "This API needs the ID token, or a signed-in browser."


class FormRefused(Refusal):
    """The form carries no anti-forgery token that this gateway issued to this browser."""

    status, reason = 403, "form_refused"
    title, detail = "Page expired", "This page has expired. Reload it and try again."


class OriginRefused(Refusal):
    """The page's origin is not allowed to read responses."""

    status, reason = 403, "origin_refused"
    title, detail = "Forbidden", "Pages of this origin may not use this API."


# --- the request itself: 400, 404, 408, 413, 431 -----------------------------------------------------------


class BadRequest(Refusal):
    """The request's framing or head is malformed; the connection is closed after the response."""

    status, reason, close = 400, "bad_request", True
    title, detail = "Bad request", "The request is malformed."


class BadTarget(BadRequest):
    """The target is not printable ASCII, or has a fragment (RFC 9112 section 3.2)."""

    reason = "bad_target"
    detail = "The request target holds a character that has to be percent-encoded, or a fragment."


class AmbiguousPath(Refusal):
    status, reason = 400, "ambiguous_path"
    title, detail = "Bad request", "The path is ambiguous: servers do not agree on what it means."


class SignInRefused(Refusal):
    """The browser returned from managed login with a response to no sign-in this gateway started."""

    status, reason = 400, "sign_in_refused"
    title, detail = "Sign-in failed", "This sign-in cannot be completed: begin again."


class OAuthRefused(Refusal):
    """An MCP client asked the authorization server for what it does not get; the answer is RFC 6749's."""

    status, reason = 400, "oauth_refused"
    title, detail = "Invalid request", "The client's request is malformed, or asks for what is not given."


class AuthorizationRefused(Refusal):
    """A client that is not ours, or a redirect that is not the client's: nobody is sent anywhere."""

    status, reason = 400, "authorization_refused"
    title = "This application cannot sign you in"
    detail = "It is not known here, or wants you sent to an address that is not its own."


class AuthorizationExpired(Refusal):
    """A person came back from signing in too late, or in another browser."""

    status, reason = 400, "authorization_expired"
    title, detail = "This sign-in has expired", "Begin again in the application that you came from."


class MalformedForm(Refusal):
    status, reason = 400, "malformed_form"
    title, detail = "Bad request", "The form or the query is malformed."


class OriginalRequestUnclear(Refusal):
    """The proxy did not identify the original request, or not completely."""

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
    """The upstream requires signed requests, and a signature covers one request, not a connection."""

    status, reason = 400, "upgrade_refused"
    title, detail = "Bad request", "WebSockets are not served here."


class ReservedQueryNames(Refusal):
    """The query would add an AWS signature, credentials or commands beside ours."""

    status, reason = 400, "reserved_query_names"
    title, detail = "Bad request", "The query has parameters reserved for signatures."


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
    """One of our own documents was requested with a method other than GET or HEAD."""

    allow = "GET, HEAD"


class NotFound(Refusal):
    """An unknown path under the reserved prefix, which is never proxied."""

    status, reason = 404, "not_found"
    title, detail = "Page not found", "There is no page at this address."


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
    title, detail = "Service unavailable", "This server has reached its connection limit."
    retry_after = 1
    limit = "listen.max_connections"


# --- failures of Cognito, the gateway, the upstream --------------------------------------------------------


class NoKeys(Refusal):
    """There is no key set to verify with: Cognito's JWKS endpoint is unreachable."""

    status, reason = 503, "no_keys"
    title, detail = "Service unavailable", "Tokens cannot be verified at the moment."
    # 10 s: the cool-down between two fetches of a key set; retrying sooner cannot help.
    retry_after = 10


class CognitoUnavailable(Refusal):
    """Cognito does not respond, and this request cannot be served without it."""

    status, reason = 503, "cognito_unavailable"
    title, detail = "Service unavailable", "Cognito cannot be reached at the moment: try again."
    # The length of an outage is unknown; short enough for a person who waits.
    retry_after = 5


class WrongUserPool(Refusal):
    """The app client's tokens are of another user pool than the one configured with it."""

    status, reason = 503, "wrong_user_pool"
    title = "Sign-in is misconfigured"

    def __init__(self, found: str, configured: str) -> None:
        super().__init__(f"the app client issues tokens of user pool {found!r}, not of {configured}")
        self.detail = Text(
            "Sign-in is misconfigured: the app client belongs to the user pool {found}, not to "
            "{configured}. Please tell your administrator.",
            found=found,
            configured=configured,
        )


class SessionsUnavailable(Refusal):
    """The session store is unreachable, so it is unknown whether the session is still valid."""

    status, reason = 503, "sessions_unavailable"
    title, detail = "Service unavailable", "Sessions cannot be looked up at the moment."
    # Redis takes about a second to restart.
    retry_after = 1


class RevocationUnknown(Refusal):
    """Cognito cannot be asked whether the token is revoked, and `on_error` is `deny`."""

    status, reason = 503, "revocation_unknown"
    title, detail = "Service unavailable", "Tokens cannot be checked at the moment."
    # The longest interval between two attempts.
    retry_after = 10


class NotConfigured(Refusal):
    status, reason = 503, "not_configured"
    title, detail = "Not configured", "This gateway has no user pool yet."


class InternalError(Refusal):
    """A bug in the gateway: fails closed, and the traceback is logged."""

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
    title, detail = "Service unavailable", "Too many requests are waiting for the upstream."
    retry_after = 1
    limit = "upstream.max_connections"
