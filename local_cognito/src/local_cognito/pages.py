"""Pagination of lists. Invariant: a page token is always a position that this server issued."""

from __future__ import annotations

from typing import Any

from local_cognito.errors import invalid_parameter


def page(items: list[Any], size: int, token: str | None, *, names: tuple[str, str]) -> dict[str, Any]:
    """Return `size` items from the position in `token`; `names`: the members for the list and the next
    token."""
    list_name, token_name = names
    start = 0
    if token is not None:
        # ASCII digits only: int() would accept other digits and underscores.
        if not (token.isascii() and token.isdigit() and len(token) <= 9):
            raise invalid_parameter("Invalid pagination token.")
        start = int(token)
    answer: dict[str, Any] = {list_name: items[start : start + size]}
    if start + size < len(items):
        answer[token_name] = str(start + size)
    return answer
