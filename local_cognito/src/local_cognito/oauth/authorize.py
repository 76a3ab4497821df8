"""Authorization requests: parsing, validation, and where an error is reported.

Pure. Invariant: nothing is ever sent to a redirect URI that is not exactly one of the client's.
Sources: RFC 6749 sections 3.1 and 4.1, RFC 7636, developer guide "Authorize endpoint".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

from local_cognito.client_documents import client_of, is_document
from local_cognito.client_oauth import SELF_SERVICE, check_url
from local_cognito.errors import AwsError
from local_cognito.levels import requested
from local_cognito.state import Client, IdentityProvider, Pool, State
from local_cognito.state_documents import ClientDocument
from local_cognito.step_up import max_age

# RFC 7636 section 4.2: base64url of a SHA-256 digest, without padding.
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_LONGEST_RESOURCE = 1024
_NEED_OPENID = frozenset({"email", "phone", "profile"})


class NotHere(Exception):
    """Refused on our own page, because there is no trusted redirect URI."""

    def __init__(self, error: str, why: str) -> None:
        super().__init__(why)
        self.error, self.why = error, why


class SendBack(Exception):
    """Refused by a redirect to the client."""

    def __init__(self, ask: Ask, error: str, why: str) -> None:
        super().__init__(why)
        self.location = redirect(ask, {"error": error, "error_description": why})


@dataclass(frozen=True, slots=True)
class Ask:
    """A valid authorization request."""

    pool: Pool
    client: Client
    redirect_uri: str
    state: str | None
    scopes: tuple[str, ...] = ()
    nonce: str | None = None
    code_challenge: str | None = None
    prompt: str | None = None
    login_hint: str | None = None
    # The levels of acr_values, most wanted first; max_age; and the resource to bind the token to (RFC 8707).
    levels: tuple[int, ...] = ()
    max_age: int | None = None
    resource: str | None = None
    # The provider to sign in at, instead of the form.
    provider: IdentityProvider | None = None
    # The URL of the client metadata document that stands for a registration; empty for an app client.
    document: str = ""


def redirect(ask: Ask, parameters: dict[str, str]) -> str:
    """Return the redirect URI with these parameters added to its query (RFC 6749 section 4.1.2)."""
    if ask.state is not None:
        parameters = {**parameters, "state": ask.state}
    separator = "&" if "?" in ask.redirect_uri else "?"
    return f"{ask.redirect_uri}{separator}{urlencode(parameters)}"


def read(state: State, query: Iterable[tuple[str, str]]) -> Ask:
    """Parse the request in a query string. Raises NotHere or SendBack."""
    given: dict[str, str] = {}
    for name, value in query:
        # RFC 6749 section 3.1: parameters must not be repeated.
        if name in given:
            raise NotHere("invalid_request", f"the parameter {name} is repeated")
        given[name] = value
    pool, client, document = _client(state, given.get("client_id", ""))
    uri = given.get("redirect_uri") or (None if document else client.settings.get("DefaultRedirectURI"))
    if uri is None:
        raise NotHere("invalid_request", "redirect_uri is missing")
    registered = document.redirect_uris if document else client.settings.get("CallbackURLs", ())
    if uri not in registered:
        raise NotHere("redirect_mismatch", "redirect_uri is not one of the client's callback URLs")
    ask = Ask(pool, client, uri, given.get("state"), document=document.url if document else "")
    _check_document(ask, document, given)
    _check_flow(ask, given)
    return Ask(
        pool,
        client,
        uri,
        ask.state,
        scopes=_scopes(ask, given.get("scope")),
        nonce=given.get("nonce"),
        code_challenge=given.get("code_challenge"),
        prompt=given.get("prompt"),
        login_hint=given.get("login_hint"),
        levels=_levels(pool, given.get("acr_values")),
        max_age=_max_age(ask, given.get("max_age")),
        resource=_resource(ask, given.get("resource")),
        provider=_provider(ask, given.get("identity_provider")),
        document=ask.document,
    )


def _client(state: State, client_id: str) -> tuple[Pool, Client, ClientDocument | None]:
    """Return the client and, where its ID is a URL, its document, which has been fetched (documents.py)."""
    document = None
    found = client_of(state, client_id) if is_document(client_id) else None
    try:
        if found is None:
            pool, client = state.client(client_id)
        else:
            pool, client, policy = found
            document = policy.documents[client_id]
    except (AwsError, KeyError):
        raise NotHere("invalid_request", "client_id is missing or names no app client") from None
    if pool.domain is None:
        raise NotHere("invalid_request", f"user pool {pool.id} has no domain: see CreateUserPoolDomain")
    if not client.settings["AllowedOAuthFlowsUserPoolClient"]:
        raise NotHere("unauthorized_client", "the app client may not use managed login")
    return pool, client, document


def _check_document(ask: Ask, document: ClientDocument | None, given: dict[str, str]) -> None:
    """Developer guide: a grant type needs to be allowed by the app client and by the document."""
    if document is None:
        return
    if "authorization_code" not in document.grant_types:
        raise SendBack(ask, "unauthorized_client", "the client metadata document does not allow this grant")
    # Such clients are public: RFC 9700 section 2.1.1.
    if "code_challenge" not in given:
        raise SendBack(ask, "invalid_request", "code_challenge is missing")


def _check_flow(ask: Ask, given: dict[str, str]) -> None:
    kind = given.get("response_type")
    if kind not in ("code", "token"):
        raise SendBack(ask, "invalid_request", "response_type must be code")
    if kind == "token" or "code" not in ask.client.settings.get("AllowedOAuthFlows", ()):
        raise SendBack(ask, "unauthorized_client", f"the app client may not use response_type {kind}")
    challenge, method = given.get("code_challenge"), given.get("code_challenge_method")
    if (challenge is None) != (method is None):
        raise SendBack(
            ask, "invalid_request", "code_challenge and code_challenge_method must be sent together"
        )
    if method not in (None, "S256"):
        raise SendBack(ask, "invalid_request", "code_challenge_method must be S256")
    if challenge is not None and _CHALLENGE.fullmatch(challenge) is None:
        raise SendBack(ask, "invalid_request", "code_challenge is not the base64url of a SHA-256")


def _provider(ask: Ask, name: str | None) -> IdentityProvider | None:
    """Return the provider of `identity_provider`; COGNITO is the form. Raises NotHere: AWS shows an error
    page ("Login option is not available")."""
    if name is None or name == "COGNITO":
        return None
    found = ask.pool.providers.get(name)
    if found is None or name not in ask.client.settings.get("SupportedIdentityProviders", ()):
        raise NotHere("invalid_request", f"Login option is not available: {name}")
    return found


def _levels(pool: Pool, values: str | None) -> tuple[int, ...]:
    """Return the levels; on the smallest tier acr_values is ignored silently (developer guide)."""
    if values is None or pool.settings["UserPoolTier"] == "LITE":
        return ()
    return tuple(requested(pool, values))


def _max_age(ask: Ask, text: str | None) -> int | None:
    try:
        return max_age(text)
    except AwsError:
        raise SendBack(ask, "invalid_request", "max_age must be a non-negative integer") from None


def _resource(ask: Ask, resource: str | None) -> str | None:
    """Return the resource: a URL under the rules of callback URLs (developer guide, "Resource binding")."""
    if resource is None:
        return None
    try:
        check_url(resource)
    except AwsError:
        raise SendBack(ask, "invalid_target", "resource is not a valid URL") from None
    if len(resource) > _LONGEST_RESOURCE:
        raise SendBack(ask, "invalid_target", "resource is too long")
    return resource


def _scopes(ask: Ask, scope: str | None) -> tuple[str, ...]:
    """Return the scopes: without a scope parameter, all that the client is allowed (developer guide)."""
    allowed = ask.client.settings["AllowedOAuthScopes"]
    wanted = tuple(dict.fromkeys(scope.split())) if scope else tuple(allowed)
    unknown = [one for one in wanted if one not in allowed]
    if unknown:
        raise SendBack(ask, "invalid_scope", "a scope is not one of the app client's")
    if _NEED_OPENID & set(wanted) and not {"openid", SELF_SERVICE} & set(wanted):
        raise SendBack(ask, "invalid_scope", "email, phone and profile need openid")
    return wanted
