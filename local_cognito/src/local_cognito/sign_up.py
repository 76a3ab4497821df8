"""SignUp, its confirmation and the resending of codes.

Invariant: a user who signs up is unconfirmed until the code that was sent, or an administrator, confirms
them. The session that leads from SignUp to tokens is of one user at one client, and of each step once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_cognito import codes, levels, passwords
from local_cognito.attributes import as_dict, check_required, claim_aliases
from local_cognito.clients import check_secret_hash, check_writable, flow_enabled, hides_users
from local_cognito.delivery import details, for_sign_up, simulated
from local_cognito.errors import AwsError, invalid_parameter, not_authorized
from local_cognito.sessions import CONFIRMED_SIGN_UP, Turn, open_session, session_of
from local_cognito.state import CONFIRMED, UNCONFIRMED, Client, Pool, State, User, find_user, get_user
from local_cognito.users import add_user, set_password

Request = Mapping[str, Any]
Answer = dict[str, Any]

# The step that a session of SignUp is for.
_SIGN_UP = "SignUp"
_METHODS = {"email": levels.EMAIL, "phone_number": levels.SMS}


def sign_up(state: State, request: Request, now: float) -> Answer:
    pool, client = state.client(request["ClientId"])
    username = request["Username"]
    check_secret_hash(client, username, request.get("SecretHash"))
    if pool.settings["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"]:
        raise not_authorized("SignUp is not permitted for this user pool")
    attributes = as_dict(request.get("UserAttributes", ()))
    check_writable(client, attributes)
    password = request.get("Password")
    if password:
        passwords.check_policy(pool.policy, password)
    elif not {"EMAIL_OTP", "SMS_OTP"} & set(pool.first_factors):
        raise invalid_parameter("Password is required: the user pool has no passwordless sign-in")
    user = add_user(pool, username, attributes, now, exists="User already exists", check=check_required)
    if password:
        set_password(pool, user, password, now, permanent=True)
    user.status = UNCONFIRMED
    answer: Answer = {"UserConfirmed": False, "UserSub": user.sub}
    delivery = for_sign_up(pool, user)
    if delivery is not None:
        codes.send(state, pool, codes.SIGN_UP, user.username, delivery=delivery, now=now)
        answer["CodeDeliveryDetails"] = details(delivery)
    if flow_enabled(client, "ALLOW_USER_AUTH") and pool.settings["UserPoolTier"] != "LITE":
        answer["Session"] = open_session(Turn(state, pool, client, now), user.username, _SIGN_UP)
    return answer


def confirm_sign_up(state: State, request: Request, now: float) -> Answer:
    pool, client = state.client(request["ClientId"])
    username = request["Username"]
    check_secret_hash(client, username, request.get("SecretHash"))
    user = known_user(pool, client, username)
    if user is None:
        # The same count and the same answer as for a user whose code has expired.
        codes.redeem(pool, codes.SIGN_UP, username, request["ConfirmationCode"], now)
        raise codes.expired()
    if user.status != UNCONFIRMED:
        raise not_authorized(f"User cannot be confirmed. Current status is {user.status}")
    if not user.enabled:
        raise not_authorized("User is disabled.")
    turn = Turn(state, pool, client, now)
    key = request.get("Session")
    session = None if key is None else session_of(turn, key, _SIGN_UP, user.username)
    code = codes.redeem(pool, codes.SIGN_UP, user.username, request["ConfirmationCode"], now)
    if code.delivery is not None:
        verify(pool, user, code.delivery.attribute, force=request.get("ForceAliasCreation", False))
    codes.spend(pool, codes.SIGN_UP, user.username)
    user.status, user.modified = CONFIRMED, now
    if session is None or code.delivery is None:
        return {}
    session.used = True
    turn = turn.proved(_METHODS[code.delivery.attribute])
    return {"Session": open_session(turn, user.username, CONFIRMED_SIGN_UP)}


def verify(pool: Pool, user: User, attribute: str, *, force: bool = False) -> None:
    """Mark an attribute as verified, which makes it an alias if the pool has aliases.

    Raises AliasExistsException."""
    before = user.attributes.get(f"{attribute}_verified")
    user.attributes[f"{attribute}_verified"] = "true"
    try:
        claim_aliases(pool, user, force=force)
    except AwsError:
        user.attributes.pop(f"{attribute}_verified")
        if before is not None:
            user.attributes[f"{attribute}_verified"] = before
        raise


def resend_confirmation_code(state: State, request: Request, now: float) -> Answer:
    pool, client = state.client(request["ClientId"])
    username = request["Username"]
    check_secret_hash(client, username, request.get("SecretHash"))
    user = known_user(pool, client, username)
    purpose = codes.SIGN_UP
    codes.count(pool, f"ask {purpose.name}", user.username if user else username, purpose.asks, now)
    if user is None or (not user.enabled and hides_users(client)):
        return {"CodeDeliveryDetails": details(simulated(pool, username))}
    if user.status != UNCONFIRMED:
        raise invalid_parameter("User is already confirmed.")
    delivery = for_sign_up(pool, user)
    if delivery is None:
        raise invalid_parameter("Cannot resend codes. Auto verification not turned on.")
    codes.send(state, pool, purpose, user.username, delivery=delivery, now=now)
    return {"CodeDeliveryDetails": details(delivery)}


def admin_confirm_sign_up(state: State, request: Request, now: float) -> Answer:
    """AdminConfirmSignUp: no code is involved, so neither address nor number is verified (API reference)."""
    pool = state.pool(request["UserPoolId"])
    user = get_user(pool, request["Username"])
    if user.status != UNCONFIRMED:
        raise not_authorized(f"User cannot be confirmed. Current status is {user.status}")
    codes.spend(pool, codes.SIGN_UP, user.username)
    user.status, user.modified = CONFIRMED, now
    return {}


def known_user(pool: Pool, client: Client, username: str) -> User | None:
    """Return the user; None if there is none and the client hides that. Raises UserNotFoundException."""
    user = find_user(pool, username)
    if user is None and not hides_users(client):
        raise AwsError("UserNotFoundException", "Username/client id combination not found.")
    return user
