"""Group membership: a user's groups in order of precedence, and the preferred role. Pure."""

from __future__ import annotations

from local_cognito.state import Group, Pool, User


def of_user(pool: Pool, user: User) -> list[Group]:
    """Return the user's groups, lowest precedence number first, those without one last."""
    unranked = float("inf")

    def rank(group: Group) -> tuple[float, str]:
        return (unranked if group.precedence is None else group.precedence, group.name)

    return sorted((pool.groups[name] for name in user.groups), key=rank)


def preferred_role(groups: list[Group]) -> str | None:
    """Return the role of the group with the lowest precedence number; None if two different roles share it.

    Source: API reference, CreateGroup, `Precedence`.
    """
    ranked = [group for group in groups if group.role_arn is not None and group.precedence is not None]
    if not ranked:
        return None
    lowest = min(group.precedence for group in ranked if group.precedence is not None)
    roles = {group.role_arn for group in ranked if group.precedence == lowest}
    return roles.pop() if len(roles) == 1 else None
