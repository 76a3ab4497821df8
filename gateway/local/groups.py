"""The operations on groups. Invariant: a user's groups all exist in the pool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.local.errors import AwsError, not_found
from gateway.local.state import Group, Pool, State, User, get_user

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
    answer: Answer = {
        "GroupName": name,
        "UserPoolId": pool.id,
        "CreationDate": group.created,
        "LastModifiedDate": group.modified,
    }
    optional = {"Description": group.description, "RoleArn": group.role_arn, "Precedence": group.precedence}
    answer.update({key: value for key, value in optional.items() if value is not None})
    return {"Group": answer}


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
    group = pool.groups.get(request["GroupName"])
    if group is None:
        raise not_found("Group not found.")
    return user, group


def of_user(pool: Pool, user: User) -> list[Group]:
    """The user's groups, the one with the lowest precedence number first; those without one last."""
    unranked = float("inf")

    def rank(group: Group) -> tuple[float, str]:
        return (unranked if group.precedence is None else group.precedence, group.name)

    return sorted((pool.groups[name] for name in user.groups), key=rank)


def preferred_role(groups: list[Group]) -> str | None:
    """The role of the group with the lowest precedence number; None when two different roles share it.

    Source: API reference, CreateGroup, `Precedence`.
    """
    ranked = [group for group in groups if group.role_arn is not None and group.precedence is not None]
    if not ranked:
        return None
    lowest = min(group.precedence for group in ranked if group.precedence is not None)
    roles = {group.role_arn for group in ranked if group.precedence == lowest}
    return roles.pop() if len(roles) == 1 else None
