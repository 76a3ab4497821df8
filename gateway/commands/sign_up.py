"""The `sign-up` command: may strangers make themselves accounts in this pool?

Invariant: of the pool's settings exactly `AdminCreateUserConfig.AllowAdminCreateUserOnly` changes.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from gateway.aws.clients import Aws, Where
from gateway.aws.pool_settings import describe_pool, update_pool
from gateway.terminal import waiting_for


@dataclass(frozen=True, slots=True)
class SignUpRequest:
    pool_id: str
    enable: bool
    where: Where


def sign_up_command(request: SignUpRequest) -> int:
    """Turns self-service sign-up on or off, says what it was and is; 0. Raises GatewayError."""
    aws = Aws(request.where, waiting_for)
    pool = describe_pool(aws, request.pool_id)
    word = "open" if request.enable else "closed"
    if is_open(pool) == request.enable:
        sys.stdout.write(f"{request.pool_id}: sign-up is {word} already, nothing was changed\n")
        return 0
    update_pool(aws, pool, {"AdminCreateUserConfig": {"AllowAdminCreateUserOnly": not request.enable}})
    who = "anyone can make an account" if request.enable else "only administrators can make accounts"
    sys.stdout.write(f"{request.pool_id}: sign-up is {word} now: {who}\n")
    return 0


def is_open(pool: dict[str, object]) -> bool:
    """Whether the described pool lets people sign up by themselves; Cognito's default is yes."""
    settings = pool.get("AdminCreateUserConfig")
    return not (isinstance(settings, dict) and settings.get("AllowAdminCreateUserOnly"))
