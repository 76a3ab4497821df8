"""GetDerivedToken: a user's token exchanged for one for another service (RFC 8693).

Invariant: a derived token has no scope that its subject's lacks, ends with its subject's sign-in, and cannot
be refreshed. Sources: API reference, GetDerivedToken; developer guide, "Exchanging tokens for downstream
services".
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from local_cognito.clients import flow_enabled, lifetime
from local_cognito.errors import AwsError, invalid_parameter, not_authorized
from local_cognito.state import Client, Pool, State
from local_cognito.tokens import derived_token, read_token

Request = Mapping[str, Any]
Answer = dict[str, Any]

ACCESS, ID = "ACCESS_TOKEN", "ID_TOKEN"
_USES = {ACCESS: "access", ID: "id"}
_DELEGATION, _IMPERSONATION = "ALLOW_TOKEN_EXCHANGE_DELEGATION", "ALLOW_TOKEN_EXCHANGE_IMPERSONATION"
# Intermediaries in a chain of `act` claims.
_LONGEST_CHAIN = 5


class Refused(Exception):
    """An exchange that is not possible; `error` is OAuth's code for it."""

    def __init__(self, error: str, why: str) -> None:
        super().__init__(why)
        self.error, self.why = error, why


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a client asks for. `scopes` None: those of the subject."""

    subject: str
    subject_type: str
    actor: str | None
    actor_type: str | None
    scopes: list[str] | None
    audience: str | None
    resource: str | None
    wanted: str


def get_derived_token(state: State, request: Request, now: float) -> Answer:
    pool, client = state.client(request["ClientId"])
    secret = request.get("ClientSecret")
    # API reference: IAM credentials, or the client's secret.
    if not (secret is None and state.caller.signed) and not hmac.compare_digest(
        (client.secret or "").encode(), (secret or "").encode()
    ):
        raise not_authorized(f"Unable to verify the secret of client {client.id}")
    audiences, resources = request.get("Audiences", []), request.get("Resources", [])
    asked = Exchange(
        subject=request["SubjectToken"],
        subject_type=request["SubjectTokenType"],
        actor=request.get("ActorToken"),
        actor_type=request.get("ActorTokenType"),
        scopes=request.get("Scopes") or None,
        audience=audiences[0] if audiences else None,
        resource=resources[0] if resources else None,
        wanted=request.get("RequestedTokenType", ACCESS),
    )
    try:
        token, scopes = exchange(state, pool, client, asked, now)
    except Refused as refusal:
        if refusal.error == "invalid_grant":
            raise not_authorized(refusal.why) from None
        raise invalid_parameter(refusal.why) from None
    return {
        "IssuedToken": token,
        "IssuedTokenType": asked.wanted,
        "TokenType": "Bearer" if asked.wanted == ACCESS else "N_A",
        "ExpiresIn": lifetime(client, "AccessToken" if asked.wanted == ACCESS else "IdToken"),
        "Scopes": scopes,
    }


def exchange(state: State, pool: Pool, client: Client, asked: Exchange, now: float) -> tuple[str, list[str]]:
    """Return the new token and its scopes. Raises Refused."""
    if pool.settings["UserPoolTier"] == "LITE":
        raise Refused("unauthorized_client", "Token exchange needs the Essentials tier or higher.")
    flow = _IMPERSONATION if asked.actor is None else _DELEGATION
    if not flow_enabled(client, flow):
        raise Refused("unauthorized_client", f"{flow} flow not enabled for this client")
    if asked.audience is not None and asked.resource is not None:
        raise Refused("invalid_target", "Audiences and Resources cannot be requested together.")
    if asked.resource is not None and asked.resource not in pool.resource_servers:
        raise Refused("invalid_target", "The resource is not a resource server of the user pool.")
    claims, user, grant = _token(state, pool, asked.subject, asked.subject_type, now)
    if user is None or grant is None:
        raise Refused("invalid_request", "The subject token is not a user's.")
    scopes = _scopes(client, claims, asked)
    act = _act(state, pool, asked, claims, now)
    # Of the same sign-in: what ends that ends this token too.
    bound = replace(grant, scopes=tuple(scopes), resource=asked.audience or asked.resource)
    token = derived_token(state, pool, client, user, bound, use=_USES[asked.wanted], act=act, now=now)
    return token, scopes


def _act(
    state: State, pool: Pool, asked: Exchange, subject: Mapping[str, Any], now: float
) -> dict[str, Any] | None:
    """Return the claim `act`; earlier intermediaries are nested in it (RFC 8693 section 4.1)."""
    before = subject.get("act")
    if asked.actor is None:
        return before
    if asked.actor_type is None:
        raise Refused("invalid_request", "ActorTokenType is required with ActorToken.")
    claims, _, _ = _token(state, pool, asked.actor, asked.actor_type, now)
    if _depth(before) >= _LONGEST_CHAIN:
        raise Refused("invalid_request", "The subject token has passed through too many intermediaries.")
    return {"sub": claims["sub"], **({"act": before} if before else {})}


def _depth(act: Mapping[str, Any] | None) -> int:
    return 0 if act is None else 1 + _depth(act.get("act"))


def _token(state: State, pool: Pool, token: str, kind: str, now: float) -> Any:
    if kind not in _USES:
        raise Refused("invalid_request", "The local Cognito exchanges the tokens of user pools only.")
    try:
        return read_token(state, pool, token, _USES[kind], now)
    except AwsError as error:
        raise Refused("invalid_grant", error.message) from None


def _scopes(client: Client, subject: Mapping[str, Any], asked: Exchange) -> list[str]:
    """Return the intersection of the requested scopes, the subject's and the client's."""
    allowed = client.settings.get("AllowedOAuthScopes", [])
    # ID tokens have no scopes: there, the client's own limit alone.
    held = subject["scope"].split() if "scope" in subject else allowed
    if asked.scopes is None:
        return list(held)
    granted = [scope for scope in dict.fromkeys(asked.scopes) if scope in held and scope in allowed]
    if not granted:
        raise Refused("invalid_scope", "None of the requested scopes can be granted.")
    return granted
