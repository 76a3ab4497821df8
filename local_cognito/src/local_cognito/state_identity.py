"""The state of identity pools, and of as much of IAM as they need.

Data only; `state` says whose they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Identity:
    """An identity of an identity pool, by provider and subject; None: a guest."""

    login: tuple[str, str] | None


@dataclass(slots=True)
class IdentityPool:
    id: str
    settings: dict[str, Any]
    tags: dict[str, str] = field(default_factory=dict)
    # authenticated and unauthenticated → role ARN; `provider:client` → role mapping.
    roles: dict[str, str] = field(default_factory=dict)
    role_mappings: dict[str, dict[str, Any]] = field(default_factory=dict)
    identities: dict[str, Identity] = field(default_factory=dict)


@dataclass(slots=True)
class Role:
    """An IAM role; the documents are JSON text."""

    name: str
    arn: str
    role_id: str
    path: str
    trust: str
    description: str | None
    max_session: int
    created: float
    tags: dict[str, str]
    policies: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Temporary credentials issued for a role (by name)."""

    secret: str = field(repr=False)
    session_token: str = field(repr=False)
    expires: float
    role: str
