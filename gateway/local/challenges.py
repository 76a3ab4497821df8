"""RespondToAuthChallenge and AdminRespondToAuthChallenge: NEW_PASSWORD_REQUIRED.

Invariant: a session answers one challenge, of one user, at one client, once; anything else is refused before
the answer is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gateway.local import passwords
from gateway.local.accounts import check_account
from gateway.local.attributes import check_attributes, claim_aliases, required_and_missing
from gateway.local.clients import check_secret_hash, check_writable
from gateway.local.errors import invalid_parameter, not_authorized
from gateway.local.sign_in import signed_in
from gateway.local.state import AuthSession, Client, Pool, State, User
from gateway.local.users import set_password

Request = Mapping[str, Any]
Answer = dict[str, Any]

_ATTRIBUTE = "userAttributes."


def respond(state: State, request: Request, now: float) -> Answer:
    pool, client = state.client(request["ClientId"])
    return _respond(state, pool, client, request, now)


def admin_respond(state: State, request: Request, now: float) -> Answer:
    pool, client = state.client(request["ClientId"], request["UserPoolId"])
    return _respond(state, pool, client, request, now)


def _respond(state: State, pool: Pool, client: Client, request: Request, now: float) -> Answer:
    responses = request.get("ChallengeResponses", {})
    username = responses.get("USERNAME")
    if not username:
        raise invalid_parameter("Missing required parameter USERNAME")
    check_secret_hash(client, username, responses.get("SECRET_HASH"))
    session = _session(pool, client, request, username, now)
    user = pool.users.get(pool.fold(session.username))
    if user is None:
        raise not_authorized("Invalid session for the user.")
    check_account(user)
    _new_password(pool, client, user, responses, now)
    # Spent by success only: after a password the policy refuses, the user tries again in the same session.
    session.used = True
    return signed_in(state, pool, client, user, now)


def _session(pool: Pool, client: Client, request: Request, username: str, now: float) -> AuthSession:
    session = pool.sessions.get(request.get("Session", ""))
    if session is None or session.client_id != client.id or session.challenge != request["ChallengeName"]:
        raise not_authorized("Invalid session for the user.")
    # API reference, AdminRespondToAuthChallenge: USERNAME is the username, not an alias (USER_ID_FOR_SRP).
    if pool.fold(username) != pool.fold(session.username):
        raise not_authorized("Invalid session for the user.")
    if session.used:
        raise not_authorized("Invalid session for the user, session can only be used once.")
    if now >= session.expires:
        raise not_authorized("Invalid session for the user, session is expired.")
    return session


def _new_password(pool: Pool, client: Client, user: User, responses: Mapping[str, str], now: float) -> None:
    password = responses.get("NEW_PASSWORD")
    if not password:
        raise invalid_parameter("Missing required parameter NEW_PASSWORD")
    passwords.check_policy(pool.policy, password)
    given = {
        name.removeprefix(_ATTRIBUTE): value
        for name, value in responses.items()
        if name.startswith(_ATTRIBUTE)
    }
    check_attributes(pool, given)
    check_writable(client, given)
    for name, value in given.items():
        # API reference: attributes that already have a value cannot be changed here.
        if user.attributes.get(name, value) != value:
            raise not_authorized(f"Cannot modify an already provided {name}")
    for name in required_and_missing(pool, user):
        if not given.get(name):
            raise invalid_parameter(f"Invalid attributes given, {name} is missing")
    claim_aliases(pool, replace(user, attributes={**user.attributes, **given}))
    user.attributes.update(given)
    set_password(pool, user, password, now, permanent=True)
