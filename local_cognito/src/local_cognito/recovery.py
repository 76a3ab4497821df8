"""Password reset and change.

Invariant: with PreventUserExistenceErrors, an unknown username gets the same answers, at the same limits, as
an existing one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_cognito import codes, passwords
from local_cognito.clients import check_secret_hash, hides_users
from local_cognito.delivery import details, for_recovery, recovery_attributes, simulated
from local_cognito.errors import AwsError, invalid_parameter, not_authorized, wrong_password
from local_cognito.sign_up import known_user
from local_cognito.state import (
    CONFIRMED,
    FORCE_CHANGE_PASSWORD,
    RESET_REQUIRED,
    Delivery,
    Pool,
    State,
    User,
    get_user,
)
from local_cognito.tokens import read_access_token
from local_cognito.users import set_password

Request = Mapping[str, Any]
Answer = dict[str, Any]

# Developer guide, "quotas": ChangePassword, per user and hour.
_CHANGES = 5
_WRONG_STATE = "User password cannot be reset in the current state."


def forgot_password(state: State, request: Request, now: float) -> Answer:
    pool, client = state.client(request["ClientId"])
    username = request["Username"]
    check_secret_hash(client, username, request.get("SecretHash"))
    if not recovery_attributes(pool):
        raise not_authorized("Contact administrator to reset password.")
    user = known_user(pool, client, username)
    purpose, name = codes.FORGOT_PASSWORD, user.username if user else username
    codes.count(pool, f"ask {purpose.name}", name, purpose.asks, now)
    try:
        delivery = _deliverable(pool, user)
    except AwsError:
        if not hides_users(client):
            raise
        # No code is sent, but the responses that follow are the same.
        codes.send(state, pool, purpose, name, delivery=None, now=now)
        return {"CodeDeliveryDetails": details(simulated(pool, username))}
    codes.send(state, pool, purpose, name, delivery=delivery, now=now)
    return {"CodeDeliveryDetails": details(delivery)}


def _deliverable(pool: Pool, user: User | None) -> Delivery:
    """Return where this user's code goes. Raises the error that Cognito returns if users are not hidden."""
    if user is None:
        raise AwsError("UserNotFoundException", "Username/client id combination not found.")
    if not user.enabled:
        raise not_authorized("User is disabled.")
    if user.status == FORCE_CHANGE_PASSWORD:
        raise not_authorized(_WRONG_STATE)
    delivery = for_recovery(pool, user)
    if delivery is None:
        raise invalid_parameter(
            "Cannot reset password for the user as there is no registered/verified email or phone_number"
        )
    return delivery


def confirm_forgot_password(state: State, request: Request, now: float) -> Answer:
    pool, client = state.client(request["ClientId"])
    username, password = request["Username"], request["Password"]
    check_secret_hash(client, username, request.get("SecretHash"))
    user = known_user(pool, client, username)
    # Before the code: an invalid password must not reveal whether the code was right.
    passwords.check_policy(pool.policy, password)
    name = user.username if user else username
    codes.redeem(pool, codes.FORGOT_PASSWORD, name, request["ConfirmationCode"], now)
    if user is None:
        raise codes.mismatch()
    if not user.enabled:
        raise codes.mismatch() if hides_users(client) else not_authorized("User is disabled.")
    codes.spend(pool, codes.FORGOT_PASSWORD, name)
    set_password(pool, user, password, now, permanent=True)
    return {}


def admin_reset_user_password(state: State, request: Request, now: float) -> Answer:
    """AdminResetUserPassword: invalidates the password and sends a code for ConfirmForgotPassword."""
    pool = state.pool(request["UserPoolId"])
    user = get_user(pool, request["Username"])
    if user.status not in (CONFIRMED, RESET_REQUIRED):
        raise not_authorized(_WRONG_STATE)
    delivery = _deliverable(pool, user)
    codes.send(state, pool, codes.FORGOT_PASSWORD, user.username, delivery=delivery, now=now)
    user.status, user.modified = RESET_REQUIRED, now
    return {}


def change_password(state: State, request: Request, now: float) -> Answer:
    pool, user, _ = read_access_token(state, request["AccessToken"], now)
    codes.count(pool, "change password", user.username, _CHANGES, now)
    # API reference: users without a password (passwordless sign-in) omit the previous one.
    if user.password is not None and not passwords.matches(
        user.password, request.get("PreviousPassword", "")
    ):
        raise wrong_password()
    passwords.check_policy(pool.policy, request["ProposedPassword"])
    set_password(pool, user, request["ProposedPassword"], now, permanent=True)
    return {}
