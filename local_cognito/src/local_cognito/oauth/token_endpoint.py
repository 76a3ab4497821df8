"""POST /oauth2/token and /oauth2/revoke: client authentication and the three grants.

Invariant: an error has one of OAuth's codes and reveals nothing about users, codes or tokens.
Sources: RFC 6749 sections 4.1.3, 4.4, 5.2 and 6, RFC 7009; developer guide "Token endpoint".
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from typing import Any

from local_cognito.client_documents import client_of, is_document
from local_cognito.client_oauth import custom_scopes
from local_cognito.clients import lifetime
from local_cognito.derived_tokens import Exchange, Refused, exchange
from local_cognito.devices import check_device
from local_cognito.errors import AwsError
from local_cognito.oauth.codes import BadCode, redeem
from local_cognito.refreshing import refreshable, rotate
from local_cognito.session_tracking import begin_token_session, touch
from local_cognito.signed_in import revoke_token
from local_cognito.state import Client, Pool, State, find_user
from local_cognito.state_documents import ClientDocument
from local_cognito.state_sign_in import Grant
from local_cognito.tokens import authentication_result, client_credentials_token, is_signed_token, new_grant

Answer = dict[str, Any]
Form = Mapping[str, str]


_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_TYPES = "urn:ietf:params:oauth:token-type:"
_NAMES = {_TYPES + "access_token": "ACCESS_TOKEN", _TYPES + "id_token": "ID_TOKEN", _TYPES + "saml2": "SAML2"}


class OAuthError(Exception):
    """An OAuth error (RFC 6749 section 5.2). Cognito's status is always 400, except for /oauth2/revoke."""

    def __init__(self, error: str, why: str = "") -> None:
        super().__init__(error)
        self.error, self.why = error, why


def token(state: State, form: Form, authorization: str | None, now: float) -> Answer:
    pool, client, document = authenticate(state, form, authorization)
    kind = form.get("grant_type")
    if kind is None:
        raise OAuthError("invalid_request", "grant_type is missing")
    if kind == "authorization_code":
        return _authorization_code(state, pool, client, form, now, document=document)
    if kind == "refresh_token":
        return _refresh(state, pool, client, form, now, document=document)
    if document is not None and kind in ("client_credentials", _EXCHANGE):
        raise OAuthError("unauthorized_client")
    if kind == "client_credentials":
        return _client_credentials(state, pool, client, form, now)
    if kind == _EXCHANGE:
        return _token_exchange(state, pool, client, form, now)
    raise OAuthError("unsupported_grant_type")


def authenticate(
    state: State, form: Form, authorization: str | None
) -> tuple[Pool, Client, ClientDocument | None]:
    """Authenticate the client: client_secret_basic, client_secret_post (RFC 6749 section 2.3.1) or no
    secret. Clients whose ID is a document are public."""
    client_id, secret = form.get("client_id"), form.get("client_secret")
    if authorization is not None:
        # RFC 6749 section 2.3: no more than one method.
        if secret is not None:
            raise OAuthError("invalid_request", "more than one method of client authentication")
        named = client_id
        client_id, secret = _basic(authorization)
        if named not in (None, client_id):
            raise OAuthError("invalid_request", "two different client_ids")
    if not client_id:
        raise OAuthError("invalid_request", "client_id is missing")
    if is_document(client_id):
        return _by_document(state, client_id, secret)
    try:
        pool, client = state.client(client_id)
    except AwsError:
        raise OAuthError("invalid_client") from None
    if not hmac.compare_digest((client.secret or "").encode(), (secret or "").encode()):
        raise OAuthError("invalid_client")
    if pool.domain is None:
        raise OAuthError("invalid_client", f"user pool {pool.id} has no domain: see CreateUserPoolDomain")
    return pool, client, None


def _by_document(state: State, url: str, secret: str | None) -> tuple[Pool, Client, ClientDocument]:
    """Return the app client of a document that was fetched for an authorization, however old it is now."""
    found = client_of(state, url)
    if found is None or secret is not None:
        raise OAuthError("invalid_client")
    pool, client, policy = found
    if url not in policy.documents:
        raise OAuthError("invalid_client")
    return pool, client, policy.documents[url]


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, credentials = authorization.partition(" ")
    try:
        name, colon, secret = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise OAuthError("invalid_client", "the Authorization header is not Basic") from None
    if scheme.lower() != "basic" or not colon:
        raise OAuthError("invalid_client", "the Authorization header is not Basic")
    return name, secret


def _authorization_code(
    state: State, pool: Pool, client: Client, form: Form, now: float, *, document: ClientDocument | None
) -> Answer:
    _check_flow(client, "code")
    if not form.get("code"):
        raise OAuthError("invalid_request", "code is missing")
    try:
        code = redeem(
            pool,
            client,
            form["code"],
            document=_url(document),
            redirect_uri=form.get("redirect_uri"),
            verifier=form.get("code_verifier"),
            now=now,
        )
    except BadCode:
        raise OAuthError("invalid_grant") from None
    _check_resource(form, code.resource)
    user = find_user(pool, code.username)
    if user is None or not user.enabled:
        raise OAuthError("invalid_grant")
    grant = new_grant(pool, client, user, now)
    grant.scopes, grant.auth_time, grant.managed = code.scopes, code.auth_time, True
    grant.methods, grant.resource, grant.document = code.methods, code.resource, code.document
    begin_token_session(state, pool, grant, now, origin=code.origin)
    result = authentication_result(state, pool, client, user, grant, now=now, nonce=code.nonce)
    refreshes = document is None or "refresh_token" in document.grant_types
    return _answer(result, grant, refresh_token=grant.refresh_token if refreshes else None)


