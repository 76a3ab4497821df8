"""Issuing, verification and revocation of tokens with Cognito's claims.

Invariant: an access token is valid only while its grant is: signature and `exp` alone are not enough.
Sources: developer guide, "Understanding the access token", "… the identity token", "Revoking tokens".
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import uuid
from collections.abc import Iterable
from typing import Any

import jwt

from local_cognito import levels
from local_cognito.attributes import BOOLEANS
from local_cognito.client_oauth import SELF_SERVICE
from local_cognito.clients import lifetime, readable
from local_cognito.errors import not_authorized
from local_cognito.keys import SigningKey
from local_cognito.membership import of_user, preferred_role
from local_cognito.state import Client, Pool, State, User, find_user, forget_expired
from local_cognito.state_sign_in import Grant

# Sign-ins between two clean-ups of expired entries.
_FORGET_EVERY = 500


def new_grant(pool: Pool, client: Client, user: User, now: float) -> Grant:
    """Create the grant of a new sign-in: what its tokens share, and its refresh token."""
    if len(pool.grants) % _FORGET_EVERY == 0:
        forget_expired(pool, now)
    refresh_expires = now + lifetime(client, "RefreshToken")
    grant = Grant(
        event_id=str(uuid.uuid4()),
        origin_jti=str(uuid.uuid4()),
        username=user.username,
        client_id=client.id,
        auth_time=int(now),
        refresh_token=new_refresh_token(),
        refresh_expires=refresh_expires,
        # The last access token issued from it expires at most a day later (Cognito's limit).
        forget_at=refresh_expires + 86400,
    )
    pool.grants[grant.event_id] = grant
    pool.refresh_tokens[grant.refresh_token] = grant
    return grant


def authentication_result(
    state: State,
    pool: Pool,
    client: Client,
    user: User,
    grant: Grant,
    *,
    now: float,
    nonce: str | None = None,
) -> dict[str, Any]:
    """Return the AuthenticationResult without the refresh token, which refreshing does not return again."""
    keys = pool.keys.result()
    access = _sign(keys.access, _access_claims(state, pool, client, user, grant, now=now))
    identity = _id_claims(state, pool, client, user, grant, now=now)
    if grant.managed:
        identity["at_hash"] = _at_hash(access)
    if nonce is not None:
        identity["nonce"] = nonce
    return {
        "AccessToken": access,
        "IdToken": _sign(keys.id, identity),
        "ExpiresIn": lifetime(client, "AccessToken"),
        "TokenType": "Bearer",
    }


def derived_token(
    state: State,
    pool: Pool,
    client: Client,
    user: User,
    grant: Grant,
    *,
    use: str,
    act: dict[str, Any] | None,
    now: float,
) -> str:
    """Return a token of this sign-in for another service; `act`: who acts for the user (RFC 8693)."""
    keys = pool.keys.result()
    acting = {"act": act} if act is not None else {}
    if use == "access":
        return _sign(keys.access, {**_access_claims(state, pool, client, user, grant, now=now), **acting})
    target = {"aud": grant.resource} if grant.resource is not None else {}
    return _sign(keys.id, {**_id_claims(state, pool, client, user, grant, now=now), **target, **acting})


def _access_claims(
    state: State, pool: Pool, client: Client, user: User, grant: Grant, *, now: float
) -> dict[str, Any]:
    return {
        "sub": user.sub,
        **({"device_key": grant.device_key} if grant.device_key is not None else {}),
        **({"aud": grant.resource} if grant.resource is not None else {}),
        **levels.claims(pool, grant.methods),
        **_groups(pool, user),
        "iss": state.issuer(pool),
        "version": 2,
        "client_id": client.id,
        **_origin(client, grant),
        "event_id": grant.event_id,
        "token_use": "access",
        "scope": " ".join(grant.scopes),
        "auth_time": grant.auth_time,
        "exp": int(now) + lifetime(client, "AccessToken"),
        "iat": int(now),
        "jti": str(uuid.uuid4()),
        "username": user.username,
    }


def _id_claims(
    state: State, pool: Pool, client: Client, user: User, grant: Grant, *, now: float
) -> dict[str, Any]:
    groups = of_user(pool, user)
    roles = [group.role_arn for group in groups if group.role_arn is not None]
    preferred = preferred_role(groups)
    attributes = readable(client, user.attributes)
    return {
        "sub": user.sub,
        **_groups(pool, user),
        **levels.claims(pool, grant.methods),
        **({"cognito:preferred_role": preferred} if preferred else {}),
        **({"cognito:roles": roles} if roles else {}),
        "iss": state.issuer(pool),
        "cognito:username": user.username,
        **_origin(client, grant),
        "aud": client.id,
        "event_id": grant.event_id,
        "token_use": "id",
        "auth_time": grant.auth_time,
        "exp": int(now) + lifetime(client, "IdToken"),
        "iat": int(now),
        "jti": str(uuid.uuid4()),
        **{name: _claim(name, value) for name, value in attributes.items()},
    }


def _claim(name: str, value: str) -> object:
    if name in BOOLEANS:
        return value == "true"
    # The providers of an account: an attribute of text, and a claim of objects.
    return json.loads(value) if name == "identities" else value


def client_credentials_token(state: State, pool: Pool, client: Client, scopes: list[str], now: float) -> str:
    """Return a machine's access token: without a user there is no username, group or grant."""
    claims = {
        "sub": client.id,
        "token_use": "access",
        "scope": " ".join(scopes),
        "auth_time": int(now),
        "iss": state.issuer(pool),
        "exp": int(now) + lifetime(client, "AccessToken"),
        "iat": int(now),
        "version": 2,
        "jti": str(uuid.uuid4()),
        "client_id": client.id,
    }
    return _sign(pool.keys.result().access, claims)


