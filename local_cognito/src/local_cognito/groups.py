"""Operations on groups. Invariant: a user's groups all exist in the pool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_cognito.errors import AwsError, not_found
from local_cognito.membership import of_user
from local_cognito.pages import page
from local_cognito.state import Group, Pool, State, User, get_user
from local_cognito.users import describe

Request = Mapping[str, Any]
Answer = dict[str, Any]


def create_group(state: State, request: Request, now: float) -> Answer:
    pool = state.pool(request["UserPoolId"])
    name = request["GroupName"]
    if name in pool.groups:
        raise AwsError("GroupExistsException", "A group with the name already exists.")
    group = Group(
        name, request.get("Description"), request.get("RoleArn"), request.get("Precedence"), now, now
    )
    pool.groups[name] = group
    return {"Group": _describe(pool, group)}


def get_group(state: State, request: Request, now: float) -> Answer:
    pool = state.pool(request["UserPoolId"])
    return {"Group": _describe(pool, _group(pool, request["GroupName"]))}


def update_group(state: State, request: Request, now: float) -> Answer:
    """UpdateGroup: only the given members change."""
    pool = state.pool(request["UserPoolId"])
    group = _group(pool, request["GroupName"])
    group.description = request.get("Description", group.description)
    group.role_arn = request.get("RoleArn", group.role_arn)
    group.precedence = request.get("Precedence", group.precedence)
    group.modified = now
    return {"Group": _describe(pool, group)}


def delete_group(state: State, request: Request, now: float) -> Answer:
    pool = state.pool(request["UserPoolId"])
    group = _group(pool, request["GroupName"])
    for user in pool.users.values():
        user.groups.discard(group.name)
    del pool.groups[group.name]
    return {}


def list_groups(state: State, request: Request, now: float) -> Answer:
    pool = state.pool(request["UserPoolId"])
    return _page([_describe(pool, group) for group in pool.groups.values()], "Groups", request)


def admin_list_groups_for_user(state: State, request: Request, now: float) -> Answer:
    pool = state.pool(request["UserPoolId"])
    groups = of_user(pool, get_user(pool, request["Username"]))
    return _page([_describe(pool, group) for group in groups], "Groups", request)


def list_users_in_group(state: State, request: Request, now: float) -> Answer:
    pool = state.pool(request["UserPoolId"])
    group = _group(pool, request["GroupName"])
    members = [user for user in pool.users.values() if group.name in user.groups]
    return _page([describe(user, "Attributes") for user in members], "Users", request)


def _page(items: list[Answer], name: str, request: Request) -> Answer:
    # 0 and an omitted limit both mean the maximum.
    return page(items, request.get("Limit") or 60, request.get("NextToken"), names=(name, "NextToken"))


def _describe(pool: Pool, group: Group) -> Answer:
    answer: Answer = {
        "GroupName": group.name,
        "UserPoolId": pool.id,
        "CreationDate": group.created,
        "LastModifiedDate": group.modified,
    }
    optional = {"Description": group.description, "RoleArn": group.role_arn, "Precedence": group.precedence}
    return {**answer, **{key: value for key, value in optional.items() if value is not None}}


def admin_add_user_to_group(state: State, request: Request, now: float) -> Answer:
    user, group = _both(state, request)
    user.groups.add(group.name)
    return {}


def admin_remove_user_from_group(state: State, request: Request, now: float) -> Answer:
    user, group = _both(state, request)
    user.groups.discard(group.name)
    return {}


def _both(state: State, request: Request) -> tuple[User, Group]:
    pool = state.pool(request["UserPoolId"])
    user = get_user(pool, request["Username"])
    return user, _group(pool, request["GroupName"])


def _group(pool: Pool, name: str) -> Group:
    group = pool.groups.get(name)
    if group is None:
        raise not_found("Group not found.")
    return group
