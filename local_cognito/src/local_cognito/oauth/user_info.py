"""GET and POST /oauth2/userInfo: the claims that the access token's scopes allow (OpenID Connect Core 5.3).

Invariant: it accepts only valid access tokens with the scope openid; a revoked one is refused.
"""

from __future__ import annotations

from local_cognito.clients import readable
from local_cognito.state import State
from local_cognito.tokens import read_access_token

# OpenID Connect Core section 5.4.
_BY_SCOPE = {
    "email": ("email", "email_verified"),
    "phone": ("phone_number", "phone_number_verified"),
}
_NOT_PROFILE = {name for names in _BY_SCOPE.values() for name in names}


def user_info(state: State, token: str, now: float) -> dict[str, str]:
    """Return the claims, all as text, as Cognito does. Raises NotAuthorizedException."""
    pool, user, grant = read_access_token(state, token, now, scope="openid")
    attributes = readable(pool.clients[grant.client_id], user.attributes)
    shown = {
        name: value
        for name, value in attributes.items()
        if any(name in names and scope in grant.scopes for scope, names in _BY_SCOPE.items())
        or ("profile" in grant.scopes and name not in _NOT_PROFILE)
    }
    return {"sub": user.sub, **shown, "username": user.username}