def _at_hash(access: str) -> str:
    """Return the left half of the SHA-256 digest (OpenID Connect Core section 3.1.3.6)."""
    half = hashlib.sha256(access.encode()).digest()[:16]
    return base64.urlsafe_b64encode(half).rstrip(b"=").decode()


def _groups(pool: Pool, user: User) -> dict[str, list[str]]:
    names = [group.name for group in of_user(pool, user)]
    return {"cognito:groups": names} if names else {}


def _origin(client: Client, grant: Grant) -> dict[str, str]:
    return {"origin_jti": grant.origin_jti} if client.settings["EnableTokenRevocation"] else {}


def _sign(key: SigningKey, claims: dict[str, Any]) -> str:
    # Cognito's header is {"kid", "alg"}; PyJWT omits "typ" if it is empty.
    return jwt.encode(claims, key.private, algorithm="RS256", headers={"kid": key.kid, "typ": ""})


def new_refresh_token() -> str:
    # Cognito's is a JWE that only Cognito can decrypt. Ours is random, in the same five parts and of about
    # the same length (1.8 kB), so that storage is tested with a realistic size.
    header = json.dumps({"cty": "JWT", "enc": "A256GCM", "alg": "RSA-OAEP"}, separators=(",", ":"))
    parts = [base64.urlsafe_b64encode(header.encode()).rstrip(b"=").decode()]
    parts += [secrets.token_urlsafe(size) for size in (256, 12, 960, 16)]
    return ".".join(parts)


def read_access_token(
    state: State, token: str, now: float, *, scope: str = SELF_SERVICE
) -> tuple[Pool, User, Grant]:
    """Return the holder of an access token. Raises NotAuthorizedException with Cognito's messages."""
    for pool in state.pools.values():
        claims = _verified_claims((keys.access for keys in pool.all_keys()), token)
        if claims is not None and claims["iss"] == state.issuer(pool):
            # Before the grant: a machine's token has none, and never this scope.
            if claims["exp"] > now and scope not in claims["scope"].split():
                raise not_authorized("Access Token does not have required scopes")
            return _holder(pool, claims, now)
    raise not_authorized("Invalid Access Token")


def _holder(pool: Pool, claims: dict[str, Any], now: float) -> tuple[Pool, User, Grant]:
    if claims["exp"] <= now:
        raise not_authorized("Access Token has expired")
    grant = pool.grants.get(claims.get("event_id", ""))
    if grant is None or grant.revoked:
        raise not_authorized("Access Token has been revoked")
    user = find_user(pool, grant.username)
    if user is None or grant.client_id not in pool.clients:
        raise not_authorized("Access Token has been revoked")
    if not user.enabled:
        raise not_authorized("User is disabled.")
    return pool, user, grant


def read_token(
    state: State, pool: Pool, token: str, use: str, now: float
) -> tuple[dict[str, Any], User | None, Grant | None]:
    """Return the claims of a pool's valid access or ID token, its user and its grant; a machine's has
    neither. Raises NotAuthorizedException."""
    signing = [keys.access if use == "access" else keys.id for keys in pool.all_keys()]
    claims = _verified_claims(signing, token)
    if claims is None or claims["iss"] != state.issuer(pool):
        raise not_authorized("Invalid token")
    if "event_id" not in claims and claims["exp"] > now:
        return claims, None, None
    _, user, grant = _holder(pool, claims, now)
    return claims, user, grant


def _verified_claims(keys: Iterable[SigningKey], token: str) -> dict[str, Any] | None:
    """Return the claims if one of the keys signed the token. Times are checked by our own clock, not
    PyJWT."""
    options: Any = {"verify_exp": False, "verify_iat": False, "verify_nbf": False, "verify_aud": False}
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        key = next((one for one in keys if one.kid == kid), None)
        if key is None:
            return None
        return dict(jwt.decode(token, key.private.public_key(), algorithms=["RS256"], options=options))
    except jwt.InvalidTokenError:
        return None


def read_id_token(state: State, pool_id: str, token: str, now: float) -> tuple[dict[str, Any], bool]:
    """Return an ID token's claims and whether its sign-in is still valid. Raises NotAuthorizedException."""
    pool = state.pools.get(pool_id)
    claims = None
    if pool is not None:
        keys = [keys.id for keys in pool.all_keys()]
        claims = _verified_claims(keys, token)
    if pool is None or claims is None or claims["iss"] != state.issuer(pool):
        raise not_authorized("Invalid login token. Not a valid OpenId Connect identity token.")
    if claims["exp"] <= now:
        raise not_authorized(f"Invalid login token. Token expired: {claims['exp']} >= {int(now)}")
    grant = pool.grants.get(claims.get("event_id", ""))
    user = find_user(pool, grant.username) if grant is not None and not grant.revoked else None
    return claims, user is not None and user.enabled


def is_signed_token(token: str) -> bool:
    """Return whether the text looks like an access or ID token: a JWS has three parts, a refresh token
    five."""
    return token.count(".") == 2


def revoke(grant: Grant) -> None:
    grant.revoked = True


def revoke_all(pool: Pool, user: User) -> None:
    for grant in pool.grants.values():
        if grant.username == user.username:
            revoke(grant)
