"""GetClientToken: access tokens of machines through the API, without a domain.

Invariant: it takes the client's secret and the flow made for it, and grants custom scopes only.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from local_cognito.client_oauth import custom_scopes
from local_cognito.clients import CLIENT_TOKEN, flow_enabled, lifetime
from local_cognito.errors import invalid_parameter, not_authorized
from local_cognito.state import State
from local_cognito.tokens import client_credentials_token

Request = Mapping[str, Any]
Answer = dict[str, Any]


def get_client_token(state: State, request: Request, now: float) -> Answer:
    pool, client = state.client(request["ClientId"])
    if not hmac.compare_digest((client.secret or "").encode(), request["Secret"].encode()):
        raise not_authorized(f"Unable to verify the secret of client {client.id}")
    if not flow_enabled(client, CLIENT_TOKEN):
        raise invalid_parameter(f"{CLIENT_TOKEN} flow not enabled for this client")
    # A scope ceases to exist with its resource server.
    known = custom_scopes(pool)
    allowed = [scope for scope in client.settings.get("AllowedOAuthScopes", ()) if scope in known]
    scopes = list(dict.fromkeys(request.get("Scopes") or allowed))
    if not set(scopes) <= set(allowed):
        raise invalid_parameter("A scope is not one of the app client's custom scopes")
    return {
        "ClientAuthenticationResult": {
            "AccessToken": client_credentials_token(state, pool, client, scopes, now),
            "ExpiresIn": lifetime(client, "AccessToken"),
            "TokenType": "Bearer",
        }
    }
