"""The administrator's operations on users.

Invariant: if the pool's usernames are e-mail addresses or phone numbers, the internal username is the sub.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from local_cognito import passwords, srp
from local_cognito.attributes import as_dict, as_list, check_attributes, claim_aliases
from local_cognito.errors import AwsError, invalid_parameter
from local_cognito.pages import page
from local_cognito.state import (
    CONFIRMED,
    FORCE_CHANGE_PASSWORD,
    Message,
    Pool,
    State,
    User,
    find_user,
    get_user,
)
from local_cognito.tokens import revoke_all

Request = Mapping[str, Any]
Answer = dict[str, Any]

_PHONE = re.compile(r"\+[0-9]{1,15}")
_NOT_AN_ALIAS = {
    ("email",): "Username should be an email.",
    ("phone_number",): "Username should be a phone number.",
    ("email", "phone_number"): "Username should be either an email or a phone number.",
}


def admin_create_user(state: State, request: Request, now: float) -> Answer:
    pool = state.pool(request["UserPoolId"])
    if request.get("MessageAction") == "RESEND":
        return _invite_again(state, pool, request, now)
    password = request.get("TemporaryPassword") or passwords.generate(pool.policy)
    passwords.check_policy(pool.policy, password)
    attributes = as_dict(request.get("UserAttributes", ()))
    user = add_user(
        pool, request["Username"], attributes, now, force_alias=request.get("ForceAliasCreation", False)
    )
    set_password(pool, user, password, now, permanent=False)
    if request.get("MessageAction") != "SUPPRESS":
        _invite(state, pool, user, password, request=request, now=now)
    return {"User": describe(user, "Attributes")}


def add_user(
    pool: Pool,
    username: str,
    attributes: Mapping[str, str],
    now: float,
    *,
    sub: str | None = None,
    force_alias: bool = False,
    exists: str = "User account already exists",
    check: Callable[[Pool, Mapping[str, str]], None] = check_attributes,
) -> User:
    """Create a user without a password. Raises AwsError as AdminCreateUser does.

    `exists`: the message for a taken name; `check`: an additional check of the attributes."""
    given = dict(attributes)
    sub = sub or str(uuid.uuid4())
    check_attributes(pool, given)
    name = _username(pool, username, given, sub)
    check(pool, given)
    if pool.fold(name) in pool.users or find_user(pool, username) is not None:
        kind = _signs_in_with(pool, username)
        what = f"An account with the given {kind} already exists." if kind else exists
        raise AwsError("UsernameExistsException", what)
    user = User(name, sub, given, FORCE_CHANGE_PASSWORD, now, now)
    claim_aliases(pool, user, force=force_alias)
    pool.users[pool.fold(name)] = user
    return user


def _username(pool: Pool, username: str, attributes: dict[str, str], sub: str) -> str:
    if pool.fixed.get("UsernameAttributes"):
        kind = _signs_in_with(pool, username)
        if kind is None:
            raise invalid_parameter(_NOT_AN_ALIAS[tuple(sorted(set(pool.fixed["UsernameAttributes"])))])
        attributes.setdefault(kind, username)
        return sub
    if "email" in pool.fixed.get("AliasAttributes", ()) and "@" in username:
        raise invalid_parameter(
            "Username cannot be of email format, since user pool is configured for email alias."
        )
    return username


def _signs_in_with(pool: Pool, username: str) -> str | None:
    names = pool.fixed.get("UsernameAttributes", ())
    if "email" in names and re.fullmatch(r"[^@\s]+@[^@\s]+", username):
        return "email"
    if "phone_number" in names and _PHONE.fullmatch(username):
        return "phone_number"
    return None


def set_password(pool: Pool, user: User, password: str, now: float, *, permanent: bool) -> None:
    user.password = passwords.hash_password(password)
    user.srp = srp.verifier(pool.id, user.username, password)
    user.status = CONFIRMED if permanent else FORCE_CHANGE_PASSWORD
    user.temporary_until = None if permanent else now + pool.policy.temporary_days * 86400
    user.modified = now


def _invite_again(state: State, pool: Pool, request: Request, now: float) -> Answer:
    user = get_user(pool, request["Username"])
    if user.status != FORCE_CHANGE_PASSWORD:
        raise AwsError(
            "UnsupportedUserStateException", "Resend not possible. User status is not FORCE_CHANGE_PASSWORD"
        )
    password = request.get("TemporaryPassword") or passwords.generate(pool.policy)
    passwords.check_policy(pool.policy, password)
    set_password(pool, user, password, now, permanent=False)
    _invite(state, pool, user, password, request=request, now=now)
    return {"User": describe(user, "Attributes")}


def _invite(state: State, pool: Pool, user: User, password: str, *, request: Request, now: float) -> None:
    # API reference, AdminCreateUser, DesiredDeliveryMediums: SMS by default.
    media = request.get("DesiredDeliveryMediums") or ["SMS"]
    text = f"Your username is {user.username} and temporary password is {password}."
    for medium in media:
        to = user.attributes.get("email" if medium == "EMAIL" else "phone_number", "")
        state.outbox.append(Message(pool.id, user.username, "invitation", text, medium, to, None, now))


def admin_get_user(state: State, request: Request, now: float) -> Answer:
    user = get_user(state.pool(request["UserPoolId"]), request["Username"])
    return {**describe(user, "UserAttributes"), **mfa_of(user)}


def admin_set_user_password(state: State, request: Request, now: float) -> Answer:
    pool = state.pool(request["UserPoolId"])
    user = get_user(pool, request["Username"])
    passwords.check_policy(pool.policy, request["Password"])
    set_password(pool, user, request["Password"], now, permanent=request.get("Permanent", False))
    return {}


def admin_disable_user(state: State, request: Request, now: float) -> Answer:
    """AdminDisableUser: disables the user and revokes all of their access tokens (API reference)."""
    pool = state.pool(request["UserPoolId"])
    user = get_user(pool, request["Username"])
    user.enabled, user.modified = False, now
    revoke_all(pool, user)
    return {}


def admin_enable_user(state: State, request: Request, now: float) -> Answer:
    user = get_user(state.pool(request["UserPoolId"]), request["Username"])
    user.enabled, user.modified = True, now
    return {}


def admin_delete_user(state: State, request: Request, now: float) -> Answer:
    pool = state.pool(request["UserPoolId"])
    remove_user(pool, get_user(pool, request["Username"]))
    return {}


def remove_user(pool: Pool, user: User) -> None:
    revoke_all(pool, user)
    # A user created later under the same name is another person.
    pool.sessions = {key: one for key, one in pool.sessions.items() if one.username != user.username}
    name = pool.fold(user.username)
    pool.codes = {
        key: one for key, one in pool.codes.items() if key[1] != name and not key[1].startswith(f"{name} ")
    }
    del pool.users[name]


# `name = "value"` or `name ^= "value"`; quotes and backslashes in the value are escaped (ListUsers).
_FILTER = re.compile(r'\s*"?(?P<name>[\w:]+)"?\s*(?P<how>\^?=)\s*(?P<value>"(?:[^"\\]|\\.)*")\s*')
_FILTERABLE = frozenset(
    {
        "username",
        "email",
        "phone_number",
        "name",
        "given_name",
        "family_name",
        "preferred_username",
        "cognito:user_status",
        "status",
        "sub",
    }
)


def list_users(state: State, request: Request, now: float) -> Answer:
    pool = state.pool(request["UserPoolId"])
    chosen = [user for user in pool.users.values() if _selected(pool, user, request.get("Filter", ""))]
    items = [describe(user, "Attributes") for user in chosen]
    wanted = request.get("AttributesToGet")
    if wanted is not None:
        for item in items:
            item["Attributes"] = [one for one in item["Attributes"] if one["Name"] in wanted]
    # 0 and an omitted limit both mean the maximum.
    size = request.get("Limit") or 60
    return page(items, size, request.get("PaginationToken"), names=("Users", "PaginationToken"))


def _selected(pool: Pool, user: User, expression: str) -> bool:
    if not expression:
        return True
    match = _FILTER.fullmatch(expression)
    if match is None or match["name"] not in _FILTERABLE:
        raise invalid_parameter("Error while parsing filter expression.")
    name, wanted = match["name"], json.loads(match["value"])
    values: dict[str, str] = {
        **user.attributes,
        "username": user.username,
        "sub": user.sub,
        "cognito:user_status": user.status,
        "status": "Enabled" if user.enabled else "Disabled",
    }
    value = values.get(name)
    if value is None:
        return False
    if name in ("username", "email"):
        value, wanted = pool.fold(value), pool.fold(wanted)
    return value.startswith(wanted) if match["how"] == "^=" else value == wanted


def mfa_of(user: User) -> Answer:
    """Return the members of GetUser and AdminGetUser about second factors."""
    answer: Answer = {}
    if user.mfa:
        answer["UserMFASettingList"] = sorted(user.mfa)
    if user.preferred_mfa is not None:
        answer["PreferredMfaSetting"] = user.preferred_mfa
    return answer


def describe(user: User, attributes_name: str) -> Answer:
    """Return a UserType; AdminGetUser has the same members with another name for the attributes."""
    return {
        "Username": user.username,
        attributes_name: as_list({"sub": user.sub, **user.attributes}),
        "UserCreateDate": user.created,
        "UserLastModifiedDate": user.modified,
        "Enabled": user.enabled,
        "UserStatus": user.status,
    }