def _refresh(
    state: State, pool: Pool, client: Client, form: Form, now: float, *, document: ClientDocument | None
) -> Answer:
    presented = form.get("refresh_token")
    if not presented:
        raise OAuthError("invalid_request", "refresh_token is missing")
    try:
        grant, user = refreshable(pool, client, presented, now, document=_url(document))
        check_device(pool, user, grant, form.get("device_key"), now)
    except AwsError:
        raise OAuthError("invalid_grant") from None
    _check_resource(form, grant.resource)
    touch(state, grant.tracked, now)
    result = authentication_result(state, pool, client, user, grant, now=now)
    return _answer(result, grant, refresh_token=rotate(pool, client, grant, presented, now))


def _client_credentials(state: State, pool: Pool, client: Client, form: Form, now: float) -> Answer:
    if client.secret is None:
        raise OAuthError("unauthorized_client")
    _check_flow(client, "client_credentials")
    # Developer guide, "Resource binding": not for client credentials.
    _check_resource(form, None)
    # A scope ceases to exist with its resource server.
    allowed = [scope for scope in client.settings["AllowedOAuthScopes"] if scope in custom_scopes(pool)]
    wanted = form.get("scope", "").split() or allowed
    if any(scope not in allowed for scope in wanted):
        raise OAuthError("invalid_scope")
    return {
        "access_token": client_credentials_token(state, pool, client, wanted, now),
        "expires_in": lifetime(client, "AccessToken"),
        "token_type": "Bearer",
    }


def _token_exchange(state: State, pool: Pool, client: Client, form: Form, now: float) -> Answer:
    """Exchange a user's token (RFC 8693)."""
    for name in ("subject_token", "subject_token_type"):
        if not form.get(name):
            raise OAuthError("invalid_request", f"{name} is missing")
    wanted = form.get("requested_token_type", _TYPES + "access_token")
    if wanted not in _NAMES or _NAMES[wanted] == "SAML2":
        raise OAuthError("invalid_request", "requested_token_type is not supported")
    asked = Exchange(
        subject=form["subject_token"],
        subject_type=_NAMES.get(form["subject_token_type"], ""),
        actor=form.get("actor_token") or None,
        actor_type=_NAMES.get(form["actor_token_type"], "") if "actor_token_type" in form else None,
        scopes=form.get("scope", "").split() or None,
        audience=form.get("audience"),
        resource=form.get("resource"),
        wanted=_NAMES[wanted],
    )
    try:
        made, scopes = exchange(state, pool, client, asked, now)
    except Refused as refusal:
        # RFC 8693 section 2.2.2: for tokens that are not valid too.
        error = "invalid_request" if refusal.error == "invalid_grant" else refusal.error
        raise OAuthError(error, refusal.why) from None
    access = asked.wanted == "ACCESS_TOKEN"
    return {
        "access_token": made,
        "issued_token_type": wanted,
        "token_type": "Bearer" if access else "N_A",
        "expires_in": lifetime(client, "AccessToken" if access else "IdToken"),
        "scope": " ".join(scopes),
    }


def _url(document: ClientDocument | None) -> str:
    return "" if document is None else document.url


def _check_resource(form: Form, bound: str | None) -> None:
    """Check that a `resource` names what the sign-in is bound to (RFC 8707 section 2.2)."""
    if form.get("resource", bound) != bound:
        raise OAuthError("invalid_target", "resource is not the one of the authorization request")


def _check_flow(client: Client, flow: str) -> None:
    settings = client.settings
    if not settings["AllowedOAuthFlowsUserPoolClient"] or flow not in settings.get("AllowedOAuthFlows", ()):
        raise OAuthError("unauthorized_client")


def _answer(result: Mapping[str, Any], grant: Grant, *, refresh_token: str | None) -> Answer:
    """Return the token response; with an ID token if openid was granted (OpenID Connect Core 3.1.3.3)."""
    answer = {
        "access_token": result["AccessToken"],
        "token_type": "Bearer",
        "expires_in": result["ExpiresIn"],
    }
    # Sign-ins through the API have no OAuth scopes and always get an ID token.
    if "openid" in grant.scopes or not grant.managed:
        answer["id_token"] = result["IdToken"]
    if refresh_token is not None:
        answer["refresh_token"] = refresh_token
    return answer


def revoke(state: State, form: Form, authorization: str | None, now: float) -> None:
    """Revoke a refresh token (RFC 7009). Raises OAuthError."""
    _, client, document = authenticate(state, form, authorization)
    presented = form.get("token")
    if not presented:
        raise OAuthError("invalid_request", "token is missing")
    if is_signed_token(presented):
        raise OAuthError("unsupported_token_type")
    request = {"ClientId": client.id, "Token": presented, "ClientSecret": client.secret or ""}
    try:
        revoke_token(state, request, now, _url(document))
    except AwsError as error:
        kind = {"UnauthorizedException": "unauthorized_client"}.get(error.type, "invalid_request")
        raise OAuthError(kind, error.message) from None
